//! The data of a report, read from the store. Blocks. Memory is bounded, because only a limited number of servers gets
//! charts, and only these keep their time series.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::times::Times;
use super::traceability::{Evidence, Traceability};
use super::worst::{Moment, worst};
use crate::config::Config;
use crate::history::course::{Course, measured, offsets};
use crate::history::span::Span;
use crate::history::survey::{Survey, SurveyError, Surveyed, Wish, survey};
use crate::plot::MOST_LINES;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::stats::verdict::When;

/// Maximum number of servers with charts: as many lines as can be distinguished in one chart.
pub const MOST_DRAWN: usize = MOST_LINES;
/// Number of largest offsets listed per server.
const MOMENTS: usize = 3;

/// An alert of the period.
#[derive(Debug, Clone, PartialEq)]
pub struct PastAlert {
    pub alert: String,
    pub severity: Severity,
    /// The server; absent for alerts about this host's clock or the service.
    pub server: Option<String>,
    pub summary: String,
    pub started: When,
    /// When it was resolved; absent while it is firing.
    pub ended: Option<When>,
}

#[derive(Debug, Clone)]
pub struct Order {
    pub span: Span,
    /// The servers to report; all if empty.
    pub servers: Vec<String>,
    /// The traceability limit, in seconds.
    pub limit_s: f64,
    /// The name of the monitoring location; read from the store if absent.
    pub vantage: Option<String>,
    /// The time zone of the reader.
    pub zone: TimeZone,
}

/// The alerts that overlap the period, by start; the latest ones if there are very many.
fn alerts(reader: &Reader, span: Span) -> Result<Vec<PastAlert>, StoreError> {
    const MOST: usize = 10_000;
    let when = |at: jiff::Timestamp| When(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX));
    let past = reader.alert_history(span.from_ns, span.to_ns, None, MOST)?;
    let alerts = past.into_iter().rev().map(|past| PastAlert {
        alert: past.alert,
        severity: past.severity,
        server: past.server,
        summary: past.summary,
        started: when(past.started_at),
        ended: past.ended_at.map(when),
    });
    Ok(alerts.collect())
}

/// The order of a report of all servers, as configured.
#[must_use]
pub fn order_of(config: &Config, span: Span) -> Order {
    Order {
        span,
        servers: Vec::new(),
        limit_s: limit_s(None, Some(config)),
        vantage: Some(config.monitor.vantage.clone()),
        zone: config.report.zone.clone(),
    }
}

/// The given limit, or that of `[report]`, or the smallest critical offset of all servers, in seconds.
#[must_use]
pub fn limit_s(given: Option<Duration>, config: Option<&Config>) -> f64 {
    /// The default of `offset_critical`.
    const USUAL: Duration = Duration::from_millis(100);
    let strictest = |config: &Config| config.servers.iter().map(|server| server.offset_critical).min();
    let configured = || config.and_then(|config| config.report.limit.or_else(|| strictest(config)));
    given.or_else(configured).unwrap_or(USUAL).as_secs_f64()
}

/// The data of a report.
#[derive(Debug, Clone)]
pub struct Material {
    /// The period, beginning with the first sample.
    pub span: Span,
    /// The name of the monitoring location.
    pub vantage: String,
    /// The figures of every server, verdicts and events.
    pub survey: Survey,
    /// The evidence of traceability; `None` without a server.
    pub traceability: Option<Traceability>,
    /// The largest offsets of every server, largest first.
    pub worst: BTreeMap<String, Vec<Moment>>,
    /// The servers with charts, by name.
    pub drawn: Vec<Drawn>,
    /// The alerts of the period.
    pub alerts: Vec<PastAlert>,
    pub times: Times,
}

/// A server with charts.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub course: Course,
    /// Its offsets in seconds, each with its number of occurrences.
    pub offsets: Vec<(f64, u64)>,
}

/// Reads the data. `progress` receives the number of samples read so far, and their latest time.
///
/// # Errors
/// When the store cannot be read, or does not know a requested server.
pub fn gather(reader: &Reader, order: Order, progress: &mut dyn FnMut(u64, i64)) -> Result<Material, SurveyError> {
    let wish = Wish { servers: order.servers, taus_s: None };
    let found = survey(reader, order.span, &wish, progress)?;
    let span = Span { from_ns: found.from.0, to_ns: found.to.0 };
    let drawn_names = most_interesting(&found);
    let mut evidence = Evidence::new(span, order.limit_s);
    let (mut moments, mut drawn) = (BTreeMap::new(), Vec::new());
    for name in found.servers.keys() {
        let measured = measured(reader, name, span)?;
        evidence.add(&measured);
        moments.insert(name.clone(), worst(&measured.points, MOMENTS));
        if drawn_names.contains(name) {
            drawn.push(Drawn { course: measured.course(span), offsets: offsets(reader, name, span)? });
        }
    }
    let vantage = match order.vantage {
        Some(vantage) => vantage,
        None => reader.vantage()?.unwrap_or_default(),
    };
    let traceability = evidence.finish();
    let (alerts, times) = (alerts(reader, span)?, Times::of(order.zone));
    Ok(Material { span, vantage, survey: found, traceability, worst: moments, drawn, alerts, times })
}

/// Selects the servers that get charts: blamed ones, then those that fail most, then those with the largest offsets.
fn most_interesting(found: &Survey) -> BTreeSet<String> {
    let mut names: Vec<(&String, &Surveyed)> = found.servers.iter().collect();
    let rank = |(name, one): &(&String, &Surveyed)| {
        let summary = &one.figures.summary;
        let far_s = summary.offset_abs.percentile("p95").or(summary.offset_abs.max).unwrap_or(0.0);
        (!found.accuses(name), 1.0 - summary.loss.unwrap_or(0.0), -far_s)
    };
    names.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    names.into_iter().take(MOST_DRAWN).map(|(name, _)| name.clone()).collect()
}
