//! The keys and cookies of one target, and their exchange.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ntp_monitor_core::nts::{Due, KeyFault, LastExchange, Policy, Status, Stock};
use ntp_monitor_core::sample::Outcome;

use tokio::sync::Semaphore;

use super::super::{NtsNews, Query};
use super::NtsTools;
use crate::config::{Family, Host, Nts, is_of_one_host};
use crate::key_exchange::{Established, Exchange, ExchangeFault, Target, exchange};

/// How long a key exchange may take, from the TCP connection to the last record.
const DEADLINE: Duration = Duration::from_secs(5);
/// The UDP port of an NTP server that key exchange names without a port.
const NTP_PORT: u16 = 123;
/// Least number of key exchanges within the lifetime of a certificate, for short lifetimes. An alert fires when a fifth
/// of the lifetime is left; a certificate that is renewed when a third is left is then seen before that.
const LOOKS_AT_A_CERTIFICATE: u32 = 10;
/// Largest number of addresses of a key-exchange server that are tried.
const MAX_ADDRESSES: usize = 3;

pub(super) struct KeySession {
    nts: Nts,
    host: Host,
    address: SocketAddr,
    tools: NtsTools,
    state: Mutex<State>,
    /// Whether a key exchange runs, or waits for others.
    is_exchanging: AtomicBool,
}

struct State {
    stock: Stock,
    view: Status,
}

impl KeySession {
    pub fn new(nts: &Nts, host: &Host, address: SocketAddr, policy: Policy, tools: NtsTools) -> Self {
        let view = Status {
            key_server: format!("{}:{}", nts.key_host(host), nts.key_port()).into(),
            asked: address,
            aead: None,
            cookies: 0,
            cookie_len: None,
            last: None,
            exchanges: 0,
            failures: 0,
            failures_in_row: 0,
            naks: 0,
            downgrades: 0,
        };
        let state = Mutex::new(State { stock: Stock::new(policy), view });
        let is_exchanging = AtomicBool::new(false);
        Self { nts: nts.clone(), host: host.clone(), address, tools, state, is_exchanging }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change leaves a usable state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fits(&self, nts: &Nts, host: &Host) -> bool {
        self.nts == *nts && self.host == *host
    }

    pub fn earliest_ns(&self) -> i64 {
        self.state().stock.earliest_ns()
    }

    pub fn hold(&self, earliest_ns: i64) {
        self.state().stock.hold(earliest_ns);
    }

    pub fn resume(&self, begun_ns: i64) {
        self.state().stock.resume(begun_ns);
    }

    pub fn view(&self) -> Status {
        let state = self.state();
        let stock = &state.stock;
        Status {
            cookies: stock.len(),
            cookie_len: stock.cookie_len(),
            failures_in_row: stock.failures(),
            ..state.view.clone()
        }
    }

    pub fn query(&self, timeout: Duration) -> Result<Query, Outcome> {
        let mut state = self.state();
        match state.stock.take(rand::random()) {
            Some(ticket) => Ok(Query { ticket: Some(Box::new(ticket)), ..Query::plain(state.view.asked, timeout) }),
            None => Err(Outcome::Fault(state.why_unready().into())),
        }
    }

    pub fn absorb(&self, news: NtsNews, outcome: &Outcome) {
        let mut state = self.state();
        state.stock.add(news.cookies);
        state.view.downgrades += u64::from(news.is_downgraded);
        // An attacker on the path can forge a NAK, so an authentic reply outweighs it.
        if news.is_nak && matches!(outcome, Outcome::Rejected(_)) {
            state.view.naks += 1;
            state.stock.refused();
        }
    }

    pub async fn prepare(&self) {
        let now = self.tools.clock.now();
        {
            let mut state = self.state();
            if state.stock.due(now.mono_ns) != Due::Now {
                return;
            }
            // Recorded before the first datagram, so that the minimum interval also applies after an aborted poll.
            state.stock.begin(now.mono_ns);
        }
        let _running = Running::of(&self.is_exchanging);
        // Boxed, or every poll would hold the several kilobytes of a key exchange.
        let (exchange, asked) = Box::pin(self.exchange()).await;
        self.conclude(exchange, asked);
    }

    pub fn is_exchanging(&self) -> bool {
        self.is_exchanging.load(Ordering::Relaxed)
    }

    /// One key exchange, and the address of the requests after it.
    async fn exchange(&self) -> (Exchange, Result<SocketAddr, ExchangeFault>) {
        let nowhere = Ok(self.address);
        let addresses = match self.key_addresses().await {
            Ok(addresses) => addresses,
            Err(fault) => return (Exchange { result: Err(fault), chain: Vec::new(), took: Duration::ZERO }, nowhere),
        };
        let name = self.nts.key_host(&self.host).to_string();
        // A link-local address is written with its interface, which a certificate does not contain.
        let name = name.split_once('%').map_or(name.clone(), |(address, _)| address.to_owned());
        let target = Target { addresses, name, ca_pem: self.authorities().await };
        let exchange = exchange(&target, &self.tools.trust, DEADLINE).await;
        let asked = match &exchange.result {
            Ok(established) => self.destination(established).await,
            Err(_) => nowhere,
        };
        (exchange, asked)
    }

    /// The content of `nts_ca`, which may have been replaced since the configuration was loaded.
    async fn authorities(&self) -> Option<Arc<str>> {
        /// Thousands of servers may start together, and each read takes a thread.
        static READING: Semaphore = Semaphore::const_new(1);
        if self.nts.ca_file.is_none() {
            return self.nts.ca_pem.clone();
        }
        // A semaphore that is never closed gives every permit.
        let _turn = READING.acquire().await;
        let nts = self.nts.clone();
        let read = tokio::task::spawn_blocking(move || nts.authorities()).await;
        read.unwrap_or_else(|_| self.nts.ca_pem.clone())
    }

    async fn key_addresses(&self) -> Result<Vec<SocketAddr>, ExchangeFault> {
        let Some((host, port)) = &self.nts.key_server else {
            // Cookies are valid at one machine, so they are requested from the address that is polled.
            let mut address = self.address;
            address.set_port(self.nts.key_port());
            return Ok(vec![address]);
        };
        let found = match host {
            Host::Address(ip) => vec![SocketAddr::new(*ip, *port)],
            Host::Name(name) => self.resolve(name, *port).await?,
        };
        Ok(found)
    }

    /// The NTP server that was negotiated, or the configured one.
    async fn destination(&self, established: &Established) -> Result<SocketAddr, ExchangeFault> {
        let agreement = &established.agreement;
        let Some(server) = &agreement.server else {
            let mut address = self.address;
            address.set_port(agreement.port.unwrap_or(address.port()));
            return Ok(address);
        };
        let port = agreement.port.unwrap_or(NTP_PORT);
        let found = match server.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, port),
            Err(_) => {
                let all = self.resolve(server, port).await?;
                // If the configured address belongs to the name, it is kept.
                let is_known = |address: &&SocketAddr| address.ip() == self.address.ip();
                *all.iter().find(is_known).or(all.first()).unwrap_or(&self.address)
            }
        };
        match is_of_one_host(found.ip()) {
            true => Ok(found),
            false => Err(ExchangeFault::Dns(format!("it names the NTP server {found}, which cannot be one"))),
        }
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, ExchangeFault> {
        let found = self.tools.resolver.resolve(name, Family::Any).await;
        let found = found.map_err(|why| ExchangeFault::Dns(why.to_string()))?;
        Ok(found.addresses.iter().map(|address| address.at(port)).take(MAX_ADDRESSES).collect())
    }

