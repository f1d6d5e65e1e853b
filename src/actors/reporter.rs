//! Makes a report when one is due, keeps it, and sends it to whoever is to get it. What takes time happens on threads that
//! may block; what was begun is on disk, so that a restart goes on with it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, error, info, warn};
use tokio::sync::watch;

use crate::config::Config;
use crate::history::span::Span;
use crate::notify;
use crate::report::make::{Made, make};
use crate::report::material::{Order, order_of};
use crate::report::message::Report;
use crate::report::pending::{Decision, Pending, decide};
use crate::report::shelf::Shelf;
use crate::store::StoreHandle;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::reports::ReportsHealth;

/// Between two looks at the clock. A schedule has minutes.
const EVERY: Duration = Duration::from_secs(10);
/// After a failure the next attempt comes after this, then after twice as long, …
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// … but not longer …
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// … until so many were made, which takes a day: then who has not got the report finds it on disk.
const ATTEMPTS: u32 = 28;

/// What it works with. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    /// The configuration in effect.
    pub config: watch::Receiver<Arc<Config>>,
    /// How it goes, for health, metrics and the page.
    pub progress: Arc<watch::Sender<ReportsHealth>>,
    /// Where the history is.
    pub store: StoreHandle,
    /// By which clock.
    pub clock: Arc<dyn Clock>,
    /// Where it says what it does.
    pub log: Logger,
}

/// A report under way.
struct Job {
    pending: Pending,
    /// Made already, and filed.
    report: Option<Arc<Report>>,
    attempts: u32,
    /// Not before this, on the monotonic clock.
    next: Stamp,
    wait: Duration,
}

