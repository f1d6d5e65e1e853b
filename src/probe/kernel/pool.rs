//! The sockets of the queries: some for each family, opened when they are first drawn, and replaced within minutes, so
//! that a port that an attacker has learned is useful for a few minutes only.

use std::collections::HashMap;
use std::net::SocketAddr;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::socket::{OpenError, Options, PollSocket};

/// The lifetime of a socket is random between these, so that not all are replaced at once.
const LIFETIME_NS: std::ops::Range<i64> = 60_000_000_000..180_000_000_000;
/// Largest number of sockets that one call reports as ready.
const READY: usize = 64;

pub(super) type SocketId = u64;

/// A socket of the pool and its use.
#[derive(Debug)]
pub(super) struct Member {
    pub socket: PollSocket,
    /// No request is sent through it after this monotonic time, in nanoseconds.
    expires_ns: i64,
    /// Number of queries that wait for a reply through it.
    waiting: usize,
    is_retired: bool,
}

/// A socket that has something to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadySocket {
    pub id: SocketId,
    pub has_datagrams: bool,
    pub has_errors: bool,
}

#[derive(Debug)]
pub(super) struct Pool {
    options: Options,
    pub readiness: Epoll,
    members: HashMap<SocketId, Member>,
    /// The sockets that are drawn from, IPv4 first.
    slots: [Vec<Option<SocketId>>; 2],
    next_id: SocketId,
}

impl Pool {
    pub fn new(options: Options) -> std::io::Result<Self> {
        let slots = [(); 2].map(|()| vec![None; options.sockets.max(1)]);
        let readiness = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { options, readiness, members: HashMap::new(), slots, next_id: 0 })
    }

    /// A socket for requests to the family of `peer`, drawn at random.
    pub fn draw(&mut self, peer: SocketAddr, now_ns: i64) -> Result<SocketId, OpenError> {
        let (family, slot) = (usize::from(peer.is_ipv6()), rand::random_range(0..self.options.sockets.max(1)));
        if let Some(id) = self.slots[family][slot] {
            if self.members.get(&id).is_some_and(|member| now_ns < member.expires_ns) {
                return Ok(id);
            }
            self.retire(id);
        }
        let id = self.open(peer, now_ns)?;
        self.slots[family][slot] = Some(id);
        Ok(id)
    }

    fn open(&mut self, peer: SocketAddr, now_ns: i64) -> Result<SocketId, OpenError> {
        let (id, socket) = (self.next_id, PollSocket::open(peer, &self.options)?);
        self.readiness.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, id)).map_err(std::io::Error::from)?;
        let expires_ns = now_ns.saturating_add(rand::random_range(LIFETIME_NS));
        self.members.insert(id, Member { socket, expires_ns, waiting: 0, is_retired: false });
        self.next_id += 1;
        Ok(id)
    }

    /// Sends no more requests through this socket. It is closed when no query waits for a reply through it.
    pub fn retire(&mut self, id: SocketId) {
        self.slots.iter_mut().flatten().filter(|slot| **slot == Some(id)).for_each(|slot| *slot = None);
        if let Some(member) = self.members.get_mut(&id) {
            member.is_retired = true;
        }
        self.close_unused(id);
    }

    /// Protects a socket from a flood: the kernel drops datagrams without its tag. If the kernel already does so, the
    /// flood has the tag, which polled servers know, and the socket is retired.
    pub fn defend(&mut self, id: SocketId) {
        if self.members.get_mut(&id).is_some_and(|member| !member.socket.drop_untagged()) {
            self.retire(id);
        }
    }

    /// Counts a query that begins to wait for a reply through this socket.
    pub fn hold(&mut self, id: SocketId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.waiting += 1;
        }
    }

    /// Counts a query that no longer waits.
    pub fn release(&mut self, id: SocketId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.waiting = member.waiting.saturating_sub(1);
        }
        self.close_unused(id);
    }

    fn close_unused(&mut self, id: SocketId) {
        if self.members.get(&id).is_some_and(|member| member.is_retired && member.waiting == 0) {
            self.members.remove(&id);
        }
    }

    pub fn get(&self, id: SocketId) -> Option<&PollSocket> {
        self.members.get(&id).map(|member| &member.socket)
    }

    /// The sockets that have something to read now.
    pub fn ready(&self) -> Vec<ReadySocket> {
        let mut events = [EpollEvent::empty(); READY];
        let ready = match self.readiness.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => &events[..count],
            Err(Errno::EINTR) => &[],
            Err(_) => return self.all_as_ready(),
        };
        let of = |event: &EpollEvent| ReadySocket {
            id: event.data(),
            has_datagrams: event.events().contains(EpollFlags::EPOLLIN),
            has_errors: event.events().contains(EpollFlags::EPOLLERR),
        };
        ready.iter().map(of).collect()
    }

    /// Reading an idle socket costs a call and does no harm.
    fn all_as_ready(&self) -> Vec<ReadySocket> {
        self.members.keys().map(|id| ReadySocket { id: *id, has_datagrams: true, has_errors: true }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEWHERE: ([u8; 4], u16) = ([192, 0, 2, 1], 123);

    fn pool(sockets: usize) -> Pool {
        Pool::new(Options { sockets, ..Options::detect() }).unwrap()
    }

    #[test]
    fn sockets_are_few_and_each_family_has_its_own() {
        let mut pool = pool(4);
        for peer in [SOMEWHERE.into(), "[2001:db8::1]:123".parse().unwrap()] {
            assert!((0..100).all(|_| pool.draw(peer, 0).is_ok()));
        }
        let ports: std::collections::BTreeSet<u16> = pool.members.values().map(|member| member.socket.port()).collect();
        assert_eq!((pool.members.len(), ports.len()), (8, 8));
    }

    #[test]
    fn expired_socket_is_replaced_and_closes_after_its_last_query() {
        let mut pool = pool(1);
        let first = pool.draw(SOMEWHERE.into(), 0).unwrap();
        assert_eq!(pool.draw(SOMEWHERE.into(), LIFETIME_NS.start - 1).unwrap(), first);
        (0..2).for_each(|_| pool.hold(first));
        let second = pool.draw(SOMEWHERE.into(), LIFETIME_NS.end).unwrap();
        assert_ne!(first, second);
        pool.release(first);
        assert!(pool.get(first).is_some(), "a query still waits for a reply through it");
        pool.release(first);
        assert!(pool.get(first).is_none() && pool.get(second).is_some());
    }
}
