//! NTS with chronyd, through the session of a target and the kernel engine.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ntp_monitor::clock::SystemClock;
use ntp_monitor::config::{Host, Nts};
use ntp_monitor::nts::{Target, Trust, exchange};
use ntp_monitor::probe::poll::poll;
use ntp_monitor::probe::resolve::system::SystemResolver;
use ntp_monitor::probe::{KernelEngine, NtsTools, ProbeEngine, ProbeReport, ProbeSession, Query};
use ntp_monitor_core::ntp::Check;
use ntp_monitor_core::nts::{Aead, Expiry, Policy, Stock};
use ntp_monitor_core::sample::{Authentication, Outcome, Timestamping};

use crate::common::authority::Authority;
use crate::common::chronyd::{Chronyd, NtsServer};

const PATIENCE: Duration = Duration::from_secs(20);

fn tools() -> NtsTools {
    NtsTools { resolver: Arc::new(SystemResolver::new(PATIENCE)), trust: Arc::default(), clock: Arc::new(SystemClock) }
}

fn session(server: &NtsServer, authority: &Authority) -> ProbeSession {
    let key_server = Some((Host::Name("localhost".into()), server.key_exchange.port()));
    let nts = Nts { key_server, ca_pem: Some(authority.pem().into()) };
    ProbeSession::with_nts(&nts, &Host::Name("localhost".into()), server.chronyd.address, &tools())
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

/// Passes one request on to `server`, and to the client what `change` makes of the reply. Returns its own address.
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
    Query { address, timeout, ticket: stock.take([7; 32]).map(Box::new) }
}

#[tokio::test]
async fn every_one_bit_change_of_a_real_reply_is_refused_and_the_good_one_used() {
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
async fn plain_reply_is_a_downgrade_and_a_nak_needs_the_unique_identifier() {
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
    let report = poll(Arc::new(KernelEngine::new()), session.clone(), PATIENCE, 1, Arc::new(SystemClock)).await;
    let Outcome::Fault(why) = report.best.outcome else { panic!("{report:?}") };
    assert!(why.contains("the certificate is for") && why.contains("localhost"), "{why}");
    assert_eq!((report.sent, session.nts().unwrap().failures_in_row), (0, 1));
}
