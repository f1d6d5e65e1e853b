//! The lines besides samples: statistics of the last hour of each series, the verdict, the state of this host's clock
//! and the health of the service. docs/DATA_MODEL.md lists the fields.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::line::{OWN_TAGS, Point, key};
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::nts::{Aead, Status};
use ntp_monitor_core::sample::SeriesKey;
use ntp_monitor_core::stats::local::LocalState;
use ntp_monitor_core::stats::snapshot::{SeriesSnapshot, Snapshot};
use ntp_monitor_core::stats::summary::Summary;
use ntp_monitor_core::stats::verdict::{Class, ServerVerdict, Verdict};

const STATS: &str = "ntp_stats";
const VERDICT: &str = "ntp_verdict";
const LOCAL: &str = "ntp_local";
const HEALTH: &str = "ntp_health";
/// The window of `ntp_stats`.
const WINDOW: &str = "1h";

/// Lines for the outbox.
#[derive(Debug, Default)]
pub struct Lines {
    pub count: u32,
    /// The lines, each with its newline.
    pub body: Vec<u8>,
}

impl Lines {
    /// One line for each series, the verdict, this host's clock and health, all with the timestamp `wall_ns`.
    #[must_use]
    pub fn of_all(vantage: &str, wall_ns: i64, snapshot: &Snapshot, health: &Health) -> Self {
        let mut lines = Self::default();
        let standings = Standings::of(&snapshot.verdict);
        for (series, picture) in &snapshot.series {
            let point = stats(vantage, wall_ns, series, picture);
            lines.add(standing(point, standings.get(series)));
        }
        lines.add(verdict(vantage, wall_ns, &snapshot.verdict));
        lines.add(local(vantage, wall_ns, &snapshot.local));
        lines.add(of_health(vantage, wall_ns, health));
        lines
    }

    /// The line of a verdict.
    #[must_use]
    pub fn of_verdict(vantage: &str, wall_ns: i64, judged: &Verdict) -> Self {
        let mut lines = Self::default();
        lines.add(verdict(vantage, wall_ns, judged));
        lines
    }

    fn add(&mut self, point: Point) {
        self.count += u32::from(point.append_to(&mut self.body));
    }
}

fn stats(vantage: &str, wall_ns: i64, series: &SeriesKey, picture: &SeriesSnapshot) -> Point {
    let mut point = Point::new(STATS, wall_ns);
    for (name, value) in &picture.last.server.tags {
        let is_own = |name: &str| OWN_TAGS.contains(&name) || name == "window";
        if !key(name).is_some_and(|name| is_own(&name)) {
            point = point.tag(name, value);
        }
    }
    point = point.tag("vantage", vantage).tag("server", &series.server).tag("window", WINDOW);
    if let Some(address) = series.address {
        point = point.tag("address", &address.to_string());
    }
    let hour = &picture.hour;
    point = distribution(point, "offset", &hour.offset);
    point = distribution(point, "delay", &hour.delay);
    if let Some(status) = picture.last.nts.as_deref() {
        point = nts(point, status);
    }
    point
        .maybe_number("offset_abs_p95_s", hour.offset_abs.percentile("p95"))
        .count("n", hour.n)
        .count("polls", hour.polls)
        .maybe_number("loss", hour.loss)
        .maybe_number("jitter_s", hour.jitter_s)
        .maybe_number("drift_ppm", hour.trend.map(|trend| trend.ppm))
        .integer("reach", i64::from(hour.reach.bits()))
        .number("score", hour.score.value())
}

/// What a key exchange has agreed on and shown; it changes too rarely to be in each `ntp_sample`.
fn nts(point: Point, status: &Status) -> Point {
    let maybe = |point: Point, name: &str, value: Option<&str>| match value {
        Some(value) => point.text(name, value),
        None => point,
    };
    let point = maybe(point, "nts_aead", status.aead.map(Aead::label));
    let point = match status.cookie_len {
        Some(octets) => point.count("nts_cookie_octets", octets as u64),
        None => point,
    };
    let Some(certificate) = status.certificate() else { return point };
    let texts = [
        ("nts_subject", &certificate.subject),
        ("nts_issuer", &certificate.issuer),
        ("nts_serial", &certificate.serial),
    ];
    texts
        .into_iter()
        .fold(point, |point, (name, text)| point.text(name, text))
        .integer("nts_certificate_start", certificate.not_before.as_second())
        .integer("nts_certificate_end", certificate.not_after.as_second())
}

/// The verdict on each series.
struct Standings<'a>(HashMap<(&'a str, Option<SocketAddr>), &'a ServerVerdict>);

