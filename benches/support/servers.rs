//! An NTP server at every loopback address: one socket and one thread, which records the address and time of each
//! request. It answers at once or after a random delay, from the polled address, because the engines accept no other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::libc::in_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};
use ntp_monitor_core::ntp::{Mode, NtpShort, NtpTimestamp, Packet, RefId};

/// The servers; their thread ends with the process.
pub struct Servers {
    /// The port on which they answer.
    pub port: u16,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

/// A request that was answered.
#[derive(Clone, Copy)]
pub struct Arrival {
    pub at: Instant,
    pub server: Ipv4Addr,
}

impl Servers {
    pub fn start() -> std::io::Result<Self> {
        Self::answering_after(Duration::ZERO..Duration::ZERO)
    }

    /// Servers that delay each reply by a random time.
    pub fn answering_after(delay: Range<Duration>) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // All the requests of a second may come at once.
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
        let port = socket.local_addr()?.port();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrivals);
        let (later, kept_back) = channel();
        let sender = socket.try_clone()?;
        std::thread::Builder::new().name("late replies".into()).spawn(move || send_late(&sender, &kept_back))?;
        std::thread::Builder::new().name("servers".into()).spawn(move || {
            loop {
                // An error is the ICMP response to an earlier reply whose client is gone.
                let Ok(Some(request)) = receive(&socket) else { continue };
                let server = Ipv4Addr::from(u32::from_be(request.route.ipi_addr.s_addr));
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at: request.at, server });
                if delay.is_empty() {
                    // As above.
                    let _ = reply(&socket, &request);
                } else if later.send((request.at + rand::random_range(delay.clone()), request)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { port, arrivals })
    }

    /// The requests so far, from the `from`-th on.
    pub fn arrivals(&self, from: usize) -> Vec<Arrival> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)[from..].to_vec()
    }

    /// How many requests were answered so far.
    pub fn count(&self) -> usize {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

struct Request {
    at: Instant,
    packet: Packet,
    client: SockaddrIn,
    route: in_pktinfo,
}

fn receive(socket: &UdpSocket) -> nix::Result<Option<Request>> {
    let mut buffer = [0; 512];
    let mut space = nix::cmsg_space!(in_pktinfo);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let at = Instant::now();
    let route = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
        _ => None,
    });
    let (Some(client), Some(route), length) = (message.address, route, message.bytes) else { return Ok(None) };
    Ok(Packet::parse(&buffer[..length]).ok().map(|packet| Request { at, packet, client, route }))
}

fn reply(socket: &UdpSocket, request: &Request) -> nix::Result<()> {
    let mut route = request.route;
    route.ipi_spec_dst = route.ipi_addr;
    let reply = answer(&request.packet).to_bytes();
    let from = [ControlMessage::Ipv4PacketInfo(&route)];
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(&reply)], &from, MsgFlags::empty(), Some(&request.client)).map(drop)
}

/// Sends each reply when it is due.
fn send_late(socket: &UdpSocket, requests: &Receiver<(Instant, Request)>) {
    let mut waiting = BinaryHeap::new();
    let mut kept: std::collections::HashMap<u64, Request> = std::collections::HashMap::new();
    for number in 0.. {
        let next = waiting.peek().map_or(Duration::from_secs(1), |Reverse((due, _)): &Reverse<(Instant, u64)>| {
            due.saturating_duration_since(Instant::now())
        });
        match requests.recv_timeout(next) {
            Ok((due, request)) => {
                waiting.push(Reverse((due, number)));
                kept.insert(number, request);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.peek().is_some_and(|Reverse((due, _))| *due <= Instant::now()) {
            let Some(Reverse((_, number))) = waiting.pop() else { break };
            if let Some(request) = kept.remove(&number) {
                // The client may be gone.
                let _ = reply(socket, &request);
            }
        }
    }
}

fn answer(request: &Packet) -> Packet {
    let now = NtpTimestamp::from_unix_ns(ntp_monitor::clock::now().wall_ns);
    Packet {
        mode: Mode::Server,
        stratum: 2,
        precision_log2: -20,
        root_delay: NtpShort::from_seconds(0.010),
        root_dispersion: NtpShort::from_seconds(0.002),
        refid: RefId([198, 51, 100, 1]),
        reference: NtpTimestamp(now.0.wrapping_sub(64 << 32)),
        origin: request.transmit,
        receive: now,
        transmit: now,
        ..Packet::request(0)
    }
}