    fn conclude(&self, exchange: Exchange, asked: Result<SocketAddr, ExchangeFault>) {
        let now = self.tools.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        state.view.exchanges += 1;
        let result = exchange.result.and_then(|established| asked.map(|asked| (established, asked)));
        let fault = match result {
            Ok((Established { keys, agreement, .. }, asked)) => {
                state.view.aead = Some(keys.aead);
                state.view.asked = asked;
                state.stock.exchanged(keys, agreement.cookies, now.mono_ns);
                if let Some(certificate) = exchange.chain.first() {
                    // Often enough to see the renewed certificate before an alert about this one.
                    state.stock.replace_within(certificate.lifetime() / LOOKS_AT_A_CERTIFICATE);
                }
                None
            }
            Err(fault) => {
                state.view.failures += 1;
                state.stock.failed(now.mono_ns, rand::random());
                Some(fault)
            }
        };
        let known = state.view.last.take().map(|last| last.chain);
        let chain = if exchange.chain.is_empty() { known.unwrap_or_default() } else { exchange.chain.into() };
        let fault = fault.map(|fault| KeyFault { label: fault.label(), text: fault.to_string().into() });
        state.view.last = Some(LastExchange { at: now, took: exchange.took, fault, chain });
    }
}

/// Sets the flag that a key exchange runs, and clears it when dropped, also if the poll is aborted.
struct Running<'a>(&'a AtomicBool);

impl<'a> Running<'a> {
    fn of(flag: &'a AtomicBool) -> Self {
        flag.store(true, Ordering::Relaxed);
        Self(flag)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl State {
    /// Why there is no cookie, for the reason of a poll.
    fn why_unready(&self) -> String {
        let mut text = format!("NTS key exchange with {} ", self.view.key_server);
        match self.view.fault() {
            // Writing to a string cannot fail.
            Some(fault) => drop(write!(text, "failed: {}", fault.text)),
            None => text.push_str("must wait: the last one was a moment ago"),
        }
        if self.view.fault().is_some_and(KeyFault::depends_on_clock) {
            text.push_str(", or this host's clock is wrong");
        }
        text
    }
}
