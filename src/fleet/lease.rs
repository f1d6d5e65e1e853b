//! The lease: only the hub that has it writes plans and notifies. The key of the lease expires on the server. The
//! holder stops earlier than that by its own monotonic clock, so that two hubs are never active at once. The server's
//! clock may be set, so nothing depends on it alone: plans carry the revision of the lease, and agents ignore a lower
//! one; a lease that was not renewed for [`LEASE_TTL`] is taken over even if its key still exists.

use std::time::Duration;

use async_nats::jetstream::kv::{self, UpdateErrorKind};
use bytes::Bytes;
use tokio::time::Instant;

use super::link::{LEASE_TTL, Link, LinkError, WITHIN};

/// Time between two renewals.
pub const RENEW: Duration = Duration::from_secs(4);
/// How long before the key expires the holder stops.
const MARGIN: Duration = Duration::from_secs(3);
const KEY: &str = "leader";

/// A hub's own lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// The revision under which it was taken; 0 without the lease.
    pub revision: u64,
    /// Until when the hub may write plans and notify.
    until: Option<Instant>,
}

impl Lease {
    /// The revision, while this hub has the lease.
    #[must_use]
    pub fn held(self, now: Instant) -> Option<u64> {
        self.until.is_some_and(|until| now < until).then_some(self.revision)
    }
}

impl Lease {
    /// Until when this hub has the lease, even if the process is stopped meanwhile.
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
    /// The last revision of another hub, and when it was first seen.
    rival: Option<(u64, Instant)>,
}

/// The result of a request for the lease.
enum Answer {
    /// This hub has it, with this revision.
    Mine(u64),
    /// Another hub has it.
    Theirs,
    /// There was no answer, or an error.
    Unknown,
}

impl Holder {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open(link: &Link, name: &str) -> Result<Self, LinkError> {
        let bucket = link.jetstream.get_key_value(link.names.lease()).await;
        let bucket = bucket.map_err(|why| link.fault("open the bucket of the lease", &why))?;
        Ok(Self { bucket, name: name.to_owned(), lease: Lease::default(), last: 0, rival: None })
    }

    /// Renews the lease, or takes it if it is free. Returns this hub's lease.
    pub async fn turn(&mut self) -> Lease {
        // The lease is counted from before the request, because the server may have handled it at once.
        let began = Instant::now();
        let held = self.lease.held(began).is_some();
        let answer = tokio::time::timeout(WITHIN, self.ask(held)).await.unwrap_or(Answer::Unknown);
        match answer {
            Answer::Mine(revision) => {
                self.last = revision;
                let first = if held { self.lease.revision } else { revision };
                self.lease = Lease { revision: first, until: Some(began + LEASE_TTL - MARGIN) };
            }
            Answer::Theirs => self.lease = Lease::default(),
            Answer::Unknown => {}
        }
        self.lease
    }

    async fn ask(&mut self, held: bool) -> Answer {
        let value = Bytes::from(self.name.clone());
        if !held {
            return self.take(value).await;
        }
        match self.bucket.update(KEY, value, self.last).await {
            Ok(revision) => Answer::Mine(revision),
            // Another hub has the key: the server freed it too early, because its clock was set.
            Err(why) if why.kind() == UpdateErrorKind::WrongLastRevision => Answer::Theirs,
            Err(_) => Answer::Unknown,
        }
    }

    /// Takes the lease if its key is gone, if an earlier process of this hub has it, or if no hub has renewed it for
    /// [`LEASE_TTL`] by this host's clock: a server whose clock was set back does not free it in time.
    async fn take(&mut self, value: Bytes) -> Answer {
        if let Ok(revision) = self.bucket.create(KEY, value.clone()).await {
            return Answer::Mine(revision);
        }
        let Ok(Some(entry)) = self.bucket.entry(KEY).await else { return Answer::Unknown };
        let now = Instant::now();
        let (revision, seen) =
            self.rival.filter(|(revision, _)| *revision == entry.revision).unwrap_or((entry.revision, now));
        self.rival = Some((revision, seen));
        if entry.value != value && now - seen < LEASE_TTL {
            return Answer::Theirs;
        }
        self.bucket.update(KEY, value, revision).await.map_or(Answer::Unknown, Answer::Mine)
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
