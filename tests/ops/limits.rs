//! The service at the limits of its machine and with a clock that jumps: it reports the fault, loses no measurement,
//! polls no server too often, and recovers afterwards.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::common::http::Client;
use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::wait::{find, until};
use crate::common::{faketime, root, rows};
use ntp_monitor::sim::{Script, ScriptedServer};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Outcome;

/// The number of polls so far whose outcome `wanted` accepts.
fn polls(home: &Home, wanted: impl Fn(&Outcome) -> bool) -> usize {
    rows::csv_so_far(&home.csv()).iter().filter(|sample| wanted(&sample.outcome)).count()
}

fn is_fault(outcome: &Outcome, part: &str) -> bool {
    matches!(outcome, Outcome::Fault(why) if why.contains(part))
}

#[track_caller]
fn more_samples(home: &Home) {
    let before = polls(home, |outcome| *outcome == Outcome::Sample);
    until("more samples", || polls(home, |outcome| *outcome == Outcome::Sample) > before + 2);
}

#[test]
fn descriptor_shortage_is_reported_by_poll_and_recovered() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    // Slow polls, so that the engine has not opened all of its sockets yet when it can open no more.
    let home = Home::with(&own("good", server.address()).replace("100ms", "500ms"));
    let mut service = home.start();
    // The files of the outputs are open then.
    until("a sample", || polls(&home, |outcome| *outcome == Outcome::Sample) > 0);
    let limit = |files: &str| {
        let pid = service.id().to_string();
        root::run(Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={files}:")]));
    };
    // Standard input, output and error are open, so nothing more can be.
    limit("3");
    until("faults", || polls(&home, |outcome| is_fault(outcome, "LimitNOFILE")) > 2);
    limit("1024");
    more_samples(&home);
    let (_, health) = service.health("health", |health| health["status"] == "ok");
    assert_eq!(health["panics"], 0);
    assert_eq!(service.stop(), 0);
    let csv = rows::keys_once("the files", &rows::csv(&home.csv()));
    rows::assert_same(("the files", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
}

/// The kernel reports a full device queue (ENOBUFS) to sockets that ask for it (IP_RECVERR).
#[test]
fn full_device_queue_is_a_fault_until_there_is_room() {
    if !root::is_root("full_device_queue_is_a_fault_until_there_is_room") {
        return;
    }
    let home = Home::with(&own("full", "127.0.0.1:9".parse().unwrap()));
    // A queue that is too short for one packet, on a separate loopback.
    let script = "ip link set lo up && tc qdisc add dev lo root bfifo limit 1 && exec \"$0\" --config \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, env!("CARGO_BIN_EXE_ntp-monitor")]).arg(home.config());
    let mut service = Monitor::spawn(command.current_dir(home.path()), home.path());
    until("faults with their reason", || polls(&home, |outcome| is_fault(outcome, "network buffers")) > 2);
    let target = service.id().to_string();
    root::run(Command::new("nsenter").args(["--net", "--target", &target, "tc", "qdisc", "del", "dev", "lo", "root"]));
    until("an answer", || polls(&home, |outcome| *outcome == Outcome::Refused) > 2);
    assert_eq!(service.stop(), 0);
}

/// The service with a wall clock that the test sets; its monotonic clock is not changed.
struct Jumping {
    home: Home,
    servers: Vec<ScriptedServer>,
    service: Monitor,
    _playground: Playground,
}

impl Jumping {
    fn start() -> Self {
        let playground = Playground::open();
        let servers: Vec<_> = (0..4).map(|_| playground.server(Script::good())).collect();
        let names = ["a", "b", "c", "d"];
        // The portable engine reads the clock in this process, where it can be set for this process alone.
        let sections: String = names.iter().zip(&servers).map(|(name, s)| own(name, s.address())).collect();
        let home = Home::with(&format!("[defaults]\nengine = \"sntp\"\n{sections}"));
        faketime::set(home.path(), "+0");
        let mut command = home.command();
        command.envs(faketime::environment(home.path()));
        let mut service = Monitor::spawn(&mut command, home.path());
        service.health("samples of all", |health| {
            let servers = health["servers"].as_array().unwrap();
            servers.len() == 4 && servers.iter().all(|s| s["outcomes"]["sample"].as_u64() > Some(20))
        });
        Self { home, servers, service, _playground: playground }
    }

    /// Checks that from `from` on no server was polled more often than the minimum interval of own servers allows.
    #[track_caller]
    fn is_polite_since(&self, from: Stamp) {
        let floor = Duration::from_millis(100);
        for server in &self.servers {
            let since =
                || -> Vec<Stamp> { server.arrivals().into_iter().filter(|at| at.mono_ns >= from.mono_ns).collect() };
            // The other servers may have been polled first.
            until("a poll of each server", || !since().is_empty());
            let arrivals = since();
            let span = arrivals[arrivals.len() - 1].since(arrivals[0]);
            // A busy machine may record some polls late; a burst would be twenty.
            let allowed = span.as_millis() / floor.as_millis() + 4;
            assert!(arrivals.len() as u128 <= allowed, "{} in {span:?}", arrivals.len());
        }
    }

    #[track_caller]
    fn goes_on(&mut self) {
        more_samples(&self.home);
        let (_, health) = self.service.get("/health");
        assert_eq!((&health["panics"], &health["restarts"]), (&0.into(), &0.into()));
    }

    #[track_caller]
    fn ends_with_everything_kept(mut self) {
        assert_eq!(self.service.stop(), 0);
        let csv = rows::keys_once("the files", &rows::csv(&self.home.csv()));
        let store = rows::keys_once("the store", &rows::store(&self.home.store()));
        rows::assert_same(("the files", &csv), ("the store", &store));
        let faults: Vec<_> =
            ["panic", "\"level\":\"error\""].into_iter().filter(|p| self.service.log().contains(p)).collect();
        assert_eq!(faults, Vec::<&str>::new(), "{}", self.service.log());
    }
}

#[test]
fn stepped_clock_is_blamed_and_polling_keeps_its_pace() {
    let mut one = Jumping::start();
    let from = ntp_monitor::clock::now();
    faketime::set(one.home.path(), "+30");
    let verdict = find("the own clock is blamed", || {
        let (_, verdict) = one.service.get("/api/v1/verdict");
        Some(verdict).filter(|verdict| verdict["state"] == "local_wrong")
    });
    // Ahead of all servers: what is wrong with it has the sign of the offsets.
    let estimate = verdict["local"]["estimate_s"].as_f64().unwrap();
    assert!((estimate.abs() - 30.0).abs() < 1.0, "{verdict}");
    one.goes_on();
    faketime::set(one.home.path(), "-3600");
    one.goes_on();
    faketime::set(one.home.path(), "+0");
    one.goes_on();
    one.is_polite_since(from);
    one.ends_with_everything_kept();
}

#[test]
fn polls_missed_during_a_suspend_are_not_repeated() {
    let mut one = Jumping::start();
    let asked = |one: &Jumping| one.servers.iter().map(|server| server.counters().requests).max().unwrap();
    one.service.signal(Signal::SIGSTOP);
    let before = asked(&one);
    faketime::set(one.home.path(), "+8h");
    // The time of about twenty polls: a burst afterwards would be visible.
    std::thread::sleep(Duration::from_secs(2));
    assert!(asked(&one) <= before + 1, "it was stopped");
    let from = ntp_monitor::clock::now();
    one.service.signal(Signal::SIGCONT);
    one.goes_on();
    one.is_polite_since(from);
    one.ends_with_everything_kept();
}

/// The service with this limit of its address space, in kB.
fn with_address_space(home: &Home, kilobytes: u32) -> Monitor {
    let program = home.command();
    let mut command = Command::new("sh");
    command.env_clear().current_dir(home.path()).args(["-c", &format!("ulimit -v {kilobytes}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    Monitor::spawn(&mut command, home.path())
}

#[test]
fn a_small_address_space_is_enough_for_many_threads() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("good", server.address()));
    let mut monitor = with_address_space(&home, 400_000);
    let address = monitor.http();
    let client = |path: &'static str| move || Client::of(address).get(path, &[]).status;
    let asks: Vec<_> = ["/metrics", "/api/v1/events", "/api/v1/local/history", "/api/v1/config", "/plain"]
        .into_iter()
        .cycle()
        .take(40)
        .map(|path| std::thread::spawn(client(path)))
        .collect();
    for ask in asks {
        assert_eq!(ask.join().unwrap(), 200);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", monitor.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:")?.trim().strip_suffix(" kB")?.parse().ok());
    let peak: u32 = peak.unwrap();
    assert!(peak < 300_000, "the allocator reserves address space for each thread: {peak} kB");
    more_samples(&home);
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn too_small_an_address_space_ends_the_start_with_the_reason() {
    let home = Home::with(&own("a", "127.0.0.1:9".parse().unwrap()));
    let mut monitor = with_address_space(&home, 100_000);
    assert_eq!(monitor.end(), 1);
    assert!(monitor.log().contains("limited to 97 MiB, and the service needs 128 MiB"), "{}", monitor.log());
}
