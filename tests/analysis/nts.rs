//! NTS with chronyd, through the session of a target and the kernel engine.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{Host, Nts};
use ntp_monitor::key_exchange::{Target, Trust, exchange};
use ntp_monitor::probe::poll::{Limits, poll};
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{KernelEngine, NtsTools, ProbeEngine, ProbeReport, ProbeSession, Query};
use ntp_monitor_core::clock::{Clock, Stamp};
use ntp_monitor_core::ntp::{Check, Mode, NtpTimestamp, Packet};
use ntp_monitor_core::nts::{Aead, Expiry, Policy, Stock};
use ntp_monitor_core::sample::{Authentication, Outcome, Timestamping};

use crate::common::authority::{Authority, Identity};
use crate::common::chronyd::{Chronyd, NtsServer};
use crate::common::ntpd::NtpDaemon;
use crate::common::ntske::{KeyServer, Script, end, record, usual_records};

const PATIENCE: Duration = Duration::from_secs(20);

fn tools() -> NtsTools {
    NtsTools { resolver: Arc::new(SystemResolver::new(PATIENCE)), trust: Arc::default(), clock: Arc::new(SystemClock) }
}

fn session(server: &NtsServer, authority: &Authority) -> ProbeSession {
    let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
    ProbeSession::with_nts(&nts, &Host::Name("localhost".into()), server.chronyd.address, &tools())
}

const fn limits(timeout: Duration) -> Limits {
    Limits { timeout, requests: 1, latest_ns: None }
}

async fn ask(engine: &KernelEngine, session: &ProbeSession) -> ProbeReport {
    session.prepare().await;
    let query = session.query(PATIENCE).unwrap_or_else(|why| panic!("{}", why.reason()));
    let mut report = engine.probe(query).await;
    session.absorb(&mut report);
    report
}

#[tokio::test]
async fn chronyd_is_polled_authentically_with_kernel_timestamps() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let (engine, session) = (KernelEngine::new(), session(&server, &authority));
    for _ in 0..20 {
        let report = ask(&engine, &session).await;
        assert_eq!((&report.outcome, report.authentication), (&Outcome::Sample, Authentication::Nts), "{report:?}");
        assert_eq!(report.timestamping, Some(Timestamping::Kernel));
        let checks = report.accepted.unwrap().checks;
        let of_nts =
            [Check::ExtensionFields, Check::UniqueIdentifier, Check::Authenticator, Check::Downgrade, Check::Cookie];
        assert!(of_nts.into_iter().all(|check| checks.result(check) == Some(true)), "{checks}");
    }
    let view = session.nts().unwrap();
    assert_eq!((view.exchanges, view.failures, view.cookies), (1, 0, 8), "{view:?}");
    assert_eq!((view.aead, view.naks), (Some(Aead::AesSivCmac256), 0));
    let last = view.last.unwrap();
    assert_eq!((&*last.chain[0].subject, last.chain[0].expiry(jiff::Timestamp::now())), ("CN=localhost", Expiry::Far));
}

/// An independent implementation: `ntp-daemon` of the crate `ntpd`.
#[tokio::test]
async fn ntpd_rs_is_polled_authentically() {
    let authority = Authority::new();
    let Some(server) = NtpDaemon::start("localhost", &authority) else {
        eprintln!("skipped: ntp-daemon is not installed (cargo install ntpd --version 1.9.0, or NTP_DAEMON=PATH)");
        return;
    };
    let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
    let session = ProbeSession::with_nts(&nts, &Host::Name("localhost".into()), server.address, &tools());
    let engine = KernelEngine::new();
    for _ in 0..20 {
        let report = ask(&engine, &session).await;
        assert_eq!((&report.outcome, report.authentication), (&Outcome::Sample, Authentication::Nts), "{report:?}");
    }
    let status = session.nts().unwrap();
    assert_eq!((status.exchanges, status.cookies), (1, 8), "{status:?}");
}

#[tokio::test]
async fn negotiated_port_is_asked() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    // The configured server has no NTS; the key exchange names the port of one that has.
    let mixed = NtsServer { chronyd: Chronyd::start("127.0.0.1"), key_exchange: server.key_exchange };
    let session = session(&mixed, &authority);
    let report = ask(&KernelEngine::new(), &session).await;
    assert_eq!((report.outcome, session.nts().unwrap().asked), (Outcome::Sample, server.chronyd.address));
}

/// Keys and cookies of a key exchange with `server`.
async fn stock(server: &NtsServer, authority: &Authority) -> Stock {
    let ca_pem = Some(authority.pem().into());
    let target = Target { addresses: vec![server.key_exchange], name: "localhost".into(), ca_pem };
    let established = exchange(&target, &Trust::default(), PATIENCE).await.result.unwrap();
    let mut stock = Stock::new(Policy::OWN);
    stock.exchanged(established.keys, established.agreement.cookies, 0);
    stock
}

