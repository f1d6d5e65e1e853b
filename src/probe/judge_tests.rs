use proptest::prelude::*;

use super::*;
use ntp_monitor_core::ntp::NtpShort;

const SECOND_NS: i64 = 1_000_000_000;
const NOW_NS: i64 = 1_800_000_000 * SECOND_NS;

fn stamp(after_ns: i64) -> Stamp {
    Stamp::new(NOW_NS + after_ns, 5 * SECOND_NS + after_ns, NOW_NS - 5 * SECOND_NS)
}

fn ntp(after_ns: i64) -> NtpTimestamp {
    NtpTimestamp::from_unix_ns(NOW_NS + after_ns)
}

fn request() -> Request<'static> {
    Request {
        address: "192.0.2.1:123".parse().unwrap(),
        cookie: NtpTimestamp(0x1234_5678_9abc_def0),
        interleaved: None,
        t1: ntp(0),
        sent: stamp(0),
        own_refid: Some(RefId([192, 0, 2, 99])),
        own_precision_s: 1e-6,
        refused_transmit: None,
        ticket: None,
    }
}

/// A server half a second ahead, 10 ms away in each direction, that takes 1 ms to reply.
fn good() -> Packet {
    Packet {
        mode: Mode::Server,
        stratum: 2,
        precision_log2: -20,
        root_delay: NtpShort::from_seconds(0.010),
        root_dispersion: NtpShort::from_seconds(0.002),
        refid: RefId([198, 51, 100, 1]),
        reference: ntp(-64 * SECOND_NS),
        origin: request().cookie,
        receive: ntp(510_000_000),
        transmit: ntp(511_000_000),
        ..Packet::request(0)
    }
}

fn judge_octets(request: &Request<'_>, datagram: &[u8]) -> Judgement {
    let received = stamp(21_100_000);
    judge(request, &Arrival { datagram, sender: request.address, hop_limit: None, t4: ntp(21_000_000), received })
}

fn judge_packet(packet: &Packet) -> Judgement {
    judge_octets(&request(), &packet.to_bytes())
}

/// The verdict on a good reply after `change`.
fn verdict(change: impl FnOnce(&mut Packet)) -> Verdict {
    let mut packet = good();
    change(&mut packet);
    judge_packet(&packet).verdict
}

#[test]
fn good_reply_passes_every_check_and_is_measured() {
    let judgement = judge_packet(&good());
    let Verdict::Accepted(reply, measure) = judgement.verdict else { panic!("{judgement:?}") };
    let of_others = [
        Check::ExtensionFields,
        Check::Downgrade,
        Check::UniqueIdentifier,
        Check::Nak,
        Check::Authenticator,
        Check::Cookie,
        Check::Interleaved,
    ];
    for check in Check::ALL {
        let expected = if of_others.contains(&check) { None } else { Some(true) };
        assert_eq!(judgement.row.result(check), expected, "{}", judgement.row);
    }
    assert!((measure.offset_s - 0.5).abs() < 1e-9, "{measure:?}");
    assert!((measure.delay_s - 0.020).abs() < 1e-9, "{measure:?}");
    let expected_s =
        0.010 + reply.root_delay_s / 2.0 + reply.root_dispersion_s + reply.precision_s() + 1e-6 + 0.021 * 15e-6;
    assert!((measure.root_distance_s - expected_s).abs() < 1e-9, "{measure:?}");
}

