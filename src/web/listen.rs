//! The listening sockets for HTTP: those passed by the service manager (socket activation), otherwise one opened at the
//! configured address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};

/// A connection is closed when its peer reads nothing for this long; the HTTP server itself would wait forever.
const UNREAD_FOR: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Listeners {
    pub sockets: Vec<Listener>,
    /// Whether the service manager opened them.
    pub handed_over: bool,
}

#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    /// A Unix socket, for proxies on this host. Always without TLS.
    Unix(UnixListener),
}

/// An address at which HTTP is served.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    /// The path of the socket, or `@` and its name in the abstract namespace.
    Unix(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(name) => write!(f, "unix:{name}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Listener {
    fn address(&self) -> io::Result<Address> {
        let socket = match self {
            Self::Tcp(socket) => return socket.local_addr().map(Address::Tcp),
            Self::Unix(socket) => socket.local_addr()?,
        };
        let path = socket.as_pathname().map(|path| path.display().to_string());
        let name = || socket.as_abstract_name().map(|name| format!("@{}", String::from_utf8_lossy(name)));
        Ok(Address::Unix(path.or_else(name).unwrap_or_default()))
    }
}

/// The service cannot listen on the configured address.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system call failed.
    #[error("cannot listen on {listen}: {source}; {}", advice(source))]
    Address { listen: SocketAddr, source: io::Error },
    /// A passed socket cannot be used.
    #[error(
        "a socket that the service manager handed over cannot be used: {0}; it must be a stream socket, of TCP or Unix"
    )]
    HandedOver(io::Error),
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "ports below 1024 are root's: set http.listen to a higher one",
        io::ErrorKind::AddrNotAvailable => "no interface of this host has that address: correct http.listen",
        _ => "is another instance running, or is http.listen wrong?",
    }
}

impl Listeners {
    /// The sockets passed to this process, otherwise a new one at `listen`.
    ///
    /// # Errors
    /// When no socket can be used; the error says what to do.
    pub fn open(listen: SocketAddr) -> Result<Self, ListenError> {
        // LISTEN_PID is checked: sockets meant for a parent process are not ours.
        let mut handed = ListenFd::from_env();
        let handed: io::Result<Vec<_>> = (0..handed.len()).map(|n| take(&mut handed, n)).collect();
        let mut sockets: Vec<_> = handed.map_err(ListenError::HandedOver)?.into_iter().flatten().collect();
        let handed_over = !sockets.is_empty();
        if !handed_over {
            let socket = TcpListener::bind(listen).map_err(|source| ListenError::Address { listen, source })?;
            sockets.push(Listener::Tcp(socket));
        }
        for socket in &sockets {
            let milliseconds = u32::try_from(UNREAD_FOR.as_millis()).unwrap_or(u32::MAX);
            if let Listener::Tcp(socket) = socket {
                // Connections inherit the option. Without it, dead connections only last longer.
                let _ = setsockopt(socket, TcpUserTimeout, &milliseconds);
            }
        }
        Ok(Self { sockets, handed_over })
    }

    /// The addresses of the sockets.
    ///
    /// # Errors
    /// When the system call fails.
    pub fn addresses(&self) -> Result<Vec<Address>, ListenError> {
        self.sockets.iter().map(|socket| socket.address().map_err(ListenError::HandedOver)).collect()
    }
}

/// A passed socket, of either kind.
fn take(handed: &mut ListenFd, n: usize) -> io::Result<Option<Listener>> {
    match handed.take_unix_listener(n) {
        Ok(socket) => Ok(socket.map(Listener::Unix)),
        // A socket of the other kind is left in place.
        Err(_) => Ok(handed.take_tcp_listener(n)?.map(Listener::Tcp)),
    }
}

/// Whether other machines can reach one of these addresses.
#[must_use]
pub fn is_exposed(addresses: &[Address]) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    addresses.iter().any(|address| matches!(address, Address::Tcp(address) if !is_loopback(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_beyond_loopback_exposes_the_service() {
        let tcp = |one: &str| Address::Tcp(one.parse().unwrap());
        let of = |text: &str| is_exposed(&text.split(' ').map(tcp).collect::<Vec<_>>());
        assert!(!is_exposed(&[Address::Unix("/run/web".to_owned())]));
        assert!(!of("127.0.0.1:80 [::1]:80 [::ffff:127.0.0.2]:80"));
        assert!(of("127.0.0.1:80 0.0.0.0:80") && of("[::]:80") && of("192.0.2.1:80"));
    }

    #[test]
    fn unix_socket_is_named_by_its_path_or_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web");
        let socket = Listener::Unix(UnixListener::bind(&path).unwrap());
        assert_eq!(socket.address().unwrap().to_string(), format!("unix:{}", path.display()));
        let name = format!("ntp-monitor-test-{:016x}", rand::random::<u64>());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = Listener::Unix(UnixListener::bind_addr(&address).unwrap());
        assert_eq!(socket.address().unwrap(), Address::Unix(format!("@{name}")));
    }

    #[test]
    fn address_in_use_is_reported_with_advice() {
        let taken = Listeners::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let Address::Tcp(address) = taken.addresses().unwrap()[0] else { panic!("{taken:?}") };
        let why = Listeners::open(address).unwrap_err().to_string();
        assert!(why.contains(&address.to_string()) && why.contains("another instance"), "{why}");
    }

    #[test]
    fn foreign_address_and_privileged_port_have_their_own_advice() {
        // No host has an address of TEST-NET-1.
        let why = Listeners::open(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err().to_string();
        assert!(why.contains("no interface of this host has that address"), "{why}");
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let why = ListenError::Address { listen, source: io::ErrorKind::PermissionDenied.into() }.to_string();
        assert!(why.contains("higher"), "{why}");
    }
}
