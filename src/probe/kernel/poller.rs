//! Makes the queries: sends requests, reads what has arrived, and ends queries that are decided or late. Never waits.

use std::io::ErrorKind;

use nix::errno::Errno;

use super::super::ProbeReport;
use super::super::fault::outcome_of;
use super::super::precision::uninterrupted_stamp;
use super::exchange::{Carried, Exchange};
use super::message::{About, cookie_of_packet, cookie_of_quote, cookie_of_reply};
use super::order::{Answer, Order};
use super::pace::Load;
use super::pool::{Pool, ReadySocket, SocketId};
use super::socket::{Inbox, NoStamps, OpenError, Options};
use super::waiting::{Entry, Waiting};
use crate::stages::{Stage, Stopwatch};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Outcome;

/// Number of requests sent through a socket before its transmit timestamps are read, which share the receive buffer.
const SEND_BATCH: usize = 64;
/// Number of requests sent before the sockets are read again.
const SENT_PER_PASS: usize = 512;
/// Number of batches read from a socket in one pass, so that a flood does not delay other sockets.
const READS_PER_PASS: usize = 128;
/// How often a request is sent again after an error that another request may have left on the socket.
const SEND_ATTEMPTS: usize = 3;
/// If more datagrams than this in one pass answer no query, a filter in the kernel drops such datagrams from then on.
/// Fewer may be bad replies of a server, which are evidence.
const FLOOD: usize = 64;

#[derive(Debug)]
pub(super) struct Poller {
    pool: Pool,
    waiting: Waiting,
    unsent: Vec<Order>,
    /// Queries to send in a later pass, because a send buffer was full.
    deferred: Vec<Order>,
    /// The answers of this pass. They are delivered together, so that a thread that waits for several wakes once.
    answers: Vec<(Answer, Result<ProbeReport, NoStamps>)>,
    datagrams: Inbox,
    errors: Inbox,
    own_precision_s: f64,
    /// Whether this pass sent a request, or read something about one.
    is_useful: bool,
    is_unstamped: bool,
}

impl Poller {
    pub fn new(options: Options, own_precision_s: f64) -> std::io::Result<Self> {
        Ok(Self {
            pool: Pool::new(options)?,
            waiting: Waiting::default(),
            unsent: Vec::new(),
            deferred: Vec::new(),
            answers: Vec::new(),
            datagrams: Inbox::new(),
            errors: Inbox::new(),
            own_precision_s,
            is_useful: false,
            is_unstamped: false,
        })
    }

    /// Reads, ends late queries, sends the new ones, and delivers the answers.
    pub fn pass(&mut self, orders: Vec<Order>) {
        self.is_useful = false;
        self.unsent.append(&mut self.deferred);
        self.unsent.extend(orders);
        let reading = Stopwatch::start(Stage::Receive);
        for ready in self.pool.ready() {
            self.read(ready);
        }
        reading.stop(self.answers.len());
        self.settle();
        let (sending, waiting) = (Stopwatch::start(Stage::Send), self.waiting.len());
        self.send();
        sending.stop(self.waiting.len().saturating_sub(waiting));
        for (answer, result) in self.answers.drain(..) {
            // Fails if the poll was aborted, so that no task waits.
            let _ = answer.send(result);
        }
    }

    pub fn load(&self) -> Load {
        Load {
            waiting: self.waiting.len(),
            unsent: self.unsent.len(),
            deferred: self.deferred.len(),
            was_idle: !self.is_useful,
            is_unstamped: self.is_unstamped,
            next_deadline_ns: self.waiting.next_deadline_ns(),
        }
    }

    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    fn read(&mut self, ready: ReadySocket) {
        if ready.has_datagrams {
            self.read_datagrams(ready.id);
        }
        if ready.has_errors
            && !self.read_errors(ready.id)
            && let Some(socket) = self.pool.get(ready.id)
        {
            socket.clear_error();
        }
    }

