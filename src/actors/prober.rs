//! Polls one address of one server: waits, asks the engine for a measurement, publishes the sample, and waits again.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, abortable};

use super::ledger::PollPacing;
use super::notice::DeathNotice;
use super::outlet::Outlet;
use super::sheets::Sheets;
use super::succession::Succession;
use crate::config::{EngineChoice, Server};
use crate::messages::lifecycle::StopNow;
use crate::probe::poll::{Limits, PollReport, ask, poll};
use crate::probe::schedule::Schedule;
use crate::probe::{ProbeEngine, ProbeReport, ProbeSession};
use crate::stages::{Stage, measure};
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::sample::{Outcome, Sample, SeriesKey};
use ntp_monitor_core::sheet::Question;

/// The position of slots is updated at least this often, because clocks run at different rates.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The inputs of a prober. The factory of the child keeps them for the next prober of the address.
pub struct Assignment {
    pub server: Arc<Server>,
    pub address: SocketAddr,
    pub pacing: PollPacing,
    /// The state of the target that is kept from poll to poll; it outlives the prober.
    pub session: Arc<ProbeSession>,
    pub engine: Arc<dyn ProbeEngine>,
    pub outlet: Outlet,
    pub sheets: Sheets,
    pub succession: Succession,
    pub clock: Arc<dyn Clock>,
}

impl Assignment {
    fn key(&self) -> SeriesKey {
        let ident = &self.server.ident;
        SeriesKey { server: Arc::clone(&ident.name), vantage: Arc::clone(&ident.vantage), address: Some(self.address) }
    }

    fn publish(&self, sample: Sample) {
        let Some(replaced) = self.succession.arrive(self.address) else {
            return self.outlet.record(sample);
        };
        let key = sample.key();
        self.outlet.forget(replaced, Some(&key));
        self.outlet.publish(sample);
    }
}

/// The actor that polls one address.
pub struct Prober {
    assignment: Arc<Assignment>,
    /// The current poll. It is a future of this actor, so it ends with the prober.
    under_way: Option<AbortHandle>,
    /// Whether it was asked to stop, and ends after the current poll.
    retired: bool,
    _notice: DeathNotice,
}

impl Prober {
    /// A prober for `assignment`; it starts to poll when the actor starts.
    #[must_use]
    pub fn new(assignment: Arc<Assignment>, notice: DeathNotice) -> Self {
        Self { assignment, under_way: None, retired: false, _notice: notice }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.assignment.pacing.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next poll.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let due_ns = self.assignment.pacing.look(self.assignment.clock.now()).next_poll(rand::random());
        self.wait(due_ns, None, ctx);
    }

    fn arm_or_stop(&mut self, ctx: &mut Context<Self>) {
        if self.retired {
            ctx.stop();
        } else {
            self.arm(ctx);
        }
    }

    /// Waits for the question of the protocol sheet that is due, if there is one, otherwise for the next poll. Only a
    /// server whose last poll gave a sample is asked.
    fn arm_after(&mut self, outcome: &Outcome, ctx: &mut Context<Self>) {
        let Assignment { server, sheets, clock, .. } = &*self.assignment;
        let may_ask = server.sheet && server.engine == EngineChoice::Kernel && outcome.is_success();
        let question = may_ask.then(|| sheets.due(&self.assignment.key(), clock.now())).flatten();
        let at_ns = self.schedule().question_at();
        match question.zip(at_ns) {
            Some((question, at_ns)) => self.wait(at_ns, Some(question), ctx),
            None => self.arm(ctx),
        }
    }

