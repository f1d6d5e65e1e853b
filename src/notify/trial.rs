//! Test notifications, for `ntp-monitor notify test` and the API.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{BuildError, Notifier, Progress, set_up};
use crate::config::{Channel, Notifier as Config};
use ntp_monitor_core::alert::notification::{Notification, Status};

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The receiver's response, or why the message was not delivered.
    pub result: Result<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// Checks whether every notifier can be set up, without connecting to anything.
///
/// # Errors
/// The first notifier that cannot be set up, and why.
pub async fn try_out(notifiers: &[Config]) -> Result<(), BuildError> {
    for config in notifiers {
        set_up(config).await?;
    }
    Ok(())
}

/// Sends a test notification at once, without the queue.
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
    test.description = "This is a test notification that was requested in ntp-monitor. No action is needed.".to_owned();
    test.alerts[0].summary.clone_from(&test.summary);
    let said = once(&*notifier, &test).await?;
    // Otherwise the incident would stay open.
    if matches!(config.channel, Channel::Pagerduty { .. }) {
        test.status = Status::Resolved;
        test.alerts[0].ended_at = Some(Timestamp::now());
        let open = |why| format!("the incident was opened but could not be closed: {why}");
        once(&*notifier, &test).await.map_err(open)?;
    }
    Ok(said)
}

/// One attempt, which succeeds only if every receiver accepts it.
async fn once(notifier: &dyn Notifier, test: &Notification) -> Result<String, String> {
    let mut progress = Progress::default();
    let said = notifier.deliver(test, &mut progress).await.map_err(|failure| failure.why)?;
    match progress.rejections() {
        Some(why) => Err(format!("not all receivers got the message: {why}")),
        None => Ok(said),
    }
}
