//! The dispatcher of one notifier: takes due notifications from its queue and retries each until it is delivered.
//!
//! - Temporary failures are retried with jittered, doubling waits, never before the receiver's `Retry-After`.
//! - A receiver that rejects the notifier itself (say, a wrong token) is tried once a minute; its queue is kept.
//! - A rejected message is retried like any other failure. It is dropped after three rejections if other messages were
//!   accepted since the first one, because then the message is the cause. Later messages of the same rule wait for it;
//!   those of other rules do not.
//! - A message that was fully sent but not answered may have arrived. It is repeated with long waits and then dropped.
//! - The parts of a message that a receiver has accepted are recorded, and a retry sends only the rest. If only some
//!   addresses of a mail are refused, other messages do not wait.
//! - If the store cannot record a delivery, the record is retried, not the message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info, warn};
use tokio::sync::watch;
use tokio::time::Instant;

use super::rate::Rate;
use super::{Failure, Notifier, NotifierState, Progress, Retry};
use crate::sinks::influx::Pacing;
use crate::store::{Due, StoreError, StoreHandle};

/// After this many rejections a message is dropped, if others are accepted.
const REFUSALS: u32 = 3;
/// After this many consecutive failures, all waiting messages become due at once when the receiver is back.
const OUTAGE: u32 = 3;

/// Settings of a dispatcher.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the notifier and of its queue.
    pub name: String,
    /// Maximum number of messages per minute.
    pub per_minute: u32,
    /// The waits between attempts.
    pub pacing: Pacing,
    /// The limits for messages that were fully sent but not answered.
    pub repeats: Repeats,
}

/// How often a message is repeated that was fully sent but not answered, because the receiver may have accepted it.
#[derive(Debug, Clone, Copy)]
pub struct Repeats {
    /// The wait after the first attempt; each further wait is four times as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// The number of attempts after which the message is dropped.
    pub most: u32,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { first: Duration::from_secs(15), longest: Duration::from_secs(6 * 3600), most: 8 }
    }
}

impl Repeats {
    /// The wait after the message was sent `times` times.
    fn wait(&self, times: u32) -> Duration {
        self.first.saturating_mul(4_u32.saturating_pow(times.saturating_sub(1))).min(self.longest)
    }
}

/// The stop signal, with the deadline for an attempt in progress.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<std::time::Instant>>);

impl Stop {
    /// Stops when the channel carries a deadline, or its sender is dropped.
    #[must_use]
    pub fn new(signal: watch::Receiver<Option<std::time::Instant>>) -> Self {
        Self(signal)
    }

    /// Waits for the stop signal.
    pub(super) async fn signalled(&mut self) {
        // An error means that the sender was dropped, which counts as the signal.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Waits for the stop signal and its deadline.
    async fn expired(&mut self) {
        self.signalled().await;
        let deadline = *self.0.borrow();
        tokio::time::sleep_until(deadline.map_or_else(Instant::now, Instant::from_std)).await;
    }

    /// Sleeps until the stop signal at most; returns whether the signal arrived.
    pub(super) async fn sleep(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.signalled()).await.is_ok()
    }
}

/// Delivers notifications until `stop`. An attempt in progress may then continue until the deadline.
pub async fn run(
    store: StoreHandle,
    notifier: Box<dyn Notifier>,
    settings: Settings,
    state: Arc<NotifierState>,
    log: Logger,
    stop: Stop,
) {
    let rate = Rate::new(settings.per_minute);
    let dispatcher =
        Dispatcher { store, notifier, settings, state, log, stop, rate, taken: 0, refused: HashMap::new() };
    dispatcher.run().await;
}

/// The stop signal arrived.
struct Ended;

struct Dispatcher {
    store: StoreHandle,
    notifier: Box<dyn Notifier>,
    settings: Settings,
    state: Arc<NotifierState>,
    log: Logger,
    stop: Stop,
    rate: Rate,
    /// Number of messages accepted by the receiver.
    taken: u64,
    /// For each rejected message: the number of rejections, and the value of `taken` at the first one.
    refused: HashMap<i64, (u32, u64)>,
}

impl Dispatcher {
    async fn run(mut self) {
        self.recall().await;
        loop {
            let step = match self.next().await {
                Ok(Some(due)) => self.attempt(due).await,
                Ok(None) => self.sleep(self.settings.pacing.poll).await,
                Err(why) => self.wait_for_store(&why).await,
            };
            if step.is_err() {
                return;
            }
        }
    }

    /// Restores the time of the last delivery by an earlier process.
    async fn recall(&self) {
        let name = self.settings.name.clone();
        if let Ok(Some(at_ns)) = self.store.read(move |reader| reader.last_delivery(&name)).await
            && let Ok(at) = jiff::Timestamp::from_nanosecond(i128::from(at_ns))
        {
            self.state.recall(at);
        }
    }

    /// The next due notification. Reads the store only if the queue is not empty.
    async fn next(&mut self) -> Result<Option<Due>, StoreError> {
        if self.store.queue_gauge(&self.settings.name).waiting == 0 {
            return Ok(None);
        }
        let (name, now_ns) = (self.settings.name.clone(), crate::clock::now().wall_ns);
        self.store.read(move |reader| reader.due_notification(&name, now_ns)).await
    }

