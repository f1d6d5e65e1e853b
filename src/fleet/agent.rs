//! The agent: sends the rows of the store's journal, announces itself, and receives its plan, over one connection.
//!
//! A row stays in the journal until a hub reports that it is stored. Rows are sent in order, at most [`WINDOW`]
//! messages at a time. After any failure the agent connects again and resumes after the last acknowledged row. If the
//! stream lost messages (it was deleted, or no hub read it for too long), the agent sends again every row that no hub
//! has stored; hubs skip the rows that they already have.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use slog::{info, warn};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::enforce::Enforced;
use super::envelope::MAX_SAMPLES;
use super::link::{Link, LinkError, Names, WINDOW, WITHIN};
use super::member::{self, Member};
use super::outgoing::{self, Outgoing};
use super::plan::PlanDocument;
use super::presence::{self, AgentClock, Presence};
use super::state::AgentState;
use crate::config::Fleet;
use crate::log::LimitedLog;
use crate::store::StoreHandle;

/// How often the journal is checked for new rows.
const LOOK: Duration = Duration::from_millis(500);
/// A hub that has read the whole stream has stored a message this long after its acknowledgement, or the stream lost
/// it.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// Number of past states of the acknowledgements that are remembered.
const MARKS: usize = 32;
/// How often an unchanged plan is stored again for the next process.
const KEEP_EVERY: Duration = Duration::from_secs(300);
/// Number of announcements that are remembered. A plan that answers an older one is not valid.
const ANNOUNCED: usize = 64;
/// The longest wait between two repetitions of everything that is not stored.
const LONGEST_REPEAT: Duration = Duration::from_secs(600);

/// A plan that this agent received.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    pub plan: PlanDocument,
    /// When this process sent the announcement that the plan answers: the validity begins here. `None` if it answers no
    /// announcement of this process.
    pub since: Option<Instant>,
    /// How long this machine had been suspended since boot when that announcement was sent, in nanoseconds.
    pub asleep_ns: i64,
}

/// The inputs and outputs of an agent.
pub struct Agent {
    pub fleet: Fleet,
    pub store: StoreHandle,
    pub state: Arc<AgentState>,
    /// The latest plan. A valid plan is not replaced by an older one.
    pub plan: watch::Sender<Option<Arc<Arrived>>>,
    /// The servers that are polled. A plan is acknowledged once it is in effect here.
    pub enforced: watch::Receiver<Arc<Enforced>>,
    /// Makes the content of an announcement.
    pub announce: Arc<dyn Fn() -> Presence + Send + Sync>,
    pub log: LimitedLog,
}

/// State that is kept from one connection to the next.
#[derive(Debug, Default)]
struct Progress {
    /// The server has acknowledged all rows up to this one.
    acknowledged: i64,
    /// The last row that this process has sent.
    sent: i64,
    /// The last row of the journal when this process started; an earlier process may have sent rows up to it.
    inherited: i64,
    /// The sequence of the last acknowledgement. A lower one means that the stream was created again.
    sequence: u64,
    /// The values of `acknowledged` at past instants.
    marks: VecDeque<(i64, Instant)>,
    repeat_after: Duration,
    repeated: Option<Instant>,
    session: String,
    /// The latest announcements, by number.
    announced: VecDeque<Announced>,
    /// The clock readings for the next announcement.
    clock: AgentClock,
    /// When a plan was last stored for the next process, with its revision and number.
    kept: Option<(Instant, (u64, u64))>,
}

/// An announcement that was sent.
#[derive(Debug, Clone, Copy)]
struct Announced {
    number: u64,
    at: Instant,
    asleep_ns: i64,
}

/// An agent with its progress.
struct Sender {
    agent: Agent,
    progress: Progress,
}

impl Member for Sender {
    const WITHOUT: &'static str = "no connection to the fleet, samples stay in the journal";

    fn fleet(&self) -> &Fleet {
        &self.agent.fleet
    }

    fn log(&self) -> &LimitedLog {
        &self.agent.log
    }

    async fn session(&mut self, link: &Link) -> LinkError {
        match self.agent.work(link, &mut self.progress).await {
            Ok(()) => LinkError("the connection to NATS ended".to_owned()),
            Err(why) => why,
        }
    }

