//! The dispatcher of one notifier: takes what is due from its queue and delivers it until the receiver has it.
//!
//! - What time may heal is retried with jittered, doubling waits, never before the receiver's `Retry-After`.
//! - A receiver that refuses us is asked once a minute; nothing is lost meanwhile.
//! - A message that is refused is tried again like any other failure, and given up after three refusals when others were
//!   taken since the first one: then the fault is the message's. Messages of the same rule wait for it, those of others
//!   do not.
//! - What was delivered is not sent again because the store cannot note it: the note is repeated, not the message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info, warn};
use tokio::sync::watch;
use tokio::time::Instant;

use super::rate::Rate;
use super::{Failure, Notifier, NotifierState, Retry};
use crate::sinks::influx::Pacing;
use crate::store::{Due, StoreError, StoreHandle};

/// Refusals of one message after which it is given up, if others are taken.
const REFUSALS: u32 = 3;
/// After this many failures in a row, what waits out a wait of its own is due at once when the receiver is back.
const OUTAGE: u32 = 3;

/// What the dispatcher needs of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The notifier's name, which its queue has too.
    pub name: String,
    /// Messages a minute at most.
    pub per_minute: u32,
    /// How it paces itself.
    pub pacing: Pacing,
}

/// The signal to stop: the deadline for an attempt that is under way.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<std::time::Instant>>);

impl Stop {
    /// Stops when the channel carries a deadline, or its sender is gone.
    #[must_use]
    pub fn new(signal: watch::Receiver<Option<std::time::Instant>>) -> Self {
        Self(signal)
    }

    /// Returns when the signal has come.
    pub(super) async fn signalled(&mut self) {
        // An error says that nobody can give the signal any more, which is one.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Returns when the signal has come and its deadline has passed.
    async fn expired(&mut self) {
        self.signalled().await;
        let deadline = *self.0.borrow();
        tokio::time::sleep_until(deadline.map_or_else(Instant::now, Instant::from_std)).await;
    }

    /// Sleeps, but not through the signal; returns whether it has come.
    pub(super) async fn sleep(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.signalled()).await.is_ok()
    }
}

/// Delivers until `stop`. An attempt that is under way then has until the deadline.
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

/// The signal to stop has come.
struct Ended;

struct Dispatcher {
    store: StoreHandle,
    notifier: Box<dyn Notifier>,
    settings: Settings,
    state: Arc<NotifierState>,
    log: Logger,
    stop: Stop,
    rate: Rate,
    /// Messages taken by the receiver.
    taken: u64,
    /// Of messages that were refused: how often, and how many others had been taken at the first time.
    refused: HashMap<i64, (u32, u64)>,
}

impl Dispatcher {
    async fn run(mut self) {
        self.recall().await;
        loop {
            let turn = match self.next().await {
                Ok(Some(due)) => self.attempt(due).await,
                Ok(None) => self.sleep(self.settings.pacing.poll).await,
                Err(why) => self.wait_for_store(&why).await,
            };
            if turn.is_err() {
                return;
            }
        }
    }

    /// What an earlier process delivered last.
    async fn recall(&self) {
        let name = self.settings.name.clone();
        if let Ok(Some(at_ns)) = self.store.read(move |reader| reader.last_delivery(&name)).await
            && let Ok(at) = jiff::Timestamp::from_nanosecond(i128::from(at_ns))
        {
            self.state.recall(at);
        }
    }

    /// What is due. The store is read only when something waits.
    async fn next(&mut self) -> Result<Option<Due>, StoreError> {
        if self.store.queue_gauge(&self.settings.name).waiting == 0 {
            return Ok(None);
        }
        let (name, now_ns) = (self.settings.name.clone(), crate::clock::now().wall_ns);
        self.store.read(move |reader| reader.due_notification(&name, now_ns)).await
    }

    async fn attempt(&mut self, due: Due) -> Result<(), Ended> {
        let notification = match due.notification {
            Ok(notification) => notification,
            Err(why) => return self.give_up(due.id, &format!("what is stored cannot be read: {why}")).await,
        };
        let wait = self.rate.wait(Instant::now());
        if wait > Duration::ZERO {
            self.sleep(wait).await?;
        }
        self.rate.note(Instant::now());
        let outcome = tokio::select! {
            outcome = self.notifier.deliver(&notification) => outcome,
            () = self.stop.expired() => return Err(Ended),
        };
        match outcome {
            Ok(_) => self.delivered(due.id).await,
            Err(failure) => self.failed(due.id, due.attempts.saturating_add(1), &failure).await,
        }
    }

    async fn delivered(&mut self, id: i64) -> Result<(), Ended> {
        self.taken += 1;
        self.refused.remove(&id);
        let failed = self.state.gauge().consecutive_failures;
        if self.state.delivered() {
            info!(self.log, "notifications are taken again");
        }
        while let Err(why) = self.store.notification_delivered(id, failed >= OUTAGE).await {
            warn!(self.log, "a notification was delivered, but the store cannot note it"; "reason" => %why);
            self.sleep(self.settings.pacing.retry(u32::MAX, rand::random(), None)).await?;
        }
        Ok(())
    }

    async fn failed(&mut self, id: i64, attempts: u32, failure: &Failure) -> Result<(), Ended> {
        if failure.retry == Retry::Refused && self.is_the_message_at_fault(id) {
            return self.give_up(id, &failure.why).await;
        }
        let pacing = self.settings.pacing;
        let wait = |failures| match failure.retry {
            Retry::After(time) => pacing.retry(failures, rand::random(), Some(time)),
            Retry::Paused => pacing.probe,
            Retry::Backoff | Retry::Refused => pacing.retry(failures, rand::random(), None),
        };
        let pause = wait(self.state.gauge().consecutive_failures.saturating_add(1));
        if self.state.failed(failure, Some(pause)) == 1 {
            warn!(self.log, "a notification is not taken, it waits in the queue"; "reason" => %failure);
        }
        // A receiver that refuses us refuses each message alike.
        let own_wait = if failure.retry == Retry::Paused { Duration::ZERO } else { wait(attempts) };
        let next_ns =
            crate::clock::now().wall_ns.saturating_add(i64::try_from(own_wait.as_nanos()).unwrap_or(i64::MAX));
        if let Err(why) = self.store.notification_failed(id, next_ns, failure.why.clone()).await {
            warn!(self.log, "the store cannot note a failed notification"; "reason" => %why);
        }
        self.sleep(pause).await
    }

    /// Notes a refusal, and says whether others were taken while this one was refused again and again.
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
        error!(self.log, "a notification is given up: it is refused, others are taken"; "reason" => why);
        match self.store.notification_given_up(id, why.to_owned()).await {
            Ok(()) => Ok(()),
            Err(why) => self.wait_for_store(&why).await,
        }
    }

    async fn wait_for_store(&mut self, why: &StoreError) -> Result<(), Ended> {
        warn!(self.log, "the queue of notifications cannot be used, will retry"; "reason" => %why);
        self.sleep(self.settings.pacing.probe).await
    }

    async fn sleep(&mut self, time: Duration) -> Result<(), Ended> {
        if self.stop.sleep(time).await { Err(Ended) } else { Ok(()) }
    }
}
