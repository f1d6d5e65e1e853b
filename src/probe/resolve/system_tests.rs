//! Resolution with a name server on loopback, with files in a temporary directory, and with a failing system resolver.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::rr::Name;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use super::super::dns::Dns;
use super::*;

const DEADLINE: Duration = Duration::from_secs(8);
const A: u8 = 1;
const AAAA: u8 = 28;

fn addresses(texts: &[&str]) -> Vec<Address> {
    texts.iter().map(|text| Address::parse(text).unwrap().unwrap()).collect()
}

fn refuse(_: &str) -> io::Result<Vec<Address>> {
    Err(io::Error::other("the system knows no more"))
}

/// A resolver with files in a directory, whose system resolver always fails.
fn resolver(dir: &TempDir, hosts: &str) -> SystemResolver {
    let files = Files { hosts: dir.path().join("hosts"), resolv_conf: dir.path().join("resolv.conf") };
    std::fs::write(&files.hosts, hosts).unwrap();
    let sources = Arc::new(Mutex::new(Sources::new(files, DEADLINE / 2)));
    SystemResolver { sources, system: refuse, ..SystemResolver::new(DEADLINE) }
}

/// The answers of a name server, by name and type; `None` for a question that is never answered. Other types of a known
/// name have no records; other names do not exist.
type Zone = HashMap<(&'static str, u8), Option<Vec<IpAddr>>>;

struct NameServer {
    port: u16,
    questions: Arc<Mutex<Vec<(String, u8)>>>,
    task: AbortHandle,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NameServer {
    async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let questions: Arc<Mutex<Vec<(String, u8)>>> = Arc::default();
        let asked = Arc::clone(&questions);
        let task = tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                let (name, kind) = question(&query[..length]);
                asked.lock().unwrap().push((name.clone(), kind));
                if let Some(reply) = answer(&query[..length], &name, kind, &zone) {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        Self { port, questions, task: task.abort_handle() }
    }

    /// A resolver that asks this name server.
    fn resolver(&self, dir: &TempDir, search: &[&str], ndots: usize) -> SystemResolver {
        let mut connection = ConnectionConfig::udp();
        connection.port = self.port;
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections = vec![connection];
        let search = search.iter().map(|name| Name::from_str_relaxed(name).unwrap()).collect();
        let config = ResolverConfig::from_parts(None, search, vec![server]);
        let mut options = ResolverOpts::default();
        options.ndots = ndots;
        let dns = Dns::new(config, options, DEADLINE / 2);
        let resolver = resolver(dir, "");
        resolver.sources().use_dns(dns);
        resolver
    }

    fn asked(&self) -> Vec<(String, u8)> {
        self.questions.lock().unwrap().clone()
    }
}

fn question(query: &[u8]) -> (String, u8) {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push_str(&String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        name.push('.');
        at = end;
    }
    (name, query[at + 2])
}

fn answer(query: &[u8], name: &str, kind: u8, zone: &Zone) -> Option<Vec<u8>> {
    let is_known = zone.keys().any(|(known, _)| *known == name);
    let records = match zone.get(&(name, kind)) {
        Some(records) => records.clone()?,
        None => Vec::new(),
    };
    let end = 12 + query[12..].iter().position(|byte| *byte == 0)? + 5;
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(&query[12..end]);
    for ip in records {
        let data = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 2, 88, 0, data.len() as u8]);
        reply.extend(data);
    }
    Some(reply)
}

