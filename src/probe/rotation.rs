//! Selects which addresses of a name are polled, while its answer changes and addresses fail. Pure.
//!
//! The answer for a pool name changes every few minutes. An address that is no longer in the answer is polled for
//! another hour while it answers, so that series are long enough to be useful and few servers are polled only once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::{Addresses, Family};

/// How long an address is polled after it was last in the answer. The NTP Pool asks clients to follow its answer at
/// most hourly.
const DRAIN: Duration = Duration::from_secs(3600);
/// Maximum number of addresses of one name that are polled at a time.
pub const MAX_ADDRESSES: usize = 16;
/// An address that has answered before is replaced after this many failures in a row, when its reach is zero.
const PATIENCE: u32 = 8;
/// With `addresses = "all"`, an address that left the answer is dropped after this many failures in a row.
const PATIENCE_WHEN_GONE: u32 = 2;

/// The polled addresses of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Sorted by address. A list, because most names have one address, and a tree takes half a kilobyte for it.
    polled: Vec<Polled>,
    /// The last answer, the preferred addresses first.
    answer: Vec<SocketAddr>,
    /// The addresses that failed since one last answered.
    failed: BTreeSet<SocketAddr>,
    /// How often all addresses have failed since one last answered.
    rounds: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Polled {
    address: SocketAddr,
    /// The monotonic time at which it was last in the answer, in nanoseconds.
    seen: i64,
    /// Number of consecutive failures.
    failures: u32,
    has_answered: bool,
}

impl Polled {
    fn is_drained(&self, now: i64) -> bool {
        now.saturating_sub(self.seen) > DRAIN.as_nanos() as i64
    }
}

/// The answer of a resolution.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The preferred addresses first.
    pub addresses: &'a [SocketAddr],
    /// The family that was not answered: its earlier addresses remain.
    pub silent: Option<Family>,
}

/// The probers to start and stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Addresses to start polling.
    pub start: BTreeSet<SocketAddr>,
    /// Addresses to stop polling.
    pub stop: BTreeSet<SocketAddr>,
}

impl Rotation {
    /// Handles the answer of a resolution at `now` (monotonic nanoseconds). `taken` returns whether an address is
    /// already polled under another name; each address is polled only once.
    pub fn resolved(
        &mut self,
        policy: Addresses,
        answer: Answer<'_>,
        now: i64,
        taken: impl Fn(&SocketAddr) -> bool,
    ) -> Change {
        self.answer = answer.addresses.to_vec();
        for polled in &mut self.polled {
            let address = polled.address;
            if answer.silent.is_some_and(|family| family.admits(address.ip())) && !self.answer.contains(&address) {
                self.answer.push(address);
            }
            if self.answer.contains(&address) {
                polled.seen = now;
            }
        }
        self.review(policy, now, taken)
    }

    /// Handles the end of a poll. A kiss-o'-death or a rejected reply also counts as an answer.
    pub fn ended(
        &mut self,
        policy: Addresses,
        (address, answered): (SocketAddr, bool),
        now: i64,
        taken: impl Fn(&SocketAddr) -> bool,
    ) -> Change {
        let Some(polled) = self.polled.iter_mut().find(|polled| polled.address == address) else {
            return Change::default();
        };
        if answered {
            (polled.failures, polled.has_answered) = (0, true);
            self.rounds = 0;
            self.failed.clear();
            return Change::default();
        }
        polled.failures += 1;
        self.review(policy, now, taken)
    }

