//! No datagram panics the judge; nothing without the cookie is believed; what is accepted is finite.

use ntp_monitor::probe::judge::{Arrival, Request, Verdict, judge};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::interleaved::Previous;
use ntp_monitor_core::ntp::{Check, NtpTimestamp, RefId};
use ntp_monitor_core::sample::{Mode, Timestamping};

const NOW_NS: i64 = 1_800_000_000_000_000_000;
/// Short enough for the fuzzer to find.
const COOKIE: NtpTimestamp = NtpTimestamp(u64::from_be_bytes(*b"COOKIE!!"));
const SECOND_COOKIE: NtpTimestamp = NtpTimestamp(u64::from_be_bytes(*b"SECOND!!"));

pub fn check(datagram: &[u8]) {
    let stamp = |after_ns| Stamp::new(NOW_NS + after_ns, after_ns, NOW_NS);
    let address = ([192, 0, 2, 1], 123).into();
    let previous = Previous {
        server: address,
        t1: NtpTimestamp::from_unix_ns(NOW_NS - 1_000_000_000),
        t2: NtpTimestamp::from_unix_ns(NOW_NS - 990_000_000),
        t4: NtpTimestamp::from_unix_ns(NOW_NS - 980_000_000),
        timestamping: Timestamping::Kernel,
        sent: stamp(-1_000_000_000),
    };
    let request = Request {
        address,
        cookie: COOKIE,
        interleaved: Some((SECOND_COOKIE, previous)),
        t1: NtpTimestamp::from_unix_ns(NOW_NS),
        sent: stamp(0),
        own_refid: Some(RefId([192, 0, 2, 99])),
        own_precision_s: 1e-6,
        refused_transmit: None,
        ticket: None,
    };
    let t4 = NtpTimestamp::from_unix_ns(NOW_NS + 20_000_000);
    let arrival = Arrival { datagram, hop_limit: None, sender: address, t4, received: stamp(20_000_000) };
    let judgement = judge(&request, &arrival);
    let _ = judgement.evidence(&request, &arrival);
    if let Verdict::Accepted(_, measure) = judgement.verdict {
        assert_eq!(judgement.row.result(Check::Origin), Some(true));
        let is_interleaved = judgement.mode == Mode::Interleaved;
        let cookie = if is_interleaved { SECOND_COOKIE } else { COOKIE };
        assert_eq!(datagram[24..32], cookie.0.to_be_bytes());
        assert_eq!(judgement.row.result(Check::Interleaved), is_interleaved.then_some(true));
        assert!(measure.offset_s.is_finite() && measure.root_distance_s.is_finite());
        assert!(measure.delay_s > 0.0 && measure.root_distance_s >= measure.delay_s / 2.0);
    }
}
