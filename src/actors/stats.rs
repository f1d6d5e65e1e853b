//! Passes every batch of polls to the analysis and publishes its snapshot, every second (every ten with many series).
//! Events go to an [`EventSink`], the state of the verdict each minute to a [`StateSink`].

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use slog::{Logger, info, warn};
use tokio::sync::watch;

use super::notice::DeathNotice;
use super::outlet::MAILBOX;
use super::rhythm;
use super::sheets::{News, SheetSink, Sheets};
use crate::messages::lifecycle::StopNow;
use crate::messages::sample::{Forget, KeepState, LeapListKnown, LocalKnown, Restored, SamplesReady};
use crate::stages::{Stage, Stopwatch};
use crate::store::PackedState;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::events::Event;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::stats::verdict::State;

const PERIOD: Duration = Duration::from_secs(1);
/// The state of the verdict is saved this often, …
const KEPT_EACH: Duration = Duration::from_secs(60);
/// … and this much later for each series beyond a thousand, because its size grows with them.
const KEPT_LATER: Duration = Duration::from_millis(60);

/// Receives events that began, changed or ended. Must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Keeps the state of the verdict for the next process. Must not block.
pub type StateSink = Arc<dyn Fn(PackedState) + Send + Sync>;

/// Where the results of the analysis go.
#[derive(Clone)]
pub struct Outlets {
    pub snapshot: Arc<watch::Sender<Arc<Snapshot>>>,
    pub events: EventSink,
    pub state: StateSink,
    pub sheets: Sheets,
    pub kept_sheets: SheetSink,
}

/// The actor that runs the analysis.
pub struct Statistician {
    analysis: Analysis,
    outlets: Outlets,
    kept: Stamp,
    clock: Arc<dyn Clock>,
    logged_state: State,
    log: Logger,
    _notice: DeathNotice,
}

impl Statistician {
    /// An actor that continues `analysis` and publishes through `outlets`.
    #[must_use]
    pub fn new(analysis: Analysis, outlets: Outlets, clock: Arc<dyn Clock>, log: Logger, notice: DeathNotice) -> Self {
        let (logged_state, kept) = (analysis.verdict().state, clock.now());
        Self { logged_state, analysis, outlets, kept, clock, log, _notice: notice }
    }

    fn picture(&mut self, ctx: &mut Context<Self>) {
        let snapshot = self.analysis.snapshot(self.clock.now());
        self.announce(&snapshot);
        self.note_sheets();
        let period = rhythm::pause(snapshot.series.len(), PERIOD);
        let (at, later) = (snapshot.at, snapshot.series.len().saturating_sub(1000) as u32);
        self.outlets.snapshot.send_replace(Arc::new(snapshot));
        self.analysis.take_events().into_iter().for_each(&*self.outlets.events);
        if at.since(self.kept) >= KEPT_EACH + KEPT_LATER * later {
            self.keep();
        }
        ctx.run_later(period, Self::picture);
    }

    /// Records changes of the protocol sheets as events, and saves the sheets.
    fn note_sheets(&mut self) {
        let News { events, kept } = self.outlets.sheets.take();
        events.into_iter().for_each(|(event, at)| self.analysis.note(event, at));
        if !kept.is_empty() {
            (self.outlets.kept_sheets)(kept);
        }
    }

    fn keep(&mut self) {
        if let Some(state) = self.analysis.save_to(PackedState::default()) {
            self.kept = self.clock.now();
            (self.outlets.state)(state);
        }
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

impl Handler<SamplesReady> for Statistician {
    type Result = ();

    fn handle(&mut self, SamplesReady(batch): SamplesReady, _: &mut Context<Self>) {
        let stopwatch = Stopwatch::start(Stage::Statistics);
        batch.iter().for_each(|sample| self.analysis.observe(sample));
        self.outlets.sheets.observe(&batch);
        stopwatch.stop(batch.len());
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

    fn handle(&mut self, Forget { keys, successor }: Forget, _: &mut Context<Self>) {
        self.outlets.sheets.forget(&keys, self.clock.now());
        match successor {
            Some(successor) => self.analysis.replace(&keys, &successor),
            None => self.analysis.forget(&keys),
        }
    }
}

impl Handler<Restored> for Statistician {
    type Result = ();

    fn handle(&mut self, Restored(judgement): Restored, _: &mut Context<Self>) {
        self.analysis.restored(*judgement);
    }
}

impl Handler<KeepState> for Statistician {
    type Result = ();

    fn handle(&mut self, _: KeepState, _: &mut Context<Self>) {
        self.note_sheets();
        self.analysis.take_events().into_iter().for_each(&*self.outlets.events);
        self.keep();
    }
}

impl Handler<StopNow> for Statistician {
    type Result = ();

    fn handle(&mut self, _: StopNow, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
