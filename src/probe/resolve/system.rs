//! The resolver of this host: the hosts file, then the name servers of `/etc/resolv.conf`, then the system's resolver.
//!
//! Queries the DNS directly, because `getaddrinfo` provides no TTL. Names that the DNS does not know (mDNS, other
//! sources of nsswitch) are resolved by the system. Every resolution has a deadline.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

use super::sources::{Files, Sources};
use super::{Address, LONGEST_LIFE, NoInterface, Resolution, Resolve, ResolveError, SHORTEST_LIFE};
use crate::config::Family;

/// How long an answer of the system, which has no TTL, is kept.
const LIFE_WITHOUT_TTL: Duration = Duration::from_secs(300);
/// Limit of concurrent system look-ups. Each blocks a thread, even past the deadline.
const SYSTEM_LOOKUPS: usize = 16;
/// The files are checked for changes this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The resolver of this host. Cheap to clone.
#[derive(Clone)]
pub struct SystemResolver {
    deadline: Duration,
    sources: Arc<Mutex<Sources>>,
    /// Limits the concurrent system look-ups.
    lookups: Arc<Semaphore>,
    system: fn(&str) -> io::Result<Vec<Address>>,
}

impl SystemResolver {
    /// A resolver that gives up on a name after `deadline`.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            // The DNS gets half of the deadline, so that time remains for the system if no name server answers.
            sources: Arc::new(Mutex::new(Sources::new(Files::system(), deadline / 2))),
            lookups: Arc::new(Semaphore::new(SYSTEM_LOOKUPS)),
            system: getaddrinfo,
        }
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, host: &str, family: Family) -> Result<Resolution, ResolveError> {
        let (hosts, dns) = self.sources().current();
        let listed = hosts.look_up(host, family);
        if !listed.is_empty() {
            return Resolution::of(host, family, listed, LIFE_WITHOUT_TTL);
        }
        let refusal = match dns {
            None => None,
            Some(dns) => match tokio::time::timeout(self.deadline / 2, dns.look_up(host, family)).await {
                Ok(Ok(answer)) => {
                    let life = if answer.silent.is_some() { SHORTEST_LIFE } else { answer.life };
                    let resolution = Resolution::of(host, family, answer.addresses, life)?;
                    return Ok(Resolution { silent: answer.silent, ..resolution });
                }
                Ok(Err(why)) => Some(why),
                Err(_) => None,
            },
        };
        if matches!(refusal, None | Some(ResolveError::Failed { .. })) {
            // The host may have moved to another network.
            self.sources().forget_dns();
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
        let (answer, found) = oneshot::channel();
        // A separate thread, because the runtime would wait at its end for its own threads. The thread holds the
        // permit, because it stays blocked after the resolution timed out.
        let look_up = move || {
            let _held = permit;
            let _ = answer.send(system(&name));
        };
        std::thread::Builder::new().name("getaddrinfo".into()).spawn(look_up).map_err(|why| failed(&why))?;
        let found = found.await.map_err(|why| failed(&why))?.map_err(|why| failed(&why))?;
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

    fn reload(&self) {
        self.sources().forget();
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        let this = self.clone();
        async move {
            let seen = this.sources().signatures();
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if this.sources().signatures() != seen {
                    return;
                }
            }
        }
        .boxed()
    }
}

/// An interface may get another index, so an address with an interface is resolved again soon.
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

fn getaddrinfo(host: &str) -> io::Result<Vec<Address>> {
    Ok((host, 0).to_socket_addrs()?.map(Address::from).collect())
}

#[cfg(test)]
#[path = "system_tests.rs"]
mod tests;
