//! Passes every poll to the analysis and publishes its snapshot, every second (every ten with many series). Events go
//! to an [`EventSink`].

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use slog::{Logger, info, warn};
use tokio::sync::watch;

use super::notice::DeathNotice;
use super::rhythm;
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{Forget, LeapListKnown, LocalKnown, SampleReady};
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::events::Event;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::State;

/// Mailbox capacity: 13 seconds of samples at 625 a second (10,000 servers at 16 s).
const MAILBOX: usize = 8192;
const PERIOD: Duration = Duration::from_secs(1);

/// Receives events that began, changed or ended. Must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// The actor that runs the analysis.
pub struct Statistician {
    analysis: Analysis,
    publish: Arc<watch::Sender<Arc<Snapshot>>>,
    events: EventSink,
    clock: Arc<dyn Clock>,
    logged_state: State,
    log: Logger,
    _notice: DeathNotice,
}

impl Statistician {
    /// An actor that continues `analysis` and publishes through `publish`.
    #[must_use]
    pub fn new(
        analysis: Analysis,
        publish: Arc<watch::Sender<Arc<Snapshot>>>,
        events: EventSink,
        clock: Arc<dyn Clock>,
        log: Logger,
        notice: DeathNotice,
    ) -> Self {
        Self { logged_state: analysis.verdict().state, analysis, publish, events, clock, log, _notice: notice }
    }

    fn picture(&mut self, ctx: &mut Context<Self>) {
        let snapshot = self.analysis.snapshot(self.clock.now());
        self.announce(&snapshot);
        let period = rhythm::pause(snapshot.series.len(), PERIOD);
        self.publish.send_replace(Arc::new(snapshot));
        self.analysis.take_events().into_iter().for_each(&*self.events);
        ctx.run_later(period, Self::picture);
    }

    fn announce(&mut self, snapshot: &Snapshot) {
        let verdict = &snapshot.verdict;
        if verdict.state != self.logged_state {
            self.logged_state = verdict.state;
            let state = verdict.state.label();
            match verdict.state {
                State::LocalWrong | State::ServerWrong => warn!(self.log, "{}", verdict.sentence; "verdict" => state),
                _ => info!(self.log, "{}", verdict.sentence; "verdict" => state),
            }
        }
    }
}

impl Actor for Statistician {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.picture(ctx);
    }
}

impl Handler<SampleReady> for Statistician {
    type Result = ();

    fn handle(&mut self, SampleReady(sample): SampleReady, _: &mut Context<Self>) {
        self.analysis.observe(&sample);
    }
}

impl Handler<LocalKnown> for Statistician {
    type Result = ();

    fn handle(&mut self, LocalKnown(local): LocalKnown, _: &mut Context<Self>) {
        self.analysis.observe_local(local);
    }
}

impl Handler<LeapListKnown> for Statistician {
    type Result = ();

    fn handle(&mut self, LeapListKnown(source): LeapListKnown, _: &mut Context<Self>) {
        self.analysis.use_leap_list(source);
    }
}

impl Handler<Forget> for Statistician {
    type Result = ();

    fn handle(&mut self, Forget { key, successor }: Forget, _: &mut Context<Self>) {
        match successor {
            Some(successor) => self.analysis.replace(&key, successor),
            None => self.analysis.forget(&key),
        }
    }
}

impl Handler<StopNow> for Statistician {
    type Result = ();

    fn handle(&mut self, _: StopNow, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
