//! Selects which addresses of a name are polled while its DNS answer changes. Pure.
//!
//! The answer for a pool name changes every few minutes. An address that is no longer in the answer is polled for some
//! time longer, so that series are long enough to be useful and many servers are not visited once each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Addresses;

/// How long an address is polled after it was last in the answer. The NTP Pool asks clients to follow its answer at
/// most hourly.
const DRAIN: Duration = Duration::from_secs(3600);
/// Maximum number of addresses of one name that are polled at a time.
pub const MAX_ADDRESSES: usize = 16;

/// The polled addresses of one name, each with the monotonic time at which it was last in the answer, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    seen: BTreeMap<SocketAddr, i64>,
}

/// The changes that follow from a new answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Addresses to start polling.
    pub start: BTreeSet<SocketAddr>,
    /// Addresses to stop polling.
    pub stop: BTreeSet<SocketAddr>,
}

impl Rotation {
    /// Takes the answer of a resolution at `now` (monotonic nanoseconds). `taken` says whether an address is already
    /// polled under another name; each address is polled only once.
    pub fn resolved(
        &mut self,
        policy: Addresses,
        answer: &[SocketAddr],
        now: i64,
        taken: impl Fn(&SocketAddr) -> bool,
    ) -> Change {
        let answer: BTreeSet<SocketAddr> = answer.iter().copied().collect();
        for (address, seen) in &mut self.seen {
            if answer.contains(address) {
                *seen = now;
            }
        }
        let gone = |seen: i64| now.saturating_sub(seen) > DRAIN.as_nanos() as i64;
        let stop: BTreeSet<SocketAddr> = self.seen.iter().filter(|(_, seen)| gone(**seen)).map(|(a, _)| *a).collect();
        self.seen.retain(|address, _| !stop.contains(address));
        let limit = match policy {
            Addresses::First => 1,
            Addresses::All => MAX_ADDRESSES,
        };
        let room = limit.saturating_sub(self.seen.len());
        let start: BTreeSet<SocketAddr> =
            answer.into_iter().filter(|a| !self.seen.contains_key(a) && !taken(a)).take(room).collect();
        self.seen.extend(start.iter().map(|address| (*address, now)));
        Change { start, stop }
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.seen.keys().copied()
    }

    /// Whether no address is polled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn at(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 123))
    }

    fn set(hosts: &[u8]) -> BTreeSet<SocketAddr> {
        hosts.iter().map(|host| at(*host)).collect()
    }

    #[test]
    fn address_is_kept_while_the_name_has_it() {
        let mut rotation = Rotation::default();
        let first = rotation.resolved(Addresses::First, &[at(3), at(2)], 0, |_| false);
        assert_eq!(first.start, set(&[2]));
        let later = rotation.resolved(Addresses::First, &[at(1), at(2)], 9 * HOUR, |_| false);
        assert_eq!(later, Change::default());
    }

    #[test]
    fn address_missing_in_the_answer_is_replaced_after_an_hour() {
        let mut rotation = Rotation::default();
        rotation.resolved(Addresses::First, &[at(1)], 0, |_| false);
        assert_eq!(rotation.resolved(Addresses::First, &[at(2)], HOUR, |_| false), Change::default());
        let change = rotation.resolved(Addresses::First, &[at(2)], HOUR + 1, |_| false);
        assert_eq!(change, Change { start: set(&[2]), stop: set(&[1]) });
    }

    #[test]
    fn all_addresses_are_polled_up_to_the_limit() {
        let answer: Vec<_> = (0..40).map(at).collect();
        let change = Rotation::default().resolved(Addresses::All, &answer, 0, |_| false);
        assert_eq!(change.start.len(), MAX_ADDRESSES);
    }

    #[test]
    fn address_polled_under_another_name_is_skipped() {
        let mut rotation = Rotation::default();
        let change = rotation.resolved(Addresses::First, &[at(1), at(2)], 0, |a| *a == at(1));
        assert_eq!(change.start, set(&[2]));
        assert!(Rotation::default().resolved(Addresses::All, &[at(1)], 0, |_| true).start.is_empty());
    }
}
