use std::net::{SocketAddr, UdpSocket};

use super::*;
use crate::probe::responder::{PATIENCE, Responder, answer, changed};
use ntp_monitor_core::ntp::{Check, KissCode, Leap, NtpShort, StatusCode};

/// Long enough for an unwanted datagram to arrive; no test depends on the exact value.
const SHORT: Duration = Duration::from_millis(150);
/// Long enough for a wanted datagram to arrive on a busy machine when the query runs until its deadline.
const AMPLE: Duration = Duration::from_secs(2);

async fn query(address: SocketAddr, timeout: Duration) -> ProbeReport {
    KernelEngine::new().probe(Query { address, timeout }).await
}

/// The engine's report about a server that answers one request with `script`.
async fn probe(timeout: Duration, script: impl FnOnce(&Packet) -> Vec<Vec<u8>> + Send + 'static) -> ProbeReport {
    let server = Responder::start("127.0.0.1:0", script);
    let report = query(server.address, timeout).await;
    assert_eq!(server.further_requests(), 0, "one query is one datagram");
    report
}

#[tokio::test]
async fn good_reply_has_kernel_timestamps_on_both_families() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let server = Responder::start(listen, |request| vec![answer(request).to_bytes().to_vec()]);
        let report = query(server.address, PATIENCE).await;
        assert_eq!(report.outcome, Outcome::Sample, "{report:?}");
        assert_eq!(report.timestamping, Some(Timestamping::Kernel));
        let measure = report.measure.unwrap();
        assert!(measure.offset_s.abs() <= measure.root_distance_s, "{measure:?}");
        assert_eq!(report.reply.unwrap().stratum, 2);
        assert_eq!(report.accepted.unwrap().checks.first_failure(), None);
    }
}

#[tokio::test]
async fn request_reveals_nothing_and_its_cookie_changes() {
    let (cookies, seen) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let cookies = cookies.clone();
        let report = probe(PATIENCE, move |request| {
            assert_eq!(*request, Packet::request(request.transmit.0));
            cookies.send(request.transmit).unwrap();
            vec![answer(request).to_bytes().to_vec()]
        })
        .await;
        assert_eq!(report.outcome, Outcome::Sample);
    }
    assert_ne!(seen.recv().unwrap(), seen.recv().unwrap());
}

#[tokio::test]
async fn bad_datagrams_become_evidence_and_the_query_goes_on() {
    let report = probe(PATIENCE, |request| {
        vec![
            changed(request, |p| p.origin = NtpTimestamp(1)),
            answer(request).to_bytes()[..40].to_vec(),
            [&answer(request).to_bytes()[..], &[0; 700]].concat(),
            vec![],
            changed(request, |p| p.mode = ntp_monitor_core::ntp::Mode::Broadcast),
            changed(request, |p| (p.stratum, p.refid, p.origin) = (0, RefId(*b"DENY"), NtpTimestamp(2))),
            answer(request).to_bytes().to_vec(),
        ]
    })
    .await;
    assert_eq!(report.outcome, Outcome::Sample, "{report:?}");
    assert_eq!(report.rejected_count, 6);
    let kept: Vec<_> = report.rejected.iter().map(|evidence| evidence.checks.first_failure().unwrap()).collect();
    assert_eq!(kept, [Check::Length, Check::Length, Check::Mode, Check::Origin], "the oldest make room");
}

#[tokio::test]
async fn at_the_deadline_the_outcome_names_the_failed_check() {
    let stays_bad = async |check: Check| {
        let spoil = move |p: &mut Packet| match check {
            Check::ZeroTimestamp => p.transmit = NtpTimestamp::ZERO,
            Check::RootDistance => p.root_delay = NtpShort::from_seconds(60.0),
            _ => p.refid = RefId([127, 0, 0, 1]),
        };
        let report = probe(AMPLE, move |request| vec![changed(request, spoil)]).await;
        assert_eq!(report.outcome, Outcome::Rejected(check));
        assert_eq!((report.measure, report.rejected_count), (None, 1));
    };
    let checks = [Check::ZeroTimestamp, Check::RootDistance, Check::Loop];
    futures_util::future::join_all(checks.map(stays_bad)).await;
}

#[tokio::test]
async fn repeated_bad_reply_keeps_its_first_fault() {
    let report = probe(AMPLE, |request| {
        let bad = changed(request, |p| p.root_delay = NtpShort::from_seconds(60.0));
        vec![bad.clone(), bad]
    })
    .await;
    assert_eq!(report.outcome, Outcome::Rejected(Check::RootDistance));
    let failures: Vec<_> = report.rejected.iter().map(|evidence| evidence.checks.first_failure()).collect();
    assert_eq!(failures, [Some(Check::RootDistance), Some(Check::Duplicate)]);
}

#[tokio::test]
async fn unsynchronised_server_replies_but_gives_no_offset() {
    let cases: [fn(&mut Packet); 2] = [|p| p.leap = Leap::Unknown, |p| p.stratum = 16];
    for change in cases {
        let report = probe(PATIENCE, move |request| vec![changed(request, change)]).await;
        assert_eq!(report.outcome, Outcome::Unsynchronised(None));
        assert!(report.reply.is_some() && report.measure.is_none());
    }
}