    fn review(&mut self, policy: Addresses, now: i64, taken: impl Fn(&SocketAddr) -> bool) -> Change {
        let free = |this: &Self| -> Vec<SocketAddr> {
            let is_new = |a: &&SocketAddr| !this.addresses().any(|polled| polled == **a) && !taken(a);
            this.answer.iter().filter(is_new).copied().collect()
        };
        let candidates = free(self);
        let stop: BTreeSet<SocketAddr> = match policy {
            Addresses::First => self.those(|polled| self.is_replaced(polled, &candidates, now)),
            Addresses::All => self.those(|polled| self.is_dropped(polled, now)),
        };
        if policy == Addresses::First && stop.is_empty() {
            self.begin_round(&candidates);
        }
        self.polled.retain(|polled| !stop.contains(&polled.address));
        self.failed.extend(&stop);
        let limit = match policy {
            Addresses::First => 1,
            Addresses::All => MAX_ADDRESSES,
        };
        let room = limit.saturating_sub(self.polled.len());
        let mut candidates = candidates;
        candidates.sort_by_key(|address| self.failed.contains(address));
        let start: BTreeSet<SocketAddr> = candidates.into_iter().take(room).collect();
        let fresh = |address: &SocketAddr| Polled { address: *address, seen: now, failures: 0, has_answered: false };
        self.polled.extend(start.iter().map(fresh));
        self.polled.sort_by_key(|polled| polled.address);
        self.polled.shrink_to_fit();
        Change { start, stop }
    }

    fn those(&self, is_one: impl Fn(&Polled) -> bool) -> BTreeSet<SocketAddr> {
        self.polled.iter().filter(|polled| is_one(polled)).map(|polled| polled.address).collect()
    }

    fn is_dropped(&self, polled: &Polled, now: i64) -> bool {
        let has_failed = polled.failures >= PATIENCE_WHEN_GONE && !self.answer.contains(&polled.address);
        has_failed || polled.is_drained(now)
    }

    fn is_replaced(&self, polled: &Polled, candidates: &[SocketAddr], now: i64) -> bool {
        let failures = polled.failures;
        let is_lost = match self.answer.contains(&polled.address) {
            true => failures >= self.patience(polled) && candidates.iter().any(|other| !self.failed.contains(other)),
            false => failures > 0 && !candidates.is_empty(),
        };
        is_lost || polled.is_drained(now)
    }

    /// After how many failures in a row an address of the answer is replaced. This host may be unable to reach an
    /// address that never answered, so others are tried soon, and less often when all fail.
    fn patience(&self, polled: &Polled) -> u32 {
        if polled.has_answered { PATIENCE } else { (1 << self.rounds.min(3)).min(PATIENCE) }
    }

