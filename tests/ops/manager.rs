//! The protocol between the service and systemd.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::common::monitor::{Home, Monitor, own};
use crate::common::sim::Playground;
use crate::common::wait::PATIENCE;
use ntp_monitor::sim::Script;

/// A replacement for systemd that receives the notifications of the service.
struct Manager {
    socket: UnixDatagram,
    heard: VecDeque<String>,
}

impl Manager {
    fn listen(home: &Home) -> Self {
        let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, heard: VecDeque::new() }
    }

    fn start(home: &Home, watchdog: Duration) -> Monitor {
        let mut command = home.command();
        command.env("NOTIFY_SOCKET", home.path().join("notify"));
        command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Monitor::spawn(&mut command, home.path())
    }

    /// The next assignment that `wanted` accepts; earlier ones are dropped.
    #[track_caller]
    fn hears(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            while let Some(line) = self.heard.pop_front() {
                if wanted(&line) {
                    return line;
                }
            }
            let mut message = [0; 4096];
            let length = match self.socket.recv(&mut message) {
                // The end of a child of another test interrupts the call.
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => continue,
                received => received.expect("a message from the service"),
            };
            self.heard.extend(std::str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned));
        }
    }
}

#[test]
fn systemd_is_notified_of_start_status_reload_and_stop() {
    let playground = Playground::open();
    let (good, silent) = (playground.server(Script::good()), playground.server(Script::silent()));
    let home = Home::with(&format!("{}{}", own("good", good.address()), own("silent", silent.address())));
    let mut manager = Manager::listen(&home);
    let mut service = Manager::start(&home, Duration::from_secs(6));
    manager.hears(|line| line == "READY=1");
    // A client can use the service as soon as it reports that it is ready.
    assert_eq!(service.get("/health").0, 200);
    manager.hears(|line| line.starts_with("STATUS=degraded: 1 of 2 give samples; ") && line.contains("silent"));
    for _ in 0..3 {
        manager.hears(|line| line == "WATCHDOG=1");
    }
    for change in ["[log]\nlevel = \"debug\"\n", "[log]\nlevel = \"loud\"\n"] {
        home.configure(&format!("{}{change}", own("good", good.address())));
        service.reload();
        manager.hears(|line| line == "RELOADING=1");
        let stamp = manager.hears(|line| line.starts_with("MONOTONIC_USEC="));
        assert!(stamp["MONOTONIC_USEC=".len()..].parse::<u64>().is_ok(), "{stamp}");
        manager.hears(|line| line == "READY=1");
    }
    service.signal(Signal::SIGTERM);
    manager.hears(|line| line == "STOPPING=1");
    assert_eq!(service.end(), 0);
}

#[test]
fn without_a_service_manager_nothing_is_missing() {
    let home = Home::with("[[server]]\naddress = \"127.0.0.1:9\"\nown = true");
    let mut command = home.command();
    command.env("NOTIFY_SOCKET", home.path().join("nobody-listens"));
    let mut service = Monitor::spawn(&mut command, home.path());
    service.http();
    assert_eq!(service.stop(), 0);
}