#[test]
fn each_fault_is_named_by_its_check() {
    assert_eq!(verdict(|p| p.version = 2), Verdict::Rejected(Check::Version));
    assert_eq!(verdict(|p| p.version = 5), Verdict::Rejected(Check::Version));
    assert_eq!(verdict(|p| p.mode = Mode::Broadcast), Verdict::Rejected(Check::Mode));
    assert_eq!(verdict(|p| p.origin = ntp(0)), Verdict::Rejected(Check::Origin));
    assert_eq!(verdict(|p| p.origin = NtpTimestamp::ZERO), Verdict::Rejected(Check::Origin));
    assert_eq!(verdict(|p| p.receive = NtpTimestamp::ZERO), Verdict::Rejected(Check::ZeroTimestamp));
    assert_eq!(verdict(|p| p.transmit = NtpTimestamp::ZERO), Verdict::Rejected(Check::ZeroTimestamp));
    assert_eq!(verdict(|p| p.root_dispersion = NtpShort::from_seconds(16.0)), Verdict::Rejected(Check::RootDistance));
    assert_eq!(verdict(|p| p.precision_log2 = 1), Verdict::Rejected(Check::Precision));
    assert_eq!(verdict(|p| p.precision_log2 = 32), Verdict::Rejected(Check::Precision));
    assert_eq!(verdict(|p| p.precision_log2 = 127), Verdict::Rejected(Check::Precision));
    // T2 in whole seconds, T3 exact.
    assert_eq!(verdict(|p| p.receive = ntp(0)), Verdict::Rejected(Check::Delay));
    assert_eq!(verdict(|p| p.transmit = ntp(509_000_000)), Verdict::Rejected(Check::ServerTime));
    assert_eq!(verdict(|p| p.transmit = ntp(4_600_000_000)), Verdict::Rejected(Check::ServerTime));
    assert_eq!(verdict(|p| p.reference = ntp(600_000_000)), Verdict::Rejected(Check::ReferenceTime));
    assert_eq!(verdict(|p| p.transmit = ntp(600_000_000)), Verdict::Rejected(Check::Delay));
    assert_eq!(verdict(|p| p.refid = RefId([192, 0, 2, 99])), Verdict::Rejected(Check::Loop));
}

#[test]
fn the_reference_age_is_right_across_eras_or_absent() {
    let age = |reference: NtpTimestamp, transmit: NtpTimestamp| {
        reply(&Packet { reference, ..good() }, transmit).reference_age_s
    };
    assert_eq!(age(ntp(-64 * SECOND_NS), ntp(0)), Some(64.0));
    assert_eq!(age(NtpTimestamp(u64::MAX << 32), NtpTimestamp(1 << 32)), Some(2.0), "the era ends between the two");
    assert_eq!(age(NtpTimestamp::ZERO, ntp(0)), None, "never set");
    assert_eq!(age(ntp(0), NtpTimestamp::ZERO), None, "no T3");
    assert_eq!(age(ntp(1), ntp(0)), None, "a time that has not come yet");
}

#[test]
fn version_3_and_missing_reference_time_are_accepted() {
    assert!(matches!(verdict(|p| p.version = 3), Verdict::Accepted(..)));
    assert!(matches!(verdict(|p| p.reference = NtpTimestamp::ZERO), Verdict::Accepted(..)));
}

#[test]
fn delay_negative_within_the_precision_is_clamped() {
    let Verdict::Accepted(_, measure) = verdict(|p| p.transmit = ntp(531_000_500)) else { panic!() };
    assert_eq!(measure.delay_s, 1e-6);
}

#[test]
fn absurd_claimed_precision_adds_no_tolerance() {
    let verdict = verdict(|p| {
        p.precision_log2 = 0;
        p.transmit = ntp(600_000_000);
    });
    assert_eq!(verdict, Verdict::Rejected(Check::Delay));
}

#[test]
fn unsynchronised_server_has_its_own_verdict_with_header() {
    let verdict_of = |leap, stratum, refid| {
        verdict(|p| {
            (p.leap, p.stratum, p.refid) = (leap, stratum, RefId(refid));
        })
    };
    assert!(
        matches!(verdict_of(Leap::Unknown, 2, [1, 2, 3, 4]), Verdict::Unsynchronised(r, None) if r.leap == Leap::Unknown)
    );
    assert!(matches!(verdict_of(Leap::None, 16, [1, 2, 3, 4]), Verdict::Unsynchronised(r, None) if r.stratum == 16));
    assert!(matches!(verdict_of(Leap::None, 200, [1, 2, 3, 4]), Verdict::Unsynchronised(_, None)));
    assert!(matches!(verdict_of(Leap::None, 0, [0; 4]), Verdict::Unsynchronised(_, None)), "stratum 0 without a code");
    for (stratum, code) in [(0, "INIT"), (0, "XYZW"), (16, "STEP")] {
        let refid = code.as_bytes().try_into().unwrap();
        let expected = StatusCode::parse(code);
        assert!(
            matches!(verdict_of(Leap::Unknown, stratum, refid), Verdict::Unsynchronised(_, got) if got == expected),
            "{code}"
        );
    }
}