fn ips(texts: &[&str]) -> Option<Vec<IpAddr>> {
    Some(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[tokio::test]
async fn link_local_address_resolves_to_its_interface() {
    let resolver = SystemResolver::new(DEADLINE);
    let found = resolver.resolve("fe80::1%lo", Family::Any).await.unwrap();
    assert_eq!((found.addresses, found.expires), (addresses(&["fe80::1%lo"]), SHORTEST_LIFE));
    let missing = resolver.resolve("fe80::1%no-such-if", Family::Any).await.unwrap_err();
    assert!(missing.to_string().contains("no interface \"no-such-if\""), "{missing}");
}

#[tokio::test]
async fn literal_needs_no_resolver_and_obeys_the_family() {
    let resolver = SystemResolver { system: |_| unreachable!("a literal"), ..SystemResolver::new(DEADLINE) };
    let found = resolver.resolve("192.0.2.1", Family::V4).await.unwrap();
    assert_eq!(found.addresses, addresses(&["192.0.2.1"]));
    let refused = resolver.resolve("2001:db8::1", Family::V4).await.unwrap_err();
    assert!(refused.to_string().contains("no IPv4 address"), "{refused}");
}

#[tokio::test]
async fn answer_expires_with_its_ttl() {
    let dir = TempDir::new().unwrap();
    let zone = Zone::from([(("time.test.", A), ips(&["127.0.0.1"])), (("time.test.", AAAA), ips(&["::1"]))]);
    let server = NameServer::start(zone).await;
    let found = server.resolver(&dir, &[], 1).resolve("time.test", Family::Any).await.unwrap();
    assert_eq!(found.addresses.len(), 2);
    assert!(found.expires <= Duration::from_secs(600) && found.expires > Duration::from_secs(500), "{found:?}");
    assert_eq!(found.silent, None);
}

#[tokio::test]
async fn nonexistent_name_is_reported_as_such() {
    let dir = TempDir::new().unwrap();
    let server = NameServer::start(Zone::new()).await;
    let refused = server.resolver(&dir, &[], 1).resolve("time.test", Family::Any).await.unwrap_err();
    assert_eq!(refused, ResolveError::NoSuchName { host: "time.test".into() });
}

#[tokio::test]
async fn family_that_is_never_answered_does_not_hold_up_the_other() {
    let dir = TempDir::new().unwrap();
    for (silent, answered, kind, address) in
        [(AAAA, Family::V4, Family::V6, "127.0.0.1"), (A, Family::V6, Family::V4, "::1")]
    {
        let known = if silent == AAAA { A } else { AAAA };
        let zone = Zone::from([(("time.test.", known), ips(&[address])), (("time.test.", silent), None)]);
        let server = NameServer::start(zone).await;
        let began = Instant::now();
        let found = server.resolver(&dir, &[], 1).resolve("time.test", Family::Any).await.unwrap();
        assert_eq!((&found.addresses, found.silent), (&addresses(&[address]), Some(kind)));
        assert_eq!(found.expires, SHORTEST_LIFE, "the silent family is asked again soon");
        assert!(began.elapsed() < DEADLINE / 4, "{:?}", began.elapsed());
        let server = NameServer::start(Zone::from([(("time.test.", known), ips(&[address]))])).await;
        server.resolver(&dir, &[], 1).resolve("time.test", answered).await.unwrap();
        assert_eq!(server.asked(), [("time.test.".to_owned(), known)], "only the family that is wanted");
    }
}

#[tokio::test]
async fn search_list_is_used_as_ndots_says() {
    let dir = TempDir::new().unwrap();
    let zone = Zone::from([
        (("time.vendor.test.corp.test.", A), ips(&["127.0.0.66"])),
        (("time.vendor.test.", A), ips(&["127.0.0.1"])),
        (("ntp.corp.test.", A), ips(&["127.0.0.3"])),
    ]);
    let server = NameServer::start(zone).await;
    for (host, ndots, right) in [
        ("time.vendor.test.", 5, "127.0.0.1"),
        ("time.vendor.test", 5, "127.0.0.66"),
        ("time.vendor.test", 1, "127.0.0.1"),
        ("ntp", 1, "127.0.0.3"),
    ] {
        let found = server.resolver(&dir, &["corp.test"], ndots).resolve(host, Family::Any).await.unwrap();
        assert_eq!(found.addresses, addresses(&[right]), "{host} {ndots}");
    }
    let refused = server.resolver(&dir, &["corp.test"], 1).resolve("ntp.", Family::Any).await.unwrap_err();
    assert_eq!(refused, ResolveError::NoSuchName { host: "ntp.".into() });
}

#[tokio::test]
async fn hosts_file_comes_first_and_its_changes_are_followed() {
    let dir = TempDir::new().unwrap();
    let server = NameServer::start(Zone::from([(("time.test.", A), ips(&["127.0.0.1"]))])).await;
    let resolver = server.resolver(&dir, &[], 1);
    let found = async |host: &str| resolver.resolve(host, Family::Any).await.unwrap().addresses;
    assert_eq!(found("time.test").await, addresses(&["127.0.0.1"]));
    let change = resolver.changed();
    std::fs::write(dir.path().join("hosts"), "127.0.0.8 time.test\n").unwrap();
    assert_eq!(found("time.test").await, addresses(&["127.0.0.8"]));
    drop(change);
    // Replaced, as by an editor, with a file of the same size.
    std::fs::write(dir.path().join("new"), "127.0.0.9 time.test\n").unwrap();
    std::fs::rename(dir.path().join("new"), dir.path().join("hosts")).unwrap();
    assert_eq!(found("time.test").await, addresses(&["127.0.0.9"]));
}

#[tokio::test]
async fn changed_resolv_conf_replaces_the_name_servers() {
    let dir = TempDir::new().unwrap();
    let server = NameServer::start(Zone::from([(("time.test.", A), ips(&["127.0.0.1"]))])).await;
    let resolver = server.resolver(&dir, &[], 1);
    assert!(resolver.resolve("time.test", Family::V4).await.is_ok());
    std::fs::write(dir.path().join("resolv.conf"), "# no name server any more\n").unwrap();
    let refused = resolver.resolve("time.test", Family::V4).await.unwrap_err();
    assert!(refused.to_string().contains("the system knows no more"), "{refused}");
}

#[tokio::test]
async fn change_of_a_file_ends_the_wait_for_it() {
    let dir = TempDir::new().unwrap();
    let resolver = resolver(&dir, "");
    let change = tokio::spawn(resolver.changed());
    while !change.is_finished() {
        std::fs::write(dir.path().join("hosts"), format!("# {:?}\n", Instant::now())).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
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
    let dir = TempDir::new().unwrap();
    let hasty = SystemResolver { system: hang, deadline: Duration::from_millis(200), ..resolver(&dir, "") };
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
fn end_of_the_runtime_does_not_wait_for_the_system() {
    static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
    fn hang(_: &str) -> io::Result<Vec<Address>> {
        drop(OPEN.1.wait_while(OPEN.0.lock().unwrap(), |open| !*open).unwrap());
        refuse("")
    }
    let dir = TempDir::new().unwrap();
    let resolver = SystemResolver { system: hang, deadline: Duration::from_millis(50), ..resolver(&dir, "") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let answer = runtime.block_on(resolver.resolve("a.example", Family::Any));
        drop(runtime);
        ended.send(answer.is_err()).unwrap();
    });
    let answer = end.recv_timeout(DEADLINE);
    *OPEN.0.lock().unwrap() = true;
    OPEN.1.notify_all();
    assert_eq!(answer, Ok(true));
}
