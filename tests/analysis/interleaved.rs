//! Interleaved mode with chronyd, through the session of a target and the kernel engine, and with scripted servers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{Host, Nts};
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{KernelEngine, NtsTools, ProbeEngine, ProbeReport, ProbeSession};
use ntp_monitor_core::interleaved::{Policy, Support};
use ntp_monitor_core::ntp::{Check, Mode as PacketMode, NtpTimestamp, Packet, RefId};
use ntp_monitor_core::sample::{Authentication, Mode, Outcome, Timestamping};

use crate::common::authority::Authority;
use crate::common::chronyd::{Chronyd, NtsServer};

const PATIENCE: Duration = Duration::from_secs(20);
/// For queries that are not answered.
const SHORT: Duration = Duration::from_millis(200);

fn session(address: SocketAddr, policy: Policy) -> ProbeSession {
    ProbeSession::plain(address).interleaved_when(policy)
}

async fn ask_for(engine: &KernelEngine, session: &ProbeSession, timeout: Duration) -> ProbeReport {
    session.prepare().await;
    let query = session.query(timeout).unwrap_or_else(|why| panic!("{}", why.reason()));
    let mut report = engine.probe(query).await;
    session.absorb(&mut report);
    report
}

async fn ask(engine: &KernelEngine, session: &ProbeSession) -> ProbeReport {
    ask_for(engine, session, PATIENCE).await
}

/// Asks until a reply is interleaved: chronyd keeps no timestamps before a client has asked for them.
async fn warm_up(engine: &KernelEngine, session: &ProbeSession) {
    for _ in 0..5 {
        if ask(engine, session).await.mode == Mode::Interleaved {
            return;
        }
    }
    panic!("no reply in interleaved mode: {:?}", session.interleaved());
}

#[tokio::test]
async fn chronyd_is_polled_in_interleaved_mode() {
    for ip in ["127.0.0.1", "::1"] {
        let chronyd = Chronyd::start(ip);
        let (engine, session) = (KernelEngine::new(), session(chronyd.address, Policy::Auto));
        let first = ask(&engine, &session).await;
        assert_eq!(
            (first.outcome, first.mode, session.interleaved()),
            (Outcome::Sample, Mode::Basic, Support::Unknown)
        );
        warm_up(&engine, &session).await;
        for _ in 0..20 {
            let report = ask(&engine, &session).await;
            assert_eq!((&report.outcome, report.mode), (&Outcome::Sample, Mode::Interleaved), "{report:?}");
            assert_eq!(report.timestamping, Some(Timestamping::Kernel));
            let measure = report.measure.unwrap();
            assert!(measure.offset_s.abs() < measure.root_distance_s, "{measure:?}");
            let checks = report.accepted.unwrap().checks;
            assert_eq!((checks.first_failure(), checks.result(Check::Interleaved)), (None, Some(true)));
        }
        assert_eq!(session.interleaved(), Support::Offered);
    }
}

#[tokio::test]
async fn interleaved_mode_works_together_with_nts() {
    let authority = Authority::new();
    let NtsServer { chronyd, key_exchange } = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let localhost = || Host::Name("localhost".into());
    let nts = Nts {
        key_server: Some((localhost(), key_exchange.port())),
        ca_pem: Some(authority.pem().into()),
        ca_file: None,
    };
    let resolver = Arc::new(SystemResolver::new(PATIENCE));
    let tools = NtsTools { resolver, trust: Arc::default(), clock: Arc::new(SystemClock) };
    let session = ProbeSession::with_nts(&nts, &localhost(), chronyd.address, &tools).interleaved_when(Policy::Auto);
    let engine = KernelEngine::new();
    warm_up(&engine, &session).await;
    for _ in 0..20 {
        let report = ask(&engine, &session).await;
        let ways = (report.mode, report.authentication);
        assert_eq!((&report.outcome, ways), (&Outcome::Sample, (Mode::Interleaved, Authentication::Nts)), "{report:?}");
        assert_eq!(report.accepted.unwrap().checks.result(Check::Authenticator), Some(true));
    }
    let status = session.nts().unwrap();
    assert_eq!((status.exchanges, status.cookies), (1, 8), "{status:?}");
}

#[tokio::test]
async fn chronyd_without_client_log_is_polled_in_basic_mode() {
    let chronyd = Chronyd::start_with("127.0.0.1", "local stratum 1\nnoclientlog");
    let (engine, session) = (KernelEngine::new(), session(chronyd.address, Policy::Auto));
    for _ in 0..8 {
        let report = ask(&engine, &session).await;
        assert_eq!((report.outcome, report.mode), (Outcome::Sample, Mode::Basic));
    }
    assert_eq!(session.interleaved(), Support::NotOffered);
}

#[tokio::test]
async fn restart_of_the_server_is_measured_in_basic_mode() {
    let chronyd = Chronyd::start("127.0.0.1");
    let (engine, session) = (KernelEngine::new(), session(chronyd.address, Policy::Auto));
    warm_up(&engine, &session).await;
    let chronyd = chronyd.restart();
    let report = ask(&engine, &session).await;
    assert_eq!((&report.outcome, report.mode), (&Outcome::Sample, Mode::Basic), "{report:?}");
    warm_up(&engine, &session).await;
    drop(chronyd);
}