#[test]
fn kiss_counts_only_if_it_answers_our_request() {
    let kiss = |p: &mut Packet| (p.stratum, p.refid, p.leap) = (0, RefId(*b"RATE"), Leap::Unknown);
    assert_eq!(verdict(kiss), Verdict::Kiss(KissCode::RATE));
    let forged = verdict(|p| {
        kiss(p);
        p.origin = NtpTimestamp(7);
    });
    assert_eq!(forged, Verdict::Rejected(Check::Origin));
}

#[test]
fn kiss_may_lack_timestamps() {
    let mut packet = good();
    (packet.stratum, packet.refid) = (0, RefId(*b"DENY"));
    (packet.receive, packet.transmit) = (NtpTimestamp::ZERO, NtpTimestamp::ZERO);
    let judgement = judge_packet(&packet);
    assert_eq!(judgement.verdict, Verdict::Kiss(KissCode::DENY));
    assert_eq!(judgement.row.result(Check::ZeroTimestamp), None);
    assert_eq!(judgement.row.result(Check::Delay), None);
}

#[test]
fn trailer_is_checked_by_its_length() {
    let with = |trailer: &[u8]| judge_octets(&request(), &[&good().to_bytes()[..], trailer].concat()).verdict;
    assert_eq!(with(&[0; 4]), Verdict::Rejected(Check::Authentication));
    assert!(matches!(with(&[0; 20]), Verdict::Accepted(..)));
    assert_eq!(with(&[0; 7]), Verdict::Rejected(Check::Length));
    let short = judge_octets(&request(), &good().to_bytes()[..47]);
    assert_eq!(short.verdict, Verdict::Rejected(Check::Length));
    assert_eq!(short.row.result(Check::Origin), None, "what is not there cannot be checked");
}

#[test]
fn bad_trailer_does_not_hide_other_failures() {
    let mut packet = good();
    (packet.origin, packet.stratum) = (NtpTimestamp(1), 16);
    let judgement = judge_octets(&request(), &[&packet.to_bytes()[..], &[0; 7]].concat());
    assert_eq!(judgement.row.failures().collect::<Vec<_>>(), [Check::Length, Check::Origin, Check::Synchronised]);
}

#[test]
fn reply_from_another_sender_is_rejected() {
    let request = request();
    for sender in ["192.0.2.1:124", "192.0.2.2:123"] {
        let sender = sender.parse().unwrap();
        let datagram = good().to_bytes();
        let arrival =
            Arrival { datagram: &datagram, sender, hop_limit: None, t4: ntp(21_000_000), received: stamp(21_000_000) };
        assert_eq!(judge(&request, &arrival).verdict, Verdict::Rejected(Check::Sender));
    }
}

#[test]
fn repeated_reply_is_a_duplicate() {
    let request = Request { refused_transmit: Some(good().transmit), ..request() };
    assert_eq!(judge_octets(&request, &good().to_bytes()).verdict, Verdict::Rejected(Check::Duplicate));
}

#[test]
fn local_step_discards_the_sample_but_a_slew_does_not() {
    let judged = |wall_extra_ns: i64, took_ns: i64| {
        let mut received = stamp(took_ns);
        received.wall_ns += wall_extra_ns;
        let datagram = good().to_bytes();
        let request = request();
        judge(
            &request,
            &Arrival { datagram: &datagram, sender: request.address, hop_limit: None, t4: ntp(21_000_000), received },
        )
        .verdict
    };
    assert_eq!(judged(2_000_000, 21_000_000), Verdict::Rejected(Check::LocalStep));
    assert_eq!(judged(-2_000_000, 21_000_000), Verdict::Rejected(Check::LocalStep));
    assert!(matches!(judged(900_000, 21_000_000), Verdict::Accepted(..)));
    assert!(matches!(judged(1_900_000, 2 * SECOND_NS), Verdict::Accepted(..)), "500 ppm of 2 s is 1 ms more");
}