impl Reporter {
    /// Runs until nobody configures any more.
    pub async fn run(mut self) {
        let mut job: Option<Job> = None;
        loop {
            let config = Arc::clone(&self.config.borrow_and_update());
            if job.is_none() {
                job = self.look(&config).await;
            }
            match job.take() {
                Some(mut begun) if config.report.schedule.is_some() => {
                    job = (!self.attend(&config, &mut begun).await).then_some(begun);
                }
                // What was begun stays noted on disk, for when there is a schedule again.
                Some(_) => self.progress.send_modify(ReportsHealth::done),
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = self.config.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Whether something is to be done.
    async fn look(&self, config: &Arc<Config>) -> Option<Job> {
        let schedule = config.report.schedule.clone()?;
        let (config, now) = (Arc::clone(config), self.clock.now());
        let found = blocking(move || {
            let shelf = Shelf::of(&config.monitor.data_dir);
            if let Some(pending) = shelf.pending() {
                return Ok(Some(pending));
            }
            let at = Timestamp::from_nanosecond(i128::from(now.wall_ns)).map_err(|why| why.to_string())?;
            match decide(&schedule, &config.report.zone, shelf.last_due(), at) {
                Decision::Wait => Ok(None),
                Decision::Mark => shelf.set_last_due(at).map(|()| None).map_err(|why| why.to_string()),
                Decision::Make { from, due } => {
                    let pending = Pending { due, from, to: config.report.to.clone() };
                    shelf.set_pending(Some(&pending)).map_err(|why| why.to_string())?;
                    Ok(Some(pending))
                }
            }
        });
        match found.await {
            Ok(pending) => {
                let pending = pending?;
                self.progress.send_modify(|progress| progress.begin(pending.due, &pending.to));
                Some(Job { pending, report: None, attempts: 0, next: now, wait: FIRST_WAIT })
            }
            Err(why) => {
                warn!(self.log, "the schedule of reports cannot be kept"; "reason" => why);
                None
            }
        }
    }

    /// Does what can be done now; returns whether all is done.
    async fn attend(&self, config: &Arc<Config>, job: &mut Job) -> bool {
        let now = self.clock.now();
        if now.mono_ns < job.next.mono_ns {
            return false;
        }
        match self.advance(config, job).await {
            Ok(()) => self.progress.send_modify(ReportsHealth::done),
            Err(why) => {
                self.failed(job, now, &why);
                if job.attempts < ATTEMPTS {
                    return false;
                }
                self.progress.send_modify(ReportsHealth::gave_up);
                error!(self.log, "a report is given up"; "due" => %job.pending.due, "without" => job.pending.to.join(","),
                    "reason" => why);
            }
        }
        let shelf = Shelf::of(&config.monitor.data_dir);
        if let Err(why) = blocking(move || shelf.set_pending(None).map_err(|why| why.to_string())).await {
            warn!(self.log, "a report that is done cannot be noted as done"; "reason" => why);
        }
        true
    }

    /// An attempt failed: says so, and works out when the next one is.
    fn failed(&self, job: &mut Job, now: Stamp, why: &str) {
        let wait_ns = i64::try_from(job.wait.as_nanos()).unwrap_or(i64::MAX);
        let next =
            Stamp { mono_ns: now.mono_ns.saturating_add(wait_ns), wall_ns: now.wall_ns.saturating_add(wait_ns), ..now };
        job.attempts += 1;
        job.next = next;
        job.wait = (job.wait * 2).min(LONGEST_WAIT);
        let at = |stamp: Stamp| Timestamp::from_nanosecond(i128::from(stamp.wall_ns)).ok();
        let since = at(now).unwrap_or(job.pending.due);
        self.progress.send_modify(|progress| progress.failed(since, why, at(next)));
        warn!(self.log, "a report is not where it should be"; "due" => %job.pending.due,
            "missing" => job.pending.to.join(","), "reason" => why);
    }

    /// Makes and files the report if that has not happened, and sends it to whoever has not got it.
    async fn advance(&self, config: &Arc<Config>, job: &mut Job) -> Result<(), String> {
        let report = match &job.report {
            Some(report) => Arc::clone(report),
            None => Arc::clone(job.report.insert(self.make(config, &job.pending).await?)),
        };
        let mut failure = None;
        for name in job.pending.to.clone() {
            match send(config, &name, &report).await {
                Ok(()) => {
                    info!(self.log, "report sent"; "notifier" => &name, "due" => %job.pending.due);
                    self.progress.send_modify(|progress| progress.sent_to(&name));
                    job.pending.to.retain(|missing| *missing != name);
                    let (shelf, pending) = (Shelf::of(&config.monitor.data_dir), job.pending.clone());
                    blocking(move || shelf.set_pending(Some(&pending)).map_err(|why| why.to_string())).await?;
                }
                Err(why) => failure = Some(format!("{name}: {why}")),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn make(&self, config: &Arc<Config>, pending: &Pending) -> Result<Arc<Report>, String> {
        let span = Span { from_ns: nanoseconds(pending.from), to_ns: nanoseconds(pending.due) };
        let order = order_of(config, span);
        let made = self.made(order).await?;
        let (shelf, due, keep) = (Shelf::of(&config.monitor.data_dir), pending.due, config.report.keep);
        let key = format!("report/{}/{due}", config.monitor.vantage);
        let (report, path) = blocking(move || {
            let id = shelf.put(&made.html(), due, keep).map_err(|why| why.to_string())?;
            shelf.set_last_due(due).map_err(|why| why.to_string())?;
            let path = shelf.path(&id);
            let mut report = made.report(key);
            report.summary.push_str(&format!(" Kept as {}.", path.display()));
            Ok((report, path))
        })
        .await?;
        info!(self.log, "report made"; "due" => %due, "file" => %path.display());
        Ok(Arc::new(report))
    }

    async fn made(&self, order: Order) -> Result<Made, String> {
        let made_ns = self.clock.now().wall_ns;
        let made = self.store.read(move |reader| Ok(make(reader, order, made_ns, &mut |_, _| ()))).await;
        made.map_err(|why| why.to_string())?.map_err(|why| why.to_string())
    }
}

/// One attempt to send a report to one notifier; a name that is no longer configured has got it.
async fn send(config: &Config, name: &str, report: &Report) -> Result<(), String> {
    let Some(found) = config.notifiers.iter().find(|notifier| notifier.name == name) else { return Ok(()) };
    let notifier = notify::set_up(found).await.map_err(|why| why.to_string())?;
    notifier.send_report(report).await.map(drop).map_err(|failure| failure.why)
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("the work was interrupted".to_owned()))
}
