//! The data of a report, read from the store. Blocks. Memory is bounded, because only a limited number of servers gets
//! charts, and only these keep their time series.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::times::Times;
use super::traceability::{Evidence, Known, Traceability};
use super::worst::{Moment, worst};
use crate::config::Config;
use crate::history::course::{Course, measured, offsets};
use crate::history::fleet::{self, FleetSurvey};
use crate::history::span::Span;
use crate::history::standing::{decided, wrong};
use crate::history::stretches::Stretches;
use crate::history::survey::{Request, Survey, SurveyError, Surveyed, survey};
use crate::plot::MOST_LINES;
use crate::store::StoreError;
use crate::store::read::Reader;
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::stats::verdict::When;

/// Maximum number of servers with charts: the number of lines that can be distinguished in one chart.
pub const MOST_DRAWN: usize = MOST_LINES;
/// Number of largest offsets listed per server.
const MOMENTS: usize = 3;

/// The names of alerts and events that call the clock of a server wrong.
const ACCUSING: [&str; 4] = ["falseticker", "server-suspected", "server_step", "server_drift"];

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
    /// The period.
    pub span: Span,
    /// The part of the period that charts show.
    pub charted: Span,
    /// The name of the monitoring location.
    pub vantage: String,
    /// The figures of every server, verdicts and events.
    pub survey: Survey,
    /// The evidence of traceability; `None` without a server.
    pub traceability: Option<Traceability>,
    /// The verdicts about the fleet; `None` unless the store has samples of other vantages.
    pub fleet: Option<FleetSurvey>,
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
pub fn gather(
    reader: &Reader,
    order: Order,
    now_ns: i64,
    progress: &mut dyn FnMut(u64, i64),
) -> Result<Material, SurveyError> {
    let span = order.span;
    let request = Request { servers: order.servers, taus_s: None, now_ns };
    let found = survey(reader, span, &request, progress)?;
    let alerts = alerts(reader, span)?;
    let (drawn_names, past) = (most_interesting(&found), found.past);
    let charted = charted(&found, past);
    let mut evidence = Evidence::new(past, order.limit_s);
    let (mut moments, mut drawn) = (BTreeMap::new(), Vec::new());
    for (name, one) in &found.servers {
        let measured = measured(reader, name, span)?;
        let wrong = found_wrong(&found, &alerts, name, past);
        evidence.add(&measured, Known { polled: &one.presence.polled, wrong: &wrong });
        moments.insert(name.clone(), worst(&measured.points, MOMENTS));
        if drawn_names.contains(name) {
            drawn.push(Drawn { course: measured.course(charted), offsets: offsets(reader, name, span)? });
        }
    }
    let vantage = match order.vantage {
        Some(vantage) => vantage,
        None => reader.vantage()?.unwrap_or_default(),
    };
    let traceability = evidence.finish(&decided(&found.verdicts, &found.monitored, true));
    let times = Times::of(order.zone);
    let fleet = fleet::survey(reader, span, progress)?;
    Ok(Material { span, charted, vantage, survey: found, traceability, fleet, worst: moments, drawn, alerts, times })
}

/// The time for which the clock of a server was found wrong: by the verdicts, and, where samples for verdicts are no
/// longer kept, by the alerts and events that were recorded then.
fn found_wrong(found: &Survey, alerts: &[PastAlert], server: &str, past: Span) -> Stretches {
    let judged = wrong(&found.verdicts, server, &found.monitored);
    let until = |end: Option<When>| end.map_or(past.to_ns, |end| end.0);
    let alerts =
        alerts.iter().filter(|alert| alert.server.as_deref() == Some(server) && ACCUSING.contains(&&*alert.alert));
    let alerts = alerts.map(|alert| Span { from_ns: alert.started.0, to_ns: until(alert.ended) });
    let events = found.events.iter().filter(|event| event.server.as_deref() == Some(server));
    let events = events.filter(|event| ACCUSING.contains(&&*event.kind));
    let events = events.map(|event| Span { from_ns: event.start.0, to_ns: until(event.end) });
    let before = Span { to_ns: found.judged_from.map_or(past.to_ns, |from| from.0), ..past };
    let recorded = Stretches::of(alerts.chain(events).collect()).clipped(before);
    Stretches::union([judged, recorded].iter())
}

/// The part of a period that charts show: all of it, unless the store has data of less than a tenth of it.
fn charted(found: &Survey, past: Span) -> Span {
    let first_ns = found.monitored.first_ns().unwrap_or(past.from_ns);
    let recorded = past.beginning_with(first_ns);
    if recorded.length_s() < past.length_s() / 10.0 { recorded } else { past }
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
