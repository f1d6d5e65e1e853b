//! The queries that wait for a reply, found by number, by cookie, by address, and in the order of their deadlines.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::exchange::Exchange;
use super::order::Answer;
use super::pool::SocketId;

/// A query that waits for a reply.
#[derive(Debug)]
pub(super) struct Entry {
    pub exchange: Exchange,
    /// The socket through which its request was sent and its reply must arrive.
    pub socket: SocketId,
    pub answer: Answer,
}

type Endpoint = (SocketId, IpAddr, u16);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    entries: HashMap<u32, Entry>,
    by_cookie: HashMap<u64, u32>,
    /// The latest query to an address through a socket.
    by_endpoint: HashMap<Endpoint, u32>,
    deadlines: BTreeSet<(i64, u32)>,
    next_number: u32,
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A number for the next query. Numbers repeat only after four billion queries, so that a late timestamp is not
    /// assigned to another query.
    pub fn free_number(&mut self) -> u32 {
        loop {
            let number = self.next_number;
            self.next_number = number.wrapping_add(1);
            if !self.entries.contains_key(&number) {
                return number;
            }
        }
    }

    pub fn insert(&mut self, number: u32, entry: Entry) {
        self.by_cookie.extend(entry.exchange.cookies().map(|cookie| (cookie, number)));
        self.by_endpoint.insert(endpoint(entry.socket, entry.exchange.address()), number);
        self.deadlines.insert((entry.exchange.deadline_ns(), number));
        self.entries.insert(number, entry);
    }

    pub fn remove(&mut self, number: u32) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        for cookie in entry.exchange.cookies() {
            self.by_cookie.remove(&cookie);
        }
        let endpoint = endpoint(entry.socket, entry.exchange.address());
        if self.by_endpoint.get(&endpoint) == Some(&number) {
            self.by_endpoint.remove(&endpoint);
        }
        self.deadlines.remove(&(entry.exchange.deadline_ns(), number));
        Some(entry)
    }

    pub fn get(&self, number: u32) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// The query with this number, if its request left through `socket`.
    pub fn get_mut(&mut self, number: u32, socket: SocketId) -> Option<&mut Entry> {
        self.entries.get_mut(&number).filter(|entry| entry.socket == socket)
    }

    /// The query whose request had `cookie` in either field and was sent through `socket`.
    pub fn with_cookie(&self, cookie: u64, socket: SocketId) -> Option<u32> {
        let number = *self.by_cookie.get(&cookie)?;
        self.entries.get(&number).filter(|entry| entry.socket == socket).map(|_| number)
    }

    /// The latest query to `address` through `socket`.
    pub fn asked(&self, address: SocketAddr, socket: SocketId) -> Option<u32> {
        self.by_endpoint.get(&endpoint(socket, address)).copied()
    }

    /// A query whose deadline has passed.
    pub fn expired(&self, now_ns: i64) -> Option<u32> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now_ns).map(|(_, number)| *number)
    }

    pub fn next_deadline_ns(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub fn numbers_through(&self, socket: SocketId) -> Vec<u32> {
        let through = self.entries.iter().filter(|(_, entry)| entry.socket == socket);
        through.map(|(number, _)| *number).collect()
    }
}

fn endpoint(socket: SocketId, address: SocketAddr) -> Endpoint {
    (socket, address.ip(), address.port())
}
