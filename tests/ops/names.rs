//! Names that the program resolves through a scripted name server, with files of its own in place of `/etc/hosts` and
//! `/etc/resolv.conf`. That needs root: port 53, and a mount namespace for each run.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ntp_monitor::sim::Script;
use serde_json::Value;

use crate::common::monitor::{Home, Monitor, program, text};
use crate::common::root;
use crate::common::sim::Playground;
use crate::common::wait::find;

const A: u8 = 1;
const AAAA: u8 = 28;

/// Answers by name and type; `None` for a question that is never answered.
type Zone = HashMap<(&'static str, u8), Option<IpAddr>>;

/// A name server on a loopback address of its own.
struct NameServer {
    address: Ipv4Addr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<Mutex<Vec<(String, u8)>>>,
    end: Arc<AtomicBool>,
}

impl NameServer {
    fn start(zone: Zone) -> Self {
        let free = (1..=250).map(|host| Ipv4Addr::new(127, 53, 53, host));
        let (address, socket) = free.into_iter().find_map(|at| Some((at, UdpSocket::bind((at, 53)).ok()?))).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let server = Self { address, zone: Arc::new(Mutex::new(zone)), asked: Arc::default(), end: Arc::default() };
        let (zone, asked, end) = (Arc::clone(&server.zone), Arc::clone(&server.asked), Arc::clone(&server.end));
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let (name, kind, end) = question(&query[..length]);
                asked.lock().unwrap().push((name.clone(), kind));
                if let Some(reply) = answer(&query[..end], &name, kind, &zone.lock().unwrap()) {
                    socket.send_to(&reply, from).unwrap();
                }
            }
        });
        server
    }

    fn set(&self, name: &'static str, address: &str) {
        self.zone.lock().unwrap().insert((name, A), Some(address.parse().unwrap()));
    }

    fn types_asked(&self) -> Vec<u8> {
        let mut kinds: Vec<u8> = self.asked.lock().unwrap().drain(..).map(|(_, kind)| kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// The name, the type, and the end of a question.
fn question(query: &[u8]) -> (String, u8, usize) {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push_str(&String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        name.push('.');
        at = end;
    }
    (name, query[at + 2], at + 5)
}

fn answer(query: &[u8], name: &str, kind: u8, zone: &Zone) -> Option<Vec<u8>> {
    let is_known = zone.keys().any(|(known, _)| *known == name);
    let record = match zone.get(&(name, kind)) {
        Some(record) => Some((*record)?),
        None => None,
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    reply.extend(&query[12..]);
    let data = match record {
        Some(IpAddr::V4(ip)) => ip.octets().to_vec(),
        Some(IpAddr::V6(ip)) => ip.octets().to_vec(),
        None => return Some(reply),
    };
    reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
    reply.extend(data);
    Some(reply)
}

fn record(name: &'static str, kind: u8, address: &str) -> ((&'static str, u8), Option<IpAddr>) {
    ((name, kind), Some(address.parse().unwrap()))
}

/// A directory with the two files.
struct Files {
    home: Home,
}

impl Files {
    fn new(resolv_conf: &str) -> Self {
        let files = Self { home: Home::with("") };
        std::fs::write(files.at("resolv.conf"), resolv_conf).unwrap();
        std::fs::write(files.at("hosts"), "127.0.0.1 localhost\n").unwrap();
        files
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `command`, with the files in place of those of the system.
    fn around(&self, command: &Command) -> Command {
        let mut outer = Command::new("unshare");
        let script = "mount --bind hosts /etc/hosts && mount --bind resolv.conf /etc/resolv.conf && exec \"$@\"";
        outer.args(["--mount", "sh", "-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
        outer.current_dir(self.home.path());
        outer
    }

    fn run(&self, arguments: &str) -> (Output, Duration) {
        let mut command = program(self.home.path());
        command.args(arguments.split_whitespace());
        let began = Instant::now();
        (self.around(&command).output().unwrap(), began.elapsed())
    }

    fn start(&self, servers: &str) -> Monitor {
        self.home.configure(servers);
        Monitor::spawn(&mut self.around(&self.home.command()), self.home.path())
    }
}

#[test]
fn check_ends_at_its_deadline_with_any_name_server() {
    if !root::is_root("check_ends_at_its_deadline_with_any_name_server") {
        return;
    }
    let playground = Playground::open();
    let (v4, v6) =
        (playground.server(Script::good()), playground.server_at("[::1]:0".parse().unwrap(), Script::good()));
    let names = NameServer::start(HashMap::from([
        record("v4only.test.", A, "127.0.0.1"),
        (("v4only.test.", AAAA), None),
        record("dual.test.", A, "192.0.2.77"),
        record("dual.test.", AAAA, "::1"),
        (("silent.test.", A), None),
        (("silent.test.", AAAA), None),
    ]));
    let files = Files::new(&format!("nameserver {}\n", names.address));
    let (v4, v6) = (v4.address().port(), v6.address().port());
    for (arguments, exit, kinds) in [
        (format!("check v4only.test:{v4}"), 0, &[A, AAAA][..]),
        (format!("check -4 v4only.test:{v4}"), 0, &[A]),
        (format!("check -6 v4only.test:{v4}"), 3, &[A, AAAA]),
        (format!("check dual.test:{v6}"), 0, &[A, AAAA]),
        (format!("check silent.test:{v4}"), 3, &[A, AAAA]),
        (format!("check no.test:{v4}"), 3, &[A, AAAA]),
    ] {
        let (output, time) = files.run(&arguments);
        assert_eq!(output.status.code(), Some(exit), "{arguments}: {}", text(&output.stdout));
        assert_eq!(names.types_asked(), kinds, "{arguments}");
        // 5 s for the name; the program itself is slow to start on a busy machine.
        assert!(time < Duration::from_secs(9), "{arguments}: {time:?}");
    }
}

#[test]
fn trailing_dot_keeps_the_search_list_out() {
    if !root::is_root("trailing_dot_keeps_the_search_list_out") {
        return;
    }
    let server = Playground::open().server(Script::good());
    let names = NameServer::start(HashMap::from([
        record("time.vendor.test.", A, "127.0.0.1"),
        record("time.vendor.test.corp.test.", A, "127.0.0.66"),
    ]));
    let files = Files::new(&format!("nameserver {}\nsearch corp.test\noptions ndots:5\n", names.address));
    for (name, right) in [("time.vendor.test.", "127.0.0.1"), ("time.vendor.test", "127.0.0.66")] {
        let (output, _) = files.run(&format!("query --json -t 1s {name}:{}", server.address().port()));
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let address = json["results"][0]["address"].as_str().unwrap();
        assert_eq!(address.split(':').next(), Some(right), "{name}");
    }
}

#[test]
fn running_service_follows_the_hosts_file_and_moved_names() {
    if !root::is_root("running_service_follows_the_hosts_file_and_moved_names") {
        return;
    }
    let playground = Playground::open();
    let old = playground.server_at("127.0.0.2:0".parse().unwrap(), Script::good());
    let port = old.address().port();
    let at = |host: &str| playground.server_at(format!("{host}:{port}").parse().unwrap(), Script::good());
    let (_listed, _new) = (at("127.0.0.3"), at("127.0.0.4"));
    let names = NameServer::start(HashMap::from([record("moved.test.", A, "127.0.0.2")]));
    let files = Files::new(&format!("nameserver {}\n", names.address));
    let server = |name: &str| {
        format!(
            "[[server]]\nname = {name:?}\naddress = \"{name}.test:{port}\"\nown = true\npoll_interval = \"100ms\"\n\
                 timeout = \"90ms\"\n"
        )
    };
    let mut service = files.start(&[server("moved"), server("listed")].concat());
    let polled_at = |service: &mut Monitor, name: &str, host: &str| {
        let address = format!("{host}:{port}");
        find(&format!("{name} at {address}"), || {
            let rows = service.get("/api/v1/servers").1["servers"].take();
            let is_it = |row: &&Value| {
                row["name"] == name
                    && row["address"] == address.as_str()
                    && ["ok", "unjudged"].contains(&row["state"].as_str().unwrap())
            };
            rows.as_array().unwrap().iter().find(is_it).map(|row| row["id"].as_str().unwrap().to_owned())
        })
    };
    assert_eq!(polled_at(&mut service, "moved", "127.0.0.2"), "moved");

    std::fs::write(files.at("hosts"), "127.0.0.3 listed.test\n").unwrap();
    polled_at(&mut service, "listed", "127.0.0.3");

    names.set("moved.test.", "127.0.0.4");
    drop(old);
    // The answer is valid for a minute; at SIGHUP the name server is asked at once.
    service.signal(Signal::SIGHUP);
    assert_eq!(polled_at(&mut service, "moved", "127.0.0.4"), "moved", "the id is that of the name");
    assert_eq!(service.stop(), 0);
}
