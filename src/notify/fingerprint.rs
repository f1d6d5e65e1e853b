//! The fingerprint by which receivers recognise an alert.

use sha2::{Digest, Sha256};

use ntp_monitor_core::alert::notification::{Instance, Notification};

/// The fingerprint of an alert: the same for its beginning and its end, and, for an alert about a fleet, at all hubs.
pub(super) fn fingerprint(notification: &Notification, instance: &Instance) -> String {
    // Labels are not part of it: if they changed while the alert fires, the incident would stay open.
    let origin = notification.fleet.as_ref().unwrap_or(&notification.vantage);
    let mut hash = Sha256::new();
    for part in [origin, &notification.alert, instance.server.as_deref().unwrap_or_default()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_of_one_fleet_give_an_alert_the_same_fingerprint() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        let of = |news: &Notification| fingerprint(news, &news.alerts[0]);
        let here = of(&news);
        news.vantage = "another hub".into();
        assert_ne!(of(&news), here);
        news.fleet = Some("ntpm".into());
        let there = of(&news);
        news.vantage = "a third one".into();
        assert_eq!(of(&news), there);
    }
}
