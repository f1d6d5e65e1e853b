//! The sockets that HTTP is answered on: those that the service manager hands over (socket activation), else one that is
//! opened at the configured address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};

/// A connection is given up when its peer takes nothing for this long; the server itself would wait for it for ever.
const UNREAD_FOR: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Listeners {
    pub sockets: Vec<Listener>,
    /// The service manager opened them, and not this process.
    pub handed_over: bool,
}

#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    /// For proxies on this host. Always without TLS.
    Unix(UnixListener),
}

/// Where HTTP is served.
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

/// The configured address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system refuses.
    #[error("cannot listen on {listen}: {source}; {}", advice(source))]
    Address { listen: SocketAddr, source: io::Error },
    /// What was handed over is of no use.
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
    /// Those that were handed over to this very process, else a new one at `listen`.
    ///
    /// # Errors
    /// When there is none that can be listened on; the error says what to do.
    pub fn open(listen: SocketAddr) -> Result<Self, ListenError> {
        // It looks at LISTEN_PID: what was meant for a parent is not ours.
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
                // Connections inherit it. Without the option they last longer, and nothing else changes.
                let _ = setsockopt(socket, TcpUserTimeout, &milliseconds);
            }
        }
        Ok(Self { sockets, handed_over })
    }

    /// Where they listen.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn addresses(&self) -> Result<Vec<Address>, ListenError> {
        self.sockets.iter().map(|socket| socket.address().map_err(ListenError::HandedOver)).collect()
    }
}

/// A socket that was handed over, of either kind.
fn take(handed: &mut ListenFd, n: usize) -> io::Result<Option<Listener>> {
    match handed.take_unix_listener(n) {
        Ok(socket) => Ok(socket.map(Listener::Unix)),
        // It stays where it is when it is of another kind.
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
    fn an_address_in_use_is_named_with_what_to_do() {
        let taken = Listeners::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let Address::Tcp(address) = taken.addresses().unwrap()[0] else { panic!("{taken:?}") };
        let why = Listeners::open(address).unwrap_err().to_string();
        assert!(why.contains(&address.to_string()) && why.contains("another instance"), "{why}");
    }

    #[test]
    fn an_address_of_nobody_here_and_a_port_of_roots_have_advice_of_their_own() {
        // TEST-NET-1 is nobody's.
        let why = Listeners::open(SocketAddr::from(([192, 0, 2, 1], 0))).unwrap_err().to_string();
        assert!(why.contains("no interface of this host has that address"), "{why}");
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let why = ListenError::Address { listen, source: io::ErrorKind::PermissionDenied.into() }.to_string();
        assert!(why.contains("higher"), "{why}");
    }
}
