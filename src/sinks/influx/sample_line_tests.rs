//! Checks that directly written lines equal those of the builder.

use proptest::prelude::*;

use super::*;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply};

/// The same line, written entirely by the builder.
fn built(vantage: &str, sample: &Sample) -> String {
    let mut point = Point::new(SAMPLE, sample.at.wall_ns);
    for (name, value) in &sample.server.tags {
        if !key(name).is_some_and(|name| OWN_TAGS.contains(&name.as_ref())) {
            point = point.tag(name, value);
        }
    }
    point = point.tag("vantage", vantage).tag("server", &sample.server.name);
    if let Some(address) = sample.address {
        point = point.tag("address", &address.to_string());
    }
    let texts = [("reason", &*sample.outcome.reason()), ("outcome", sample.outcome.label())];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        point = point.text(name, text);
    }
    if let Some(way) = sample.timestamping {
        point = point.text("timestamping", way.label());
    }
    point = point
        .integer("success", i64::from(sample.outcome.is_success()))
        .integer("sent", i64::from(sample.sent))
        .integer("lost", i64::from(sample.lost))
        .number("poll_s", sample.poll_s)
        .number("mono_s", sample.at.mono_ns as f64 / 1e9)
        .number("raw_s", sample.at.raw_ns as f64 / 1e9)
        .maybe_number("offset_s", sample.measure.map(|m| m.offset_s))
        .maybe_number("delay_s", sample.measure.map(|m| m.delay_s))
        .maybe_number("root_distance_s", sample.measure.map(|m| m.root_distance_s));
    if let Some(reply) = sample.reply {
        point = point
            .number("root_delay_s", reply.root_delay_s)
            .number("root_dispersion_s", reply.root_dispersion_s)
            .number("precision_s", reply.precision_s())
            .integer("stratum", i64::from(reply.stratum))
            .integer("leap", i64::from(reply.leap.bits()))
            .maybe_number("reference_age_s", reply.reference_age_s)
            .text("refid", &reply.refid.display(reply.stratum));
    }
    let mut out = Vec::new();
    assert!(point.append_to(&mut out));
    String::from_utf8(out).unwrap()
}

fn written(lines: &mut SampleLines, sample: &Sample) -> String {
    let mut out = Vec::new();
    lines.append(&mut out, sample);
    String::from_utf8(out).unwrap()
}

fn hostile() -> impl Strategy<Value = String> {
    "[\\\\\", =#\\n\\t_aü🕰]{0,8}"
}

/// Whether two lines are equal, except for the spelling of numbers: where two shortest decimals are equally close, the
/// builder may use the other one.
fn same(one: &str, other: &str) -> bool {
    fn pieces(line: &str) -> Vec<&str> {
        line.split([',', ' ']).collect()
    }
    fn bits(number: &str) -> Option<u64> {
        Some(number.parse::<f64>().ok()?.to_bits())
    }
    let same_piece = |(one, other): (&str, &str)| {
        one == other
            || match (one.split_once('='), other.split_once('=')) {
                (Some((name, one)), Some((other_name, other))) => {
                    name == other_name && bits(one).is_some() && bits(one) == bits(other)
                }
                _ => false,
            }
    };
    let (one, other) = (pieces(one), pieces(other));
    one.len() == other.len() && one.into_iter().zip(other).all(same_piece)
}

prop_compose! {
    fn measured()(numbers in prop::array::uniform5(any::<f64>()), reference_age_s in prop::option::of(any::<f64>()), refid: [u8; 4], stratum in 0..17_u8, log2 in -24..3_i8)
        -> (Measure, Reply)
    {
        let [offset_s, delay_s, root_distance_s, root_delay_s, root_dispersion_s] = numbers;
        let reply = Reply {
            stratum, leap: Leap::None, refid: RefId(refid), precision_log2: log2, root_delay_s, root_dispersion_s,
            reference_age_s,
        };
        (Measure { offset_s, delay_s, root_distance_s }, reply)
    }
}

prop_compose! {
    fn polled()(
        name in hostile(),
        tags in prop::collection::btree_map(hostile(), hostile(), 0..3),
        why in hostile(),
        measured in prop::option::of(measured()),
        way in prop::option::of(prop::sample::select(Timestamping::ALL.to_vec())),
        at in any::<(i64, i64, i64)>(),
        has_address: bool,
        poll_s in prop_oneof![Just(64.0), any::<f64>()],
    ) -> Sample {
        let outcome = if measured.is_some() { Outcome::Sample } else { Outcome::Dns(why.as_str().into()) };
        let server = Arc::new(ServerIdent { vantage: "".into(), name: name.as_str().into(), tags });
        let at = Stamp::new(at.0, at.1, at.2);
        Sample {
            address: has_address.then(|| "[2001:db8::1]:123".parse().unwrap()),
            measure: measured.map(|(measure, _)| measure),
            reply: measured.map(|(_, reply)| reply),
            timestamping: way,
            ..Sample::unasked(at, server, outcome, poll_s)
        }
    }
}

proptest! {
    #[test]
    fn line_equals_the_builder_output(sample in polled(), vantage in hostile()) {
        let mut lines = SampleLines::new(vantage.clone());
        let expected = built(&vantage, &sample);
        for _ in 0..2 {
            let written = written(&mut lines, &sample);
            prop_assert!(same(&written, &expected), "{} {}", written, expected);
        }
    }
}

#[test]
fn tags_changed_by_a_reload_are_in_the_next_line() {
    let mut lines = SampleLines::new("ams".to_owned());
    let at = Stamp::new(1, 1, 0);
    let sample = Sample::unasked(at, ServerIdent::named("a"), Outcome::Timeout, 64.0);
    written(&mut lines, &sample);
    let tags = [("rack".to_owned(), "4".to_owned())].into();
    let moved = Sample { server: Arc::new(ServerIdent { vantage: "".into(), name: "a".into(), tags }), ..sample };
    assert!(written(&mut lines, &moved).starts_with("ntp_sample,rack=4,server=a,vantage=ams "));
}
