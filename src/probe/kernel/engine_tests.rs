use std::net::{SocketAddr, UdpSocket};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::probe::SntpEngine;
use crate::probe::responder::{PATIENCE, Responder, answer, changed};
use ntp_monitor_core::ntp::{Check, KissCode, Leap, NtpShort, NtpTimestamp, Packet, RefId, StatusCode};
use ntp_monitor_core::sample::Timestamping;

/// Long enough for an unwanted datagram to arrive; no test depends on the exact value.
const SHORT: Duration = Duration::from_millis(150);
/// Long enough for a wanted datagram to arrive on a busy machine when the query runs until its deadline.
const AMPLE: Duration = Duration::from_secs(2);

async fn query(address: SocketAddr, timeout: Duration) -> ProbeReport {
    KernelEngine::new().probe(Query::plain(address, timeout)).await
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
        let accepted = report.accepted.unwrap();
        assert_eq!((accepted.checks.first_failure(), accepted.hop_limit), (None, Some(64)));
    }
}

#[tokio::test]
async fn request_that_missed_its_slot_is_not_sent() {
    let server = Responder::start("127.0.0.1:0", |request| vec![answer(request).to_bytes().to_vec()]);
    let query = |latest_ns| Query { latest_ns: Some(latest_ns), ..Query::plain(server.address, PATIENCE) };
    let (engine, now_ns) = (KernelEngine::new(), crate::clock::now().mono_ns);
    for engine in [&engine as &dyn ProbeEngine, &SntpEngine::new()] {
        assert!(engine.probe(query(now_ns - 1)).await.is_late);
    }
    // The server answers one request only: it was not one of the late ones.
    let report = engine.probe(query(now_ns + 1_000_000_000_000)).await;
    assert_eq!((report.is_late, report.outcome), (false, Outcome::Sample));
    assert_eq!(server.further_requests(), 0);
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
    join_all(checks.map(stays_bad)).await;
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

/// The engine's report about a silent server, while `datagram` arrives from another port.
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
async fn strangers_datagram_without_the_cookie_is_ignored() {
    let (_, report) = answered_from_elsewhere(|_| answer(&Packet::request(7)).to_bytes().to_vec()).await;
    assert_eq!((report.outcome, report.rejected_count), (Outcome::Timeout, 0), "the socket is not this query's alone");
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
    let queries = servers.iter().map(|server| engine.probe(Query::plain(server.address, PATIENCE)));
    for report in join_all(queries).await {
        assert_eq!((report.outcome, report.timestamping), (Outcome::Sample, Some(Timestamping::Kernel)));
    }
}

/// An engine that sends everything through one socket.
fn with_one_socket() -> KernelEngine {
    KernelEngine::with(Options { sockets: 1, ..Options::detect() })
}

fn good_server() -> Responder {
    Responder::start("127.0.0.1:0", |request| vec![answer(request).to_bytes().to_vec()])
}

fn closed_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn reply_through_another_socket_is_ignored() {
    let engine = KernelEngine::with(Options { sockets: 2, ..Options::detect() });
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (ports, seen) = channel();
    std::thread::spawn(move || {
        let (mut buffer, mut clients) = ([0; 48], Vec::new());
        while let Ok((48, client)) = server.recv_from(&mut buffer) {
            if !clients.contains(&client) {
                clients.push(client);
            }
            // Once both ports are known, it answers to the wrong one.
            let other = clients.iter().find(|other| clients.len() == 2 && **other != client).unwrap_or(&client);
            let reply = answer(&Packet::from_header(&buffer)).to_bytes();
            if server.send_to(&reply, other).is_err() || ports.send(clients.len()).is_err() {
                return;
            }
        }
    });
    loop {
        let outcome = engine.probe(Query::plain(address, AMPLE)).await.outcome;
        if seen.recv().unwrap() == 2 {
            assert_eq!(outcome, Outcome::Timeout);
            return;
        }
        assert_eq!(outcome, Outcome::Sample);
    }
}

#[tokio::test]
async fn refusals_amid_a_batch_concern_no_other_query() {
    let engine = with_one_socket();
    let servers: Vec<_> = (0..40).map(|_| good_server()).collect();
    let queries = servers.iter().flat_map(|server| [closed_port(), server.address]);
    let reports = join_all(queries.map(|address| engine.probe(Query::plain(address, PATIENCE)))).await;
    for pair in reports.chunks(2) {
        assert_eq!((&pair[0].outcome, &pair[1].outcome), (&Outcome::Refused, &Outcome::Sample));
        assert_eq!(pair[1].timestamping, Some(Timestamping::Kernel));
    }
    assert!(servers.iter().all(|server| server.further_requests() == 0), "one query is one datagram");
}

#[tokio::test]
async fn local_faults_amid_a_batch_concern_no_other_query() {
    let engine = with_one_socket();
    let servers: Vec<_> = (0..5).map(|_| good_server()).collect();
    let forbidden: SocketAddr = "255.255.255.255:123".parse().unwrap();
    let queries = servers.iter().flat_map(|server| [forbidden, server.address]);
    let reports = join_all(queries.map(|address| engine.probe(Query::plain(address, PATIENCE)))).await;
    for pair in reports.chunks(2) {
        assert!(matches!(pair[0].outcome, Outcome::Fault(_)), "{:?}", pair[0]);
        assert_eq!(pair[1].outcome, Outcome::Sample);
    }
}

#[tokio::test]
async fn kernel_without_numbered_requests_gives_the_same_results() {
    let engine = KernelEngine::with(Options { numbered: false, sockets: 1, ..Options::detect() });
    let servers: Vec<_> = ["127.0.0.1:0", "[::1]:0"]
        .into_iter()
        .cycle()
        .take(20)
        .map(|listen| Responder::start(listen, |request| vec![answer(request).to_bytes().to_vec()]))
        .collect();
    let queries = servers.iter().flat_map(|server| [server.address, closed_port()]);
    let reports = join_all(queries.map(|address| engine.probe(Query::plain(address, PATIENCE)))).await;
    for pair in reports.chunks(2) {
        assert_eq!((&pair[0].outcome, pair[0].timestamping), (&Outcome::Sample, Some(Timestamping::Kernel)));
        let measure = pair[0].measure.unwrap();
        assert!(measure.offset_s.abs() <= measure.root_distance_s, "another request's T1 would be far off");
        assert_eq!(pair[1].outcome, Outcome::Refused);
    }
}

/// Sends forged datagrams as fast as one thread can, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn start(victim: SocketAddr, origin: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let forged = answer(&Packet::request(origin)).to_bytes();
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            while !stopped.load(Ordering::Relaxed) {
                // The send may fail because the victim's queue is full, which is the purpose.
                let _ = socket.send_to(&forged, victim);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Makes queries while forged replies arrive whose origin timestamp `forge` derives from the cookie of an earlier one.
async fn query_in_flood(forge: fn(u64) -> u64) {
    // A small buffer, so that one thread can send more than it holds between two reads.
    let engine = KernelEngine::with(Options { sockets: 1, receive_buffer: 1 << 15, ..Options::detect() });
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (requests, seen) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 48];
        while let Ok((48, client)) = server.recv_from(&mut buffer) {
            let request = Packet::from_header(&buffer);
            // Time for the flood to fill the buffer before the reply arrives.
            std::thread::sleep(Duration::from_millis(30));
            if server.send_to(&answer(&request).to_bytes(), client).is_err()
                || requests.send((client, request)).is_err()
            {
                return;
            }
        }
    });
    let outcome = async |timeout| engine.probe(Query::plain(address, timeout)).await.outcome;
    assert_eq!(outcome(PATIENCE).await, Outcome::Sample);
    let (client, request) = seen.recv().unwrap();
    let flood = Flood::start(client, forge(request.transmit.0));
    // The engine detects a flood while a query waits; until then, replies can be lost. Undetected, it would cost most
    // replies.
    let no_loss = async {
        let mut in_a_row = 0;
        while in_a_row < 30 {
            in_a_row = if outcome(Duration::from_millis(500)).await == Outcome::Sample { in_a_row + 1 } else { 0 };
        }
    };
    tokio::time::timeout(3 * PATIENCE, no_loss).await.unwrap();
    drop(flood);
}