impl<'a> Standings<'a> {
    fn of(judged: &'a Verdict) -> Self {
        Self(judged.servers.iter().map(|it| ((&*it.server, it.address), it)).collect())
    }

    fn get(&self, series: &SeriesKey) -> Option<&'a ServerVerdict> {
        self.0.get(&(&*series.server, series.address)).copied()
    }
}

/// Adds the verdict on the series; the class is `unknown` if there is none yet.
fn standing(point: Point, judged: Option<&ServerVerdict>) -> Point {
    point
        .text("class", judged.map_or(Class::Unknown, |it| it.class).label())
        .integer("blamed", i64::from(judged.is_some_and(|it| it.blamed)))
        .maybe_number("gap_s", judged.and_then(|it| it.gap_s))
}

fn distribution(point: Point, name: &str, summary: &Summary) -> Point {
    let figures = [("mean", summary.mean), ("median", summary.median), ("stddev", summary.stddev)];
    let extremes = [("min", summary.min), ("max", summary.max)];
    let percentiles = ["p5", "p95", "p99"].map(|label| (label, summary.percentile(label)));
    let all = figures.into_iter().chain(extremes).chain(percentiles);
    all.fold(point, |point, (what, value)| point.maybe_number(&format!("{name}_{what}_s"), value))
}

fn verdict(vantage: &str, wall_ns: i64, judged: &Verdict) -> Point {
    let blamed: Vec<&str> = judged.blamed().map(|server| &*server.server).collect();
    let gap_s = judged.blamed().filter_map(|server| server.gap_s).reduce(f64::max);
    let local = &judged.local;
    let point = Point::new(VERDICT, wall_ns)
        .tag("vantage", vantage)
        .text("state", judged.state.label())
        .number("confidence", judged.confidence)
        .maybe_number("since_s", judged.since.map(|since| since.0 as f64 / 1e9))
        .maybe_number("local_estimate_s", local.estimate_s)
        .maybe_number("local_bound_s", local.bound_s)
        .number("local_at_least_s", local.at_least_s)
        .text("blamed", &blamed.join(","))
        .count("blamed_count", blamed.len() as u64)
        .maybe_number("gap_s", gap_s)
        .maybe_number("majority_low_s", judged.majority.map(|it| it.low_s))
        .maybe_number("majority_high_s", judged.majority.map(|it| it.high_s))
        .text("sentence", &judged.sentence);
    match local.kind {
        Some(kind) => point.text("local_kind", kind.label()),
        None => point,
    }
}

fn local(vantage: &str, wall_ns: i64, state: &LocalState) -> Point {
    let mut point = Point::new(LOCAL, wall_ns).tag("vantage", vantage);
    point = point.flag("trusted", state.distrust().is_none());
    if let Some(kernel) = state.kernel {
        point = point
            .flag("kernel_synchronised", kernel.synchronised)
            .number("max_error_s", kernel.max_error_s)
            .number("est_error_s", kernel.est_error_s)
            .number("frequency_ppm", kernel.frequency_ppm)
            .integer("leap_pending", i64::from(kernel.leap_pending))
            .maybe_number("tai_offset_s", kernel.tai_offset_s.map(f64::from));
    }
    if let Some(daemon) = &state.daemon {
        point = point
            .text("daemon", &daemon.name)
            .flag("daemon_synchronised", daemon.synchronised)
            .maybe_number("daemon_offset_s", daemon.offset_s)
            .maybe_number("daemon_bound_s", daemon.bound_s);
    }
    point
}

fn of_health(vantage: &str, wall_ns: i64, health: &Health) -> Point {
    let dropped = health.sinks.values().map(|sink| sink.dropped).fold(0, u64::saturating_add);
    let waiting =
        health.sinks.values().map(|sink| (sink.queue_depth + sink.in_hand) as u64).fold(0, u64::saturating_add);
    let lag_s = health.sinks.values().map(|sink| sink.lag_s).fold(0.0, f64::max);
    let failing = health.servers.iter().filter(|server| server.consecutive_failures > 0).count();
    Point::new(HEALTH, wall_ns)
        .tag("vantage", vantage)
        .text("status", health.status.label())
        .flag("ready", health.ready)
        .number("uptime_s", health.uptime_s)
        .count("restarts", health.restarts)
        .count("panics", health.panics)
        .count("series", health.servers.len() as u64)
        .count("series_failing", failing as u64)
        .count("sink_dropped", dropped)
        .count("sink_waiting", waiting)
        .number("sink_lag_s", lag_s)
        .count("log_dropped", health.log_dropped)
        .text("reason", health.reasons.first().map_or("", |reason| &reason.reason))
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