    fn disconnected(&self, why: &LinkError) -> bool {
        let mut view = self.agent.state.lock();
        let is_new = view.is_connected || view.last_error.as_deref() != Some(&why.0);
        (view.is_connected, view.last_error) = (false, Some(why.0.clone()));
        is_new
    }
}

impl Agent {
    /// Runs until it is dropped. No sample is lost then: rows that no hub has stored stay in the journal.
    pub async fn run(self) {
        let session = format!("{:016x}", rand::random::<u64>());
        // If the journal cannot be read, assume that an earlier process sent every row.
        let inherited = self.store.read(|reader| reader.fleet_journal_last()).await.unwrap_or(i64::MAX);
        let clock = AgentClock { id: crate::clock::boot_id().to_owned(), ..AgentClock::default() };
        let progress = Progress { session, inherited, clock, ..Progress::default() };
        self.recall().await;
        member::run(Sender { agent: self, progress }).await;
    }

    /// Loads the plan that the previous process stored. It is not valid, but it contains the spare slots.
    async fn recall(&self) {
        let kept = self.store.read(|reader| reader.fleet_plan()).await.ok().flatten();
        if let Some(plan) = kept.and_then(|kept| PlanDocument::parse(&kept).ok()) {
            let arrived = Arrived { plan, since: None, asleep_ns: crate::clock::now().boot_ns };
            self.plan.send_if_modified(|known| known.is_none() && known.replace(Arc::new(arrived)).is_none());
        }
    }

    async fn work(&self, link: &Link, progress: &mut Progress) -> Result<(), LinkError> {
        let name = &self.fleet.name;
        let subscribed = link.client.subscribe(link.names.plan(name)).await;
        let mut plans = subscribed.map_err(|why| link.fault("subscribe to plans", &why))?;
        let current = link.client.request(Names::get(&link.names.plans(), name), Bytes::new());
        if let Ok(Ok(message)) = timeout(WITHIN, current).await
            && message.status.is_none()
        {
            self.on_plan(&message.payload, progress).await?;
        }
        self.connected();
        let mut follows = self.follows();
        let (mut look, mut announce) = (interval(LOOK), interval(presence::EVERY));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        announce.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_flight = FuturesOrdered::new();
        let mut next = progress.acknowledged;
        loop {
            tokio::select! {
                acknowledged = in_flight.next(), if !in_flight.is_empty() => {
                    if let Some(done) = acknowledged {
                        self.acknowledged(link, progress, done)?;
                    }
                }
                message = plans.next() => match message {
                    Some(message) => {
                        if self.on_plan(&message.payload, progress).await? {
                            in_flight.clear();
                            next = 0;
                        }
                    }
                    None => return Ok(()),
                },
                _ = announce.tick() => self.announce(link, progress).await?,
                _ = look.tick() => {}
                why = link.ended() => return Err(why),
            }
            // Announced at once: the hub then assigns the servers that this vantage no longer polls to other vantages.
            if self.follows() != follows {
                follows = self.follows();
                self.announce(link, progress).await?;
            }
            if in_flight.len() < WINDOW {
                for message in self.read(next, WINDOW - in_flight.len()).await? {
                    next = message.last_id;
                    let sending = self.publish(link, progress, message).await?;
                    in_flight.push_back(sending);
                }
            }
        }
    }

    fn connected(&self) {
        let was_lost = {
            let mut view = self.state.lock();
            view.is_connected = true;
            view.last_error.take().is_some()
        };
        if let Some(log) = self.log.of("", "connected") {
            info!(log, "connected to the fleet"; "after_failure" => was_lost);
        }
    }

    /// The next messages after the row `after`.
    async fn read(&self, after: i64, messages: usize) -> Result<Vec<Outgoing>, LinkError> {
        let rows =
            self.store.read(move |reader| reader.fleet_journal(after, messages * MAX_SAMPLES, messages << 16)).await;
        let rows = rows.map_err(|why| LinkError(why.to_string()))?;
        let mut all = outgoing::messages(&self.fleet.name, &rows);
        all.truncate(messages);
        Ok(all)
    }