    fn read_datagrams(&mut self, id: SocketId) {
        let mut strangers = 0;
        for _ in 0..READS_PER_PASS {
            let Some(socket) = self.pool.get(id) else { return };
            match socket.receive(&mut self.datagrams) {
                Ok(()) => {}
                // The error queue says which request was refused, and reading it clears the error.
                Err(error) if is_passing(&error) => {
                    self.read_errors(id);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return self.give_up(id, &outcome_of(&error)),
            }
            let now = uninterrupted_stamp();
            if self.lacks_stamps(id) {
                // The kernel stamped the request before its reply arrived, so the timestamp can be read now.
                self.read_errors(id);
            }
            strangers += self.judge(id, now);
            if !self.datagrams.is_full() {
                break;
            }
        }
        if strangers > FLOOD {
            self.pool.defend(id);
        }
    }

    fn lacks_stamps(&self, id: SocketId) -> bool {
        let cookies = self.datagrams.messages().filter_map(|(_, datagram)| cookie_of_reply(datagram));
        let lacks_stamp = |number| self.waiting.get(number).is_some_and(|entry| entry.exchange.lacks_stamp());
        cookies.filter_map(|cookie| self.waiting.with_cookie(cookie, id)).any(lacks_stamp)
    }

    /// Judges the datagrams that were read from a socket. Returns the number of those that repeat no cookie.
    fn judge(&mut self, id: SocketId, now: Stamp) -> usize {
        let mut strangers = 0;
        let mut ended = Vec::new();
        for (message, datagram) in self.datagrams.messages() {
            self.is_unstamped |= message.stamp.is_none();
            let answered = cookie_of_reply(datagram).and_then(|cookie| self.waiting.with_cookie(cookie, id));
            strangers += usize::from(answered.is_none());
            // A datagram without the cookie, but from a server that was asked through this socket, is evidence.
            let asked = || message.address.and_then(|address| self.waiting.asked(address, id));
            let Some(number) = answered.or_else(asked) else { continue };
            self.is_useful |= answered.is_some();
            let Some(entry) = self.waiting.get_mut(number, id) else { continue };
            if let Some(outcome) = entry.exchange.receive(datagram, message, now) {
                ended.extend(self.waiting.remove(number).map(|entry| (entry, outcome)));
            }
        }
        ended.into_iter().for_each(|(entry, outcome)| self.end(entry, Some(outcome), now));
        strangers
    }

    /// Reads the error queue of a socket: transmit timestamps and refusals. Returns whether it had any message.
    fn read_errors(&mut self, id: SocketId) -> bool {
        let mut was_there = false;
        for _ in 0..READS_PER_PASS {
            let Some(socket) = self.pool.get(id) else { break };
            if socket.receive_errors(&mut self.errors).is_err() {
                break;
            }
            was_there = true;
            self.note_errors(id);
            if !self.errors.is_full() {
                break;
            }
        }
        was_there
    }

    fn note_errors(&mut self, id: SocketId) {
        let Some(socket) = self.pool.get(id) else { return };
        let mut refused = Vec::new();
        for (message, octets) in self.errors.messages() {
            match message.about {
                Some(About::Transmission(number)) => {
                    let by_cookie = || self.waiting.with_cookie(cookie_of_packet(octets, socket.port())?, id);
                    let number = if socket.is_numbered() { Some(number) } else { by_cookie() };
                    let entry = number.and_then(|number| self.waiting.get_mut(number, id));
                    if let (Some(entry), Some(stamp)) = (entry, message.stamp) {
                        entry.exchange.transmitted(stamp);
                        self.is_useful = true;
                    }
                }
                // Knowing the port is enough to forge an ICMP error, so an error counts only if it quotes the cookie.
                Some(About::Refusal) => {
                    let Some(cookie) = cookie_of_quote(octets) else { continue };
                    let Some(number) = self.waiting.with_cookie(cookie, id) else { continue };
                    let is_about = |entry: &&mut Entry| entry.exchange.is_refused_by(cookie, message.address);
                    if self.waiting.get_mut(number, id).as_ref().is_some_and(is_about) {
                        refused.extend(self.waiting.remove(number));
                    }
                }
                Some(About::Passing) | None => {}
            }
        }
        let now = crate::clock::now();
        refused.into_iter().for_each(|entry| self.end(entry, Some(Outcome::Refused), now));
    }

    fn end(&mut self, entry: Entry, outcome: Option<Outcome>, now: Stamp) {
        self.is_useful = true;
        self.pool.release(entry.socket);
        self.answers.push((entry.answer, Ok(entry.exchange.end(outcome, now))));
    }

    /// Ends the queries whose deadline has passed.
    fn settle(&mut self) {
        let now = crate::clock::now();
        while let Some(entry) = self.waiting.expired(now.mono_ns).and_then(|number| self.waiting.remove(number)) {
            self.end(entry, None, now);
        }
    }

    /// Ends the queries that wait for replies through a socket that can no longer be read.
    fn give_up(&mut self, id: SocketId, outcome: &Outcome) {
        self.pool.retire(id);
        let now = crate::clock::now();
        for number in self.waiting.numbers_through(id) {
            if let Some(entry) = self.waiting.remove(number) {
                self.end(entry, Some(outcome.clone()), now);
            }
        }
    }

    fn send(&mut self) {
        let due = self.unsent.drain(..self.unsent.len().min(SENT_PER_PASS));
        let (v4, v6): (Vec<_>, Vec<_>) = due.partition(|order| order.query.address.is_ipv4());
        for mut orders in [v4, v6] {
            while !orders.is_empty() {
                let rest = orders.split_off(orders.len().min(SEND_BATCH));
                self.send_batch(orders);
                orders = rest;
            }
        }
    }

    /// Sends requests to addresses of one family through one socket.
    fn send_batch(&mut self, orders: Vec<Order>) {
        let Some(first) = orders.first() else { return };
        self.is_useful = true;
        match self.pool.draw(first.query.address, crate::clock::now().mono_ns) {
            Ok(id) => {
                orders.into_iter().for_each(|order| self.send_one(id, order));
                self.read_errors(id);
            }
            Err(OpenError::NoStamps(why)) => {
                self.answers.extend(orders.into_iter().map(|order| (order.answer, Err(why.clone()))));
            }
            Err(OpenError::Io(error)) => orders.into_iter().for_each(|order| self.fail(order, outcome_of(&error))),
        }
    }

    fn send_one(&mut self, id: SocketId, order: Order) {
        if order.answer.is_closed() {
            return;
        }
        let mut error = None;
        for _ in 0..SEND_ATTEMPTS {
            let now = crate::clock::now();
            if order.query.is_late(now) {
                return self.answers.push((order.answer, Ok(ProbeReport::late(now))));
            }
            match self.try_send(id, &order) {
                Ok((number, carried, sent)) => {
                    self.pool.hold(id);
                    let exchange = Exchange::new(order.query, carried, sent, self.own_precision_s);
                    return self.waiting.insert(number, Entry { exchange, socket: id, answer: order.answer });
                }
                Err(passing) if is_passing(&passing) => {
                    self.read_errors(id);
                    error = Some(passing);
                }
                Err(other) => {
                    error = Some(other);
                    break;
                }
            }
        }
        match error {
            // Refusals are about requests that were sent; this one was not.
            Some(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                self.fail(order, outcome_of(&error));
            }
            _ => self.deferred.push(order),
        }
    }

    /// Returns the number of the request, its variable fields, and the time just before it was sent.
    fn try_send(&mut self, id: SocketId, order: &Order) -> std::io::Result<(u32, Carried, Stamp)> {
        let socket = self.pool.get(id).ok_or(ErrorKind::WouldBlock)?;
        let number = self.waiting.free_number();
        let continued = order.query.continued.as_deref();
        let continued = continued.filter(|continued| crate::clock::now().mono_ns <= continued.until_ns);
        let interleaved = continued.map(|continued| (socket.cookie(), continued.previous));
        let carried = Carried { cookie: socket.cookie(), interleaved };
        // Sealing does not consume the ticket, so a request that could not be sent can be tried again with it.
        let header = carried.header();
        let sealed = order.query.ticket.as_ref().map(|ticket| ticket.seal(&header, rand::random()));
        let special = sealed.or_else(|| Some(order.query.question?.request(carried.cookie)));
        // Read for each request: without a transmit timestamp, this is T1.
        let sent = uninterrupted_stamp();
        socket.send(special.as_deref().unwrap_or(&header), order.query.address, number)?;
        Ok((number, carried, sent))
    }

    fn fail(&mut self, order: Order, outcome: Outcome) {
        self.answers.push((order.answer, Ok(ProbeReport::failed(crate::clock::now(), outcome))));
    }
}

/// Whether a call failed because of an ICMP error, which may be about any request of the socket, and not because the
/// socket cannot be used.
fn is_passing(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::ENONET
                | Errno::ENOPROTOOPT
                | Errno::EOPNOTSUPP
                | Errno::EMSGSIZE
                | Errno::EPROTO
                | Errno::EACCES
        )
    )
}
