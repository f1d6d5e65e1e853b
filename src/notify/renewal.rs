//! Reads the files of a notifier's secrets again when its receiver rejects the notifier, so that a renewed secret needs no
//! reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Notifier, Progress, Retry, Sending, build};
use crate::config::Notifier as Config;
use crate::report::message::Report;
use ntp_monitor_core::alert::notification::Notification;

/// A notifier that is created again when one of its secrets has changed.
pub(super) struct Renewing(Mutex<Current>);

struct Current {
    config: Config,
    notifier: Arc<dyn Notifier>,
}

impl Renewing {
    pub(super) fn new(config: &Config, notifier: Box<dyn Notifier>) -> Self {
        Self(Mutex::new(Current { config: config.clone(), notifier: notifier.into() }))
    }

    fn current(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.lock().notifier)
    }

    /// The notifier with the current secrets from their files; `None` if none has changed, or the new one is invalid.
    async fn renewed(&self) -> Option<Arc<dyn Notifier>> {
        let config = self.lock().config.clone();
        let made = tokio::task::spawn_blocking(move || {
            let config = config.renewed()?;
            let notifier = build(&config).ok()?;
            Some(Current { config, notifier: notifier.into() })
        });
        let current = made.await.ok().flatten()?;
        *self.lock() = current;
        Some(self.current())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier for Renewing {
    fn deliver<'a>(&'a self, notification: &'a Notification, progress: &'a mut Progress) -> Sending<'a> {
        Box::pin(async move {
            let outcome = self.current().deliver(notification, progress).await;
            match &outcome {
                Err(failure) if failure.retry == Retry::Paused => match self.renewed().await {
                    Some(renewed) => renewed.deliver(notification, progress).await,
                    None => outcome,
                },
                _ => outcome,
            }
        })
    }

    fn send_report<'a>(&'a self, report: &'a Report, progress: &'a mut Progress) -> Sending<'a> {
        Box::pin(async move {
            let outcome = self.current().send_report(report, progress).await;
            match &outcome {
                Err(failure) if failure.retry == Retry::Paused => match self.renewed().await {
                    Some(renewed) => renewed.send_report(report, progress).await,
                    None => outcome,
                },
                _ => outcome,
            }
        })
    }
}
