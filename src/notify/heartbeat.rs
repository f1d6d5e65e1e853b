//! The heartbeat (dead man's switch): requests a URL at an interval while the service works, so that an external
//! monitor notices when this service, its host or its network is down. Beats are not queued, because a late beat is
//! useless.

use std::sync::Arc;

use reqwest::Method;
use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::timeout;

use super::dispatcher::Stop;
use super::http::{Http, JSON, Request};
use super::{Failure, Notifier, NotifierState, Progress, Retry, Sending, signs};
use crate::config::{Channel, Heartbeat as Settings, Notifier as Config};
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::health::report::{Health, Status};

/// Sends heartbeats to one receiver.
pub struct Beat {
    http: Http,
    settings: Settings,
    config: Config,
}

impl Beat {
    /// Creates a heartbeat, on a blocking thread.
    ///
    /// # Errors
    /// When the TLS library rejects the certificates.
    pub async fn set_up(config: &Config, settings: &Settings) -> Result<Self, String> {
        let (config, settings) = (config.clone(), settings.clone());
        let made = tokio::task::spawn_blocking(move || Self::new(&config, &settings)).await;
        made.unwrap_or_else(|_| Err("the set-up was aborted".to_owned()))
    }

    pub(super) fn new(config: &Config, settings: &Settings) -> Result<Self, String> {
        let http = Http::new(config, [&settings.url].into_iter().chain(&settings.fail_url))?;
        Ok(Self { http, settings: settings.clone(), config: config.clone() })
    }

    /// The heartbeat with the current secrets from their files; `None` if none has changed.
    async fn renewed(&self) -> Option<Self> {
        let config = self.config.clone();
        let made = tokio::task::spawn_blocking(move || {
            let config = config.renewed()?;
            let Channel::Heartbeat(settings) = &config.channel else { return None };
            Self::new(&config, settings).ok()
        });
        made.await.ok().flatten()
    }

    /// Sends one beat, or reports a failing service. `None` if a failure is reported by sending nothing.
    async fn say(&self, is_well: bool) -> Option<Result<String, Failure>> {
        let url = if is_well { Some(&self.settings.url) } else { self.settings.fail_url.as_ref() };
        let request = Request {
            method: Method::GET,
            url: url?.expose(),
            content_type: JSON,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let expect = self.settings.expect.as_deref().filter(|_| is_well);
        Some(self.http.send(request, |reply| signs::heartbeat(reply, expect)).await)
    }
}

/// A test sends one beat.
impl Notifier for Beat {
    fn deliver<'a>(&'a self, _: &'a Notification, _: &'a mut Progress) -> Sending<'a> {
        Box::pin(async { self.say(true).await.unwrap_or_else(|| Ok("silent".to_owned())) })
    }
}

/// Sends beats until `stop`.
pub async fn beat(
    mut beat: Beat,
    mut health: watch::Receiver<Arc<Health>>,
    state: Arc<NotifierState>,
    log: Logger,
    mut stop: Stop,
) {
    let mut judged_at = None;
    // A service that has just started is not failing, but it must be ready within one interval.
    tokio::select! {
        _ = timeout(beat.settings.interval, health.wait_for(|health| health.ready)) => {}
        () = stop.signalled() => return,
    }
    loop {
        let (is_well, uptime_s) = is_well(&health.borrow(), judged_at);
        judged_at = Some(uptime_s);
        let attempt = tokio::select! {
            attempt = say(&mut beat, is_well) => attempt,
            () = stop.signalled() => return,
        };
        if let Some(attempt) = attempt {
            note(&attempt, &state, &log);
        }
        if stop.sleep(beat.settings.interval).await {
            return;
        }
    }
}

/// Sends one beat, and another one if the receiver rejects it and a secret has changed.
async fn say(beat: &mut Beat, is_well: bool) -> Option<Result<String, Failure>> {
    let attempt = beat.say(is_well).await;
    match &attempt {
        Some(Err(failure)) if failure.retry == Retry::Paused => match beat.renewed().await {
            Some(renewed) => {
                *beat = renewed;
                beat.say(is_well).await
            }
            None => attempt,
        },
        _ => attempt,
    }
}

/// Logs when beats start to fail and when they succeed again; health and metrics show the rest.
fn note(attempt: &Result<String, Failure>, state: &NotifierState, log: &Logger) {
    let is_news = match attempt {
        Ok(_) => state.delivered(),
        Err(failure) => state.failed(failure, None) == 1,
    };
    match attempt {
        _ if !is_news => {}
        Ok(_) => info!(log, "heartbeats are delivered again"),
        Err(why) => warn!(log, "a heartbeat was not delivered"; "reason" => %why),
    }
}

/// Whether the service works, and the uptime at which its health was computed. Beats are at least 15 s apart and health
/// is computed every ten seconds at most, so an unchanged uptime means that the service hangs.
fn is_well(health: &Health, judged_before_s: Option<f64>) -> (bool, f64) {
    let is_fresh = judged_before_s.is_none_or(|before_s| health.uptime_s > before_s);
    (health.ready && health.status != Status::Failing && is_fresh, health.uptime_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beat_is_sent_only_while_the_service_works() {
        let health = |ready, status, uptime_s| Health { ready, status, uptime_s, ..Health::default() };
        assert!(is_well(&health(true, Status::Ok, 9.0), None).0);
        assert!(is_well(&health(true, Status::Degraded, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(true, Status::Failing, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(false, Status::Ok, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(true, Status::Ok, 9.0), Some(9.0)).0, "nobody judges any more");
    }
}
