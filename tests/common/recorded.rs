//! The lines that the service would have sent to InfluxDB in the last hours, built by its own line builder from a
//! simulated world with faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use ntp_monitor::sinks::influx::{Lines, SampleLines};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::{Health, SinkHealth, Status};
use ntp_monitor_core::ntp::Leap;
use ntp_monitor_core::nts::{Aead, Certificate, KeyFault, LastExchange, Status as NtsStatus};
use ntp_monitor_core::sample::{Authentication, Outcome, Sample, Timestamping};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::local::{DaemonView, KernelState, LocalState};
use ntp_monitor_core::stats::verdict::Kind;
use ntp_monitor_core::stats::window::Window;
use ntp_monitor_core::world::{Fault, World};

const HOURS: f64 = 5.0;
/// More than a hundred polls an hour, which some percentiles need.
const POLL_S: f64 = 30.0;
pub const VANTAGE: &str = "here";

/// The fields and tags of each measurement in lines.
#[derive(Debug, Default)]
pub struct Schema {
    pub fields: BTreeMap<String, BTreeSet<String>>,
    pub tags: BTreeMap<String, BTreeSet<String>>,
}

/// Five hours that end now: a server steps, another changes its stratum and announces a leap second, one is silent for
/// a while, and the service restarts.
pub fn lines() -> Vec<u8> {
    let mut world = World::ordinary(7, 5, POLL_S, HOURS * 3600.0);
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    world.start_unix_s = i64::try_from(now_s).unwrap() - (HOURS * 3600.0) as i64;
    world.faults.push(Fault::ServerStep { server: 4, at_s: 2.0 * 3600.0, size_s: 0.4 });
    let tags = [("site".to_owned(), "odd".to_owned())];
    for server in &mut world.servers {
        let mut ident = (*server.ident).clone();
        ident.tags = tags.clone().into();
        server.ident = Arc::new(ident);
    }
    let start_ns = world.start_unix_s * 1_000_000_000;
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    let mut lines = SampleLines::new(VANTAGE.to_owned());
    let mut body = Vec::new();
    let mut minute = 0;
    for sample in world.samples() {
        let sample = Arc::new(with_events(sample, start_ns));
        lines.append(&mut body, &sample);
        analysis.observe(&sample);
        while start_ns + minute * 60_000_000_000 < sample.at.wall_ns {
            minute += 1;
            body.extend(of_minute(&mut analysis, start_ns, minute));
        }
    }
    body
}

fn with_events(mut sample: Sample, start_ns: i64) -> Sample {
    sample.timestamping = Some(Timestamping::Kernel);
    let age_s = (sample.at.wall_ns - start_ns) as f64 / 1e9;
    let is = |name: &str| &*sample.server.name == name;
    let (later, away) = (age_s > 3.0 * 3600.0, (6000.0..7000.0).contains(&age_s));
    if is("ntp2") && away {
        let (outcome, server, address) =
            (Outcome::Fault("no route".into()), Arc::clone(&sample.server), sample.address);
        return Sample { address, ..Sample::unasked(sample.at, server, outcome, sample.poll_s) };
    }
    if let Some(reply) = sample.reply.as_mut() {
        reply.reference_age_s = Some(16.0);
    }
    if is("ntp1") {
        (sample.authentication, sample.nts) = (Authentication::Nts, Some(Arc::new(with_nts(sample.at, later))));
    }
    if let (true, Some(reply)) = (is("ntp3") && later, sample.reply.as_mut()) {
        reply.stratum += 1;
        reply.leap = Leap::Insert;
    }
    sample
}

