use std::sync::Arc;

use super::*;
use crate::clock::Stamp;
use crate::ntp::{CheckRow, KissCode, NtpShort, NtpTimestamp};
use crate::sheet::{Dispersion, Grain};

const ASKED: &str = "192.0.2.1:123";

/// A reply at `k` times 16 s; `change` makes the server special.
fn evidence(k: i64, change: impl FnOnce(&mut Packet)) -> Evidence {
    let random = (k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let now = NtpTimestamp((k as u64 * 16) << 32 | random);
    let mut packet = Packet {
        mode: crate::ntp::Mode::Server,
        stratum: 2,
        precision_log2: -23,
        refid: RefId([192, 0, 2, 9]),
        reference: NtpTimestamp(k as u64 / 4),
        root_dispersion: NtpShort(100 + k as u32 % 4),
        receive: now,
        transmit: NtpTimestamp(now.0 + 12_345),
        ..Packet::request(0)
    };
    change(&mut packet);
    let mut checks = CheckRow::default();
    [Check::Sender, Check::Mode, Check::Origin].into_iter().for_each(|check| checks.record(check, true));
    Evidence {
        at: Stamp::new(0, k * 16_000_000_000, 0),
        checks,
        t1: NtpTimestamp::ZERO,
        t2: packet.receive,
        t3: packet.transmit,
        t4: NtpTimestamp::ZERO,
        sender: ASKED.parse().ok(),
        hop_limit: Some(57),
        datagram: packet.to_bytes().into(),
    }
}

fn seen<'a>(evidence: &'a Evidence, outcome: &'a Outcome) -> Seen<'a> {
    Seen {
        at: evidence.at,
        asked: ASKED.parse().ok(),
        outcome,
        accepted: Some(evidence),
        rejected: &[],
        authentication: Authentication::None,
        mode: Mode::Basic,
        nts: None,
        poll_s: 16.0,
    }
}

/// The watch after these polls, with every change.
fn watched(polls: impl IntoIterator<Item = Evidence>) -> (Watch, Vec<Change>) {
    let mut watch = Watch::default();
    let changes = polls.into_iter().flat_map(|evidence| watch.observe(&seen(&evidence, &Outcome::Sample))).collect();
    (watch, changes)
}

fn grain(watch: &Watch) -> [Option<Value>; 2] {
    [watch.value(Trait::ReceiveGrain), watch.value(Trait::TransmitGrain)]
}

#[test]
fn polls_alone_fill_most_of_the_sheet() {
    let (watch, changes) = watched((0..40).map(|k| evidence(k, |_| {})));
    assert_eq!(changes, []);
    let expected = [
        (Trait::Version4, Value::Reaction(Reaction::Version(4))),
        (Trait::Precision, Value::Log2(-23)),
        (Trait::ReceiveGrain, Value::Grain(Grain::Fine)),
        (Trait::TransmitGrain, Value::Grain(Grain::Fine)),
        (Trait::OneStamp, Value::Is(false)),
        (Trait::Reference, Value::Reference(Reference::Upstream)),
        (Trait::Dispersion, Value::Dispersion(Dispersion::Grows)),
        (Trait::Sender, Value::Sender(Sender::Asked)),
        (Trait::RateLimit, Value::Kiss(None)),
        (Trait::HopLimit, Value::HopLimit(57)),
    ];
    assert_eq!(watch.sheet().values, expected.into());
    assert_eq!(watch.sheet().refid, Some((RefId([192, 0, 2, 9]), 2)));
}

#[test]
fn whole_second_stamps_and_fixed_dispersion_are_detected() {
    let (watch, _) = watched((0..40).map(|k| {
        evidence(k, |packet| {
            packet.version = 3;
            packet.receive = NtpTimestamp(packet.receive.0 >> 32 << 32);
            packet.transmit = packet.receive;
            packet.root_dispersion = NtpShort(66);
        })
    }));
    let whole = Some(Value::Grain(Grain::Decimal(0)));
    assert_eq!(grain(&watch), [whole; 2]);
    assert_eq!(watch.value(Trait::OneStamp), Some(Value::Is(true)));
    assert_eq!(watch.value(Trait::Dispersion), Some(Value::Dispersion(Dispersion::Constant)));
    assert_eq!(watch.value(Trait::Version4), Some(Value::Reaction(Reaction::Version(3))), "it knows only version 3");
}

#[test]
fn lasting_change_is_reported_once_and_one_odd_reply_never() {
    let coarse = |packet: &mut Packet| packet.precision_log2 = -6;
    let single = (0..40).map(|k| {
        evidence(k, |packet| {
            if k == 20 {
                coarse(packet)
            }
        })
    });
    assert_eq!(watched(single).1, []);
    let lasting = (0..40).map(|k| {
        evidence(k, |packet| {
            if k >= 20 {
                coarse(packet)
            }
        })
    });
    let (before, now) = (Value::Log2(-23), Some(Value::Log2(-6)));
    assert_eq!(watched(lasting).1, [Change { of: Trait::Precision, before, now }]);
}

#[test]
fn server_that_changes_at_each_poll_is_reported_once() {
    let (watch, changes) = watched((0..5_000).map(|k| {
        let mut evidence = evidence(k, |packet| {
            packet.version = 3 + (k % 2) as u8;
            packet.precision_log2 = -(k % 30) as i8;
            packet.refid = RefId([[192, 0, 2, 1], [254, 0, 0, 1], [127, 127, 1, 1]][k as usize % 3]);
            packet.transmit = if k % 2 == 0 { packet.receive } else { packet.transmit };
        });
        evidence.hop_limit = Some((k % 200) as u8);
        evidence.checks.record(Check::Sender, k % 2 == 0);
        evidence.sender = if k % 2 == 0 { ASKED } else { "192.0.2.2:123" }.parse().ok();
        evidence
    }));
    let varying = watch.sheet().varying;
    let expected =
        [Trait::Version4, Trait::Precision, Trait::OneStamp, Trait::Reference, Trait::Sender, Trait::HopLimit];
    assert_eq!(varying, expected);
    assert_eq!(changes.len(), varying.len(), "each once: {changes:?}");
    assert!(changes.iter().all(|change| change.now.is_none()));
}

#[test]
fn answer_from_another_address_shows_although_it_is_rejected() {
    let mut watch = Watch::default();
    let mut stray = evidence(0, |_| {});
    stray.checks.record(Check::Sender, false);
    stray.sender = "192.0.2.2:123".parse().ok();
    let (outcome, rejected) = (Outcome::Rejected(Check::Sender), [Arc::new(stray.clone())]);
    let poll = Seen { accepted: None, rejected: &rejected, ..seen(&stray, &outcome) };
    watch.observe(&poll);
    assert_eq!(watch.value(Trait::Sender), Some(Value::Sender(Sender::OtherAddress)));
    assert_eq!(watch.value(Trait::Precision), None, "its content was not used");

    let mut forged = Watch::default();
    let mut stranger = stray.clone();
    stranger.checks.record(Check::Origin, false);
    let rejected = [Arc::new(stranger)];
    forged.observe(&Seen { rejected: &rejected, ..poll });
    assert_eq!(
        forged.sheet(),
        Sheet::default(),
        "a sender that does not know the cookie says nothing about the server"
    );
}

#[test]
fn kiss_is_a_change_and_is_over_after_thirty_days() {
    let (mut watch, _) = watched((0..5).map(|k| evidence(k, |_| {})));
    let (kiss, reply) = (Outcome::Kiss(KissCode::RATE), evidence(5, |_| {}));
    let rate = Value::Kiss(Some(*b"RATE"));
    let at = |wall_ns| Stamp { wall_ns, ..reply.at };
    let kissed = Seen { at: at(7), accepted: None, ..seen(&reply, &kiss) };
    let (before, now) = (Value::Kiss(None), Some(rate));
    assert_eq!(watch.observe(&kissed), [Change { of: Trait::RateLimit, before, now }]);
    assert_eq!(watch.observe(&kissed), []);
    assert_eq!(watch.sheet().kiss, Some(KissSeen { wall_ns: 7, poll_s: 16.0 }));
    let mut later = |wall_ns| watch.observe(&Seen { at: at(wall_ns), ..seen(&reply, &Outcome::Sample) });
    assert_eq!(later(KISS_FOR_NS), []);
    assert_eq!(later(KISS_FOR_NS + 8).len(), 1);
    assert_eq!(watch.sheet().kiss, None);
}

#[test]
fn silence_after_a_question_counts_at_the_second_time() {
    let mut watch = Watch::default();
    let mut answer = |reaction| watch.answered(Question::Version3, reaction, Stamp::new(0, 0, 0), 64.0);
    let change =
        |before, now| Change { of: Trait::Version3, before: Value::Reaction(before), now: Some(Value::Reaction(now)) };
    let (known, silent) = (Reaction::Version(3), Reaction::Silent);
    assert_eq!(answer(known), []);
    assert_eq!(answer(silent), []);
    assert_eq!(answer(silent), [change(known, silent)]);
    assert_eq!(answer(known), [change(silent, known)]);
}

#[test]
fn kiss_that_answers_a_question_counts_as_a_rate_limit() {
    let mut watch = Watch::default();
    watch.answered(Question::Version5, Reaction::Kiss(*b"RATE"), Stamp::new(7, 0, 0), 64.0);
    assert_eq!(watch.value(Trait::RateLimit), Some(Value::Kiss(Some(*b"RATE"))));
    assert_eq!(watch.sheet().kiss, Some(KissSeen { wall_ns: 7, poll_s: 64.0 }));
}

#[test]
fn kiss_rate_says_nothing_about_the_question() {
    let (rate, deny) = (Reaction::Kiss(*b"RATE"), Reaction::Kiss(*b"DENY"));
    let mut watch = Watch::default();
    watch.answered(Question::Version3, rate, Stamp::new(7, 0, 0), 64.0);
    assert_eq!(watch.value(Trait::Version3), None);
    watch.answered(Question::Version5, deny, Stamp::new(7, 0, 0), 64.0);
    assert_eq!(watch.value(Trait::Version5), Some(Value::Reaction(deny)));
    let mut kept = watch.sheet();
    kept.values.insert(Trait::Version3, Value::Reaction(rate));
    assert_eq!(Watch::continuing(&kept).sheet(), watch.sheet());
}

#[test]
fn grain_that_is_coarser_by_chance_is_no_change() {
    // The fractions of a clock that rounds to an even number of 2^-22 s: three of four are multiples of 2^-20 s.
    let mut state = 5_u64;
    let polls = (0..40_000).map(|k| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = if state >> 62 == 0 { 1 } else { 2 * (state >> 40 & 0xff) };
        evidence(k, |packet| packet.receive = NtpTimestamp((k as u64) << 32 | unit << 11))
    });
    let (watch, changes) = watched(polls);
    assert_eq!(watch.value(Trait::ReceiveGrain), Some(Value::Grain(Grain::Binary(21))));
    let of_grain = changes.iter().filter(|change| change.of == Trait::ReceiveGrain).count();
    assert!(of_grain <= 1, "{changes:?}");
}