type Script = fn(&Packet, Option<&Packet>) -> Option<Packet>;

/// Answers each request with the next function, which gets the request and the previous one.
fn scripted(replies: Vec<Script>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut earlier: Option<Packet> = None;
        for reply in replies {
            let mut octets = [0; 512];
            let Ok((len, client)) = socket.recv_from(&mut octets) else { return };
            let request = Packet::parse(&octets[..len]).unwrap();
            if let Some(reply) = reply(&request, earlier.as_ref()) {
                socket.send_to(&reply.to_bytes(), client).unwrap();
                earlier = Some(reply);
            }
        }
        // Further requests are neither answered nor refused.
        let _ = socket.recv_from(&mut [0; 512]);
    });
    address
}

fn now() -> NtpTimestamp {
    NtpTimestamp::from_unix_ns(ntp_monitor::clock::now().wall_ns)
}

fn basic(request: &Packet, _: Option<&Packet>) -> Option<Packet> {
    let (mode, refid, receive) = (PacketMode::Server, RefId(*b"TEST"), now());
    let (origin, transmit) = (request.transmit, now());
    Some(Packet { mode, stratum: 1, precision_log2: -20, refid, origin, receive, transmit, ..Packet::request(0) })
}

/// A reply in interleaved mode, if the request allows one. It states the transmit time of the previous reply.
fn interleaved(request: &Packet, earlier: Option<&Packet>) -> Option<Packet> {
    let earlier = earlier.filter(|earlier| earlier.receive == request.origin)?;
    Some(Packet { origin: request.receive, transmit: earlier.transmit, ..basic(request, None)? })
}

fn silence(_: &Packet, _: Option<&Packet>) -> Option<Packet> {
    None
}

#[tokio::test]
async fn request_after_a_loss_is_basic() {
    // Answers basic requests only, with a mark.
    fn basic_only(request: &Packet, _: Option<&Packet>) -> Option<Packet> {
        let is_basic = request.origin == NtpTimestamp::ZERO && request.receive == NtpTimestamp::ZERO;
        basic(request, None).filter(|_| is_basic)
    }
    let address = scripted(vec![basic_only, interleaved, silence, basic_only, interleaved]);
    let (engine, session) = (KernelEngine::new(), session(address, Policy::Always));
    let mut course = Vec::new();
    for timeout in [PATIENCE, PATIENCE, SHORT, PATIENCE, PATIENCE] {
        let report = ask_for(&engine, &session, timeout).await;
        course.push((report.outcome, report.mode));
    }
    let (sample, timeout) = (Outcome::Sample, Outcome::Timeout);
    let expected = [
        (sample.clone(), Mode::Basic),
        (sample.clone(), Mode::Interleaved),
        (timeout, Mode::Basic),
        (sample.clone(), Mode::Basic),
        (sample, Mode::Interleaved),
    ];
    assert_eq!(course, expected);
}

#[tokio::test]
async fn interleaved_reply_across_a_step_of_the_server_is_refused() {
    fn stepped(request: &Packet, earlier: Option<&Packet>) -> Option<Packet> {
        let reply = interleaved(request, earlier)?;
        Some(Packet { receive: NtpTimestamp(reply.receive.0.wrapping_add(10 << 32)), ..reply })
    }
    let address = scripted(vec![basic, stepped, basic, basic]);
    let (engine, session) = (KernelEngine::new(), session(address, Policy::Auto));
    let mut course = Vec::new();
    for timeout in [PATIENCE, SHORT, PATIENCE, PATIENCE] {
        let report = ask_for(&engine, &session, timeout).await;
        course.push((report.outcome, report.mode));
    }
    assert_eq!(course[1].0, Outcome::Rejected(Check::Interleaved));
    // It sent an unexpected reply, so the next requests are basic.
    assert_eq!(course[2..], [(Outcome::Sample, Mode::Basic), (Outcome::Sample, Mode::Basic)]);
    assert_eq!(session.interleaved(), Support::Unknown);
}

#[tokio::test]
async fn origin_that_can_be_foretold_is_not_believed() {
    // An attacker who saw the previous reply knows its receive timestamp and all that the request quotes, but not the
    // random fields.
    fn forged(request: &Packet, earlier: Option<&Packet>) -> Option<Packet> {
        Some(Packet { origin: request.origin, ..interleaved(request, earlier)? })
    }
    fn older(request: &Packet, earlier: Option<&Packet>) -> Option<Packet> {
        Some(Packet { origin: earlier?.origin, ..interleaved(request, earlier)? })
    }
    for forgery in [forged, older] {
        let address = scripted(vec![basic, forgery]);
        let (engine, session) = (KernelEngine::new(), session(address, Policy::Auto));
        assert_eq!(ask(&engine, &session).await.outcome, Outcome::Sample);
        let report = ask_for(&engine, &session, SHORT).await;
        assert_eq!((report.outcome, report.rejected_count), (Outcome::Rejected(Check::Origin), 1));
    }
}