    /// Hands a message to the client; the future completes with its acknowledgement.
    async fn publish(
        &self,
        link: &Link,
        progress: &mut Progress,
        message: Outgoing,
    ) -> Result<impl Future<Output = (Sent, Outcome)> + use<>, LinkError> {
        let is_first = message.last_id > progress.sent.max(progress.inherited);
        progress.sent = progress.sent.max(message.last_id);
        let sent = Sent { last_id: message.last_id, samples: message.samples, is_first };
        let publish = PublishMessage::build().payload(message.body.into()).message_id(message.message_id);
        let subject = link.names.samples(&self.fleet.name);
        let handed = timeout(WITHIN, link.jetstream.send_publish(subject, publish)).await;
        let pending = match handed {
            Ok(Ok(pending)) => pending,
            Ok(Err(why)) => return Err(link.fault("send samples", &why)),
            Err(_) => return Err(LinkError("cannot send samples: the connection takes nothing".to_owned())),
        };
        Ok(timeout(WITHIN, pending.into_future()).map(move |outcome| (sent, outcome)))
    }

    fn acknowledged(&self, link: &Link, progress: &mut Progress, done: (Sent, Outcome)) -> Result<(), LinkError> {
        let (sent, outcome) = done;
        let ack = match outcome {
            Ok(Ok(ack)) => ack,
            Ok(Err(why)) => return Err(link.fault("send samples", &why)),
            Err(_) => return Err(LinkError("cannot send samples: no acknowledgement in time".to_owned())),
        };
        if ack.duplicate && sent.is_first {
            self.state.lock().foreign += 1;
            if let Some(log) = self.log.of("", "foreign") {
                warn!(
                    log,
                    "the server knew a message before it was sent: another program uses the identity of this vantage"
                );
            }
        }
        let is_new_stream = ack.sequence < progress.sequence && !ack.duplicate;
        progress.sequence = ack.sequence;
        progress.acknowledged = sent.last_id;
        self.state.lock().acknowledged += sent.samples;
        if is_new_stream {
            self.repeat(progress, "the stream was created again");
            return Err(LinkError("the stream was created again".to_owned()));
        }
        Ok(())
    }

    /// Starts to send again every row that no hub has stored.
    fn repeat(&self, progress: &mut Progress, why: &str) {
        progress.acknowledged = 0;
        progress.marks.clear();
        self.state.lock().resent += 1;
        if let Some(log) = self.log.of("", "repeat") {
            info!(log, "sending again what no hub has stored"; "reason" => why);
        }
    }

    /// Handles a received plan; returns whether every row that is not stored must be sent again.
    async fn on_plan(&self, bytes: &[u8], progress: &mut Progress) -> Result<bool, LinkError> {
        let (now, stamp) = (Instant::now(), crate::clock::now());
        let plan = match PlanDocument::parse(bytes) {
            Ok(plan) => plan,
            Err(why) => {
                self.state.lock().plan_error = Some(why);
                return Ok(false);
            }
        };
        let known = self.plan.borrow().clone();
        let is_older = |known: &Arrived| (plan.revision, plan.number) < (known.plan.revision, known.plan.number);
        if let Some(known) = known.filter(|known| is_older(known) && known.is_valid(now)) {
            let why = format!("hub {} wrote an older plan than hub {}", plan.hub, known.plan.hub);
            self.state.lock().plan_error = Some(why);
            return Ok(false);
        }
        {
            let mut view = self.state.lock();
            (view.plan_error, view.hub_heard) = (None, Some(now));
        }
        let (committed, is_caught_up) = (plan.committed(), plan.caught_up);
        let answered = plan.answers.as_ref().filter(|answers| answers.session == progress.session);
        let sent = |number| progress.announced.iter().find(|announced| announced.number == number);
        let answered = answered.and_then(|answers| sent(answers.number));
        let asleep_ns = answered.map_or(stamp.boot_ns, |announced| announced.asleep_ns);
        if let Some(clock) = &plan.clock {
            let times = (clock.id.clone(), clock.sent_s, stamp.slot_s());
            (progress.clock.hub, progress.clock.hub_sent_s, progress.clock.received_s) = times;
        }
        let version = (plan.revision, plan.number);
        let is_kept = |(at, kept): (Instant, _)| kept == version && now - at < KEEP_EVERY;
        if plan.line.is_some() && !progress.kept.is_some_and(is_kept) {
            progress.kept = Some((now, version));
            self.store.keep_fleet_plan(bytes.to_vec()).await.map_err(|why| LinkError(why.to_string()))?;
        }
        self.plan.send_replace(Some(Arc::new(Arrived {
            plan,
            since: answered.map(|announced| announced.at),
            asleep_ns,
        })));
        if !committed.is_empty() {
            self.store.fleet_committed(committed).await.map_err(|why| LinkError(why.to_string()))?;
        }
        let oldest = self.store.read(|reader| reader.fleet_journal(0, 1, 1)).await;
        let oldest = oldest.map_err(|why| LinkError(why.to_string()))?.first().map(|row| row.id);
        Ok(self.is_lost(progress, oldest, is_caught_up, now))
    }