#[test]
fn watch_continues_from_its_sheet() {
    let (watch, _) = watched((0..40).map(|k| evidence(k, |_| {})));
    let mut next = Watch::continuing(&watch.sheet());
    assert_eq!(next.sheet(), watch.sheet());
    let coarse = (40..43).map(|k| evidence(k, |packet| packet.precision_log2 = -6));
    let changes: Vec<_> = coarse.flat_map(|evidence| next.observe(&seen(&evidence, &Outcome::Sample))).collect();
    assert_eq!(changes.len(), 1, "a change across a restart is seen");
}

proptest::proptest! {
    #[test]
    fn no_datagram_stops_a_watch(
        datagrams in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..72), 0..40),
    ) {
        let mut watch = Watch::default();
        for (k, datagram) in (0..).zip(datagrams) {
            let reply = Evidence { datagram: datagram.into(), hop_limit: Some(k as u8), ..evidence(k, |_| {}) };
            watch.observe(&seen(&reply, &Outcome::Sample));
            for question in Question::ALL {
                if let Some(reaction) = question.reaction(&Outcome::Sample, [&reply]) {
                    watch.answered(question, reaction, reply.at, 16.0);
                }
            }
        }
        proptest::prop_assert_eq!(watch.sheet().lines().len(), Trait::COUNT);
    }
}

/// The first three stamps are multiples of 2^-20 s by chance, although the unit of the clock is 2^-21 s.
#[test]
fn finer_grain_corrects_the_first_and_changes_a_settled_one() {
    let with_units = |from: i64| {
        (0..from + 40).map(move |k| {
            let unit = if k < from { 2 * (k as u64 % 50 + 1) } else { 2 * (k as u64 % 50) + 1 };
            evidence(k, |packet| packet.receive = NtpTimestamp((k as u64) << 32 | unit << 11))
        })
    };
    let (watch, changes) = watched(with_units(3));
    assert_eq!((watch.value(Trait::ReceiveGrain), changes), (Some(Value::Grain(Grain::Binary(21))), vec![]));
    let (_, changes) = watched(with_units(3 + 8 * 5));
    let now = Some(Value::Grain(Grain::Binary(21)));
    assert!(matches!(&changes[..], [one] if one.of == Trait::ReceiveGrain && one.now == now), "{changes:?}");
}
