//! Resolves names to addresses, with the time for which they are valid.
//!
//! Queries the DNS directly, because `getaddrinfo` provides no TTL. Names that the DNS does not know (mDNS, other
//! sources of nsswitch) are resolved by the system. Every resolution has a deadline.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use tokio::sync::Semaphore;

pub use super::address::{Address, NoInterface};
use crate::config::Family;

/// An answer is kept at least this long, whatever its TTL.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// An answer is kept at most this long.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// How long an answer of the system, which has no TTL, is kept.
const LIFE_WITHOUT_TTL: Duration = Duration::from_secs(300);
/// First pause after a failure; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest pause after failures; a name that becomes available is found within this time.
pub const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Limit of concurrent system look-ups. Each blocks a thread, even past the deadline; without a network, thousands of
/// names would use up the blocking threads, which the store's readers also need.
const SYSTEM_LOOKUPS: usize = 16;

/// The result of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The addresses of the requested family: sorted, without duplicates, never empty.
    pub addresses: Vec<Address>,
    /// How long the answer is valid: the TTL, but at least [`SHORTEST_LIFE`] and at most [`LONGEST_LIFE`].
    pub expires: Duration,
}

impl Resolution {
    fn of(host: &str, family: Family, addresses: Vec<Address>, life: Duration) -> Result<Self, ResolveError> {
        let mut admitted: Vec<Address> = addresses.iter().copied().filter(|a| family.admits(a.ip)).collect();
        admitted.sort_unstable();
        admitted.dedup();
        if admitted.is_empty() {
            return Err(ResolveError::WrongFamily { host: host.into(), family: family_name(family) });
        }
        Ok(Self { addresses: admitted, expires: life.clamp(SHORTEST_LIFE, LONGEST_LIFE) })
    }
}

/// Why a name could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The DNS says that the name does not exist.
    #[error("there is no host named {host:?} (NXDOMAIN): check the spelling")]
    NoSuchName { host: Box<str> },
    /// The name exists but has no address.
    #[error("{host:?} exists but has no address (no A or AAAA record)")]
    NoAddress { host: Box<str> },
    /// All addresses belong to the other family.
    #[error("{host:?} has no {family} address: allow the other family, or configure another host")]
    WrongFamily { host: Box<str>, family: &'static str },
    /// The interface of a link-local address does not exist.
    #[error("this host has no interface {interface:?}, which {host:?} needs")]
    NoInterface { host: Box<str>, interface: Box<str> },
    /// There was no answer in time.
    #[error("no answer about {host:?} within {seconds} s: is the name server of this host reachable?")]
    Timeout {
        host: Box<str>,
        /// The deadline, in seconds.
        seconds: u64,
    },
    /// Any other error of the resolver.
    #[error("{host:?} could not be resolved: {reason}")]
    Failed { host: Box<str>, reason: Box<str> },
}

/// A name resolver. Dropping the future cancels the resolution.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host` in `family`. An address literal resolves to itself.
    ///
    /// # Errors
    /// Why the name could not be resolved. Try again after [`retry_after`].
    fn resolve(&self, host: &str, family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>>;
}

/// The pause after `failures` consecutive failures (1 for the first): 5 s, doubling to 5 min.
#[must_use]
pub fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}

/// The resolver of this host: the hosts file, the DNS servers of `/etc/resolv.conf`, then the sources of nsswitch.
#[derive(Clone)]
pub struct SystemResolver {
    deadline: Duration,
    /// `None` until first used, and after a failure, because the host may have moved to another network.
    dns: Arc<Mutex<Option<TokioResolver>>>,
    make: fn() -> Option<TokioResolver>,
    /// Limits the concurrent system look-ups.
    lookups: Arc<Semaphore>,
    system: fn(&str) -> io::Result<Vec<Address>>,
}

