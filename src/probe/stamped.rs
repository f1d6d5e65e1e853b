//! A UDP socket with kernel timestamps, one per query.
//!
//! It is not connected, so that an answer from another address than the one asked becomes evidence instead of silence.
//! ICMP errors come through its error queue, like the transmit timestamps.
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
    sendto, setsockopt, socket, sockopt,
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
    peer: SocketAddr,
}

/// The socket of one query, waiting for replies.
#[derive(Debug)]
pub(super) struct StampedSocket {
    socket: UdpSocket,
    peer: SocketAddr,
}

/// A received datagram or error queue message.
#[derive(Debug)]
pub(super) struct Received {
    /// Number of octets in the buffer.
    pub len: usize,
    /// The sender of a datagram; the destination of the request that an ICMP error is about.
    pub address: Option<SocketAddr>,
    /// The address of this host that a datagram was sent to; only over IPv4.
    pub local: Option<Ipv4Addr>,
    /// The kernel's timestamp.
    pub stamp: Option<NtpTimestamp>,
    /// Whether this is an ICMP error that refuses the request for good.
    is_refusal: bool,
}

/// A message of the error queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// When the request was transmitted.
    TransmitStamp(NtpTimestamp),
    /// The request was refused (ICMP port unreachable and similar).
    Refused,
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
    /// A socket for one request to `peer`.
    pub fn open(peer: SocketAddr) -> Result<Self, OpenError> {
        let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Datagram, flags, None).map_err(io::Error::from)?;
        let socket = std::net::UdpSocket::from(fd);
        enable_stamps(&socket).map_err(OpenError::NoStamps)?;
        if peer.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true).map_err(io::Error::from)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).map_err(io::Error::from)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true).map_err(io::Error::from)?;
        }
        Ok(Self { socket, peer })
    }

    /// Sends one datagram without waiting, from a random port chosen by the kernel (RFC 9109); the empty send buffer has
    /// room for it.
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let peer = SockaddrStorage::from(self.peer);
        Ok(sendto(self.socket.as_raw_fd(), datagram, &peer, MsgFlags::empty()).map(drop)?)
    }

    /// The next message of the error queue, if there is one yet: most interfaces make the transmit timestamp before the
    /// send call returns.
    pub fn try_queued(&self) -> Option<Queued> {
        next_queued(self.peer, || receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE))
    }

    /// Registers the socket with the runtime to wait for replies. A reply that has already arrived is not missed. Done
    /// after sending, because earlier registration would cause wake-ups for writability and the transmit timestamp.
    pub fn listen(self) -> io::Result<StampedSocket> {
        Ok(StampedSocket { socket: UdpSocket::from_std(self.socket)?, peer: self.peer })
    }
}

impl StampedSocket {
    /// Waits for a datagram, a transmit timestamp or an error.
    pub async fn ready(&self) -> io::Result<Ready> {
        self.socket.ready(Interest::READABLE | Interest::ERROR).await
    }

    /// Waits for a transmit timestamp or an error.
    pub async fn stamp_or_error(&self) -> io::Result<()> {
        self.socket.ready(Interest::ERROR).await.map(drop)
    }

    /// The next message of the error queue, if there is one yet.
    pub fn try_queued(&self) -> Option<Queued> {
        let read = || receive(&self.socket, &mut [], MsgFlags::MSG_ERRQUEUE);
        next_queued(self.peer, || self.socket.try_io(Interest::ERROR, read))
    }

    /// The next datagram, or an error of kind `WouldBlock`.
    pub fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || receive(&self.socket, buffer, MsgFlags::empty()))
    }
}

/// Reads the error queue up to the first message that matters. The others are ICMP errors that may pass, such as a
/// route that is missing somewhere, and errors about datagrams that were not sent to `peer`.
fn next_queued(peer: SocketAddr, read: impl Fn() -> io::Result<Received>) -> Option<Queued> {
    loop {
        match read().ok()? {
            Received { is_refusal: true, address, .. } if address.is_none_or(|to| same_endpoint(to, peer)) => {
                return Some(Queued::Refused);
            }
            Received { is_refusal: false, stamp: Some(stamp), .. } => return Some(Queued::TransmitStamp(stamp)),
            _ => {}
        }
    }
}

/// Whether an ICMP error refuses the request for good. The kernel ends connections for the same codes.
fn is_refusal(error: &nix::libc::sock_extended_err) -> bool {
    // Network and host unreachable (0, 1, 11, 12), fragmentation (4) and a failed source route (5) may pass.
    const UNREACHABLE_V4: u8 = 3;
    // No route (0), beyond the scope (2) and address unreachable (3) may pass.
    const UNREACHABLE_V6: u8 = 1;
    match error.ee_origin {
        nix::libc::SO_EE_ORIGIN_ICMP => {
            error.ee_type == UNREACHABLE_V4 && !matches!(error.ee_code, 0 | 1 | 4 | 5 | 11 | 12)
        }
        nix::libc::SO_EE_ORIGIN_ICMP6 => error.ee_type == UNREACHABLE_V6 && !matches!(error.ee_code, 0 | 2 | 3),
        _ => false,
    }
}

/// Compares address and port; the kernel handles the scope and flow label of IPv6.
pub(super) fn same_endpoint(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}

fn receive(socket: &impl AsRawFd, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Received> {
    // Twice the size of a timestamp and an extended error with an IPv6 address.
    let mut control = [0; 256];
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let address = message.address.as_ref().and_then(socket_addr);
    let mut received = Received { len: message.bytes, address, local: None, stamp: None, is_refusal: false };
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::ScmTimestampsns(stamps) => received.stamp = ntp_timestamp(stamps.system),
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                received.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
            }
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                received.is_refusal = is_refusal(&error);
            }
            _ => {}
        }
    }
    Ok(received)
}

fn ntp_timestamp(time: TimeSpec) -> Option<NtpTimestamp> {
    let unix_ns = time.tv_sec().checked_mul(1_000_000_000)?.checked_add(time.tv_nsec())?;
    // The kernel uses zero for "no software timestamp".
    (unix_ns != 0).then(|| NtpTimestamp::from_unix_ns(unix_ns))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
