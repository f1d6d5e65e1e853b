use super::*;

const INCARNATION: &str = "0123456789abcdef0123456789abcdef";

fn head(first_seq: u64) -> Head<'static> {
    Head { vantage: "ams", incarnation: INCARNATION, first_seq, lost_before: 0 }
}

fn good(wall_ns: i64) -> Sample {
    Sample {
        at: Stamp { wall_ns, mono_ns: wall_ns / 2, raw_ns: -7, boot_ns: 3 },
        address: "192.0.2.1:123".parse().ok(),
        outcome: Outcome::Sample,
        measure: Some(Measure { offset_s: 0.1 + 0.2, delay_s: 1e-9, root_distance_s: 0.5 }),
        reply: Some(Reply {
            stratum: 2,
            leap: Leap::from_bits(1),
            refid: RefId([1, 2, 3, 4]),
            precision_log2: -23,
            root_delay_s: 0.25,
            root_dispersion_s: 0.125,
            reference_age_s: Some(17.5),
        }),
        timestamping: Some(Timestamping::KernelRx),
        authentication: Authentication::Nts,
        mode: Mode::Interleaved,
        sent: 3,
        lost: 2,
        ..Sample::unasked(Stamp::default(), ServerIdent::seen_from("ams", "a"), Outcome::Timeout, 64.0)
    }
}

fn unresolved() -> Sample {
    let at = Stamp::new(1_800_000_000_000_000_000, 5, 6);
    Sample::unasked(at, ServerIdent::seen_from("ams", "b"), Outcome::Dns("no such name".into()), 60.0)
}

fn valid() -> Envelope {
    Envelope::decode(&*encode(head(7), &[good(1_000_000_000)])).unwrap()
}

fn refusal(change: impl FnOnce(&mut Envelope)) -> Junk {
    let mut envelope = valid();
    change(&mut envelope);
    decode("ams", &envelope.encode_to_vec()).unwrap_err()
}

#[test]
fn samples_arrive_as_they_were_sent() {
    let samples = [good(1_790_000_000_123_456_789), unresolved(), good(1)];
    let received = decode("ams", &encode(Head { lost_before: 2, ..head(40) }, &samples)).unwrap();
    assert_eq!((received.first_seq, received.lost_before, &*received.incarnation), (40, 2, INCARNATION));
    let plain: Vec<Sample> = received.samples.iter().map(|sample| (**sample).clone()).collect();
    assert_eq!(plain, samples);
}

#[test]
fn fields_of_a_newer_release_are_skipped() {
    let mut bytes = encode(head(0), &[good(9)]);
    bytes.extend([0xfa, 0x01, 0x03, b'n', b'e', b'w']);
    assert_eq!(decode("ams", &bytes).unwrap().samples.len(), 1);
}

#[test]
fn a_greater_version_is_named_and_not_guessed() {
    assert_eq!(refusal(|envelope| envelope.v = 2), Junk::Version(2));
    assert!(refusal(|envelope| envelope.v = 2).to_string().contains("upgrade the hub first"));
}

#[test]
fn message_under_the_name_of_another_vantage_is_refused() {
    assert_eq!(decode("ber", &encode(head(0), &[good(9)])), Err(Junk::Vantage));
}

#[test]
fn every_truncation_is_refused_or_shorter() {
    let whole = encode(head(0), &[good(9), good(10)]);
    for length in 0..whole.len() {
        if let Ok(received) = decode("ams", &whole[..length]) {
            assert!(received.samples.len() < 2, "{length} of {} bytes", whole.len());
        }
    }
}

#[test]
fn impossible_values_are_refused() {
    assert!(matches!(refusal(|e| e.incarnation = "x".into()), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.first_seq = u64::MAX), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.lost_before = 8), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].server = 1), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].wall_ns = i64::MAX), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].outcome = "fine".into()), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].measure = None), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].poll_s = f64::NAN), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.samples[0].timestamping = 9), Junk::Value(_)));
    assert!(matches!(refusal(|e| e.servers[0].name = "a\nb".into()), Junk::Value(_)));
    let nan = |e: &mut Envelope| e.samples[0].measure.as_mut().unwrap().offset_s = f64::NAN;
    assert!(matches!(refusal(nan), Junk::Value(_)));
}

#[test]
fn numbers_whose_sums_overflow_are_refused() {
    let changes: [fn(&mut Envelope); 5] = [
        |e| e.samples[0].measure.as_mut().unwrap().offset_s = -1.7e308,
        |e| e.samples[0].measure.as_mut().unwrap().delay_s = 1e100,
        |e| e.samples[0].measure.as_mut().unwrap().root_distance_s = 1e11,
        |e| e.samples[0].reply.as_mut().unwrap().root_dispersion_s = 1e300,
        |e| e.samples[0].reply.as_mut().unwrap().reference_age_s = Some(-1e300),
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let mut envelope = Envelope::decode(&*encode(head(0), &[good(9)])).unwrap();
        change(&mut envelope);
        assert!(matches!(decode("ams", &envelope.encode_to_vec()), Err(Junk::Value(_))), "{nth}");
    }
}

#[test]
fn many_names_and_large_messages_are_refused() {
    let name = Server { name: "n".into(), address: String::new() };
    assert_eq!(refusal(|e| e.servers = vec![name; 10_000]), Junk::TooLarge(10_000));
    assert_eq!(refusal(|e| e.samples = vec![e.samples[0].clone(); 501]), Junk::TooLarge(501));
    assert_eq!(decode("ams", &vec![0; 200_000]), Err(Junk::TooLarge(200_000)));
}

#[test]
fn full_message_fits_the_limit_of_the_stream() {
    let samples: Vec<Sample> = (0..MAX_SAMPLES as i64).map(|n| good(1_790_000_000_000_000_000 + n * 999_999)).collect();
    let bytes = encode(head(u32::MAX.into()), &samples);
    assert!(bytes.len() < MAX_BYTES, "{} bytes", bytes.len());
}

#[test]
fn joined_messages_carry_the_same_samples() {
    let parts = [vec![good(1_790_000_000_000_000_000), unresolved()], vec![good(5), good(1_790_000_000_000_000_007)]];
    let bodies = [encode(head(7), &parts[0]), encode(head(9), &parts[1])];
    let joined = join("ams", 3, &bodies.each_ref().map(Vec::as_slice)).unwrap();
    let received = decode("ams", &joined).unwrap();
    assert_eq!((received.first_seq, received.lost_before), (7, 3));
    assert!(received.samples.iter().map(|sample| &**sample).eq(parts.iter().flatten()));
    assert!(decode("ams", &joined).is_ok() && join("ams", 0, &[b"\xff"]).is_none());
}
