//! Makes scheduled reports, keeps them on disk and sends them. Slow work runs on blocking threads. The progress of a
//! report is saved on disk, so a restart continues it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, error, info, warn};
use tokio::sync::watch;

use crate::config::Config;
use crate::history::span::Span;
use crate::notify::{self, Failure, Progress, Retry};
use crate::report::make::{Made, make};
use crate::report::material::{Order, order_of};
use crate::report::message::Report;
use crate::report::pending::{Decision, Pending, decide};
use crate::report::shelf::Shelf;
use crate::store::StoreHandle;
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::health::reports::ReportsHealth;

/// Interval between two checks of the schedule, which has a resolution of one minute.
const EVERY: Duration = Duration::from_secs(10);
/// Wait after the first failed attempt; it doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Upper limit of the wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Number of attempts, which takes a day. After that, the report is only on disk.
const ATTEMPTS: u32 = 28;
/// A notifier that does not answer gets a report this many times.
const MOST_UNANSWERED: u32 = 4;

/// The report scheduler. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    /// The configuration in effect.
    pub config: watch::Receiver<Arc<Config>>,
    /// Published progress, for health, metrics and the page.
    pub progress: Arc<watch::Sender<ReportsHealth>>,
    pub store: StoreHandle,
    pub clock: Arc<dyn Clock>,
    pub log: Logger,
}

/// A report in progress.
struct Job {
    pending: Pending,
    /// The report, once it has been made and saved.
    report: Option<Arc<Report>>,
    attempts: u32,
    /// Time of the next attempt; its monotonic part decides.
    next: Stamp,
    wait: Duration,
}

impl Reporter {
    /// Runs until the configuration channel closes.
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
                // The pending report stays on disk and continues when a schedule is configured again.
                Some(_) => self.progress.send_modify(ReportsHealth::done),
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                changed = self.config.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Returns the report that is pending or due, if any.
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
                    let pending = Pending { due, from, to: config.report.to.clone(), progress: BTreeMap::new() };
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
                warn!(self.log, "cannot determine whether a report is due"; "reason" => why);
                None
            }
        }
    }

    /// Makes an attempt if it is time; returns whether the report is done or given up.
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
                error!(self.log, "gave up on sending a report"; "due" => %job.pending.due,
                    "without" => job.pending.to.join(","),
                    "reason" => why);
            }
        }
        let shelf = Shelf::of(&config.monitor.data_dir);
        if let Err(why) = blocking(move || shelf.set_pending(None).map_err(|why| why.to_string())).await {
            warn!(self.log, "cannot delete the pending state of a finished report"; "reason" => why);
        }
        true
    }

    /// Logs a failed attempt and schedules the next one.
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
        warn!(self.log, "a report could not be made or sent; retrying"; "due" => %job.pending.due,
            "missing" => job.pending.to.join(","), "reason" => why);
    }

    /// Makes and saves the report unless that is done, and sends it to the remaining notifiers.
    async fn advance(&self, config: &Arc<Config>, job: &mut Job) -> Result<(), String> {
        let report = match &job.report {
            Some(report) => Arc::clone(report),
            None => Arc::clone(job.report.insert(self.make(config, &job.pending).await?)),
        };
        let mut failure = None;
        for name in job.pending.to.clone() {
            let (sent, progress) = send(config, &name, &report, job.pending.progress.get(&name)).await;
            job.pending.progress.remove(&name);
            job.pending.progress.extend(progress.map(|progress| (name.clone(), progress)));
            match sent {
                Ok(rejections) => {
                    if let Some(why) = rejections {
                        error!(self.log, "not everybody gets the report"; "notifier" => &name, "reason" => why);
                    }
                    info!(self.log, "report sent"; "notifier" => &name, "due" => %job.pending.due);
                    self.progress.send_modify(|progress| progress.sent_to(&name));
                    job.pending.to.retain(|missing| *missing != name);
                }
                Err(why) => failure = Some(format!("{name}: {why}")),
            }
            let (shelf, pending) = (Shelf::of(&config.monitor.data_dir), job.pending.clone());
            blocking(move || shelf.set_pending(Some(&pending)).map_err(|why| why.to_string())).await?;
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
            report.summary.push_str(&format!(" Saved as {}.", path.display()));
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

/// Makes one attempt to send a report. A notifier that is no longer configured counts as done. Returns the reason if
/// some receivers will never get it, and the progress to record.
async fn send(
    config: &Config,
    name: &str,
    report: &Report,
    progress: Option<&String>,
) -> (Result<Option<String>, String>, Option<String>) {
    let Some(found) = config.notifiers.iter().find(|notifier| notifier.name == name) else { return (Ok(None), None) };
    let notifier = match notify::set_up(found).await {
        Ok(notifier) => notifier,
        Err(why) => return (Err(why.to_string()), progress.cloned()),
    };
    let mut progress = Progress::restored(progress.map(String::as_str), BTreeSet::new());
    let sent = match notifier.send_report(report, &mut progress).await {
        Ok(_) => Ok(progress.rejections()),
        Err(failure) => unanswered(&failure, &mut progress),
    };
    (sent, progress.recorded())
}

/// A report that was sent completely but not answered may have arrived, so the number of repetitions is limited.
fn unanswered(failure: &Failure, progress: &mut Progress) -> Result<Option<String>, String> {
    progress.unanswered += u32::from(failure.retry == Retry::Unanswered);
    if progress.unanswered < MOST_UNANSWERED {
        return Err(failure.why.clone());
    }
    Ok(Some(format!("sent {MOST_UNANSWERED} times without an answer: {failure}")))
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("the blocking task was aborted".to_owned()))
}