/// Forwards one request to `server`, and the reply changed by `change` to the client. Returns the address of the relay.
fn relay(server: SocketAddr, change: impl FnOnce(&[u8], &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let (front, back) = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap()).into();
    let address = front.local_addr().unwrap();
    thread::spawn(move || {
        let mut octets = [0; 2048];
        let (len, client) = front.recv_from(&mut octets).unwrap();
        let request = octets[..len].to_vec();
        back.send_to(&request, server).unwrap();
        let len = back.recv(&mut octets).unwrap();
        for (number, reply) in change(&request, &octets[..len]).iter().enumerate() {
            // The receive buffer of the client holds a few hundred.
            if number % 32 == 31 {
                thread::sleep(Duration::from_millis(5));
            }
            front.send_to(reply, client).unwrap();
        }
    });
    address
}

fn query(address: SocketAddr, timeout: Duration, stock: &mut Stock) -> Query {
    Query { ticket: stock.take([7; 32]).map(Box::new), ..Query::plain(address, timeout) }
}

#[tokio::test]
async fn reply_with_any_changed_bit_is_refused_and_the_good_one_used() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let mut stock = stock(&server, &authority).await;
    let relay = relay(server.chronyd.address, |_, reply| {
        let changed = (0..reply.len() * 8).map(|bit| {
            let mut octets = reply.to_vec();
            octets[bit / 8] ^= 1 << (bit % 8);
            octets
        });
        changed.chain([reply.to_vec()]).collect()
    });
    let report = KernelEngine::new().probe(query(relay, PATIENCE, &mut stock)).await;
    assert_eq!((&report.outcome, report.nts.cookies.len()), (&Outcome::Sample, 1), "{report:?}");
    // 228 octets; a busy machine may lose some of the datagrams.
    assert!((912..=1824).contains(&report.rejected_count), "{}", report.rejected_count);
    assert!(report.rejected.iter().all(|evidence| evidence.checks.first_failure().is_some()));
}

#[tokio::test]
async fn plain_reply_is_a_downgrade_and_nak_needs_the_unique_id() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let mut stock = stock(&server, &authority).await;
    let nak = |id_at: usize| {
        move |request: &[u8], reply: &[u8]| {
            let mut octets = [&reply[..48], &request[48..84]].concat();
            octets[1] = 0;
            octets[id_at] ^= 1;
            octets[12..16].copy_from_slice(b"NTSN");
            octets
        }
    };
    // One bit of the poll interval, which nothing checks, and one of the identifier.
    let (good, foreign) = (nak(2), nak(60));
    let plain = |_: &[u8], reply: &[u8]| reply[..48].to_vec();
    type Change = Box<dyn FnOnce(&[u8], &[u8]) -> Vec<u8> + Send>;
    let cases: [(Change, Check, bool, bool); 3] = [
        (Box::new(plain), Check::Downgrade, false, true),
        (Box::new(good), Check::Nak, true, false),
        (Box::new(foreign), Check::UniqueIdentifier, false, false),
    ];
    for (change, check, is_nak, is_downgraded) in cases {
        let relay = relay(server.chronyd.address, |request, reply| vec![change(request, reply)]);
        let report = KernelEngine::new().probe(query(relay, Duration::from_secs(1), &mut stock)).await;
        assert_eq!(report.outcome, Outcome::Rejected(check));
        assert_eq!((report.nts.is_nak, report.nts.is_downgraded), (is_nak, is_downgraded), "{check:?}");
        assert_eq!((report.rejected_count, report.nts.cookies.len()), (1, 0));
    }
}

#[tokio::test]
async fn server_that_cannot_exchange_keys_is_not_asked() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "other.example", &authority);
    let session = Arc::new(session(&server, &authority));
    let report = poll(Arc::new(KernelEngine::new()), session.clone(), limits(PATIENCE), Arc::new(SystemClock)).await;
    let Outcome::Fault(why) = report.best.outcome else { panic!("{report:?}") };
    assert!(why.contains("the certificate is for") && why.contains("localhost"), "{why}");
    assert_eq!((report.sent, session.nts().unwrap().failures_in_row), (0, 1));
}

/// A server that answers every request with a NAK.
fn server_without_keys() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut octets = [0; 2048];
        while let Ok((len, client)) = socket.recv_from(&mut octets) {
            let request = &octets[..len];
            let header = Packet { mode: Mode::Server, origin: NtpTimestamp(transmit(request)), ..Packet::request(1) };
            let mut reply = [&header.to_bytes()[..], &request[48..84]].concat();
            reply[12..16].copy_from_slice(b"NTSN");
            socket.send_to(&reply, client).unwrap();
        }
    });
    address
}

fn transmit(request: &[u8]) -> u64 {
    u64::from_be_bytes(request[40..48].try_into().unwrap())
}

