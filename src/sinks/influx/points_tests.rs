//! The document says what is sent, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::sim::world::World;
use crate::sinks::influx::SampleLines;
use crate::stats::analysis::Analysis;
use crate::stats::intake::TimeAxis;
use crate::stats::local::{DaemonView, KernelState};
use crate::stats::verdict::Kind;
use crate::stats::window::Window;

/// A snapshot in which everything that can be present is.
fn full() -> Snapshot {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    let samples: Vec<_> = World::ordinary(1, 3, 16.0, 3600.0).samples().map(Arc::new).collect();
    samples.iter().for_each(|sample| analysis.observe(sample));
    let mut snapshot = analysis.snapshot(samples.last().unwrap().at);
    let mut judged = (*snapshot.verdict).clone();
    judged.servers[0].blamed = true;
    judged.servers[0].gap_s = Some(0.1);
    judged.local.kind = Some(Kind::Step);
    snapshot.verdict = Arc::new(judged);
    snapshot.local = LocalState {
        kernel: Some(KernelState {
            synchronised: true,
            max_error_s: 0.01,
            est_error_s: 0.001,
            frequency_ppm: -3.0,
            tai_offset_s: Some(37),
            leap_pending: 0,
        }),
        daemon: Some(DaemonView {
            name: "chronyd".to_owned(),
            synchronised: true,
            stratum: Some(2),
            offset_s: Some(-1e-6),
            bound_s: Some(0.001),
        }),
    };
    snapshot
}

/// Fields by measurement, of lines without blanks in texts.
fn written(body: &[u8]) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in std::str::from_utf8(body).unwrap().lines() {
        let (head, rest) = line.split_once(' ').unwrap();
        let measurement = head.split(',').next().unwrap().to_owned();
        let fields = found.entry(measurement).or_default();
        // A field begins after a comma outside of quotes.
        let (mut quoted, mut start) = (false, 0);
        for (at, c) in rest.char_indices().chain([(rest.len(), ',')]) {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    fields.insert(rest[start..at].split_once('=').unwrap().0.to_owned());
                    start = at + 1;
                }
                _ => {}
            }
        }
    }
    found
}

/// The fields of the tables of docs/DATA_MODEL.md, by measurement.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut measurement = None;
    for line in include_str!("../../../docs/DATA_MODEL.md").lines() {
        if line.starts_with('#') {
            measurement = line.split('`').nth(1).filter(|name| name.starts_with("ntp_")).map(str::to_owned);
        }
        let field = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
        if let (Some(measurement), Some(field)) = (&measurement, field) {
            found.entry(measurement.clone()).or_default().insert(field.to_owned());
        }
    }
    found
}

#[test]
fn the_document_names_exactly_the_fields_that_are_written() {
    let mut lines = Lines::of_all("here", 1, &full(), &Health::default());
    let mut of_samples = SampleLines::new("here".to_owned());
    for mut sample in World::ordinary(1, 1, 16.0, 600.0).samples() {
        sample.timestamping = Some(crate::sample::Timestamping::Kernel);
        of_samples.append(&mut lines.body, &sample);
        let fault = crate::sample::Outcome::Fault("no route".into());
        of_samples.append(&mut lines.body, &crate::sample::Sample::unasked(sample.at, sample.server, fault, 16.0));
    }
    assert_eq!(documented(), written(&lines.body));
}

#[test]
fn a_service_that_knows_nothing_yet_sends_what_it_knows() {
    let at = crate::clock::Stamp { wall_ns: 5, mono_ns: 5, raw_ns: 0 };
    let lines = Lines::of_all("here", 5, &Snapshot::empty(at), &Health::default());
    let text = String::from_utf8(lines.body).unwrap();
    assert_eq!((lines.count, text.lines().count()), (3, 3));
    assert!(text.lines().all(|line| line.contains(",vantage=here ") && line.ends_with(" 5")), "{text}");
}

#[test]
fn configured_tags_go_with_statistics_and_cannot_replace_ours() {
    let mut snapshot = full();
    let (key, picture) = snapshot.series.pop_first().unwrap();
    let mut picture = (*picture).clone();
    let mut last = (*picture.last).clone();
    let mut ident = (*last.server).clone();
    ident.tags = [("site", "x"), ("window", "9y"), ("server", "y")].map(|(k, v)| (k.into(), v.into())).into();
    last.server = Arc::new(ident);
    picture.last = Arc::new(last);
    let mut line = Vec::new();
    stats("here", 1, &key, &picture).append_to(&mut line);
    let line = String::from_utf8(line).unwrap();
    let head = line.split(' ').next().unwrap();
    assert!(head.contains("site=x") && head.contains("window=1h") && head.contains("server=ntp1"), "{head}");
}