#[test]
fn local_step_back_is_not_the_servers_fault() {
    let (request, datagram) = (request(), good().to_bytes());
    let mut received = stamp(21_000_000);
    received.wall_ns -= SECOND_NS;
    let t4 = ntp(21_000_000 - SECOND_NS);
    let judgement =
        judge(&request, &Arrival { datagram: &datagram, sender: request.address, hop_limit: None, t4, received });
    assert_eq!(judgement.row.failures().collect::<Vec<_>>(), [Check::LocalStep, Check::Delay]);
    assert_eq!(judgement.verdict, Verdict::Rejected(Check::LocalStep));
}

#[test]
fn evidence_keeps_timestamps_and_a_bounded_datagram() {
    let request = request();
    let datagram = [&good().to_bytes()[..], &[7; 500]].concat();
    let arrival = Arrival {
        datagram: &datagram,
        sender: request.address,
        hop_limit: None,
        t4: ntp(21_000_000),
        received: stamp(21_000_000),
    };
    let judgement = judge(&request, &arrival);
    let evidence = judgement.evidence(&request, &arrival);
    assert_eq!(evidence.datagram.len(), Evidence::MAX_BYTES);
    assert_eq!(
        (evidence.t1, evidence.t2, evidence.t3, evidence.t4),
        (ntp(0), good().receive, good().transmit, ntp(21_000_000))
    );
}

/// The random receive field of a request in interleaved mode.
const SECOND_COOKIE: NtpTimestamp = NtpTimestamp(0x0fed_cba9_8765_4321);

/// A request that continues an exchange two seconds ago, in which the reply left the server after 1.5 ms.
fn continuing() -> Request<'static> {
    let ago = |after_ns: i64| ntp(-2 * SECOND_NS + after_ns);
    let previous = Previous {
        server: request().address,
        t1: ago(0),
        t2: ago(510_000_000),
        t4: ago(21_500_000),
        timestamping: ntp_monitor_core::sample::Timestamping::Kernel,
        sent: stamp(-2 * SECOND_NS),
    };
    Request { interleaved: Some((SECOND_COOKIE, previous)), ..request() }
}

/// The reply to it: T3 is that of the previous exchange.
fn interleaved() -> Packet {
    Packet { origin: SECOND_COOKIE, transmit: ntp(-2 * SECOND_NS + 511_500_000), ..good() }
}

#[test]
fn interleaved_reply_measures_the_exchange_before() {
    let judgement = judge_octets(&continuing(), &interleaved().to_bytes());
    let Verdict::Accepted(reply, measure) = judgement.verdict else { panic!("{judgement:?}") };
    assert_eq!(judgement.mode, sample::Mode::Interleaved);
    assert!((measure.offset_s - 0.5).abs() < 1e-9 && (measure.delay_s - 0.020).abs() < 1e-9, "{measure:?}");
    let age_s = 2.021;
    let expected_s =
        0.010 + reply.root_delay_s / 2.0 + reply.root_dispersion_s + reply.precision_s() + 1e-6 + age_s * 15e-6;
    assert!((measure.root_distance_s - expected_s).abs() < 1e-9, "the age of the exchange counts: {measure:?}");
    // The reference age is counted at the time of this reply, not of the previous one.
    assert!((reply.reference_age_s.unwrap() - 64.51).abs() < 1e-6, "{reply:?}");
    let arrival = Arrival {
        hop_limit: None,
        datagram: &interleaved().to_bytes(),
        sender: request().address,
        t4: ntp(21_000_000),
        received: stamp(21_000_000),
    };
    let evidence = judgement.evidence(&continuing(), &arrival);
    let previous = continuing().interleaved.unwrap().1;
    let expected = (previous.t1, previous.t2, interleaved().transmit, previous.t4);
    assert_eq!((evidence.t1, evidence.t2, evidence.t3, evidence.t4), expected);
}