    async fn attempt(&mut self, due: Due) -> Result<(), Ended> {
        let notification = match &due.notification {
            Ok(notification) => notification,
            Err(why) => return self.give_up(due.id, &format!("the stored notification cannot be parsed: {why}")).await,
        };
        let mut progress = Progress::restored(due.progress.as_deref(), due.behind.clone());
        let wait = self.rate.wait(Instant::now());
        if wait > Duration::ZERO {
            self.sleep(wait).await?;
        }
        self.rate.note(Instant::now());
        let outcome = tokio::select! {
            outcome = self.notifier.deliver(notification, &mut progress) => outcome,
            () = self.stop.expired() => return self.abort(&due, progress).await,
        };
        match outcome {
            Ok(_) => self.delivered(due.id, &progress).await,
            Err(failure) => self.failed(due.id, due.attempts.saturating_add(1), &failure, progress).await,
        }
    }

    /// Records which parts of a message were accepted before the end of the service interrupted the attempt.
    async fn abort(&self, due: &Due, progress: Progress) -> Result<(), Ended> {
        let (now_ns, why) = (crate::clock::now().wall_ns, "interrupted because the service stopped".to_owned());
        if let Err(why) = self.store.notification_failed(due.id, now_ns, why, progress.recorded()).await {
            warn!(self.log, "cannot record a failed notification"; "reason" => %why);
        }
        Err(Ended)
    }

    async fn delivered(&mut self, id: i64, progress: &Progress) -> Result<(), Ended> {
        self.taken += 1;
        self.refused.remove(&id);
        let failed = self.state.gauge().consecutive_failures;
        if let Some(why) = progress.rejections() {
            if self.state.delivered_in_part(&why) {
                error!(self.log, "a notification was delivered to some receivers only"; "rejected" => why);
            }
        } else if self.state.delivered() {
            info!(self.log, "notifications are delivered again");
        }
        while let Err(why) = self.store.notification_delivered(id, failed >= OUTAGE).await {
            warn!(self.log, "a notification was delivered, but the store cannot record it"; "reason" => %why);
            self.sleep(self.settings.pacing.retry(u32::MAX, rand::random(), None)).await?;
        }
        Ok(())
    }

    async fn failed(&mut self, id: i64, attempts: u32, failure: &Failure, mut progress: Progress) -> Result<(), Ended> {
        if failure.retry == Retry::Refused && self.is_the_message_at_fault(id) {
            let why = format!("the receiver rejects it and accepts others: {failure}");
            return self.give_up(id, &why).await;
        }
        if failure.retry == Retry::Unanswered {
            progress.unanswered += 1;
            if progress.unanswered >= self.settings.repeats.most {
                let why = format!("it was sent {} times without an answer: {failure}", progress.unanswered);
                return self.give_up(id, &why).await;
            }
        }
        let failures = self.state.gauge().consecutive_failures.saturating_add(1);
        // A refused address of a mail delays nothing else.
        let pause = if failure.is_partial { Duration::ZERO } else { self.wait(failure, failures) };
        if self.state.failed(failure, Some(pause)) == 1 {
            warn!(self.log, "a notification was not delivered, will retry"; "reason" => %failure);
        }
        let own_wait = match failure.retry {
            // A receiver that rejects the notifier rejects every message.
            Retry::Paused => Duration::ZERO,
            Retry::Unanswered => self.settings.repeats.wait(progress.unanswered),
            _ => self.wait(failure, attempts),
        };
        let next_ns =
            crate::clock::now().wall_ns.saturating_add(i64::try_from(own_wait.as_nanos()).unwrap_or(i64::MAX));
        let record = self.store.notification_failed(id, next_ns, failure.why.clone(), progress.recorded());
        if let Err(why) = record.await {
            warn!(self.log, "cannot record a failed notification"; "reason" => %why);
        }
        self.sleep(pause).await
    }

    /// The wait after this many failures of this kind.
    fn wait(&self, failure: &Failure, failures: u32) -> Duration {
        let pacing = self.settings.pacing;
        match failure.retry {
            Retry::After(time) => pacing.retry(failures, rand::random(), Some(time)),
            Retry::Paused => pacing.probe,
            Retry::Backoff | Retry::Refused | Retry::Unanswered => pacing.retry(failures, rand::random(), None),
        }
    }

    /// Counts a rejection, and returns whether other messages were accepted while this one was repeatedly rejected.
    fn is_the_message_at_fault(&mut self, id: i64) -> bool {
        let taken = self.taken;
        let (times, taken_before) = self.refused.entry(id).or_insert((0, taken));
        *times += 1;
        *times >= REFUSALS && taken > *taken_before
    }

    async fn give_up(&mut self, id: i64, why: &str) -> Result<(), Ended> {
        self.refused.remove(&id);
        self.state.failed(&Failure::new(Retry::Refused, why), None);
        self.state.gave_up();
        error!(self.log, "dropping a notification"; "reason" => why);
        match self.store.notification_given_up(id, why.to_owned()).await {
            Ok(()) => Ok(()),
            Err(why) => self.wait_for_store(&why).await,
        }
    }

    async fn wait_for_store(&mut self, why: &StoreError) -> Result<(), Ended> {
        warn!(self.log, "cannot access the notification queue, will retry"; "reason" => %why);
        self.sleep(self.settings.pacing.probe).await
    }

    async fn sleep(&mut self, time: Duration) -> Result<(), Ended> {
        if self.stop.sleep(time).await { Err(Ended) } else { Ok(()) }
    }
}
