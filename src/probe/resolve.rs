//! Names into addresses, with the time they stay good.
//!
//! The DNS is asked directly, because `getaddrinfo` knows no TTL; what the DNS does not know (mDNS, other sources of
//! nsswitch) the system may still resolve. Every resolution has a deadline.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;

use crate::config::Family;

/// An answer is kept at least this long, whatever its TTL.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(60);
/// An answer is kept at most this long.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// How long an answer without TTL (from the system) is kept.
const LIFE_WITHOUT_TTL: Duration = Duration::from_secs(300);
/// First pause after a failure; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Longest pause after failures: a name that appears is found within this time.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The addresses of the wanted family, sorted, without duplicates, never empty.
    pub addresses: Vec<IpAddr>,
    /// How long the answer stays good: the TTL, but at least [`SHORTEST_LIFE`] and at most [`LONGEST_LIFE`].
    pub expires: Duration,
}

impl Resolution {
    fn of(host: &str, family: Family, addresses: Vec<IpAddr>, life: Duration) -> Result<Self, ResolveError> {
        let mut admitted: Vec<IpAddr> = addresses.iter().copied().filter(|a| family.admits(*a)).collect();
        admitted.sort_unstable();
        admitted.dedup();
        if admitted.is_empty() {
            return Err(ResolveError::WrongFamily { host: host.into(), family: family_name(family) });
        }
        Ok(Self { addresses: admitted, expires: life.clamp(SHORTEST_LIFE, LONGEST_LIFE) })
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The DNS says that there is no such name.
    #[error("there is no host named {host:?} (NXDOMAIN): check the spelling")]
    NoSuchName {
        /// The name.
        host: Box<str>,
    },
    /// The name exists without any address.
    #[error("{host:?} exists but has no address (no A or AAAA record)")]
    NoAddress {
        /// The name.
        host: Box<str>,
    },
    /// Every address is of the other family.
    #[error("{host:?} has no {family} address: allow the other family, or ask another host")]
    WrongFamily {
        /// The name.
        host: Box<str>,
        /// The family that was wanted.
        family: &'static str,
    },
    /// Nobody answered in time.
    #[error("no answer about {host:?} within {seconds} s: is the name server of this host reachable?")]
    Timeout {
        /// The name.
        host: Box<str>,
        /// The deadline.
        seconds: u64,
    },
    /// Anything else, as the resolver said it.
    #[error("{host:?} could not be resolved: {reason}")]
    Failed {
        /// The name.
        host: Box<str>,
        /// The resolver's words.
        reason: Box<str>,
    },
}

/// A way to resolve names. Dropping the future ends the waiting.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host` in `family`. An address literal stands for itself.
    ///
    /// # Errors
    /// A reason that a person can act on; ask again after [`retry_after`].
    fn resolve(&self, host: &str, family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>>;
}

/// How long to wait after so many failures in a row (1 for the first) before asking again: 5 s, doubling to 5 min.
#[must_use]
pub fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_RETRY)
}

/// The resolver of this host: the hosts file, the DNS servers of `/etc/resolv.conf`, then whatever nsswitch knows.
#[derive(Clone)]
pub struct SystemResolver {
    deadline: Duration,
    /// `None` until first used, and after a failure: the host may have moved to another network.
    dns: Arc<Mutex<Option<TokioResolver>>>,
    make: fn() -> Option<TokioResolver>,
}

impl SystemResolver {
    /// A resolver that gives up on a name after `deadline`.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, dns: Arc::default(), make: system_dns }
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

    /// Half of the deadline is the DNS's, so that the system gets its turn when no name server answers.
    async fn look_up(&self, host: &str, family: Family) -> Result<Resolution, ResolveError> {
        let refusal = match self.dns() {
            None => None,
            Some(dns) => match tokio::time::timeout(self.deadline / 2, ask_dns(&dns, host, family)).await {
                Ok(Ok(resolution)) => return Ok(resolution),
                Ok(Err(why)) => Some(why),
                Err(_) => None,
            },
        };
        if !matches!(refusal, Some(ResolveError::NoSuchName { .. } | ResolveError::NoAddress { .. })) {
            self.forget_dns();
        }
        match ask_system(host, family).await {
            Ok(resolution) => Ok(resolution),
            // The DNS says why more clearly than getaddrinfo does.
            Err(why) => Err(refusal.unwrap_or(why)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, family: Family) -> BoxFuture<'static, Result<Resolution, ResolveError>> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            let resolution = Resolution::of(host, family, vec![literal], LONGEST_LIFE);
            return std::future::ready(resolution).boxed();
        }
        let (this, host) = (self.clone(), host.to_owned());
        async move {
            let timeout = ResolveError::Timeout { host: host.as_str().into(), seconds: this.deadline.as_secs() };
            tokio::time::timeout(this.deadline, this.look_up(&host, family)).await.unwrap_or(Err(timeout))
        }
        .boxed()
    }
}

fn system_dns() -> Option<TokioResolver> {
    TokioResolver::builder_tokio().ok()?.build().ok()
}

