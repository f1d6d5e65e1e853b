//! A connected UDP socket whose datagrams the kernel stamps, one for each query.
//!
//! Written on `nix` and tokio's own socket. The `timestamped-socket` crate does the same, but it hides ICMP errors until
//! the next send (a refusal would cost a second datagram), waits 200 ms inside of `send` on routes without transmit
//! stamps, and leaves its sockets open across exec.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, TimestampingFlag, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

use ntp_monitor_core::ntp::NtpTimestamp;

/// Room for one datagram: more than any path carries in one piece, so that nothing is judged cut short.
pub(super) const BUFFER_LEN: usize = 2048;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The kernel, or a sandbox around us, does not give stamps.
    #[error("the kernel gives no timestamps: {0}")]
    NoStamps(io::Error),
    /// Anything else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The socket of one query, from which nothing was sent yet.
#[derive(Debug)]
pub(super) struct FreshSocket {
    socket: std::net::UdpSocket,
}

/// The socket of one query, which waits for answers.
#[derive(Debug)]
pub(super) struct StampedSocket {
    socket: UdpSocket,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Received {
    /// Octets in the buffer.
    pub len: usize,
    /// Who sent it; a datagram always has a source, a message of the error queue may have none.
    pub source: Option<SocketAddr>,
    /// The kernel's receive stamp.
    pub stamp: Option<NtpTimestamp>,
}

/// The unspecified address of the family of `peer`, any port.
pub(super) fn any_local(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Asks the kernel for software stamps of what `socket` sends and receives. With hardware stamps a network card's clock
/// would be measured, which is not the clock of this host.
fn enable_stamps(socket: &std::net::UdpSocket) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Keeps the kernel stamping while it lives.
///
/// The kernel stamps what it receives only while some socket wants that, and begins a little after the first socket
/// asks: the reply to a first query would come without a stamp. Switching it on and off with each query costs time too.
#[derive(Debug)]
pub(super) struct KeepStamping {
    _socket: std::net::UdpSocket,
}

impl KeepStamping {
    const ATTEMPTS: usize = 20;
    const PAUSE: Duration = Duration::from_millis(1);

    /// Switches stamping on and waits until a datagram from this socket to itself is stamped, at most some 20 ms.
    /// Whether it was is not an error: the queries have their own answer to a missing stamp.
    pub fn start() -> io::Result<Self> {
        let loopback = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        let socket = std::net::UdpSocket::bind(&loopback[..])?;
        enable_stamps(&socket)?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        for _ in 0..Self::ATTEMPTS {
            let sent = socket.send(&[0]);
            if sent.is_ok() && receive(&socket, &mut [0], MsgFlags::empty()).is_ok_and(|got| got.stamp.is_some()) {
                break;
            }
            std::thread::sleep(Self::PAUSE);
        }
        Ok(Self { _socket: socket })
    }
}

impl FreshSocket {
    /// A socket on a port of the kernel's choice (random, RFC 9109), connected: only `peer` can be heard.
    pub fn connect(peer: SocketAddr) -> Result<Self, OpenError> {
        let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None).map_err(io::Error::from)?;
        let socket = std::net::UdpSocket::from(fd);
        enable_stamps(&socket).map_err(OpenError::NoStamps)?;
        // This binds it too.
        socket.connect(peer)?;
        Ok(Self { socket })
    }

    /// Sends one datagram, for which an empty buffer has room, without waiting.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).map(drop)
    }

    /// The transmit stamp, if it is there by now: most interfaces make it before the send call returns.
    pub fn try_transmit_stamp(&self) -> Option<NtpTimestamp> {
        next_transmit_stamp(|| receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE))
    }

    /// Begins to wait for answers. What came already is not missed; that there is room to send, and a transmit stamp
    /// that was taken, would only have woken us.
    pub fn listen(self) -> io::Result<StampedSocket> {
        Ok(StampedSocket { socket: UdpSocket::from_std(self.socket)? })
    }
}

impl StampedSocket {
    /// The address by which the peer knows this host, as far as this host can tell.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.socket.local_addr().ok().map(|address| address.ip())
    }

    /// Waits until there is a datagram, a transmit stamp or an error to look at.
    pub async fn ready(&self) -> io::Result<Ready> {
        self.socket.ready(Interest::READABLE | Interest::ERROR).await
    }

    /// Waits until there is a transmit stamp or an error to look at.
    pub async fn stamp_or_error(&self) -> io::Result<()> {
        self.socket.ready(Interest::ERROR).await.map(drop)
    }

    /// The transmit stamp, if it is there by now.
    pub fn try_transmit_stamp(&self) -> Option<NtpTimestamp> {
        let read = || receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE);
        next_transmit_stamp(|| self.socket.try_io(Interest::ERROR, read))
    }

    /// The error that is pending on the socket: what ICMP told about our datagram.
    pub fn take_error(&self) -> Option<io::Error> {
        self.socket.take_error().ok().flatten()
    }

    /// The next datagram, or that it would block.
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || receive(&self.socket, buffer, MsgFlags::empty()))
    }
}

/// Reads the error queue up to the first stamp. What else may be in it carries none, and the socket's error says it
/// again.
fn next_transmit_stamp(read: impl Fn() -> io::Result<Received>) -> Option<NtpTimestamp> {
    loop {
        match read() {
            Ok(Received { stamp: Some(stamp), .. }) => return Some(stamp),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

fn receive(socket: &impl AsRawFd, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Received> {
    // A stamp and an extended error with an IPv6 address behind it fit in twice.
    let mut control = [0; 256];
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let stamp = message.cmsgs().into_iter().flatten().find_map(|control| match control {
        ControlMessageOwned::ScmTimestampsns(stamps) => ntp_timestamp(stamps.system),
        _ => None,
    });
    let source = message.address.as_ref().and_then(socket_addr);
    Ok(Received { len: message.bytes, source, stamp })
}

fn ntp_timestamp(time: TimeSpec) -> Option<NtpTimestamp> {
    let unix_ns = time.tv_sec() * 1_000_000_000 + time.tv_nsec();
    // All zero is how the kernel says "no software stamp".
    (unix_ns != 0).then(|| NtpTimestamp::from_unix_ns(unix_ns))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
