//! The dead man's switch: a URL that is asked for at an interval while all is well, so that somebody else notices when
//! this service, its host or its network is gone. Nothing is queued: a beat that is late is worth nothing.

use std::sync::Arc;

use reqwest::Method;
use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::timeout;

use super::dispatcher::Stop;
use super::http::{Http, JSON, Request};
use super::{Failure, Notifier, NotifierState, Sending};
use crate::config::{Heartbeat as Settings, Notifier as Config};
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::health::report::{Health, Status};

/// The way to the one who listens.
pub struct Beat {
    http: Http,
    settings: Settings,
}

impl Beat {
    /// A switch that has not beaten yet, made on a thread that may block.
    ///
    /// # Errors
    /// When the TLS library refuses the certificates.
    pub async fn set_up(config: &Config, settings: &Settings) -> Result<Self, String> {
        let (config, settings) = (config.clone(), settings.clone());
        let made = tokio::task::spawn_blocking(move || Self::new(&config, &settings)).await;
        made.unwrap_or_else(|_| Err("setting it up was interrupted".to_owned()))
    }

    pub(super) fn new(config: &Config, settings: &Settings) -> Result<Self, String> {
        let http = Http::new(config, [&settings.url].into_iter().chain(&settings.fail_url))?;
        Ok(Self { http, settings: settings.clone() })
    }

    /// Beats once, or says that the service is failing. `None` where that is said by silence.
    async fn say(&self, is_well: bool) -> Option<Result<String, Failure>> {
        let url = if is_well { Some(&self.settings.url) } else { self.settings.fail_url.as_ref() };
        let request = Request {
            method: Method::GET,
            url: url?.expose(),
            content_type: JSON,
            headers: Vec::new(),
            body: Vec::new(),
        };
        Some(self.http.send(request).await)
    }
}

/// A test beats once.
impl Notifier for Beat {
    fn deliver<'a>(&'a self, _: &'a Notification) -> Sending<'a> {
        Box::pin(async { self.say(true).await.unwrap_or_else(|| Ok("silent".to_owned())) })
    }
}

/// Beats until `stop`.
pub async fn beat(
    beat: Beat,
    mut health: watch::Receiver<Arc<Health>>,
    state: Arc<NotifierState>,
    log: Logger,
    mut stop: Stop,
) {
    let mut judged_at = None;
    // A service that has just started is not failing; but it has to begin to measure within one interval.
    tokio::select! {
        _ = timeout(beat.settings.interval, health.wait_for(|health| health.ready)) => {}
        () = stop.signalled() => return,
    }
    loop {
        let (is_well, uptime_s) = is_well(&health.borrow(), judged_at);
        judged_at = Some(uptime_s);
        let attempt = tokio::select! {
            attempt = beat.say(is_well) => attempt,
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

/// One record when it begins and one when it is over; health and metrics carry the rest.
fn note(attempt: &Result<String, Failure>, state: &NotifierState, log: &Logger) {
    let is_news = match attempt {
        Ok(_) => state.delivered(),
        Err(failure) => state.failed(failure, None) == 1,
    };
    match attempt {
        _ if !is_news => {}
        Ok(_) => info!(log, "the heartbeat is heard again"),
        Err(why) => warn!(log, "the heartbeat is not heard"; "reason" => %why),
    }
}

/// Whether the service does its job, and at which uptime that was judged. A judgement that is not renewed from one beat
/// to the next (they are 15 s apart at least, it is made every ten) says that the service hangs.
fn is_well(health: &Health, judged_before_s: Option<f64>) -> (bool, f64) {
    let is_fresh = judged_before_s.is_none_or(|before_s| health.uptime_s > before_s);
    (health.ready && health.status != Status::Failing && is_fresh, health.uptime_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_held_while_the_service_does_its_job_and_only_then() {
        let health = |ready, status, uptime_s| Health { ready, status, uptime_s, ..Health::default() };
        assert!(is_well(&health(true, Status::Ok, 9.0), None).0);
        assert!(is_well(&health(true, Status::Degraded, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(true, Status::Failing, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(false, Status::Ok, 9.0), Some(8.0)).0);
        assert!(!is_well(&health(true, Status::Ok, 9.0), Some(9.0)).0, "nobody judges any more");
    }
}