impl SystemResolver {
    /// A resolver that gives up on a name after `deadline`.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        let lookups = Arc::new(Semaphore::new(SYSTEM_LOOKUPS));
        Self { deadline, dns: Arc::default(), make: system_dns, lookups, system: getaddrinfo }
    }

    fn dns(&self) -> Option<TokioResolver> {
        let mut dns = self.dns.lock().unwrap_or_else(PoisonError::into_inner);
        if dns.is_none() {
            *dns = (self.make)();
        }
        dns.clone()
    }

    fn forget_dns(&self) {
        *self.dns.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The DNS gets half of the deadline, so that time remains for the system if no name server answers.
    async fn look_up(&self, host: &str, family: Family) -> Result<Resolution, ResolveError> {
        let refusal = match self.dns() {
            None => None,
            Some(dns) => match tokio::time::timeout(self.deadline / 2, ask_dns(&dns, host, family)).await {
                Ok(Ok(resolution)) => return Ok(resolution),
                Ok(Err(why)) => Some(why),
                Err(_) => None,
            },
        };
        if matches!(refusal, None | Some(ResolveError::Failed { .. })) {
            self.forget_dns();
        }
        match self.ask_system(host, family).await {
            Ok(resolution) => Ok(resolution),
            // The DNS gives a clearer reason than getaddrinfo.
            Err(why) => Err(refusal.unwrap_or(why)),
        }
    }

    async fn ask_system(&self, host: &str, family: Family) -> Result<Resolution, ResolveError> {
        let failed =
            |why: &dyn std::fmt::Display| ResolveError::Failed { host: host.into(), reason: why.to_string().into() };
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|why| failed(&why))?;
        let (system, name) = (self.system, host.to_owned());
        // The thread holds the permit, because it stays blocked even after the resolution timed out.
        let task = tokio::task::spawn_blocking(move || {
            let _held = permit;
            system(&name)
        });
        let found = task.await.map_err(|why| failed(&why))?.map_err(|why| failed(&why))?;
        Resolution::of(host, family, found, LIFE_WITHOUT_TTL)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>> {
        if let Some(literal) = Address::parse(host) {
            return std::future::ready(resolve_literal(host, family, literal)).boxed();
        }
        let (this, host) = (self.clone(), host.to_owned());
        async move {
            let timeout = ResolveError::Timeout { host: host.as_str().into(), seconds: this.deadline.as_secs() };
            tokio::time::timeout(this.deadline, this.look_up(&host, family)).await.unwrap_or(Err(timeout))
        }
        .boxed()
    }
}

/// An interface may get another index, so an address that names its interface is looked up again soon.
fn resolve_literal(
    host: &str,
    family: Family,
    literal: Result<Address, NoInterface>,
) -> Result<Resolution, ResolveError> {
    let address =
        literal.map_err(|NoInterface(interface)| ResolveError::NoInterface { host: host.into(), interface })?;
    let life = if host.contains('%') { SHORTEST_LIFE } else { LONGEST_LIFE };
    Resolution::of(host, family, vec![address], life)
}

fn system_dns() -> Option<TokioResolver> {
    TokioResolver::builder_tokio().ok()?.build().ok()
}

async fn ask_dns(dns: &TokioResolver, host: &str, family: Family) -> Result<Resolution, ResolveError> {
    let answer = dns.lookup_ip(host).await.map_err(|why| explain(host, &why))?;
    let life = answer.valid_until().saturating_duration_since(Instant::now());
    Resolution::of(host, family, answer.iter().map(Address::from).collect(), life)
}

fn getaddrinfo(host: &str) -> io::Result<Vec<Address>> {
    Ok((host, 0).to_socket_addrs()?.map(Address::from).collect())
}

fn explain(host: &str, why: &NetError) -> ResolveError {
    if why.is_nx_domain() {
        ResolveError::NoSuchName { host: host.into() }
    } else if why.is_no_records_found() {
        ResolveError::NoAddress { host: host.into() }
    } else {
        ResolveError::Failed { host: host.into(), reason: why.to_string().into() }
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Any => "usable",
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
