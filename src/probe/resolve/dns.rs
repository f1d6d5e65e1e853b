//! Queries the name servers as `getaddrinfo` does: the names of the search list in order, both families at the same
//! time. A family that is not answered does not delay the other one for long (RFC 8305 §3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{self, Either};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;

use super::ResolveError;
use crate::config::Family;
use crate::probe::address::Address;

/// A query is repeated, or sent to the next name server, after the deadline divided by this.
const TRIES_IN_DEADLINE: u32 = 6;
/// After one family has been answered, the other one has the deadline divided by this.
const LAGGARDS_IN_DEADLINE: u32 = 8;

/// The name servers of this host.
#[derive(Clone)]
pub(super) struct Dns {
    resolver: TokioResolver,
    search: Arc<[Name]>,
    ndots: usize,
    /// How long the slower family may take after the other one has been answered.
    laggard: Duration,
}

/// The records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub addresses: Vec<Address>,
    pub life: Duration,
    /// The family that was not answered in time.
    pub silent: Option<Family>,
}

impl Answer {
    fn and(mut self, other: Self) -> Self {
        self.addresses.extend(other.addresses);
        Self { life: self.life.min(other.life), ..self }
    }
}

impl Dns {
    /// The name servers of the text of a `resolv.conf`; `None` if it lists none.
    pub(super) fn from_resolv_conf(text: &[u8], deadline: Duration) -> Option<Self> {
        let (config, options) = parse_resolv_conf(text).ok()?;
        Self::new(config, options, deadline)
    }

    pub(super) fn new(config: ResolverConfig, mut options: ResolverOpts, deadline: Duration) -> Option<Self> {
        // "search" replaces "domain", and both replace the domain of the host name.
        let search = match (config.search(), config.domain()) {
            ([], Some(domain)) => vec![domain.clone()],
            (search, _) => search.to_vec(),
        };
        let ndots = options.ndots;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        options.timeout = options.timeout.min(deadline / TRIES_IN_DEADLINE);
        options.use_hosts_file = ResolveHosts::Never;
        *builder.options_mut() = options;
        let resolver = builder.build().ok()?;
        Some(Self { resolver, search: search.into(), ndots, laggard: deadline / LAGGARDS_IN_DEADLINE })
    }

    /// The addresses of the first name of the search list that has any.
    pub(super) async fn look_up(&self, host: &str, family: Family) -> Result<Answer, ResolveError> {
        let mut reason = ResolveError::NoSuchName { host: host.into() };
        for name in candidates(host, &self.search, self.ndots) {
            match self.ask(&name, family).await {
                Ok(answer) => return Ok(answer),
                Err(why) => {
                    let is_unreachable = !matches!(why, NetError::Dns(_));
                    let why = explain(host, family, &why);
                    if !matches!(why, ResolveError::NoSuchName { .. }) {
                        reason = why;
                    }
                    if is_unreachable {
                        break;
                    }
                }
            }
        }
        Err(reason)
    }

    async fn ask(&self, name: &Name, family: Family) -> Result<Answer, NetError> {
        match family {
            Family::V4 => self.records(name, RecordType::A).await,
            Family::V6 => self.records(name, RecordType::AAAA).await,
            Family::Any => self.both(name).await,
        }
    }

    async fn both(&self, name: &Name) -> Result<Answer, NetError> {
        let v4 = Box::pin(self.records(name, RecordType::A));
        let v6 = Box::pin(self.records(name, RecordType::AAAA));
        let (first, rest, families) = match future::select(v4, v6).await {
            Either::Left((first, rest)) => (first, Either::Left(rest), (Family::V4, Family::V6)),
            Either::Right((first, rest)) => (first, Either::Right(rest), (Family::V6, Family::V4)),
        };
        let second = tokio::time::timeout(self.laggard, rest).await.unwrap_or(Err(NetError::Timeout));
        let silent = |family, why: &NetError| (!why.is_no_records_found()).then_some(family);
        match (first, second) {
            (Ok(one), Ok(other)) => Ok(one.and(other)),
            (Ok(answer), Err(why)) => Ok(Answer { silent: silent(families.1, &why), ..answer }),
            // Some name servers deny that a name exists when they are asked for a family that it lacks (RFC 4074 §4.2).
            (Err(why), Ok(answer)) => Ok(Answer { silent: silent(families.0, &why), ..answer }),
            (Err(why), Err(_)) => Err(why),
        }
    }

    async fn records(&self, name: &Name, kind: RecordType) -> Result<Answer, NetError> {
        let lookup: Lookup = self.resolver.lookup(name.clone(), kind).await?;
        let addresses = lookup.answers().iter().filter_map(|record| record.data.ip_addr()).map(Address::from).collect();
        let life = lookup.valid_until().saturating_duration_since(Instant::now());
        Ok(Answer { addresses, life, silent: None })
    }
}

/// The absolute names to query, in order (resolv.conf(5), `search` and `ndots`). A name that ends in a dot is already
/// absolute.
fn candidates(host: &str, search: &[Name], ndots: usize) -> Vec<Name> {
    let Ok(mut absolute) = Name::from_str_relaxed(host) else { return Vec::new() };
    absolute.set_fqdn(true);
    if host.ends_with('.') {
        return vec![absolute];
    }
    let mut relative = absolute.clone();
    relative.set_fqdn(false);
    let mut names: Vec<Name> = search.iter().filter_map(|domain| relative.clone().append_domain(domain).ok()).collect();
    names.iter_mut().for_each(|name| name.set_fqdn(true));
    let is_first = host.matches('.').count() >= ndots;
    names.insert(if is_first { 0 } else { names.len() }, absolute);
    names
}

fn explain(host: &str, family: Family, why: &NetError) -> ResolveError {
    if why.is_nx_domain() {
        ResolveError::NoSuchName { host: host.into() }
    } else if why.is_no_records_found() {
        ResolveError::no_address(host, family)
    } else {
        let reason = match why {
            NetError::Timeout => "no name server answered".into(),
            other => other.to_string().into(),
        };
        ResolveError::Failed { host: host.into(), reason }
    }
}