/// The state of NTS after a key exchange, later with a failed one.
fn with_nts(at: Stamp, fails: bool) -> NtsStatus {
    let from = Timestamp::from_nanosecond(i128::from(at.wall_ns)).unwrap();
    let text = |text: &str| text.into();
    let certificate = Certificate {
        subject: text("ntp1"),
        issuer: text("an authority"),
        serial: text("01"),
        not_before: from,
        not_after: from + Duration::from_secs(90 * 86_400),
    };
    let fault = fails.then(|| KeyFault { label: "refused", text: "nothing listens on port 4460".into() });
    NtsStatus {
        key_server: "ntp1:4460".into(),
        asked: "192.0.2.1:123".parse().unwrap(),
        aead: Some(Aead::AesSivCmac256),
        cookies: 8,
        cookie_len: Some(100),
        last: Some(LastExchange { at, took: Duration::from_millis(20), fault, chain: [certificate].into() }),
        exchanges: 1,
        failures: u64::from(fails),
        failures_in_row: u32::from(fails),
        naks: 0,
        downgrades: 0,
    }
}

fn of_minute(analysis: &mut Analysis, start_ns: i64, minute: i64) -> Vec<u8> {
    let wall_ns = start_ns + minute * 60_000_000_000;
    analysis.observe_local(own_clock());
    let mut snapshot = analysis.snapshot(Stamp::new(wall_ns, wall_ns - start_ns, start_ns));
    // No event of this world sets this field.
    let mut judged = (*snapshot.verdict).clone();
    judged.local.kind = Some(Kind::Step);
    snapshot.verdict = Arc::new(judged);
    let health = Health {
        status: Status::Ok,
        // It was restarted after an hour.
        uptime_s: ((minute - 1) % 60 * 60 + 60) as f64,
        sinks: [("store".to_owned(), SinkHealth { lag_s: 0.5, ..SinkHealth::default() })].into(),
        ..Health::default()
    };
    Lines::of_all(VANTAGE, wall_ns, &snapshot, &health).body
}

fn own_clock() -> LocalState {
    let kernel = KernelState {
        synchronised: true,
        max_error_s: 0.01,
        est_error_s: 0.001,
        frequency_ppm: -3.0,
        tai_offset_s: Some(37),
        leap_pending: 0,
    };
    let daemon = DaemonView {
        name: "chronyd".to_owned(),
        synchronised: true,
        stratum: Some(2),
        offset_s: Some(-1e-6),
        bound_s: Some(0.001),
    };
    LocalState { kernel: Some(kernel), daemon: Some(daemon) }
}

/// The names in lines whose tags have no blanks or commas.
pub fn schema(lines: &[u8]) -> Schema {
    let mut schema = Schema::default();
    for line in std::str::from_utf8(lines).unwrap().lines() {
        let (head, rest) = line.split_once(' ').unwrap();
        let mut head = head.split(',');
        let measurement = head.next().unwrap();
        let names = head.map(|tag| tag.split_once('=').unwrap().0.to_owned());
        schema.tags.entry(measurement.to_owned()).or_default().extend(names);
        schema.fields.entry(measurement.to_owned()).or_default().extend(fields(rest));
    }
    schema
}

/// A field begins after a comma outside of quotes.
fn fields(text: &str) -> Vec<String> {
    let (mut quoted, mut start, mut names) = (false, 0, Vec::new());
    for (at, c) in text.char_indices().chain([(text.len(), ',')]) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                names.push(text[start..at].split_once('=').unwrap().0.to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// The tables of docs/DATA_MODEL.md: the tags of each measurement, and its fields.
pub fn documented() -> Schema {
    let document = super::grafana::read("docs/DATA_MODEL.md");
    let mut schema = Schema::default();
    let mut measurement = None;
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    for line in document.lines() {
        if line.starts_with('#') {
            measurement = quoted(line).first().filter(|name| name.starts_with("ntp_")).cloned();
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        let (name, rest) = row.split_once('`').unwrap();
        match &measurement {
            Some(measurement) => {
                schema.fields.entry(measurement.clone()).or_default().insert(name.to_owned());
            }
            None if name.starts_with("ntp_") => {
                schema.tags.insert(name.to_owned(), quoted(rest.split('|').nth(2).unwrap()).into_iter().collect());
            }
            None => {}
        }
    }
    schema
}
