//! A UDP socket with kernel timestamps, which carries the requests of many queries.
//!
//! It is not connected, so that it reaches every server of its family, and a reply from another address than the one
//! asked is received and becomes evidence. ICMP errors arrive through its error queue, like the transmit timestamps.
//!
//! Built on `nix` and `socket2`. The `timestamped-socket` crate is similar, but hides ICMP errors until the next send
//! (a refusal would cost a second datagram), waits 200 ms in `send` on interfaces without transmit timestamps, and
//! leaves its sockets open across exec.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, TimestampingFlag, recvmmsg, setsockopt, sockopt};
use socket2::{Domain, MsgHdr, SockAddr, Socket, Type};

use super::super::endpoint::any_local;
use super::filter;
use super::message::Received;

/// Buffer size for one datagram: more than a path carries unfragmented, so that no datagram is truncated.
const BUFFER_LEN: usize = 2048;
/// Number of messages read by one call. A tick brings a few datagrams to each socket, and the headers are allocated
/// for each call, so more would cost more.
const BATCH: usize = 8;
/// Room for the control messages of one message: a timestamp, an extended error with an IPv6 address, packet
/// information and a hop limit take 184 octets.
const CONTROL_LEN: usize = 224;

/// How sockets are opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Number of sockets of each family, among which the requests are distributed.
    pub sockets: usize,
    /// Whether the kernel accepts a number with each request and returns it with the transmit timestamp. Otherwise it
    /// returns the packet.
    pub numbered: bool,
    /// Octets of the receive buffer, which the error queue shares; the kernel may grant less.
    pub receive_buffer: usize,
}

impl Options {
    /// Both families together need 32 descriptors.
    const SOCKETS: usize = 16;
    /// 2,500 small datagrams or timestamps; the default of the kernel holds 255.
    const RECEIVE_BUFFER: usize = 1 << 20;

    /// The options for this kernel.
    pub fn detect() -> Self {
        Self { sockets: Self::SOCKETS, numbered: takes_numbers(), receive_buffer: Self::RECEIVE_BUFFER }
    }
}

/// The kernel, or a sandbox around this process, provides no timestamps.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the kernel provides no timestamps: {0}")]
pub struct NoStamps(Arc<io::Error>);

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    NoStamps(NoStamps),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A socket of the pool.
#[derive(Debug)]
pub(super) struct PollSocket {
    socket: Socket,
    port: u16,
    numbered: bool,
    /// The first 16 bits of every cookie that is sent from this socket.
    tag: u16,
    is_filtered: bool,
}

impl PollSocket {
    /// A socket for requests to addresses of the family of `peer`, bound to a random port chosen by the kernel.
    pub fn open(peer: SocketAddr, options: &Options) -> Result<Self, OpenError> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(peer), kind, None)?;
        enable_stamps(&socket, options.numbered).map_err(|why| OpenError::NoStamps(NoStamps(Arc::new(why))))?;
        if peer.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true).map_err(io::Error::from)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).map_err(io::Error::from)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true).map_err(io::Error::from)?;
        } else {
            // A socket for both families would need the options of both.
            socket.set_only_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true).map_err(io::Error::from)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true).map_err(io::Error::from)?;
        }
        socket.set_recv_buffer_size(options.receive_buffer)?;
        socket.bind(&any_local(peer).into())?;
        let port = socket.local_addr()?.as_socket().map_or(0, |local| local.port());
        // Never zero, so that no cookie is zero.
        Ok(Self { socket, port, numbered: options.numbered, tag: rand::random_range(1..=u16::MAX), is_filtered: false })
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether transmit timestamps arrive with the number of the request instead of its packet.
    pub const fn is_numbered(&self) -> bool {
        self.numbered
    }

    /// A cookie for a request from this socket: its tag and 48 random bits.
    pub fn cookie(&self) -> u64 {
        u64::from(self.tag) << 48 | rand::random::<u64>() >> 16
    }

    /// Sends one request without waiting; its transmit timestamp will arrive with `number`.
    pub fn send(&self, request: &[u8], to: SocketAddr, number: u32) -> io::Result<()> {
        let address = SockAddr::from(to);
        let buffers = [IoSlice::new(request)];
        let control = transmit_id(number);
        let message = MsgHdr::new().with_addr(&address).with_buffers(&buffers);
        let message = if self.numbered { message.with_control(&control) } else { message };
        self.socket.sendmsg(&message, 0).map(drop)
    }

    /// Reads waiting datagrams into `inbox`.
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<()> {
        inbox.fill(&self.socket, MsgFlags::empty())
    }

    /// Reads messages of the error queue into `inbox`. Also clears the error that an ICMP message left on the socket,
    /// which the next call would report whatever address it is for.
    pub fn receive_errors(&self, inbox: &mut Inbox) -> io::Result<()> {
        inbox.fill(&self.socket, MsgFlags::MSG_ERRQUEUE)
    }

    /// Clears an error whose message did not fit into the error queue.
    pub fn clear_error(&self) {
        // No query depends on this value: refusals are read from the error queue.
        let _ = self.socket.take_error();
    }

    /// Makes the kernel drop datagrams that do not repeat the tag of this socket, before they take room in the receive
    /// buffer. Returns false if it already does so, or cannot.
    pub fn drop_untagged(&mut self) -> bool {
        let was_filtered = std::mem::replace(&mut self.is_filtered, true);
        !was_filtered && self.socket.attach_filter(&filter::tagged_replies(self.tag)).is_ok()
    }
}

