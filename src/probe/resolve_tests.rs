//! Resolution with a name server on loopback, and with a failing system resolver.

use std::net::Ipv4Addr;
use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::net::UdpSocket;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| Address::parse(text).unwrap().unwrap()).collect()
}

#[tokio::test]
async fn link_local_address_resolves_to_its_interface() {
    let resolver = SystemResolver { make: || unreachable!("a literal"), ..SystemResolver::new(DEADLINE) };
    let found = resolver.resolve("fe80::1%lo", Family::Any).await.unwrap();
    assert_eq!((found.addresses, found.expires), (addresses(&["fe80::1%lo"]), SHORTEST_LIFE));
    let missing = resolver.resolve("fe80::1%no-such-if", Family::Any).await.unwrap_err();
    assert!(missing.to_string().contains("no interface \"no-such-if\""), "{missing}");
}

#[tokio::test]
async fn literal_needs_no_resolver_and_obeys_the_family() {
    let resolver = SystemResolver { make: || unreachable!("a literal"), ..SystemResolver::new(DEADLINE) };
    let found = resolver.resolve("192.0.2.1", Family::V4).await.unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.1"]));
    let refused = resolver.resolve("2001:db8::1", Family::V4).await.unwrap_err();
    assert!(refused.to_string().contains("no IPv4 address"), "{refused}");
}

#[tokio::test]
async fn hosts_file_entry_resolves_without_a_name_server() {
    let resolver = SystemResolver { make: || None, ..SystemResolver::new(DEADLINE) };
    let found = resolver.resolve("localhost", Family::V4).await.unwrap();
    assert_eq!(found.addresses, addresses(&["127.0.0.1"]));
    assert_eq!(found.expires, LIFE_WITHOUT_TTL);
}

#[tokio::test]
async fn hanging_system_resolver_blocks_only_a_few_threads() {
    static HANGING: AtomicUsize = AtomicUsize::new(0);
    static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    fn hang(_: &str) -> io::Result<Vec<Address>> {
        HANGING.fetch_add(1, Ordering::SeqCst);
        drop(OPEN.1.wait_while(OPEN.0.lock().unwrap(), |open| !*open).unwrap());
        Ok(addresses(&["192.0.2.1"]))
    }
    let hasty = SystemResolver { make: || None, system: hang, ..SystemResolver::new(Duration::from_millis(200)) };
    let names = (0..10 * SYSTEM_LOOKUPS).map(|_| hasty.resolve("a.example", Family::Any));
    let answers = futures_util::future::join_all(names).await;
    let hanging = HANGING.load(Ordering::SeqCst);
    *OPEN.0.lock().unwrap() = true;
    OPEN.1.notify_all();
    assert!(answers.iter().all(|answer| matches!(answer, Err(ResolveError::Timeout { .. }))), "{answers:?}");
    assert!((1..=SYSTEM_LOOKUPS).contains(&hanging), "{hanging}");
    let patient = SystemResolver { deadline: DEADLINE, ..hasty };
    assert_eq!(patient.resolve("a.example", Family::Any).await.unwrap().addresses, addresses(&["192.0.2.1"]));
}

#[test]
fn addresses_are_sorted_and_unique_and_ttl_is_clamped() {
    let many = addresses(&["192.0.2.9", "2001:db8::1", "192.0.2.1", "192.0.2.9"]);
    let found = Resolution::of("pool", Family::Any, many.clone(), Duration::from_secs(5)).unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.1", "192.0.2.9", "2001:db8::1"]));
    assert_eq!(found.expires, SHORTEST_LIFE);
    let found = Resolution::of("pool", Family::V6, many, Duration::from_secs(86_400)).unwrap();
    assert_eq!((found.addresses, found.expires), (addresses(&["2001:db8::1"]), LONGEST_LIFE));
}

#[test]
fn retry_pause_grows_up_to_a_limit() {
    let pauses: Vec<u64> = [1, 2, 3, 6, 7, 8, u32::MAX].map(|n| retry_after(n).as_secs()).into();
    assert_eq!(pauses, [5, 10, 20, 160, 300, 300, 300]);
}

/// A name server with two addresses for every name under `known.`, and no other names.
async fn name_server(ttl_s: u32) -> (TokioResolver, tokio::task::JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = socket.local_addr().unwrap().port();
    let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
    server.connections = vec![connection];
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let task = tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut query).await.unwrap();
            socket.send_to(&answer(&query[..length], ttl_s), from).await.unwrap();
        }
    });
    let provider = TokioRuntimeProvider::default();
    (TokioResolver::builder_with_config(config, provider).build().unwrap(), task)
}

/// Echoes the question, with an answer if it asks for an A record under `known.`.
fn answer(query: &[u8], ttl_s: u32) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|b| *b == 0).unwrap() + 1;
    let question = &query[12..name_end + 4];
    let is_known = query[..name_end].to_ascii_lowercase().ends_with(b"\x05known\0");
    let wants_a = question[question.len() - 4..] == [0, 1, 0, 1];
    let count = if is_known && wants_a { 2 } else { 0 };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend(question);
    for last in (1..=count).rev() {
        reply.extend([0xc0, 12, 0, 1, 0, 1]);
        reply.extend(ttl_s.to_be_bytes());
        reply.extend([0, 4, 192, 0, 2, last]);
    }
    reply
}

async fn resolve_with(dns: TokioResolver, host: &str) -> Result<Resolution, ResolveError> {
    let resolver = SystemResolver::new(DEADLINE);
    *resolver.dns.lock().unwrap() = Some(dns);
    resolver.resolve(host, Family::Any).await
}

#[tokio::test]
async fn answer_expires_with_its_ttl() {
    let (dns, server) = name_server(600).await;
    let found = resolve_with(dns, "time.known.").await.unwrap();
    server.abort();
    assert_eq!(found.addresses, addresses(&["192.0.2.1", "192.0.2.2"]));
    assert!(found.expires <= Duration::from_secs(600) && found.expires > Duration::from_secs(500), "{found:?}");
}

#[tokio::test]
async fn nonexistent_name_is_reported_as_such() {
    let (dns, server) = name_server(600).await;
    let refused = ask_dns(&dns, "time.unknown.", Family::Any).await.unwrap_err();
    server.abort();
    assert_eq!(refused, ResolveError::NoSuchName { host: "time.unknown.".into() });
}
