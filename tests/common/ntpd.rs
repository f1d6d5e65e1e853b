//! `ntp-daemon` of the crate `ntpd`, if it is installed: a server with NTS that shares no code with chronyd.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::authority::Authority;
use super::wait::until;

/// A running server; killed and reaped when dropped. It has no sources, so it leaves the clock alone.
pub struct NtpDaemon {
    child: Child,
    pub address: SocketAddr,
    pub key_exchange: SocketAddr,
    _dir: tempfile::TempDir,
}

impl NtpDaemon {
    /// Starts one with a certificate for `name`; `None` if the program is not installed.
    pub fn start(name: &str, authority: &Authority) -> Option<Self> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = authority.sign(name, 2020, 2120).write(dir.path());
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let key_exchange = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = dir.path().join("ntp.toml");
        let text = format!(
            "[synchronization]\nlocal-stratum = 1\n[[server]]\nlisten = \"{address}\"\n[[nts-ke-server]]\n\
             listen = \"{key_exchange}\"\nntp-port = {}\ncertificate-chain-path = {certificate:?}\n\
             private-key-path = {key:?}\n",
            address.port()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        let child =
            command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { child: child.spawn().unwrap(), address, key_exchange, _dir: dir };
        until("ntp-daemon serves key exchange", || TcpStream::connect(key_exchange).is_ok());
        Some(server)
    }
}

impl Drop for NtpDaemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program in `NTP_DAEMON`, or the one in the path.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("NTP_DAEMON").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join("ntp-daemon"));
    named.or_else(|| found.find(|program| program.is_file()))
}