impl AsFd for PollSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Messages that were read by one call, with their octets.
#[derive(Debug)]
pub(super) struct Inbox {
    octets: Box<[u8]>,
    messages: Vec<Received>,
}

impl Inbox {
    pub fn new() -> Self {
        Self { octets: vec![0; BATCH * BUFFER_LEN].into(), messages: Vec::with_capacity(BATCH) }
    }

    pub fn messages(&self) -> impl Iterator<Item = (&Received, &[u8])> {
        self.messages
            .iter()
            .zip(self.octets.chunks(BUFFER_LEN))
            .map(|(message, octets)| (message, &octets[..message.len]))
    }

    /// Whether there may be more messages to read.
    pub const fn is_full(&self) -> bool {
        self.messages.len() == BATCH
    }

    fn fill(&mut self, socket: &Socket, flags: MsgFlags) -> io::Result<()> {
        self.messages.clear();
        // The kernel shortens the control buffers of the headers, and `nix` does not restore them.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(Vec::with_capacity(CONTROL_LEN)));
        let mut buffers: Vec<_> = self.octets.chunks_mut(BUFFER_LEN).map(|octets| [IoSliceMut::new(octets)]).collect();
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, buffers.iter_mut(), flags, None)?;
        self.messages.extend(received.map(|message| Received::of(&message)));
        Ok(())
    }
}

/// Requests software timestamps for sent and received datagrams. Hardware timestamps would measure the clock of the
/// network card, which is not the clock of this host.
fn enable_stamps(socket: &Socket, numbered: bool) -> io::Result<()> {
    let mut flags = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE;
    if numbered {
        flags |= TimestampingFlag::SOF_TIMESTAMPING_OPT_ID | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
    }
    Ok(setsockopt(socket, sockopt::Timestamping, &flags)?)
}

/// Whether the kernel accepts a number with each request (Linux 6.13). The counter of older kernels cannot be used: it
/// also advances for a request that the queueing discipline drops, although the call reports success.
fn takes_numbers() -> bool {
    let attempt = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        enable_stamps(&socket, true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let (itself, buffers, control) = (socket.local_addr()?, [IoSlice::new(&[0])], transmit_id(0));
        socket.sendmsg(&MsgHdr::new().with_addr(&itself).with_buffers(&buffers).with_control(&control), 0)
    };
    attempt().is_ok()
}

/// Length of a control message's header, on 64-bit and 32-bit machines.
const CONTROL_HEADER_LEN: usize = size_of::<usize>() + 8;
const TRANSMIT_ID_LEN: usize = (CONTROL_HEADER_LEN + 4).next_multiple_of(size_of::<usize>());

/// The control message with the number of a request. The crates that are used here do not provide it yet.
fn transmit_id(number: u32) -> [u8; TRANSMIT_ID_LEN] {
    const SCM_TS_OPT_ID: i32 = 81;
    let mut control = [0; TRANSMIT_ID_LEN];
    let parts: [&[u8]; 4] = [
        &(CONTROL_HEADER_LEN + 4).to_ne_bytes(),
        &nix::libc::SOL_SOCKET.to_ne_bytes(),
        &SCM_TS_OPT_ID.to_ne_bytes(),
        &number.to_ne_bytes(),
    ];
    control.iter_mut().zip(parts.concat()).for_each(|(octet, value)| *octet = value);
    control
}

/// Keeps the kernel's timestamping of received datagrams enabled while it exists.
///
/// The kernel timestamps received datagrams only while some socket asks for it, and starts shortly after the first
/// socket asks, so the reply to a first query would have no timestamp.
#[derive(Debug)]
pub(super) struct KeepStamping {
    _socket: Socket,
}

impl KeepStamping {
    const ATTEMPTS: usize = 20;
    const PAUSE: Duration = Duration::from_millis(1);

    /// Enables timestamping and waits, for at most about 20 ms, until a datagram from this socket to itself has a
    /// timestamp. If it gets none, that is not an error here: queries handle missing timestamps.
    pub fn start() -> io::Result<Self> {
        let loopback = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        let socket = Socket::from(std::net::UdpSocket::bind(&loopback[..])?);
        enable_stamps(&socket, false)?;
        socket.connect(&socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        let mut inbox = Inbox::new();
        for _ in 0..Self::ATTEMPTS {
            let arrived = socket.send(&[0]).and_then(|_| inbox.fill(&socket, MsgFlags::empty()));
            if arrived.is_ok() && inbox.messages().any(|(message, _)| message.stamp.is_some()) {
                break;
            }
            std::thread::sleep(Self::PAUSE);
        }
        Ok(Self { _socket: socket })
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
