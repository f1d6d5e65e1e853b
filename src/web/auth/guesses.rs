//! Counts wrong tokens by address. Memory is bounded whatever comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens from one address within [`PENALTY`], after which it is not listened to until that is over.
pub(super) const FAILURES: u32 = 10;
pub(super) const PENALTY: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 4096;

/// Wrong tokens, and when the first of them came.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Guesses {
    /// Whether this address has guessed too often.
    pub(super) fn too_many(&self, peer: IpAddr, now: Instant) -> bool {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&peer).is_some_and(|(count, since)| *count >= FAILURES && now.duration_since(*since) < PENALTY)
    }

    /// A wrong token came from there.
    pub(super) fn wrong(&self, peer: IpAddr, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&peer) {
            failures.retain(|_, (_, since)| now.duration_since(*since) < PENALTY);
            let oldest = failures.iter().min_by_key(|(_, (_, since))| *since).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest.filter(|_| failures.len() >= REMEMBERED) {
                failures.remove(&oldest);
            }
        }
        let (count, since) = failures.entry(peer).or_insert((0, now));
        if now.duration_since(*since) >= PENALTY {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }
}
