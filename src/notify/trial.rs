//! A test notification: `ntp-monitor notify test`, and the same by the API.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{BuildError, set_up};
use crate::config::{Channel, Notifier as Config};
use ntp_monitor_core::alert::notification::{Notification, Status};

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What the receiver said, or why it has not got the message.
    pub result: Result<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// Finds out whether every notifier can be set up, without connecting to anything.
///
/// # Errors
/// Which one cannot, and why.
pub async fn try_out(notifiers: &[Config]) -> Result<(), BuildError> {
    for config in notifiers {
        set_up(config).await?;
    }
    Ok(())
}

/// Sends a test notification, once and at once: it does not pass through the queue.
pub async fn trial(config: &Config, vantage: &str) -> Trial {
    let began = Instant::now();
    let result = send(config, vantage).await;
    Trial { result, took: began.elapsed() }
}

async fn send(config: &Config, vantage: &str) -> Result<String, String> {
    let notifier = set_up(config).await.map_err(|why| why.to_string())?;
    let mut test = Notification::sample(Timestamp::now());
    test.key = format!("test/{:016x}", rand::random::<u64>());
    test.vantage = vantage.to_owned();
    test.summary = format!("Test of the notifier {}: nothing is wrong", config.name);
    test.description = "Somebody asked ntp-monitor for this test. There is nothing to do.".to_owned();
    test.alerts[0].summary.clone_from(&test.summary);
    let said = notifier.deliver(&test).await.map_err(|failure| failure.why)?;
    // An incident that nobody closes would stay.
    if matches!(config.channel, Channel::Pagerduty { .. }) {
        test.status = Status::Resolved;
        test.alerts[0].ended_at = Some(Timestamp::now());
        notifier.deliver(&test).await.map_err(|failure| format!("the incident was opened, not closed: {failure}"))?;
    }
    Ok(said)
}