    /// Whether the stream lost acknowledged messages: a hub that has read the whole stream has not stored them.
    fn is_lost(&self, progress: &mut Progress, oldest: Option<i64>, is_caught_up: bool, now: Instant) -> bool {
        let Some(oldest) = oldest else {
            progress.repeat_after = Duration::ZERO;
            return false;
        };
        let long_ago = progress.marks.iter().rev().find(|(_, at)| now - *at >= STORED_WITHIN).copied();
        if progress.marks.back().is_none_or(|(_, at)| now - *at >= STORED_WITHIN / 6) {
            progress.marks.push_back((progress.acknowledged, now));
        }
        while progress.marks.len() > MARKS {
            progress.marks.pop_front();
        }
        let is_missing = is_caught_up && long_ago.is_some_and(|(acknowledged, _)| oldest <= acknowledged);
        let is_too_soon = progress.repeated.is_some_and(|at| now - at < progress.repeat_after);
        if !is_missing || is_too_soon {
            return false;
        }
        progress.repeated = Some(now);
        progress.repeat_after = (2 * progress.repeat_after).clamp(STORED_WITHIN, LONGEST_REPEAT);
        self.repeat(progress, "a hub that has read everything lacks it");
        true
    }

    /// Revision and number of the valid plan, if this agent polls by it.
    fn follows(&self) -> Option<(u64, u64)> {
        let arrived = self.plan.borrow().clone().filter(|arrived| arrived.is_valid(Instant::now()))?;
        let version = (arrived.plan.revision, arrived.plan.number);
        (self.enforced.borrow().version == Some(version)).then_some(version)
    }

    async fn announce(&self, link: &Link, progress: &mut Progress) -> Result<(), LinkError> {
        let (number, stamp) = (progress.announced.back().map_or(1, |last| last.number + 1), crate::clock::now());
        progress.announced.push_back(Announced { number, at: Instant::now(), asleep_ns: stamp.boot_ns });
        if progress.announced.len() > ANNOUNCED {
            progress.announced.pop_front();
        }
        let (session, follows) = (progress.session.clone(), self.follows());
        let clock = Some(AgentClock { sent_s: stamp.slot_s(), ..progress.clock.clone() });
        let presence = Presence { session, number, follows, clock, ..(self.announce)() };
        let text = presence.text().map_err(LinkError)?;
        let subject = Names::put(&link.names.presence(), &self.fleet.name);
        let put = async { link.jetstream.publish(subject, text.into()).await?.await };
        match timeout(WITHIN, put).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(link.fault("announce this vantage", &why)),
            Err(_) => Err(LinkError("cannot announce this vantage: no acknowledgement in time".to_owned())),
        }
    }
}

/// A message that was sent and is not yet acknowledged.
#[derive(Debug, Clone, Copy)]
struct Sent {
    last_id: i64,
    samples: u64,
    /// Whether no earlier process can have sent it.
    is_first: bool,
}

type Outcome = Result<
    Result<async_nats::jetstream::publish::PublishAck, async_nats::jetstream::context::PublishError>,
    tokio::time::error::Elapsed,
>;

impl Arrived {
    /// Whether the plan is valid at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Instant) -> bool {
        self.expires().is_some_and(|end| now < end)
    }

    /// When it expires; `None` when it was never valid.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        self.since.map(|since| since + Duration::try_from_secs_f64(self.plan.validity_s).unwrap_or_default())
    }
}