#[tokio::test]
async fn flood_of_forged_replies_loses_no_reply() {
    query_in_flood(|_| 7).await;
}

#[tokio::test]
async fn flood_with_the_tag_of_the_socket_loses_no_reply() {
    query_in_flood(|cookie| cookie ^ 1).await;
}

#[tokio::test]
async fn ended_thread_is_replaced_at_the_next_query() {
    let engine = KernelEngine::new();
    for _ in 0..2 {
        let report = engine.probe(Query::plain(good_server().address, PATIENCE)).await;
        assert_eq!(report.outcome, Outcome::Sample);
        let orders = engine.shared.orders.lock().unwrap().clone().unwrap();
        // A panic of the thread has the same effect.
        orders.close();
    }
}

#[tokio::test]
async fn thread_ends_with_the_last_clone_of_the_engine() {
    let engine = KernelEngine::new();
    let clone = engine.clone();
    assert_eq!(query_with(&engine, good_server().address).await, Outcome::Sample);
    let orders: Weak<Orders> = Arc::downgrade(engine.shared.orders.lock().unwrap().as_ref().unwrap());
    drop(engine);
    assert_eq!(query_with(&clone, good_server().address).await, Outcome::Sample);
    drop(clone);
    let has_ended = async {
        while orders.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has_ended).await.unwrap();
}

async fn query_with(engine: &KernelEngine, address: SocketAddr) -> Outcome {
    engine.probe(Query::plain(address, PATIENCE)).await.outcome
}
