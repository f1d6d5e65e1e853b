//! Requests of the alerter and the notifiers to the store.

use jiff::Timestamp;

use super::alerts::{AlertCommand, AlertRecord};
use super::command::{Command, Reply};
use super::error::StoreError;
use super::handle::StoreHandle;
use super::notices::{NoticeCommand, QueueGauge};
use ntp_monitor_core::alert::silence::Silence;

impl StoreHandle {
    /// Records one evaluation of the alerts, completely or not at all.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn record_alerts(&self, record: AlertRecord) -> Result<(), StoreError> {
        self.alerts(AlertCommand::Record(Box::new(record))).await.map(drop)
    }

    /// Stores a silence and returns its number; `None` if there are too many.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn add_silence(&self, silence: Silence) -> Result<Option<i64>, StoreError> {
        let number = self.alerts(AlertCommand::AddSilence(Box::new(silence))).await?;
        Ok((number > 0).then_some(number))
    }

    /// Ends a silence; returns whether it was active.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_silence(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.alerts(AlertCommand::EndSilence { id, now }).await? > 0)
    }

    async fn alerts(&self, command: AlertCommand) -> Result<i64, StoreError> {
        self.ask(|reply| Command::Alerts { command, reply }).await
    }
}

impl StoreHandle {
    /// The fill level of the queue of `notifier`, as of the last commit. Reads memory only.
    #[must_use]
    pub fn queue_gauge(&self, notifier: &str) -> QueueGauge {
        self.queue_gauges().get(notifier).copied().unwrap_or_default()
    }

    /// Records a delivery; `others_at_once` makes the other notifications of the notifier due at once.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn notification_delivered(&self, id: i64, others_at_once: bool) -> Result<(), StoreError> {
        self.notice(NoticeCommand::Delivered { id, others_at_once }).await
    }

    /// Records a failed attempt and what the receiver has; the next attempt is made after the wall time `next_ns`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn notification_failed(
        &self,
        id: i64,
        next_ns: i64,
        why: String,
        progress: Option<String>,
    ) -> Result<(), StoreError> {
        self.notice(NoticeCommand::Failed { id, next_ns, why, progress }).await
    }

    /// Records that a notification was dropped.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn notification_given_up(&self, id: i64, why: String) -> Result<(), StoreError> {
        self.notice(NoticeCommand::GivenUp { id, why }).await
    }

    async fn notice(&self, command: NoticeCommand) -> Result<(), StoreError> {
        self.ask(|reply: Reply<()>| Command::Notice { command, reply }).await
    }
}
