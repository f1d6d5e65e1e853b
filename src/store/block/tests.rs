use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use ntp_monitor_core::ntp::{Check, KissCode, StatusCode};
use ntp_monitor_core::sample::{Authentication, Mode, Sample, ServerIdent, Timestamping};
use ntp_monitor_core::world::World;

/// A text to compare records by the bits of their numbers, so that a NaN equals the same NaN.
fn text(records: &[Record]) -> String {
    let bits = |value: f64| value.to_bits();
    let one = |r: &Record| {
        let measure = r.measure.map(|m| [m.offset_s, m.delay_s, m.root_distance_s].map(bits));
        let reply = r.reply.map(|r| {
            let floats = [r.root_delay_s, r.root_dispersion_s].map(bits);
            (r.stratum, r.leap, r.refid, r.precision_log2, floats, r.reference_age_s.map(bits))
        });
        let rest = (r.timestamping, r.authentication, r.mode, r.sent, r.lost, r.checks, bits(r.poll_s));
        format!("{} {:?} {:?} {measure:?} {reply:?} {rest:?}", r.series_id, r.at, r.outcome)
    };
    records.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn comes_back(records: &[Record]) {
    assert_eq!(text(&decode(&encode(records)).unwrap()), text(records));
}

fn outcomes() -> Vec<Outcome> {
    let kisses = KissCode::ALL.map(Outcome::Kiss);
    let codes = [None, StatusCode::parse("INIT")].map(Outcome::Unsynchronised);
    let texts = ["no such name", "", "zürich\n\u{0}"].map(|why| [Outcome::Dns(why.into()), Outcome::Fault(why.into())]);
    let rejected = Check::ALL.map(Outcome::Rejected);
    [Outcome::Sample, Outcome::Timeout, Outcome::Refused]
        .into_iter()
        .chain(kisses)
        .chain(codes)
        .chain(texts.into_iter().flatten())
        .chain(rejected)
        .collect()
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -1.0..1.0_f64,
        any::<i32>().prop_map(|ticks| f64::from(ticks) / 4_294_967_296.0),
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-0.0),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -100..100_i64, Just(i64::MIN), Just(i64::MAX), Just(1_767_225_600_000_000_000)]
}

fn record() -> impl Strategy<Value = Record> {
    let at = (integer(), integer(), integer(), integer());
    let at = at.prop_map(|(wall_ns, mono_ns, raw_ns, boot_ns)| Stamp { wall_ns, mono_ns, raw_ns, boot_ns });
    let measure = (number(), number(), number());
    let measure =
        measure.prop_map(|(offset_s, delay_s, root_distance_s)| Measure { offset_s, delay_s, root_distance_s });
    let reply = (any::<u8>(), 0..4_u8, any::<[u8; 4]>(), any::<i8>(), number(), number(), prop::option::of(number()));
    let reply = reply.prop_map(|(stratum, leap, refid, precision_log2, root_delay_s, root_dispersion_s, age)| Reply {
        stratum,
        leap: Leap::from_bits(leap),
        refid: RefId(refid),
        precision_log2,
        root_delay_s,
        root_dispersion_s,
        reference_age_s: age,
    });
    let checks = any::<(u32, u32)>().prop_map(|(made, failed)| CheckRow::from_bits(made, failed));
    let parts = (prop::option::of(measure), prop::option::of(reply), prop::option::of(checks));
    let kinds = (
        prop::option::of(prop::sample::select(Timestamping::ALL.to_vec())),
        prop::sample::select(Authentication::ALL.to_vec()),
        prop::sample::select(Mode::ALL.to_vec()),
    );
    let rest = (any::<u16>(), any::<u16>(), number(), prop::sample::select(outcomes()));
    (integer(), at, parts, kinds, rest).prop_map(|(series_id, at, parts, kinds, rest)| Record {
        series_id,
        at,
        outcome: rest.3,
        reply: parts.1,
        measure: parts.0,
        poll_s: rest.2,
        timestamping: kinds.0,
        authentication: kinds.1,
        mode: kinds.2,
        sent: rest.0,
        lost: rest.1,
        checks: parts.2,
    })
}

/// Polls as a service with one server records them.
fn polls(count: usize) -> Vec<Record> {
    let world = World::ordinary(5, 1, 16.0, 16.0 * count as f64);
    world.samples().map(|sample| Record::of(1, &sample)).collect()
}

#[test]
fn every_outcome_comes_back_alone_and_with_all_others() {
    let sample = |outcome| {
        let at = Stamp::new(7, 8, 9);
        Record::of(3, &Sample::unasked(at, ServerIdent::named("a"), outcome, 64.0))
    };
    let all: Vec<Record> = outcomes().into_iter().map(sample).collect();
    all.iter().for_each(|one| comes_back(std::slice::from_ref(one)));
    comes_back(&all);
    comes_back(&[]);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = encode(&polls(8));
    for at in 0..bytes.len() * 8 {
        let mut harmed = bytes.clone();
        harmed[at / 8] ^= 1 << (at % 8);
        assert_eq!(decode(&harmed).unwrap_err(), Damaged, "bit {at}");
    }
    (0..bytes.len()).for_each(|length| assert!(decode(&bytes[..length]).is_err(), "cut to {length}"));
}

#[test]
fn record_of_a_sample_becomes_the_sample_again() {
    let world = World::ordinary(5, 2, 16.0, 3600.0);
    for sample in world.samples() {
        let stored = Record::of(1, &sample).into_stored(&sample.server, sample.address);
        let kept = Sample { evidence: None, rejected: Vec::new(), rejected_count: 0, ..sample };
        assert_eq!(stored.sample, kept);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_records_come_back(records in prop::collection::vec(record(), 0..40)) {
        comes_back(&records);
    }

    #[test]
    fn foreign_bytes_with_a_right_checksum_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sealed = [&bytes[..], &checksum(&bytes)].concat();
        prop_assert!(decode(&sealed).is_ok() || decode(&sealed) == Err(Damaged));
    }
}

#[test]
fn shared_texts_are_stored_once() {
    let why: Arc<str> = "the name does not exist, which takes forty-four letters".into();
    let sample = |n| {
        let at = Stamp::new(n, n, 0);
        Record::of(1, &Sample::unasked(at, ServerIdent::named("a"), Outcome::Dns((&*why).into()), 64.0))
    };
    let bytes = encode(&(0..32).map(sample).collect::<Vec<_>>());
    assert!(bytes.len() < 2 * why.len() + 20, "{}", bytes.len());
}

#[test]
fn page_without_a_wanted_series_gives_no_records() {
    let records: Vec<Record> =
        [3, 5].into_iter().flat_map(|id| polls(4).into_iter().map(move |r| Record { series_id: id, ..r })).collect();
    let bytes = encode(&records);
    assert_eq!(decode_if_of(&bytes, &(4..=4)).map(|found| found.len()), Ok(0));
    assert_eq!(decode_if_of(&bytes, &(5..=9)).map(|found| found.len()), Ok(8), "the whole page");
    assert_eq!(decode_if_of(&bytes[1..], &(4..=4)).map(|found| found.len()), Err(Damaged));
}
