//! The lease of the hub that speaks: it alone writes plans and notifies. The key of the lease expires on the server; the
//! holder stops by its own monotonic clock, earlier than that, so that two hubs never speak at once. Plans carry the
//! revision of the lease, and agents ignore a lower one, because the server's clock may step.

use std::time::Duration;

use async_nats::jetstream::kv;
use bytes::Bytes;
use tokio::time::Instant;

use super::link::{LEASE_TTL, Link, LinkError, WITHIN};

/// Time between two renewals.
pub const RENEW: Duration = Duration::from_secs(4);
/// How long before the key expires its holder stops.
const MARGIN: Duration = Duration::from_secs(3);
const KEY: &str = "leader";

/// What a hub knows of its own lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// The revision under which it was taken; 0 without the lease.
    pub revision: u64,
    /// Until when it may speak.
    until: Option<Instant>,
}

impl Lease {
    /// The revision, while this hub may speak.
    #[must_use]
    pub fn held(self, now: Instant) -> Option<u64> {
        self.until.is_some_and(|until| now < until).then_some(self.revision)
    }
}

impl Lease {
    /// Until when it is held, whatever happens to this process meanwhile.
    #[must_use]
    pub fn until(self) -> Option<Instant> {
        self.until
    }
}

/// Takes and renews the lease.
pub struct Holder {
    bucket: kv::Store,
    name: String,
    lease: Lease,
    /// The revision of the last renewal.
    last: u64,
}

impl Holder {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open(link: &Link, name: &str) -> Result<Self, LinkError> {
        let bucket = link.jetstream.get_key_value(link.names.lease()).await;
        let bucket = bucket.map_err(|why| link.fault("open the bucket of the lease", &why))?;
        Ok(Self { bucket, name: name.to_owned(), lease: Lease::default(), last: 0 })
    }

    /// Renews the lease, or takes it if it is free. Returns what is known after that.
    pub async fn turn(&mut self) -> Lease {
        // Counted from before the request: the server may have handled it at once.
        let began = Instant::now();
        let value = Bytes::from(self.name.clone());
        let held = self.lease.held(began).is_some();
        let request = async {
            if held {
                self.bucket.update(KEY, value, self.last).await.ok()
            } else {
                self.bucket.create(KEY, value).await.ok()
            }
        };
        if let Ok(Some(revision)) = tokio::time::timeout(WITHIN, request).await {
            self.last = revision;
            let first = if held { self.lease.revision } else { revision };
            self.lease = Lease { revision: first, until: Some(began + LEASE_TTL - MARGIN) };
        }
        self.lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_ends_by_the_own_clock_before_the_server_frees_it() {
        let now = Instant::now();
        let lease = Lease { revision: 7, until: Some(now + LEASE_TTL - MARGIN) };
        assert_eq!(lease.held(now), Some(7));
        assert_eq!(lease.held(now + LEASE_TTL - MARGIN), None);
        assert_eq!(Lease::default().held(now), None);
    }
}
