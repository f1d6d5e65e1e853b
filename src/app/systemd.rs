//! Notifies systemd (sd_notify(3)) that the service is ready, reloading, stopping and alive, and of its status. Without
//! `NOTIFY_SOCKET` nothing is sent. Its value is a path, or `@` and a name in the abstract namespace.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use slog::{Logger, debug, warn};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Service, vital};
use ntp_monitor_core::health::report::{Health, Status};
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::text::plain::is_disruptive;

/// Interval of the status line, unless the watchdog requires a shorter one.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Maximum length of the status line, in characters; systemctl shows one line.
const STATUS_CHARS: usize = 240;

/// The connection to the service manager, if there is one.
pub(super) struct Manager {
    socket: Option<SocketAddr>,
    /// systemd restarts the service after this time without a keep-alive.
    watchdog: Option<Duration>,
    ticks: Interval,
    status: String,
    /// Whether the last keep-alive was withheld.
    withheld: bool,
    log: Logger,
}

impl Manager {
    /// Must be called within a tokio runtime.
    pub(super) fn new(log: &Logger) -> Self {
        let watchdog = sd_notify::watchdog_enabled();
        let mut ticks = interval(period(watchdog));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            let unusable =
                |why: &io::Error| warn!(log, "cannot notify systemd: NOTIFY_SOCKET is unusable"; "reason" => %why);
            socket_at(&name).inspect_err(unusable).ok()
        });
        Self { socket, watchdog, ticks, status: String::new(), withheld: false, log: log.clone() }
    }

    /// Waits until the next [`Manager::report`] is due.
    pub(super) async fn due(&mut self) {
        self.ticks.tick().await;
    }

    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(why) => debug!(self.log, "cannot notify systemd of the reload"; "reason" => %why),
        }
    }

    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping: writing queued samples")]);
    }

    /// Sends the status line, and a watchdog keep-alive if all essential parts respond.
    pub(super) async fn report(&mut self, service: &Service) {
        let status = status_line(&service.health.borrow().clone(), &service.snapshot.borrow().clone());
        if status != self.status {
            self.tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
        if let Some(watchdog) = self.watchdog {
            self.feed(service, watchdog / 2).await;
        }
    }

    async fn feed(&mut self, service: &Service, patience: Duration) {
        let parts = service.parts(patience).await;
        let silent = vital::silent(&parts, patience);
        if silent.is_empty() {
            self.tell(&[NotifyState::Watchdog]);
        } else if !self.withheld {
            warn!(self.log, "withholding the systemd watchdog keep-alive: parts do not respond";
                "silent" => silent.join(", "));
        }
        self.withheld = !silent.is_empty();
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        if let Err(why) = send(socket, states) {
            debug!(self.log, "cannot notify systemd"; "reason" => %why);
        }
    }
}

fn socket_at(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn send(socket: &SocketAddr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), socket).map(drop)
}

/// Four checks per watchdog time-out, so that a late one does no harm.
fn period(watchdog: Option<Duration>) -> Duration {
    let quarter = watchdog.map_or(STATUS_EVERY, |watchdog| watchdog / 4);
    quarter.clamp(Duration::from_millis(10), STATUS_EVERY)
}

/// The line for `systemctl status`: the health, how many servers answer, and the verdict.
fn status_line(health: &Health, snapshot: &Snapshot) -> String {
    let total = health.servers.len();
    let giving = health.servers.iter().filter(|server| server.consecutive_failures == 0).count();
    let status = health.status.label();
    let mut line = match total {
        0 => format!("{status}: no poll has ended yet"),
        _ => format!("{status}: {giving} of {total} give samples; {}", snapshot.verdict.reason),
    };
    if health.status != Status::Ok
        && let Some(worst) = health.reasons.first()
    {
        line.push_str(&format!(" [{} {}: {}]", worst.about, worst.name, worst.reason));
    }
    // A line feed would start another message to systemd.
    line.chars().map(|c| if is_disruptive(c) { ' ' } else { c }).take(STATUS_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::health::report::Reason;

    #[test]
    fn status_is_one_bounded_line_for_any_name() {
        let mut health = Health::default();
        let snapshot = Snapshot::empty(Stamp::new(0, 0, 0));
        assert_eq!(status_line(&health, &snapshot), "ok: no poll has ended yet");
        health.status = Status::Degraded;
        let reason = format!("no reply\nWATCHDOG=trigger {}", "x".repeat(1000));
        health.reasons.push(Reason { status: Status::Degraded, about: "server", name: "a".to_owned(), reason });
        let line = status_line(&health, &snapshot);
        assert!(line.starts_with("degraded: no poll has ended yet [server a: no reply WATCHDOG=trigger"), "{line}");
        assert_eq!((line.lines().count(), line.chars().count()), (1, STATUS_CHARS));
    }

    #[test]
    fn messages_reach_sockets_with_a_path_and_abstract_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("@ntp-monitor-test-{:016x}", rand::random::<u64>());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let abstract_one = UnixDatagram::bind_addr(&socket_at(name.as_ref()).unwrap()).unwrap();
        for (receiver, name) in [(at_path, path.as_os_str()), (abstract_one, name.as_ref())] {
            receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            send(&socket_at(name).unwrap(), &[NotifyState::Ready, NotifyState::Status("fine")]).unwrap();
            let mut message = [0; 64];
            let length = receiver.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1\nSTATUS=fine\n", "{name:?}");
        }
    }

    #[test]
    fn watchdog_is_checked_four_times_per_timeout() {
        assert_eq!(period(Some(Duration::from_secs(20))), Duration::from_secs(5));
        assert_eq!(period(Some(Duration::from_secs(600))), STATUS_EVERY);
        assert_eq!(period(None), STATUS_EVERY);
    }
}
