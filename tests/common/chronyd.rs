//! A real chronyd on loopback, serving the clock of this host: its true offset is zero.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code, which benches share")]
#![allow(dead_code, reason = "each test uses the part that it needs")]

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ntp_monitor_core::ntp::Packet;

use super::authority::Authority;

/// The program of the package, or the one that `scripts/install-dependencies.sh` extracts from the package.
const PROGRAMS: [&str; 2] = ["/usr/sbin/chronyd", "/usr/local/sbin/chronyd"];
const CHRONYC: [&str; 2] = ["/usr/bin/chronyc", "/usr/local/bin/chronyc"];
const START_DEADLINE: Duration = Duration::from_secs(10);
const START_ATTEMPTS: usize = 3;

/// A chronyd that serves NTS.
pub struct NtsServer {
    pub chronyd: Chronyd,
    /// The address of its key-exchange server.
    pub key_exchange: SocketAddr,
}

/// A running chronyd; killed and reaped when dropped, also when the test fails.
pub struct Chronyd {
    child: Child,
    /// The address on which it answers.
    pub address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Chronyd {
    /// Starts one on a free port of `ip` and waits until it answers. Tests fail without chronyd.
    pub fn start(ip: &str) -> Self {
        Self::start_with(ip, "local stratum 1")
    }

    /// As [`Chronyd::start`], with a server that has no source and says so.
    pub fn start_unsynchronised(ip: &str) -> Self {
        Self::start_with(ip, "")
    }

    /// Starts one at `address` in the network namespace of the process `pid`. This process cannot check that it
    /// answers.
    pub fn start_in_network_of(pid: u32, address: SocketAddr) -> Self {
        let mut enter = Command::new("nsenter");
        enter.args(["-t", &pid.to_string(), "-n", program()]);
        Self::spawn(enter, address, "local stratum 1")
    }

    /// Starts one that serves NTS too, with a certificate for `name`. Its key-exchange server is on another free port.
    pub fn start_with_nts(ip: &str, name: &str, authority: &Authority) -> NtsServer {
        let files = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.sign(name, 2020, 2120).write(files.path());
        let ip: IpAddr = ip.parse().unwrap();
        (0..START_ATTEMPTS)
            .find_map(|_| {
                let key_exchange = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
                let mut source = String::from("local stratum 1\n");
                writeln!(source, "ntsport {}\nntsprocesses 0", key_exchange.port()).unwrap();
                writeln!(source, "ntsservercert {}\nntsserverkey {}", certificate.display(), key.display()).unwrap();
                let chronyd = Self::try_start(ip, &source)?;
                let is_up = TcpStream::connect(key_exchange).is_ok();
                is_up.then_some(NtsServer { chronyd, key_exchange })
            })
            // chronyd has read the files.
            .inspect(|_| drop(files))
            .expect("chronyd serves key exchange on a free port")
    }

    /// Starts one with these lines of configuration.
    pub fn start_with(ip: &str, source: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        // Another process may take the free port before chronyd does.
        (0..START_ATTEMPTS).find_map(|_| Self::try_start(ip, source)).expect("chronyd answers on a free port")
    }

    fn try_start(ip: IpAddr, source: &str) -> Option<Self> {
        let address = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        let mut chronyd = Self::spawn(Command::new(program()), address, source);
        chronyd.wait_until_it_answers().then_some(chronyd)
    }

    fn spawn(mut program: Command, address: SocketAddr, source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("chrony.conf");
        std::fs::write(&config, configuration(address, source, dir.path())).unwrap();
        // -x leaves the clock alone, -d stays in the foreground, -U runs without root when it must.
        let child = program
            .args(["-x", "-d", "-U", "-u"])
            .arg(user())
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        Self { child, address, _dir: dir }
    }

    /// Ends it and starts another one at the same address.
    pub fn restart(mut self) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut next = Self::spawn(Command::new(program()), self.address, "local stratum 1");
        assert!(next.wait_until_it_answers(), "the port is free again");
        next
    }

    fn wait_until_it_answers(&mut self) -> bool {
        let deadline = Instant::now() + START_DEADLINE;
        let socket = UdpSocket::bind((self.address.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        socket.connect(self.address).unwrap();
        while Instant::now() < deadline && self.child.try_wait().unwrap().is_none() {
            // Refused until it listens; the read time-out paces the loop otherwise.
            let asked = socket.send(&Packet::request(1).to_bytes());
            if asked.is_ok() && socket.recv(&mut [0; 48]).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        eprintln!("chronyd did not answer: {}", self.stderr());
        false
    }

    /// The counter of `chronyc serverstats` with this name.
    pub fn counted(&self, name: &str) -> u64 {
        let output = chronyc(&control(self._dir.path())).arg("serverstats").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut pairs = text.lines().filter_map(|line| line.split_once(" : "));
        let count = pairs.find_map(|(found, value)| (found.trim() == name).then(|| value.trim().parse().unwrap()));
        count.unwrap_or_else(|| panic!("chronyc shows no {name:?}: {text}"))
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self._dir.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Chronyd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn program() -> &'static str {
    let found = PROGRAMS.into_iter().find(|program| Path::new(program).exists());
    found.expect("chronyd is missing: run scripts/install-dependencies.sh test")
}

/// chronyc for the chronyd with this command socket.
pub(super) fn chronyc(socket: &Path) -> Command {
    let found = CHRONYC.into_iter().find(|program| Path::new(program).exists());
    let mut command = Command::new(found.expect("chronyc is missing: run scripts/install-dependencies.sh test"));
    command.arg("-h").arg(socket).arg("-n");
    command
}

fn control(dir: &Path) -> PathBuf {
    dir.join("control")
}

fn configuration(address: SocketAddr, source: &str, dir: &Path) -> String {
    let mut text = String::new();
    writeln!(text, "{source}\nallow\ncmdport 0\nbindcmdaddress {}", control(dir).display()).unwrap();
    writeln!(text, "port {}\nbindaddress {}", address.port(), address.ip()).unwrap();
    writeln!(text, "pidfile {0}/chronyd.pid\ndriftfile {0}/drift", dir.display()).unwrap();
    text
}

/// The user that chronyd switches to: the one who runs the tests and owns the directory.
pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
