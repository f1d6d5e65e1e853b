//! A connected UDP socket with kernel timestamps, one per query.
//!
//! Built on `nix` and tokio's socket. The `timestamped-socket` crate is similar, but hides ICMP errors until the next
//! send (a refusal would cost a second datagram), waits 200 ms in `send` on interfaces without transmit timestamps, and
//! leaves its sockets open across exec.

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

/// Buffer size for one datagram: more than a path carries unfragmented, so that no datagram is truncated.
pub(super) const BUFFER_LEN: usize = 2048;

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The kernel, or a sandbox, provides no timestamps.
    #[error("the kernel provides no timestamps: {0}")]
    NoStamps(io::Error),
    /// Any other error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The socket of one query, before anything was sent.
#[derive(Debug)]
pub(super) struct FreshSocket {
    socket: std::net::UdpSocket,
}

/// The socket of one query, waiting for replies.
#[derive(Debug)]
pub(super) struct StampedSocket {
    socket: UdpSocket,
}

/// A received datagram or error queue message.
#[derive(Debug)]
pub(super) struct Received {
    /// Number of octets in the buffer.
    pub len: usize,
    /// The sender. A datagram always has one, an error queue message may have none.
    pub source: Option<SocketAddr>,
    /// The kernel's receive timestamp.
    pub stamp: Option<NtpTimestamp>,
}

/// The unspecified address of the family of `peer`, with any port.
pub(super) fn any_local(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Requests software timestamps for sent and received datagrams. Hardware timestamps would measure the clock of the
/// network card, which is not the clock of this host.
fn enable_stamps(socket: &std::net::UdpSocket) -> io::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Keeps the kernel's timestamping enabled while it exists.
///
/// The kernel timestamps received datagrams only while some socket asks for it, and starts shortly after the first
/// socket asks, so the reply to a first query would have no timestamp. Switching per query would also cost time.
#[derive(Debug)]
pub(super) struct KeepStamping {
    _socket: std::net::UdpSocket,
}

impl KeepStamping {
    const ATTEMPTS: usize = 20;
    const PAUSE: Duration = Duration::from_millis(1);

    /// Enables timestamping and waits, for at most about 20 ms, until a datagram from this socket to itself has a
    /// timestamp. If it gets none, that is not an error here: queries handle missing timestamps.
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
    /// A connected socket on a random port chosen by the kernel (RFC 9109); it receives only from `peer`.
    pub fn connect(peer: SocketAddr) -> Result<Self, OpenError> {
        let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None).map_err(io::Error::from)?;
        let socket = std::net::UdpSocket::from(fd);
        enable_stamps(&socket).map_err(OpenError::NoStamps)?;
        // This also binds the socket.
        socket.connect(peer)?;
        Ok(Self { socket })
    }

    /// Sends one datagram without waiting; the empty send buffer has room for it.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).map(drop)
    }

    /// The transmit timestamp, if it exists yet: most interfaces make it before the send call returns.
    pub fn try_transmit_stamp(&self) -> Option<NtpTimestamp> {
        next_transmit_stamp(|| receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE))
    }

    /// Registers the socket with the runtime to wait for replies. A reply that has already arrived is not missed. Done
    /// after sending, because earlier registration would cause wake-ups for writability and the transmit timestamp.
    pub fn listen(self) -> io::Result<StampedSocket> {
        Ok(StampedSocket { socket: UdpSocket::from_std(self.socket)? })
    }
}

impl StampedSocket {
    /// The local address of the socket.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.socket.local_addr().ok().map(|address| address.ip())
    }

    /// Waits for a datagram, a transmit timestamp or an error.
    pub async fn ready(&self) -> io::Result<Ready> {
        self.socket.ready(Interest::READABLE | Interest::ERROR).await
    }

    /// Waits for a transmit timestamp or an error.
    pub async fn stamp_or_error(&self) -> io::Result<()> {
        self.socket.ready(Interest::ERROR).await.map(drop)
    }

    /// The transmit timestamp, if it exists yet.
    pub fn try_transmit_stamp(&self) -> Option<NtpTimestamp> {
        let read = || receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE);
        next_transmit_stamp(|| self.socket.try_io(Interest::ERROR, read))
    }

    /// The pending error of the socket, which ICMP reported for the datagram sent.
    pub fn take_error(&self) -> Option<io::Error> {
        self.socket.take_error().ok().flatten()
    }

    /// The next datagram, or an error of kind `WouldBlock`.
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || receive(&self.socket, buffer, MsgFlags::empty()))
    }
}

/// Reads the error queue up to the first timestamp. Other messages in it carry none; their errors are also reported by
/// the socket itself.
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
    // Twice the size of a timestamp and an extended error with an IPv6 address.
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
    // The kernel uses zero for "no software timestamp".
    (unix_ns != 0).then(|| NtpTimestamp::from_unix_ns(unix_ns))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
