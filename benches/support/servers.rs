//! An NTP server at every loopback address: one socket, one thread, which remembers who was asked and when. It answers
//! from the address that was asked, because the engines accept nothing else.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::libc::in_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};
use ntp_monitor_core::ntp::{Mode, NtpShort, NtpTimestamp, Packet, RefId};

/// The servers; their thread ends with the process.
pub struct Servers {
    /// On which port they answer.
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
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // All the requests of a second may come at once.
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
        let port = socket.local_addr()?.port();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrivals);
        std::thread::Builder::new().name("servers".into()).spawn(move || {
            loop {
                // An error is the echo of an earlier reply to a client that is gone.
                if let Ok(Some(arrival)) = serve_one(&socket) {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
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

fn serve_one(socket: &UdpSocket) -> nix::Result<Option<Arrival>> {
    let mut buffer = [0; 512];
    let mut space = nix::cmsg_space!(in_pktinfo);
    let (length, client, mut route) = {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
        let route = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(info),
            _ => None,
        });
        let (Some(client), Some(route)) = (message.address, route) else { return Ok(None) };
        (message.bytes, client, route)
    };
    let arrival = Arrival { at: Instant::now(), server: Ipv4Addr::from(u32::from_be(route.ipi_addr.s_addr)) };
    let Ok(request) = Packet::parse(&buffer[..length]) else { return Ok(None) };
    route.ipi_spec_dst = route.ipi_addr;
    let reply = answer(&request).to_bytes();
    let from = [ControlMessage::Ipv4PacketInfo(&route)];
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(&reply)], &from, MsgFlags::empty(), Some(&client))?;
    Ok(Some(arrival))
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
