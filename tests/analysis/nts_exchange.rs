//! Key exchange with scripted servers: the result of a good one, and the label of each fault of a bad one.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ntp_monitor::key_exchange::{Exchange, ExchangeFault, Target, Trust, exchange};

use crate::common::authority::{Authority, Identity};
use crate::common::ntske::{Answer, KeyServer, Script, end, record, usual_answer, usual_records};

/// Longer than any exchange on loopback takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn target(address: SocketAddr, authority: &Authority) -> Target {
    Target { addresses: vec![address], name: "localhost".into(), ca_pem: Some(authority.pem().into()) }
}

/// Exchanges keys with a server that `script` creates from a valid identity.
async fn with(script: impl FnOnce(Identity) -> Script) -> Exchange {
    let authority = Authority::new();
    let server = KeyServer::start(script(authority.sign("localhost", 2020, 2120)));
    exchange(&target(server.address, &authority), &Trust::default(), PATIENCE).await
}

async fn fault(script: impl FnOnce(Identity) -> Script) -> &'static str {
    label(with(script).await)
}

fn label(exchange: Exchange) -> &'static str {
    exchange.result.map_or_else(|fault| fault.label(), |_| "none")
}

/// The fault of the certificate that `sign` creates.
async fn certificate_fault(sign: impl FnOnce(&Authority) -> Identity) -> Exchange {
    let authority = Authority::new();
    let server = KeyServer::start(Script::usual(sign(&authority)));
    exchange(&target(server.address, &authority), &Trust::default(), PATIENCE).await
}

#[tokio::test]
async fn good_server_gives_keys_cookies_and_its_certificate() {
    let ended = with(Script::usual).await;
    let established = ended.result.unwrap();
    assert_eq!((established.agreement.cookies.len(), established.keys.aead.number()), (8, 15));
    assert_ne!(established.keys.to_server, established.keys.to_client);
    let leaf = &ended.chain[0];
    assert_eq!((&*leaf.subject, &*leaf.issuer), ("CN=localhost", "CN=Authority of a test"));
    assert_eq!(leaf.not_after.to_string(), "2120-01-01T00:00:00Z");
    assert!(!leaf.serial.is_empty() && ended.took < PATIENCE);
}

#[tokio::test]
async fn negotiated_server_and_port_are_returned() {
    let records = [usual_records(), vec![record(6, b"192.0.2.7"), record(7, &[0x10, 0x92]), end()]].concat();
    let agreement = with(|identity| Script::answering(identity, &records)).await.result.unwrap().agreement;
    assert_eq!((agreement.server.as_deref(), agreement.port), (Some("192.0.2.7"), Some(4242)));
}

#[tokio::test]
async fn each_certificate_fault_has_a_name_and_the_chain_is_kept() {
    let expired = certificate_fault(|authority| authority.sign("localhost", 2020, 2021)).await;
    assert_eq!(expired.chain[0].not_after.to_string(), "2021-01-01T00:00:00Z");
    assert_eq!(expired.result.unwrap_err(), ExchangeFault::Expired("2021-01-01T00:00:00Z".into()));
    let early = certificate_fault(|authority| authority.sign("localhost", 2110, 2120)).await;
    assert_eq!(early.result.unwrap_err(), ExchangeFault::NotYetValid("2110-01-01T00:00:00Z".into()));
    let other = certificate_fault(|authority| authority.sign("other.example", 2020, 2120)).await;
    let why = other.result.unwrap_err();
    assert_eq!(why.label(), "certificate-wrong-name");
    assert_eq!(why.to_string(), "the certificate is for other.example, not for localhost");
    let unknown = certificate_fault(|_| Authority::new().sign("localhost", 2020, 2120)).await;
    assert_eq!(unknown.result.unwrap_err(), ExchangeFault::UnknownAuthority);
}

#[tokio::test]
async fn each_tls_fault_has_a_name() {
    assert_eq!(fault(|identity| Script { protocols: vec![], ..Script::usual(identity) }).await, "no-alpn");
    assert_eq!(fault(|identity| Script { protocols: vec![b"h2"], ..Script::usual(identity) }).await, "no-alpn");
    assert_eq!(fault(Script::old).await, "tls-version");
    assert_eq!(fault(|identity| Script { answer: Answer::Close, ..Script::usual(identity) }).await, "closed");
    assert_eq!(fault(|identity| Script { answer: Answer::Reset, ..Script::usual(identity) }).await, "reset");
    assert_eq!(fault(|identity| Script { answer: Answer::ResetLate, ..Script::usual(identity) }).await, "reset");
}

#[tokio::test]
async fn each_fault_of_an_answer_has_a_name() {
    for (kind, body, expected) in [
        (0x8002_u16, vec![0, 1], "error-record"),
        (0x8003, vec![0, 1], "warning-record"),
        (0xc000, vec![], "unknown-record"),
        (5, vec![0; 60_000], "too-long"),
        (0x0007, vec![1], "invalid-record"),
    ] {
        let records = [usual_records(), vec![record(kind, &body), end()]].concat();
        assert_eq!(fault(|identity| Script::answering(identity, &records)).await, expected);
    }
    let chosen = |aead: &[u8]| vec![record(0x8001, &[0, 0]), record(0x8004, aead), end()];
    assert_eq!(fault(|identity| Script::answering(identity, &chosen(&[]))).await, "no-aead");
    assert_eq!(fault(|identity| Script::answering(identity, &chosen(&[0, 15]))).await, "no-cookies");
    assert_eq!(fault(|identity| Script::answering(identity, &usual_records())).await, "truncated");
    let megabyte = vec![record(0x4000, &[0; 1000]); 1000];
    assert_eq!(fault(|identity| Script::answering(identity, &megabyte)).await, "too-long");
}

#[tokio::test]
async fn silent_and_slow_servers_are_given_up_at_the_deadline() {
    let authority = Authority::new();
    for answer in [Answer::Silence, Answer::Slowly(usual_answer())] {
        let identity = authority.sign("localhost", 2020, 2120);
        let server = KeyServer::start(Script { answer, ..Script::usual(identity) });
        let begun = Instant::now();
        let ended = exchange(&target(server.address, &authority), &Trust::default(), Duration::from_secs(1)).await;
        assert_eq!(label(ended), "timeout");
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn closed_port_is_refused_and_the_next_address_is_tried() {
    let authority = Authority::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut target = target(closed, &authority);
    assert_eq!(label(exchange(&target, &Trust::default(), PATIENCE).await), "refused");
    let server = KeyServer::start(Script::usual(authority.sign("localhost", 2020, 2120)));
    target.addresses.push(server.address);
    assert_eq!(exchange(&target, &Trust::default(), PATIENCE).await.result.unwrap().address, server.address);
}

#[tokio::test]
async fn certificates_of_100_kb_are_refused() {
    let ended = certificate_fault(|authority| {
        let identity = authority.sign_with("localhost", 2020, 2120, |params| {
            let names = (0..1000).map(|n| format!("host-number-{n}.example"));
            params.subject_alt_names.extend(names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap())));
        });
        Identity { copies: 5, ..identity }
    });
    let label = label(ended.await);
    assert!(matches!(label, "tls" | "closed" | "reset" | "io"), "{label}");
}
