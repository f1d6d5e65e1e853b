//! Resolves names to addresses, with the time for which they are valid. [`system`] is the resolver of this host.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};

pub use super::address::{Address, NoInterface};
use crate::config::{Family, is_of_one_host};

mod dns;
mod hosts;
mod order;
mod sources;
pub mod system;

/// An answer is kept at least this long, whatever its TTL.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// An answer is kept at most this long.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// First pause after a failure; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest pause after failures; a name that becomes available is found within this time.
pub const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// The result of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The addresses of the requested family, the preferred ones first: without duplicates, never empty.
    pub addresses: Vec<Address>,
    /// How long the answer is valid: the TTL, but at least [`SHORTEST_LIFE`] and at most [`LONGEST_LIFE`].
    pub expires: Duration,
    /// The family that was not answered in time: earlier addresses of it may still be valid.
    pub silent: Option<Family>,
}

impl Resolution {
    fn of(host: &str, family: Family, addresses: Vec<Address>, life: Duration) -> Result<Self, ResolveError> {
        let (usable, odd): (Vec<Address>, Vec<Address>) = addresses.into_iter().partition(|a| is_of_one_host(a.ip));
        let admitted: Vec<Address> = usable.iter().copied().filter(|a| family.admits(a.ip)).collect();
        match (admitted.as_slice(), usable.as_slice(), odd.as_slice()) {
            ([], [], [odd, ..]) => Err(ResolveError::NotAServer { host: host.into(), ip: odd.ip }),
            ([], [], []) => Err(ResolveError::no_address(host, family)),
            ([], ..) => Err(ResolveError::WrongFamily { host: host.into(), family: family_name(family) }),
            _ => Ok(Self {
                addresses: order::by_preference(admitted),
                expires: life.clamp(SHORTEST_LIFE, LONGEST_LIFE),
                silent: None,
            }),
        }
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
    /// The address cannot belong to a single host.
    #[error("{host:?} is {ip}, which no server can have: it is unspecified, a multicast or a broadcast address")]
    NotAServer { host: Box<str>, ip: IpAddr },
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

impl ResolveError {
    fn no_address(host: &str, family: Family) -> Self {
        match family {
            Family::Any => Self::NoAddress { host: host.into() },
            _ => Self::WrongFamily { host: host.into(), family: family_name(family) },
        }
    }
}

/// A name resolver. Dropping the future cancels the resolution.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host` in `family`. An address literal resolves to itself.
    ///
    /// # Errors
    /// Why the name could not be resolved. Try again after [`retry_after`].
    fn resolve(&self, host: &str, family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>>;

    /// Forgets every answer and reads the configuration of the resolver again.
    fn reload(&self) {}

    /// Completes when the configuration of the resolver has changed, so that earlier answers may be wrong.
    fn changed(&self) -> BoxFuture<'static, ()> {
        Box::pin(future::pending())
    }
}

/// The pause after `failures` consecutive failures (1 for the first): 5 s, doubling to 5 min.
#[must_use]
pub fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Any => "usable",
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_pause_grows_up_to_a_limit() {
        let pauses: Vec<u64> = [1, 2, 3, 6, 7, 8, u32::MAX].map(|n| retry_after(n).as_secs()).into();
        assert_eq!(pauses, [5, 10, 20, 160, 300, 300, 300]);
    }

    #[test]
    fn answer_has_each_address_once_and_a_limited_life() {
        let addresses = |texts: &[&str]| -> Vec<Address> {
            texts.iter().map(|text| Address::parse(text).unwrap().unwrap()).collect()
        };
        let many = addresses(&["127.0.0.9", "::1", "127.0.0.9"]);
        let found = Resolution::of("pool", Family::Any, many.clone(), Duration::from_secs(5)).unwrap();
        assert_eq!((found.addresses.len(), found.expires), (2, SHORTEST_LIFE));
        let found = Resolution::of("pool", Family::V6, many, Duration::from_secs(86_400)).unwrap();
        assert_eq!((found.addresses, found.expires), (addresses(&["::1"]), LONGEST_LIFE));
    }

    #[test]
    fn address_that_no_server_can_have_is_refused() {
        for text in ["0.0.0.0", "255.255.255.255", "224.0.1.1", "::", "ff02::101"] {
            let one = vec![Address::from(text.parse::<std::net::IpAddr>().unwrap())];
            let refused = Resolution::of("odd", Family::Any, one, SHORTEST_LIFE).unwrap_err();
            assert!(refused.to_string().contains(text), "{refused}");
        }
    }
}