#[tokio::test]
async fn starting_server_is_unsynchronised_with_its_code() {
    let report = probe(PATIENCE, |request| {
        vec![changed(request, |p| {
            (p.stratum, p.refid, p.leap) = (0, RefId(*b"INIT"), Leap::Unknown);
            (p.reference, p.receive, p.transmit) = [NtpTimestamp::ZERO; 3].into();
        })]
    })
    .await;
    assert_eq!(report.outcome, Outcome::Unsynchronised(StatusCode::parse("INIT")));
    assert!(report.reply.is_some_and(|reply| reply.stratum == 0));
}

#[tokio::test]
async fn kiss_ends_the_query_with_its_code() {
    for code in [b"RATE", b"DENY"] {
        let report = probe(PATIENCE, move |request| {
            vec![changed(request, |p| (p.stratum, p.refid, p.leap) = (0, RefId(*code), Leap::Unknown))]
        })
        .await;
        assert_eq!(report.outcome, Outcome::Kiss(KissCode::from_refid(RefId(*code)).unwrap()));
        assert_eq!(report.measure, None);
    }
}

#[tokio::test]
async fn no_reply_is_a_timeout_and_costs_one_datagram() {
    let report = probe(SHORT, |_| vec![]).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert_eq!(report.timestamping, None);
}

#[tokio::test]
async fn reply_after_the_deadline_is_ignored() {
    let server = Responder::start("127.0.0.1:0", |request| {
        // This test needs a late reply; the query is over by then, or the assertion below fails.
        std::thread::sleep(2 * SHORT);
        vec![answer(request).to_bytes().to_vec()]
    });
    assert_eq!(query(server.address, SHORT).await.outcome, Outcome::Timeout);
}

/// The engine's report about a silent server, while `datagram` comes from another port.
async fn answered_from_elsewhere(datagram: fn(&Packet) -> Vec<u8>) -> (SocketAddr, ProbeReport) {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = elsewhere.local_addr().unwrap();
    let address = server.local_addr().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    // Kept open until the query is over: a closed port would cause a refusal.
    let kept = server.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 48];
        let (_, client) = server.recv_from(&mut buffer).unwrap();
        elsewhere.send_to(&datagram(&Packet::from_header(&buffer)), client).unwrap();
    });
    let report = query(address, AMPLE).await;
    drop(kept);
    (stranger, report)
}

#[tokio::test]
async fn reply_from_another_port_is_rejected() {
    let (sender, report) = answered_from_elsewhere(|request| answer(request).to_bytes().to_vec()).await;
    assert_eq!(report.outcome, Outcome::Rejected(Check::Sender));
    let [evidence] = report.rejected.as_slice() else { panic!("{report:?}") };
    assert_eq!(evidence.sender, Some(sender));
}

#[tokio::test]
async fn strangers_datagram_is_evidence_but_no_reply() {
    let (_, report) = answered_from_elsewhere(|_| answer(&Packet::request(7)).to_bytes().to_vec()).await;
    assert_eq!((report.outcome, report.rejected_count), (Outcome::Timeout, 1));
}

#[tokio::test]
async fn closed_port_is_refused_at_once_on_both_families() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let closed = UdpSocket::bind(listen).unwrap().local_addr().unwrap();
        // If the refusal were missed, this would time out after ten seconds.
        assert_eq!(query(closed, PATIENCE).await.outcome, Outcome::Refused);
    }
}

#[tokio::test]
async fn unreachable_address_is_a_local_fault() {
    let report = query("255.255.255.255:123".parse().unwrap(), PATIENCE).await;
    assert!(matches!(report.outcome, Outcome::Fault(_)), "{report:?}");
}

#[tokio::test]
async fn concurrent_queries_do_not_affect_each_other() {
    let servers: Vec<_> =
        (0..50).map(|_| Responder::start("127.0.0.1:0", |request| vec![answer(request).to_bytes().to_vec()])).collect();
    let engine = KernelEngine::new();
    let queries = servers.iter().map(|server| engine.probe(Query { address: server.address, timeout: PATIENCE }));
    for report in futures_util::future::join_all(queries).await {
        assert_eq!((report.outcome, report.timestamping), (Outcome::Sample, Some(Timestamping::Kernel)));
    }
}

#[test]
fn the_label_says_which_stamps_the_kernel_gave() {
    let at = |wall_ns| Stamp::new(wall_ns, wall_ns, 0);
    let ntp = NtpTimestamp::from_unix_ns;
    let (sent, received) = (at(1_000), at(9_000));
    let (tx, rx) = (Some(ntp(2_000)), Some(ntp(8_000)));
    assert_eq!(best_stamps(tx, rx, sent, received), (ntp(2_000), ntp(8_000), Timestamping::Kernel));
    assert_eq!(best_stamps(None, rx, sent, received), (ntp(1_000), ntp(8_000), Timestamping::KernelRx));
    assert_eq!(best_stamps(tx, None, sent, received), (ntp(1_000), ntp(9_000), Timestamping::Userland));
    assert_eq!(best_stamps(None, None, sent, received), (ntp(1_000), ntp(9_000), Timestamping::Userland));
}