    fn wait(&mut self, due_ns: i64, question: Option<Question>, ctx: &mut Context<Self>) {
        let wait = due_ns - self.assignment.clock.now().mono_ns;
        let mut wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(0));
        if self.schedule().is_slotted() {
            wait = wait.min(LONGEST_WAIT);
        }
        let nudge = Arc::clone(&self.assignment.pacing.nudge);
        let due = async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => question,
                // A manual poll has priority over the question.
                () = nudge.notified() => None,
            }
        };
        ctx.spawn(due.into_actor(self).map(|question, this, ctx| this.awake(question, ctx)));
    }

    /// Starts a poll unless it is too early: a manual poll may be requested too soon, and the minimum interval still
    /// applies.
    fn awake(&mut self, question: Option<Question>, ctx: &mut Context<Self>) {
        let now = self.assignment.clock.now();
        let permitted = self.assignment.pacing.look(now).permitted_at(now.mono_ns);
        match question {
            _ if permitted > now.mono_ns => self.arm(ctx),
            Some(question) => self.begin_question(question, ctx),
            None => self.begin(ctx),
        }
    }

    fn begin_question(&mut self, question: Question, ctx: &mut Context<Self>) {
        let now = self.assignment.clock.now();
        // Recorded before it is sent, so that it is never sent twice.
        self.schedule().asked(now.mono_ns);
        let Assignment { server, session, engine, clock, sheets, .. } = &*self.assignment;
        sheets.asked(&self.assignment.key(), question, now);
        let asked = ask(Arc::clone(engine), question, session.address(), server.timeout, Arc::clone(clock));
        let (asked, abort) = guarded(asked);
        self.under_way = Some(abort);
        let ended = move |report, this: &mut Self, ctx: &mut _| this.end_question(question, report, ctx);
        ctx.spawn(asked.into_actor(self).map(ended));
    }

    fn end_question(&mut self, question: Question, report: Result<ProbeReport, NoReport>, ctx: &mut Context<Self>) {
        self.under_way = None;
        let now = self.assignment.clock.now();
        // If the engine panicked, nothing is known about the server.
        if let Ok(report) = report {
            let poll_s = {
                let mut schedule = self.schedule();
                let interval = schedule.interval();
                schedule.ended(&report.outcome, now.mono_ns);
                interval.as_secs_f64()
            };
            let replies = report.accepted.iter().chain(&report.rejected).map(|evidence| &**evidence);
            if let Some(reaction) = question.reaction(&report.outcome, replies) {
                self.assignment.sheets.answered(&self.assignment.key(), question, reaction, now, poll_s);
            }
        }
        self.arm_or_stop(ctx);
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        let now = self.assignment.clock.now();
        let latest_ns = {
            let mut schedule = self.schedule();
            let slot_end = schedule.slot_end(now.mono_ns);
            schedule.requested(now.mono_ns);
            slot_end
        };
        let Assignment { server, session, engine, clock, .. } = &*self.assignment;
        let (engine, session, clock) = (Arc::clone(engine), Arc::clone(session), Arc::clone(clock));
        let limits = Limits { timeout: server.timeout, requests: server.samples_per_poll, latest_ns };
        let poll = poll(engine, session, limits, clock);
        let (poll, abort) = guarded(poll);
        self.under_way = Some(abort);
        ctx.spawn(poll.into_actor(self).map(Self::end));
    }

    fn end(report: Result<PollReport, NoReport>, this: &mut Self, ctx: &mut Context<Self>) {
        this.under_way = None;
        let now = this.assignment.clock.now();
        let report = report.unwrap_or_else(|why| why.at(now));
        if report.best.is_late {
            // No poll took place.
            return this.arm_or_stop(ctx);
        }
        let poll_s = {
            let mut schedule = this.schedule();
            let interval = schedule.interval();
            schedule.ended(&report.best.outcome, now.mono_ns);
            interval.as_secs_f64()
        };
        let outcome = report.best.outcome.clone();
        measure(Stage::Report, || {
            this.assignment.publish(to_sample(&this.assignment, report, poll_s));
            let Assignment { sheets, session, .. } = &*this.assignment;
            sheets.interleaved(&this.assignment.key(), session.interleaved(), now);
            if this.retired {
                ctx.stop();
            } else {
                this.arm_after(&outcome, ctx);
            }
        });
    }
}

/// Why a poll has no report.
#[derive(Debug, Clone, Copy)]
enum NoReport {
    Panicked,
    Aborted,
}

impl NoReport {
    fn at(self, at: Stamp) -> PollReport {
        let why = match self {
            Self::Panicked => "the engine panicked",
            Self::Aborted => "the poll was aborted",
        };
        PollReport { best: ProbeReport::failed(at, Outcome::Fault(why.into())), sent: 1, lost: 1 }
    }
}

/// Makes `poll` abortable and catches its panics, so that an engine that panics fails this poll and not the prober. A
/// task for each poll would have the same effect, but costs another allocation and wake-up.
fn guarded<T>(poll: impl Future<Output = T>) -> (impl Future<Output = Result<T, NoReport>>, AbortHandle) {
    let (poll, abort) = abortable(AssertUnwindSafe(poll).catch_unwind());
    let ended = poll.map(|ended| match ended {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(_)) => Err(NoReport::Panicked),
        Err(_) => Err(NoReport::Aborted),
    });
    (ended, abort)
}

fn to_sample(assignment: &Assignment, poll: PollReport, poll_s: f64) -> Sample {
    let report = poll.best;
    Sample {
        at: report.at,
        server: Arc::clone(&assignment.server.ident),
        address: Some(assignment.address),
        outcome: report.outcome,
        reply: report.reply,
        measure: report.measure,
        poll_s,
        timestamping: report.timestamping,
        authentication: report.authentication,
        mode: report.mode,
        nts: assignment.session.nts().map(Arc::new),
        sent: poll.sent,
        lost: poll.lost,
        evidence: report.accepted,
        rejected: report.rejected,
        rejected_count: report.rejected_count,
    }
}

impl Actor for Prober {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.arm(ctx);
    }
}

impl Handler<StopNow> for Prober {
    type Result = ();

    /// A request that was sent must be recorded, or the next process would send another too soon. A single request
    /// is therefore awaited until the engine's timeout; a burst is aborted, which is recorded as well.
    fn handle(&mut self, _: StopNow, ctx: &mut Context<Self>) {
        self.retired = true;
        match &self.under_way {
            None => ctx.stop(),
            // Before the first request there is nothing to record.
            Some(poll) if self.assignment.session.is_preparing() => poll.abort(),
            Some(burst) if self.assignment.server.samples_per_poll > 1 => burst.abort(),
            Some(_) => {}
        }
    }
}