    /// If every address has failed, begins to try all of them again, more slowly.
    fn begin_round(&mut self, candidates: &[SocketAddr]) {
        let is_over = self.polled.iter().any(|polled| polled.failures >= self.patience(polled));
        if is_over && !candidates.is_empty() && candidates.iter().all(|other| self.failed.contains(other)) {
            self.rounds += 1;
            self.failed.clear();
        }
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.polled.iter().map(|polled| polled.address)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.polled.is_empty()
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

    fn swap(stop: u8, start: u8) -> Change {
        Change { start: set(&[start]), stop: set(&[stop]) }
    }

    fn resolve(rotation: &mut Rotation, policy: Addresses, hosts: &[u8], now: i64) -> Change {
        let addresses: Vec<_> = hosts.iter().map(|host| at(*host)).collect();
        rotation.resolved(policy, Answer { addresses: &addresses, silent: None }, now, |_| false)
    }

    fn fail(rotation: &mut Rotation, host: u8) -> Change {
        rotation.ended(Addresses::First, (at(host), false), 0, |_| false)
    }

    fn first(hosts: &[u8]) -> Rotation {
        let mut rotation = Rotation::default();
        assert_eq!(resolve(&mut rotation, Addresses::First, hosts, 0).start, set(&hosts[..1]));
        rotation
    }

    #[test]
    fn preferred_address_is_kept_while_the_name_has_it() {
        let mut rotation = first(&[3, 2]);
        assert_eq!(resolve(&mut rotation, Addresses::First, &[1, 3], 9 * HOUR), Change::default());
    }

    #[test]
    fn working_address_missing_in_the_answer_is_kept_for_an_hour() {
        let mut rotation = first(&[1]);
        assert_eq!(resolve(&mut rotation, Addresses::First, &[2], HOUR), Change::default());
        assert_eq!(resolve(&mut rotation, Addresses::First, &[2], HOUR + 1), swap(1, 2));
    }

    #[test]
    fn failing_address_of_a_moved_name_is_replaced_at_once() {
        let mut failed_before = first(&[1]);
        failed_before.ended(Addresses::First, (at(1), true), 0, |_| false);
        assert_eq!(fail(&mut failed_before, 1), Change::default());
        assert_eq!(resolve(&mut failed_before, Addresses::First, &[2], 1), swap(1, 2));
        let mut fails_later = first(&[1]);
        fails_later.ended(Addresses::First, (at(1), true), 0, |_| false);
        assert_eq!(resolve(&mut fails_later, Addresses::First, &[2], 1), Change::default());
        assert_eq!(fail(&mut fails_later, 1), swap(1, 2));
    }

    #[test]
    fn address_that_never_answered_is_replaced_after_one_failure() {
        let mut rotation = first(&[1, 2, 3]);
        assert_eq!(fail(&mut rotation, 1), swap(1, 2));
        assert_eq!(fail(&mut rotation, 2), swap(2, 3));
        // All have failed: they are tried again, each for longer.
        assert_eq!(fail(&mut rotation, 3), Change::default());
        assert_eq!(fail(&mut rotation, 3), swap(3, 1));
        assert_eq!(fail(&mut rotation, 1), Change::default());
        assert_eq!(fail(&mut rotation, 1), swap(1, 2));
    }

    #[test]
    fn address_that_answered_is_replaced_when_its_reach_is_zero() {
        let mut rotation = first(&[1, 2]);
        rotation.ended(Addresses::First, (at(1), true), 0, |_| false);
        for _ in 1..PATIENCE {
            assert_eq!(fail(&mut rotation, 1), Change::default());
        }
        assert_eq!(fail(&mut rotation, 1), swap(1, 2));
    }

    #[test]
    fn only_address_is_never_replaced() {
        let mut rotation = first(&[1]);
        assert!((0..100).all(|_| fail(&mut rotation, 1) == Change::default()));
    }

    #[test]
    fn addresses_of_a_silent_family_remain() {
        let v6: SocketAddr = "[2001:db8::1]:123".parse().unwrap();
        let mut rotation = Rotation::default();
        let all = Answer { addresses: &[at(1), v6], silent: None };
        rotation.resolved(Addresses::All, all, 0, |_| false);
        for now in 0..3 {
            let part = Answer { addresses: &[at(1)], silent: Some(Family::V6) };
            assert_eq!(rotation.resolved(Addresses::All, part, now * HOUR, |_| false), Change::default());
            assert_eq!(rotation.ended(Addresses::All, (v6, false), now * HOUR, |_| false), Change::default());
        }
    }

    #[test]
    fn all_addresses_are_polled_up_to_the_limit() {
        let mut rotation = Rotation::default();
        let hosts: Vec<u8> = (0..40).collect();
        assert_eq!(resolve(&mut rotation, Addresses::All, &hosts, 0).start.len(), MAX_ADDRESSES);
        // An address that fails is polled while the name has it, and dropped soon after the name lost it.
        let fail = |rotation: &mut Rotation| rotation.ended(Addresses::All, (at(0), false), 0, |_| false);
        assert!((0..9).all(|_| fail(&mut rotation) == Change::default()));
        assert_eq!(resolve(&mut rotation, Addresses::All, &hosts[1..], 0), swap(0, 16));
    }

    #[test]
    fn address_polled_under_another_name_is_skipped() {
        let mut rotation = Rotation::default();
        let answer = Answer { addresses: &[at(1), at(2)], silent: None };
        let change = rotation.resolved(Addresses::First, answer, 0, |a| *a == at(1));
        assert_eq!(change.start, set(&[2]));
        assert!(Rotation::default().resolved(Addresses::All, answer, 0, |_| true).start.is_empty());
    }
}