async fn ask_dns(dns: &TokioResolver, host: &str, family: Family) -> Result<Resolution, ResolveError> {
    let answer = dns.lookup_ip(host).await.map_err(|why| explain(host, &why))?;
    let life = answer.valid_until().saturating_duration_since(Instant::now());
    Resolution::of(host, family, answer.iter().collect(), life)
}

async fn ask_system(host: &str, family: Family) -> Result<Resolution, ResolveError> {
    let found = tokio::net::lookup_host((host, 0)).await;
    let found = found.map_err(|why| ResolveError::Failed { host: host.into(), reason: why.to_string().into() })?;
    Resolution::of(host, family, found.map(|address| address.ip()).collect(), LIFE_WITHOUT_TTL)
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
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_literal_needs_no_resolver_and_obeys_the_family() {
        let resolver = SystemResolver { make: || unreachable!("a literal"), ..SystemResolver::new(DEADLINE) };
        let found = resolver.resolve("192.0.2.1", Family::V4).await.unwrap();
        assert_eq!(found.addresses, addresses(&["192.0.2.1"]));
        let refused = resolver.resolve("2001:db8::1", Family::V4).await.unwrap_err();
        assert!(refused.to_string().contains("no IPv4 address"), "{refused}");
    }

    #[tokio::test]
    async fn a_host_of_the_hosts_file_resolves_without_any_name_server() {
        let resolver = SystemResolver { make: || None, ..SystemResolver::new(DEADLINE) };
        let found = resolver.resolve("localhost", Family::V4).await.unwrap();
        assert_eq!(found.addresses, addresses(&["127.0.0.1"]));
        assert_eq!(found.expires, LIFE_WITHOUT_TTL);
    }

    #[test]
    fn addresses_are_sorted_and_single_and_the_ttl_is_clamped() {
        let many = addresses(&["192.0.2.9", "2001:db8::1", "192.0.2.1", "192.0.2.9"]);
        let found = Resolution::of("pool", Family::Any, many.clone(), Duration::from_secs(5)).unwrap();
        assert_eq!(found.addresses, addresses(&["192.0.2.1", "192.0.2.9", "2001:db8::1"]));
        assert_eq!(found.expires, SHORTEST_LIFE);
        let found = Resolution::of("pool", Family::V6, many, Duration::from_secs(86_400)).unwrap();
        assert_eq!((found.addresses, found.expires), (addresses(&["2001:db8::1"]), LONGEST_LIFE));
    }

    #[test]
    fn failures_are_retried_ever_more_slowly_up_to_a_limit() {
        let pauses: Vec<u64> = [1, 2, 3, 6, 7, 8, u32::MAX].map(|n| retry_after(n).as_secs()).into();
        assert_eq!(pauses, [5, 10, 20, 160, 300, 300, 300]);
    }

    /// A name server that knows two addresses of every name under `known.`, and no other name.
    async fn name_server(ttl_s: u32) -> (TokioResolver, tokio::task::JoinHandle<()>) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = socket.local_addr().unwrap().port();
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections = vec![connection];
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let task = tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                socket.send_to(&answer(&query[..length], ttl_s), from).await.unwrap();
            }
        });
        let provider = TokioRuntimeProvider::default();
        (TokioResolver::builder_with_config(config, provider).build().unwrap(), task)
    }

    /// Echoes the question; answers it when it is about an A record under `known.`.
    fn answer(query: &[u8], ttl_s: u32) -> Vec<u8> {
        let name_end = 12 + query[12..].iter().position(|b| *b == 0).unwrap() + 1;
        let question = &query[12..name_end + 4];
        let is_known = query[..name_end].to_ascii_lowercase().ends_with(b"\x05known\0");
        let wants_a = question[question.len() - 4..] == [0, 1, 0, 1];
        let count = if is_known && wants_a { 2 } else { 0 };
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, count, 0, 0, 0, 0]);
        reply.extend(question);
        for last in (1..=count).rev() {
            reply.extend([0xc0, 12, 0, 1, 0, 1]);
            reply.extend(ttl_s.to_be_bytes());
            reply.extend([0, 4, 192, 0, 2, last]);
        }
        reply
    }

    async fn resolve_with(dns: TokioResolver, host: &str) -> Result<Resolution, ResolveError> {
        let resolver = SystemResolver::new(DEADLINE);
        *resolver.dns.lock().unwrap() = Some(dns);
        resolver.resolve(host, Family::Any).await
    }

    #[tokio::test]
    async fn an_answer_lives_as_long_as_its_ttl() {
        let (dns, server) = name_server(600).await;
        let found = resolve_with(dns, "time.known.").await.unwrap();
        server.abort();
        assert_eq!(found.addresses, addresses(&["192.0.2.1", "192.0.2.2"]));
        assert!(found.expires <= Duration::from_secs(600) && found.expires > Duration::from_secs(500), "{found:?}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_called_so() {
        let (dns, server) = name_server(600).await;
        let refused = ask_dns(&dns, "time.unknown.", Family::Any).await.unwrap_err();
        server.abort();
        assert_eq!(refused, ResolveError::NoSuchName { host: "time.unknown.".into() });
    }
}
