//! The sockets of a scripted server.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::reply::Sender;
use super::request::Request;
use super::script::{Action, Script};
use ntp_monitor_core::clock::Stamp;

/// Number of arrival times that are kept.
const ARRIVALS_KEPT: usize = 65_536;
/// Maximum number of delayed replies in progress; further replies are lost, as on a real path.
const REPLIES_UNDER_WAY: usize = 1024;
/// A fixed seed, so that loss is the same in each run of a test.
const SEED: u64 = 0x6e74_705f_7369_6d00;

/// Counters of a scripted server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests received, answered or not.
    pub requests: u64,
    /// Datagrams received that were not client requests.
    pub ignored: u64,
    pub replies: u64,
}

/// A running scripted server. Dropping it closes its sockets.
#[derive(Debug)]
pub struct ScriptedServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    start: Stamp,
    script: Mutex<Arc<Script>>,
    arrivals: Mutex<VecDeque<Stamp>>,
    counters: watch::Sender<Counters>,
}

impl ScriptedServer {
    /// Starts a server at `address` on the tokio runtime of the caller. Port 0 selects a free port.
    ///
    /// # Errors
    /// When the address is not loopback, or cannot be bound.
    pub async fn start(address: SocketAddr, script: Script) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "scripted servers listen on loopback only"));
        }
        let socket = Arc::new(UdpSocket::bind(address).await?);
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let other = Arc::new(UdpSocket::bind(SocketAddr::new(address.ip(), 0)).await?);
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            start: crate::clock::now(),
            script: Mutex::new(Arc::new(script)),
            arrivals: Mutex::default(),
            counters: watch::Sender::default(),
        });
        let task = tokio::spawn(serve(Sockets { socket, other }, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes its behaviour from the next request on. Drift still counts from the start of the server.
    pub fn set_script(&self, script: Script) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// How long the server has been running; drift depends on it.
    #[must_use]
    pub fn age(&self) -> std::time::Duration {
        crate::clock::now().since(self.shared.start)
    }

    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.shared.counters.borrow()
    }

    /// Waits until `reached` returns true. The caller sets the deadline.
    pub async fn wait_for(&self, reached: impl FnMut(&Counters) -> bool) {
        // The server holds the sending half, so this ends only with the condition.
        let _ = self.shared.counters.subscribe().wait_for(reached).await;
    }

    /// The arrival times of the last requests, oldest first, for tests of the poll interval.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Stamp> {
        self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a request; returns the number of earlier ones.
    fn arrived(&self, arrival: Stamp) -> u64 {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() == ARRIVALS_KEPT {
            arrivals.pop_front();
        }
        arrivals.push_back(arrival);
        drop(arrivals);
        let before = self.counters.borrow().requests;
        self.counters.send_modify(|counters| counters.requests += 1);
        before
    }
}

#[derive(Clone)]
struct Sockets {
    socket: Arc<UdpSocket>,
    other: Arc<UdpSocket>,
}

async fn serve(sockets: Sockets, shared: Arc<Shared>) {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut under_way = JoinSet::new();
    let mut buffer = [0; 2048];
    loop {
        // An error is the ICMP response to an earlier reply whose client is gone.
        let Ok((length, client, arrival)) = receive(&sockets.socket, &mut buffer).await else { continue };
        while under_way.try_join_next().is_some() {}
        let Some(request) = Request::parse(&buffer[..length]) else {
            shared.counters.send_modify(|counters| counters.ignored += 1);
            continue;
        };
        let nth = shared.arrived(arrival);
        let script = shared.script();
        for action in script.answer(&request, nth, shared.start, arrival, &mut rng) {
            if action.delay.is_zero() {
                send(&sockets, &shared, &script, action, client).await;
            } else if under_way.len() < REPLIES_UNDER_WAY {
                let (sockets, shared, script) = (sockets.clone(), Arc::clone(&shared), Arc::clone(&script));
                under_way.spawn(async move {
                    tokio::time::sleep(action.delay).await;
                    send(&sockets, &shared, &script, action, client).await;
                });
            }
        }
    }
}

/// The next datagram: its length, its sender, and when the kernel received it, because a busy process reads it later.
async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Stamp)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let read = || -> io::Result<_> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
        let from = message.address.ok_or(io::ErrorKind::InvalidData)?;
        let v4 = from.as_sockaddr_in().map(|from| SocketAddr::V4((*from).into()));
        let client = v4.or_else(|| from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into())));
        let stamped = message.cmsgs()?.find_map(|one| match one {
            ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() * 1_000_000_000 + at.tv_nsec()),
            _ => None,
        });
        Ok((message.bytes, client.ok_or(io::ErrorKind::InvalidData)?, shortly_before(crate::clock::now(), stamped)))
    };
    socket.async_io(Interest::READABLE, read).await
}

/// The instant at which the wall clock showed `wall_ns`, shortly before `now`.
fn shortly_before(now: Stamp, wall_ns: Option<i64>) -> Stamp {
    let ago_ns = wall_ns.map_or(0, |wall_ns| now.wall_ns - wall_ns).max(0);
    Stamp { wall_ns: now.wall_ns - ago_ns, mono_ns: now.mono_ns - ago_ns, ..now }
}

async fn send(sockets: &Sockets, shared: &Shared, script: &Script, mut action: Action, client: SocketAddr) {
    let own;
    let socket = match action.sender {
        Sender::Queried => &*sockets.socket,
        Sender::OtherPort => &*sockets.other,
        Sender::OtherAddress(ip) => match bind_beside(&sockets.socket, ip).await {
            Ok(socket) => {
                own = socket;
                &own
            }
            Err(_) => return,
        },
    };
    script.stamp(&mut action, shared.start, crate::clock::now());
    if socket.send_to(&action.datagram, client).await.is_ok() {
        shared.counters.send_modify(|counters| counters.replies += 1);
    }
}

/// A socket on the port of `socket`, at another loopback address.
async fn bind_beside(socket: &UdpSocket, ip: IpAddr) -> io::Result<UdpSocket> {
    if !ip.is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "scripted servers send from loopback only"));
    }
    UdpSocket::bind(SocketAddr::new(ip, socket.local_addr()?.port())).await
}
