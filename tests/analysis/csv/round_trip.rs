//! Every sample is read back as it was written.

use super::*;

fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec!['=', '+', '-', '@', '\t', '\'', '"', ',', ';', ' ', 'a', 'ü', '\0']);
    prop::collection::vec(nasty, 1..8).prop_map(|chars| chars.into_iter().collect())
}

fn unsynchronised(code: Option<String>) -> Outcome {
    Outcome::Unsynchronised(code.and_then(|code| StatusCode::parse(&code)))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Sample),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Refused),
        2 => prop::option::of("[!-~]{1,4}").prop_map(unsynchronised),
        1 => prop::sample::select(KissCode::ALL.to_vec()).prop_map(Outcome::Kiss),
        1 => prop::sample::select(Check::ALL.to_vec()).prop_map(Outcome::Rejected),
        1 => text().prop_map(|why| Outcome::Dns(why.into())),
        1 => text().prop_map(|why| Outcome::Fault(why.into())),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let refid = prop_oneof!["[!-~]{1,4}".prop_map(|text| RefId::parse(&text).unwrap()), Just(RefId([10, 0, 0, 1]))];
    (any::<u8>(), 0..4_u8, refid, any::<i8>(), 0.0..65_536.0, 0.0..65_536.0, prop::option::of(0.0..2_147_483_648.0))
        .prop_map(|(stratum, leap, refid, precision_log2, root_delay_s, root_dispersion_s, reference_age_s)| Reply {
            stratum,
            leap: Leap::from_bits(leap),
            refid,
            precision_log2,
            root_delay_s,
            root_dispersion_s,
            reference_age_s,
        })
}

prop_compose! {
    fn sample()(
        (wall_ns, mono_ns, raw_ns, boot_ns) in any::<(i64, i64, i64, i64)>(),
        // The configuration has no names with blanks around them, and reading removes such blanks.
        name in text().prop_map(|name| name.trim().to_owned()).prop_filter("a name is not empty", |name| !name.is_empty()),
        address in any::<Option<std::net::SocketAddrV4>>(),
        outcome in outcome(),
        reply in reply(),
        (offset_s, delay_s, root_distance_s) in (-1e9..1e9, 0.0..1e3, 0.0..1e3),
        poll_s in 0.1..1e5,
        vantage in text().prop_map(|vantage| vantage.trim().to_owned()),
        timestamping in prop::option::of(prop::sample::select(Timestamping::ALL.to_vec())),
        authentication in prop::sample::select(Authentication::ALL.to_vec()),
        mode in prop::sample::select(Mode::ALL.to_vec()),
    ) -> Sample {
        let answered = matches!(outcome, Outcome::Sample | Outcome::Unsynchronised(_));
        let measured = outcome == Outcome::Sample;
        let at = Stamp { wall_ns, mono_ns, raw_ns, boot_ns };
        Sample {
            address: address.map(Into::into),
            reply: answered.then_some(reply),
            measure: measured.then_some(Measure { offset_s, delay_s, root_distance_s }),
            timestamping,
            authentication,
            mode,
            sent: 1,
            lost: u16::from(!answered),
            ..Sample::unasked(at, ServerIdent::seen_from(&vantage, &name), outcome, poll_s)
        }
    }
}

proptest! {
    #[test]
    fn every_outcome_comes_back_from_a_file_as_it_was(samples in prop::collection::vec(sample(), 1..8)) {
        let mut bytes = HEADER.as_bytes().to_vec();
        for sample in &samples {
            append_record(&mut bytes, "", sample);
        }
        let text = std::str::from_utf8(&bytes).unwrap();
        prop_assert_eq!(text.lines().count(), samples.len() + 1);
        let back: Vec<_> = read_from("f", &bytes[..]).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(back, samples);
    }
}
