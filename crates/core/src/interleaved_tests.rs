use super::*;

const SECOND_NS: i64 = 1_000_000_000;

fn ntp(at_ns: i64) -> NtpTimestamp {
    NtpTimestamp::from_unix_ns(1_800_000_000 * SECOND_NS + at_ns)
}

/// An exchange that began at this time: 1 ms there, 1 ms back.
fn exchange(at_ns: i64) -> Previous {
    let [t1, t2, t4] = [0, 1_000_000, 2_000_000].map(|after_ns| ntp(at_ns + after_ns));
    let sent = Stamp::new(1_800_000_000 * SECOND_NS + at_ns, at_ns, 0);
    Previous { server: ([192, 0, 2, 1], 123).into(), t1, t2, t4, timestamping: Timestamping::Kernel, sent }
}

fn answered(was_asked: bool, reply: Mode, at_ns: i64) -> Ended {
    Ended { was_asked, reply: Some(reply), is_odd: false, exchange: Some(exchange(at_ns)) }
}

fn lost() -> Ended {
    Ended { was_asked: true, ..Ended::default() }
}

#[test]
fn first_request_is_basic_and_the_next_quotes_the_exchange() {
    let mut state = Interleaving::new(Policy::Auto);
    assert_eq!(state.take(), None);
    state.ended(&answered(false, Mode::Basic, 5), 6);
    assert_eq!(state.take(), Some(Continued { previous: exchange(5), until_ns: 5 + Policy::AUTO_AGE_NS }));
    assert_eq!(state.take(), None, "an exchange is quoted once");
    assert_eq!(state.support(), Support::Unknown);
    state.ended(&answered(true, Mode::Interleaved, 7), 8);
    assert_eq!((state.support(), state.take().map(|taken| taken.previous)), (Support::Offered, Some(exchange(7))));
}

#[test]
fn loss_or_refusal_falls_back_at_once() {
    for policy in [Policy::Auto, Policy::Always] {
        let mut state = Interleaving::new(policy);
        state.ended(&answered(false, Mode::Basic, 0), 0);
        assert!(state.take().is_some());
        state.ended(&lost(), 1);
        assert_eq!(state.take(), None, "the request after a loss is basic");
        state.ended(&answered(false, Mode::Basic, 2), 2);
        assert!(state.take().is_some(), "one loss is not odd");
    }
}

#[test]
fn servers_without_it_are_left_alone_for_an_hour() {
    let mut state = Interleaving::new(Policy::Auto);
    state.ended(&answered(false, Mode::Basic, 0), 0);
    for _ in 0..3 {
        assert_ne!(state.support(), Support::NotOffered);
        assert!(state.take().is_some());
        state.ended(&answered(true, Mode::Basic, 0), 0);
    }
    assert_eq!((state.support(), state.take()), (Support::NotOffered, None));
    state.ended(&answered(false, Mode::Basic, 1), Policy::REST_NS - 1);
    assert_eq!(state.take(), None);
    state.ended(&answered(false, Mode::Basic, 2), Policy::REST_NS);
    assert!(state.take().is_some(), "it may have been upgraded");
}

#[test]
fn odd_replies_and_repeated_losses_pause_auto_but_not_always() {
    let odd = Ended { is_odd: true, ..lost() };
    for (policy, is_asked) in [(Policy::Auto, false), (Policy::Always, true)] {
        for (ended, times) in [(odd, 1), (lost(), 3)] {
            let mut state = Interleaving::new(policy);
            for _ in 0..times {
                state.ended(&answered(false, Mode::Basic, 0), 0);
                assert!(state.take().is_some());
                state.ended(&ended, 0);
                assert_eq!(state.take(), None);
            }
            state.ended(&answered(false, Mode::Basic, 0), 0);
            assert_eq!(state.take().is_some(), is_asked, "{policy:?} {ended:?}");
        }
    }
}

#[test]
fn never_keeps_nothing() {
    let mut state = Interleaving::new(Policy::Never);
    state.ended(&answered(false, Mode::Basic, 0), 0);
    assert_eq!((state.take(), state.support()), (None, Support::Unknown));
}

/// The reply a second later, of a server whose clock was moved by `moved_ns` after the first reply.
fn next(moved_ns: i64) -> Next {
    let [t1, t4] = [0, 2_000_000].map(|after_ns| ntp(SECOND_NS + after_ns));
    Next { t1, t2: ntp(SECOND_NS + 1_000_000 + moved_ns), t3: ntp(1_001_000), t4 }
}

#[test]
fn server_that_was_set_or_restarted_in_between_does_not_fit() {
    let fits = |moved_ns| exchange(0).is_continued_by(&next(moved_ns), 1e-3);
    // A path may be slower or faster by up to a round trip of 2 ms; 0.5 ms of slew and 1 ms of precision are tolerated.
    assert!(fits(0) && fits(3_400_000) && fits(-3_400_000));
    assert!(!fits(3_600_000) && !fits(-3_600_000), "set by 4 ms");
    assert!(!fits(-SECOND_NS - SECOND_NS / 2), "it received the request before it had sent the first reply");
}

#[test]
fn offset_of_the_servers_clock_does_not_matter() {
    let ahead = 12_345 * SECOND_NS;
    let shifted = |stamp: NtpTimestamp| NtpTimestamp(stamp.0.wrapping_add((12_345_u64) << 32));
    let (first, second) = (exchange(0), next(0));
    let first = Previous { t2: shifted(first.t2), ..first };
    assert_eq!(first.t2, ntp(1_000_000 + ahead));
    let second = Next { t2: shifted(second.t2), t3: shifted(second.t3), ..second };
    assert!(first.is_continued_by(&second, 1e-6));
}
