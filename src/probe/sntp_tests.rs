use std::time::Duration;

use super::*;
use crate::probe::responder::{PATIENCE, Responder, answer, changed};
use ntp_monitor_core::ntp::Packet;

const SHORT: Duration = Duration::from_millis(150);

async fn query(address: SocketAddr, timeout: Duration) -> ProbeReport {
    SntpEngine::new().probe(Query::plain(address, timeout)).await
}

/// The outcome with a server that answers one request with a good reply after `change`.
async fn outcome(change: impl FnOnce(&mut Packet) + Send + 'static) -> Outcome {
    let server = Responder::start("127.0.0.1:0", move |request| vec![changed(request, change)]);
    let report = query(server.address, PATIENCE).await;
    assert_eq!(report.measure.is_some(), report.outcome == Outcome::Sample);
    assert_eq!(server.further_requests(), 0);
    report.outcome
}

#[tokio::test]
async fn good_reply_is_labelled_userland_on_both_families() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let server = Responder::start(listen, |request| vec![answer(request).to_bytes().to_vec()]);
        let report = query(server.address, PATIENCE).await;
        assert_eq!((report.outcome, report.timestamping), (Outcome::Sample, Some(Timestamping::Userland)));
        let measure = report.measure.unwrap();
        assert!(measure.offset_s.abs() <= measure.delay_s / 2.0 + 1e-6, "{measure:?}");
        assert!(measure.root_distance_s > ASSUMED_DISPERSION_S, "what is not shown must not look perfect");
    }
}

#[tokio::test]
async fn missing_timestamps_are_rejected() {
    let none = outcome(|p| (p.receive, p.transmit) = (NtpTimestamp::ZERO, NtpTimestamp::ZERO)).await;
    assert_eq!(none, Outcome::Rejected(Check::ZeroTimestamp));
    assert_eq!(outcome(|p| p.transmit = NtpTimestamp::ZERO).await, Outcome::Rejected(Check::Delay));
    assert_eq!(outcome(|p| p.receive = NtpTimestamp::ZERO).await, Outcome::Rejected(Check::ServerTime));
}

#[tokio::test]
async fn negative_delay_is_rejected() {
    let spoiled = outcome(|p| p.transmit = NtpTimestamp(p.transmit.0 + (1 << 36))).await;
    assert_eq!(spoiled, Outcome::Rejected(Check::Delay));
}

#[tokio::test]
async fn other_replies_map_to_their_outcomes() {
    assert_eq!(outcome(|p| p.leap = Leap::Unknown).await, Outcome::Unsynchronised(None));
    assert_eq!(outcome(|p| p.stratum = 16).await, Outcome::Unsynchronised(None));
    assert_eq!(outcome(|p| (p.stratum, p.refid) = (0, RefId([0; 4]))).await, Outcome::Unsynchronised(None));
    assert_eq!(outcome(|p| (p.stratum, p.refid) = (0, RefId(*b"RATE"))).await, Outcome::Kiss(KissCode::RATE));
    assert_eq!(outcome(|p| p.origin = NtpTimestamp(1)).await, Outcome::Rejected(Check::Origin));
    assert_eq!(outcome(|p| p.refid = RefId([127, 0, 0, 1])).await, Outcome::Rejected(Check::Loop));
}

#[tokio::test]
async fn no_reply_is_a_timeout_and_a_closed_port_a_refusal() {
    let silent = Responder::start("127.0.0.1:0", |_| vec![]);
    assert_eq!(query(silent.address, SHORT).await.outcome, Outcome::Timeout);
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(query(closed, PATIENCE).await.outcome, Outcome::Refused);
}

#[test]
fn clock_outside_of_the_engines_range_is_a_fault() {
    let at = |unix_s: i64| unfit_clock(Stamp::new(unix_s * 1_000_000_000, 0, 0)).is_some();
    assert_eq!([-1, 0, MIDDLE_OF_ERA_1_UNIX_S - 1].map(at), [true, false, false]);
    assert_eq!([MIDDLE_OF_ERA_1_UNIX_S, 6_380_945_792].map(at), [true, true]);
}

#[test]
fn codes_are_kisses_or_say_why_there_is_no_time() {
    assert_eq!(outcome_of_code(RsntpKiss::RateExceeded), Outcome::Kiss(KissCode::RATE));
    assert_eq!(outcome_of_code(RsntpKiss::AccessDenied), Outcome::Kiss(KissCode::DENY));
    assert_eq!(outcome_of_code(RsntpKiss::StepChange), Outcome::Unsynchronised(StatusCode::parse("STEP")));
    assert_eq!(outcome_of_code(RsntpKiss::Unknown), Outcome::Unsynchronised(None));
}