/// A session whose keys come from a scripted server.
fn scripted(script: impl FnOnce(Identity) -> Script, address: SocketAddr) -> (KeyServer, Arc<ProbeSession>) {
    let authority = Authority::new();
    let server = KeyServer::start(script(authority.sign("localhost", 2020, 2120)));
    let key_server = Some((Host::Name("localhost".into()), server.address.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
    let session = ProbeSession::with_nts(&nts, &Host::Address(address.ip()), address, &tools());
    (server, Arc::new(session))
}

async fn outcomes(session: &Arc<ProbeSession>, polls: usize) -> Vec<(Outcome, u16)> {
    let (engine, clock) = (Arc::new(KernelEngine::new()), Arc::new(SystemClock));
    let mut outcomes = Vec::new();
    for _ in 0..polls {
        let timeout = Duration::from_millis(300);
        let report = poll(engine.clone(), Arc::clone(session), limits(timeout), clock.clone()).await;
        outcomes.push((report.best.outcome, report.sent));
    }
    outcomes
}

#[tokio::test]
async fn nak_loop_costs_one_key_exchange_within_the_floor() {
    let (server, session) = scripted(Script::usual, server_without_keys());
    let outcomes = outcomes(&session, 5).await;
    assert_eq!(outcomes[0], (Outcome::Rejected(Check::Nak), 1));
    assert!(
        outcomes[1..].iter().all(|(outcome, sent)| matches!(outcome, Outcome::Fault(_)) && *sent == 0),
        "{outcomes:?}"
    );
    let status = session.nts().unwrap();
    assert_eq!((server.connections(), status.naks, status.cookies), (1, 1, 0));
}

#[tokio::test]
async fn failed_key_exchange_is_not_repeated_at_the_next_polls() {
    let records = [vec![record(0x8002, &[0, 2])], vec![end()]].concat();
    let (server, session) = scripted(|identity| Script::answering(identity, &records), server_without_keys());
    let outcomes = outcomes(&session, 5).await;
    let says_why = |outcome: &Outcome| outcome.reason().contains("error 2 (internal server error)");
    assert!(outcomes.iter().all(|(outcome, sent)| says_why(outcome) && *sent == 0), "{outcomes:?}");
    let status = session.nts().unwrap();
    assert_eq!((server.connections(), status.failures, status.fault().unwrap().label), (1, 1, "error-record"));
}

#[tokio::test]
async fn key_exchange_may_name_another_server() {
    let other = UdpSocket::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let port = record(7, &other.port().to_be_bytes());
    let records = [usual_records(), vec![record(6, b"127.0.0.2"), port, end()]].concat();
    let (_server, session) = scripted(|identity| Script::answering(identity, &records), server_without_keys());
    let outcomes = outcomes(&session, 1).await;
    assert_eq!((outcomes[0].1, session.nts().unwrap().asked), (1, other));
    let records = [usual_records(), vec![record(6, b"224.0.1.1"), end()]].concat();
    let (_server, session) = scripted(|identity| Script::answering(identity, &records), server_without_keys());
    assert!(self::outcomes(&session, 1).await[0].0.reason().contains("224.0.1.1"));
}

#[tokio::test]
async fn lost_replies_use_up_the_stock_and_then_keys_are_due() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (server, session) = scripted(Script::usual, silent.local_addr().unwrap());
    let outcomes = outcomes(&session, 10).await;
    let sent: u16 = outcomes.iter().map(|(_, sent)| sent).sum();
    assert_eq!((sent, server.connections(), session.nts().unwrap().cookies), (8, 1, 0));
}

#[tokio::test]
async fn replaced_authorities_are_read_at_the_next_key_exchange() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
    // The configuration was loaded while the file had another authority.
    let ca_pem = Some(Authority::new().pem().into());
    let nts = Nts { key_server, ca_pem, ca_file: Some(file.path().to_owned()) };
    let host = Host::Name("localhost".into());
    let session = ProbeSession::with_nts(&nts, &host, server.chronyd.address, &tools());
    assert_eq!(ask(&KernelEngine::new(), &session).await.outcome, Outcome::Sample);
    std::fs::write(file.path(), "no certificate").unwrap();
    assert_eq!(nts.authorities(), nts.ca_pem, "a file that is being written counts as unchanged");
}

/// A clock whose wall clock is off by some years.
struct Stepped(std::sync::atomic::AtomicI64);

impl Clock for Stepped {
    fn now(&self) -> Stamp {
        let now = SystemClock.now();
        Stamp {
            wall_ns: now.wall_ns + self.0.load(std::sync::atomic::Ordering::SeqCst) * 31_557_600_000_000_000,
            ..now
        }
    }
}

#[tokio::test]
async fn clock_steps_between_key_exchange_and_use_change_nothing() {
    let authority = Authority::new();
    let server = Chronyd::start_with_nts("127.0.0.1", "localhost", &authority);
    let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()), ca_file: None };
    let clock = Arc::new(Stepped(0.into()));
    let tools = NtsTools { clock: clock.clone(), ..tools() };
    let host = Host::Name("localhost".into());
    let session = ProbeSession::with_nts(&nts, &host, server.chronyd.address, &tools);
    let engine = KernelEngine::new();
    for years in [0, 20, -30] {
        clock.0.store(years, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(ask(&engine, &session).await.outcome, Outcome::Sample, "{years}");
    }
    let status = session.nts().unwrap();
    assert_eq!((status.exchanges, status.cookies), (1, 8), "{status:?}");
}
