//! Rereads the files of `[http]`: token files when a request has an unknown token, TLS files when the certificate is
//! about to expire. A renewed file therefore takes effect without a reload. A token that was removed from its file
//! stays valid until the next such read or reload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slog::{Logger, info};
use tokio::sync::watch;

use super::auth;
use crate::config::{Config, Http};

/// The minimum interval between two reads, however many requests have unknown tokens.
const PAUSE: Duration = Duration::from_secs(1);
/// A certificate that expires within this time is reread from its file.
const BEFORE_THE_END_S: i64 = 86_400;

/// Rereads the files of `[http]` of the current configuration.
#[derive(Debug, Clone)]
pub struct Renewal {
    config: watch::Sender<Arc<Config>>,
    last: Arc<Mutex<Option<Instant>>>,
    log: Logger,
}

impl Renewal {
    #[must_use]
    pub fn new(config: watch::Sender<Arc<Config>>, log: &Logger) -> Self {
        Self { config, last: Arc::default(), log: log.clone() }
    }

    /// The current `[http]`, after rereading its files if `token` is unknown.
    pub(super) async fn http(&self, token: Option<&str>) -> Http {
        let http = self.config.borrow().http.clone();
        let is_unknown = token.is_some_and(|token| !auth::is_known(&http, token));
        if !is_unknown || http.tokens.iter().all(|token| token.file.is_none()) || !self.is_due() {
            return http;
        }
        let renewal = self.clone();
        // After a panic in the task the files count as unchanged.
        let _ = tokio::task::spawn_blocking(move || renewal.renew()).await;
        self.config.borrow().http.clone()
    }

    /// Rereads the files in the background if the certificate is about to expire. Needs a runtime.
    pub(super) fn before_the_end(&self, ends_unix_s: Option<i64>) {
        let left_s = |end: i64| end - jiff::Timestamp::now().as_second();
        if ends_unix_s.is_some_and(|end| left_s(end) < BEFORE_THE_END_S) && self.is_due() {
            let renewal = self.clone();
            tokio::task::spawn_blocking(move || renewal.renew());
        }
    }

    fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }

    /// Rereads the files. Blocks.
    fn renew(&self) {
        let read_for = self.config.borrow().clone();
        let Some(http) = read_for.http.renewed() else { return };
        let published = self.config.send_if_modified(|current| {
            // A reload in the meantime has read the files too.
            let is_current = Arc::ptr_eq(current, &read_for);
            if is_current {
                *current = Arc::new(Config { http, ..Config::clone(&read_for) });
            }
            is_current
        });
        if published {
            info!(self.log, "a file of [http] has changed: using its new content");
        }
    }
}