#[test]
fn basic_reply_to_an_interleaved_request_measures_this_exchange() {
    let judgement = judge_octets(&continuing(), &good().to_bytes());
    let Verdict::Accepted(_, measure) = judgement.verdict else { panic!("{judgement:?}") };
    assert_eq!((judgement.mode, judgement.row.result(Check::Interleaved)), (sample::Mode::Basic, None));
    assert_eq!(measure, {
        let Verdict::Accepted(_, measure) = judge_packet(&good()).verdict else { panic!() };
        measure
    });
}

#[test]
fn interleaved_reply_needs_its_cookie_and_a_fitting_past() {
    let verdict = |change: fn(&mut Packet)| {
        let mut packet = interleaved();
        change(&mut packet);
        judge_octets(&continuing(), &packet.to_bytes()).verdict
    };
    assert_eq!(judge_packet(&interleaved()).verdict, Verdict::Rejected(Check::Origin), "the request was basic");
    assert_eq!(verdict(|p| p.origin = NtpTimestamp(SECOND_COOKIE.0 ^ 1)), Verdict::Rejected(Check::Origin));
    assert_eq!(verdict(|p| p.origin = ntp(-2 * SECOND_NS + 510_000_000)), Verdict::Rejected(Check::Origin), "T2");
    assert_eq!(verdict(|p| p.transmit = ntp(511_000_000)), Verdict::Rejected(Check::Delay), "its own T3");
    assert_eq!(verdict(|p| p.receive = ntp(3 * SECOND_NS)), Verdict::Rejected(Check::Interleaved), "set forwards");
    assert_eq!(verdict(|p| p.receive = ntp(-SECOND_NS)), Verdict::Rejected(Check::Interleaved), "set back");
    let stepped = Request {
        interleaved: continuing().interleaved.map(|(cookie, mut previous)| {
            previous.sent.wall_ns -= SECOND_NS;
            (cookie, previous)
        }),
        ..continuing()
    };
    let judgement = judge_octets(&stepped, &interleaved().to_bytes());
    assert_eq!(judgement.verdict, Verdict::Rejected(Check::LocalStep), "this host's clock was stepped in between");
}

proptest! {
    /// A sender that does not know the cookie is always rejected, whatever it sends.
    #[test]
    fn datagram_without_the_cookie_is_always_rejected(
        mut datagram in proptest::collection::vec(any::<u8>(), 0..200),
        shape in proptest::bool::ANY,
    ) {
        if shape && datagram.len() >= HEADER_LEN {
            datagram[0] = 0b00_100_100;
            datagram.truncate(HEADER_LEN);
        }
        let judgement = judge_octets(&request(), &datagram);
        prop_assert!(matches!(judgement.verdict, Verdict::Rejected(_)), "{judgement:?}");
        prop_assert!(judgement.row.first_failure().is_some());
    }

    /// With the cookie, an accepted reply has a finite measure within its bounds.
    #[test]
    fn accepted_measure_is_finite(header in proptest::array::uniform32(any::<u8>()), late in any::<[u8; 8]>()) {
        let mut datagram = [0; HEADER_LEN];
        datagram[..32].copy_from_slice(&header);
        datagram[0] = 0b00_100_100 | header[0] & 0b1100_0000;
        datagram[24..32].copy_from_slice(&request().cookie.0.to_be_bytes());
        datagram[32..40].copy_from_slice(&good().receive.0.to_be_bytes());
        datagram[40..].copy_from_slice(&good().transmit.0.wrapping_add(u64::from(late[0]) << 24).to_be_bytes());
        let judgement = judge_octets(&request(), &datagram);
        if let Verdict::Accepted(reply, measure) = judgement.verdict {
            prop_assert!(measure.offset_s.is_finite() && measure.root_distance_s.is_finite());
            prop_assert!(measure.delay_s > 0.0 && measure.root_distance_s >= measure.delay_s / 2.0);
            prop_assert!((1..=15).contains(&reply.stratum));
        }
    }
}
