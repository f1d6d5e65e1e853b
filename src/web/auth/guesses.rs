//! Counts wrong tokens by network: an IPv4 address, or the /64 of an IPv6 address, which one host can use completely.
//! The memory is bounded.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens of one network within [`PERIOD`] that are answered with 401; further ones are answered with 429.
pub(super) const FAILURES: u32 = 10;
pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// Networks that are counted separately; the others share one count.
const SEPARATE: usize = 4096;
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Wrong tokens by network.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    networks: HashMap<IpAddr, Count>,
    /// The first network that reached the limit since the last summary, until it is reported.
    over: Option<IpAddr>,
    over_reported: bool,
    /// Whether there are wrong tokens that no summary contains yet.
    unreported: bool,
    summary_is_due: bool,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    wrong: u32,
    /// Wrong tokens that no summary contains yet.
    unreported: u32,
    unreported_refused: u32,
}

/// What to report now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News {
    /// A network that reached the limit.
    pub over: Option<String>,
    /// Whether to make a summary after [`PERIOD`].
    pub starts_period: bool,
}

/// The wrong tokens of a period.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// The network with most of them.
    pub most: String,
    wrong: u32,
    refused: u32,
    networks: usize,
}

impl Guesses {
    /// Counts a wrong token. If the network has reached its limit, returns how long its further wrong tokens are
    /// refused.
    pub(super) fn wrong(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let mut counts = self.counts();
        counts.unreported = true;
        let network = counts.key(network(address), now);
        let count = counts.networks.entry(network).or_insert_with(|| Count::new(now));
        if count.is_over(now) {
            (count.since, count.wrong) = (now, 0);
        }
        count.wrong = count.wrong.saturating_add(1);
        count.unreported = count.unreported.saturating_add(1);
        if count.wrong <= FAILURES {
            return None;
        }
        count.unreported_refused = count.unreported_refused.saturating_add(1);
        let left = PERIOD.saturating_sub(now.duration_since(count.since));
        if !counts.over_reported {
            counts.over = Some(network);
        }
        Some(left)
    }

    /// What to report after a wrong token.
    pub(super) fn news(&self) -> News {
        let mut counts = self.counts();
        let over = counts.over.take();
        counts.over_reported |= over.is_some();
        let starts_period = counts.unreported && !counts.summary_is_due;
        counts.summary_is_due |= starts_period;
        News { over: over.map(name), starts_period }
    }

    /// Everything since the last summary.
    pub(super) fn summary(&self) -> Option<Summary> {
        let mut counts = self.counts();
        (counts.over_reported, counts.unreported, counts.summary_is_due) = (false, false, false);
        let mut summary: Option<(u32, Summary)> = None;
        for (network, count) in counts.networks.iter_mut().filter(|(_, count)| count.unreported > 0) {
            let (wrong, refused) =
                (std::mem::take(&mut count.unreported), std::mem::take(&mut count.unreported_refused));
            let (most, all) =
                summary.get_or_insert((0, Summary { most: String::new(), wrong: 0, refused: 0, networks: 0 }));
            all.wrong = all.wrong.saturating_add(wrong);
            all.refused = all.refused.saturating_add(refused);
            all.networks += 1;
            if wrong > *most {
                (*most, all.most) = (wrong, name(*network));
            }
        }
        summary.map(|(_, all)| all)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// The counter of a network. A counter is kept until its period ends, so that an attacker gets no more guesses by
    /// using many networks.
    fn key(&mut self, network: IpAddr, now: Instant) -> IpAddr {
        if self.networks.len() >= SEPARATE && !self.networks.contains_key(&network) {
            self.networks.retain(|_, count| !count.is_over(now) || count.unreported > 0);
            if self.networks.len() >= SEPARATE {
                return OTHERS;
            }
        }
        network
    }
}

impl Count {
    fn new(since: Instant) -> Self {
        Self { since, wrong: 0, unreported: 0, unreported_refused: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= PERIOD
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrong, refused, networks, .. } = self;
        let tokens = if *wrong == 1 { "token" } else { "tokens" };
        let addresses = if *networks == 1 { "address" } else { "addresses" };
        write!(f, "{wrong} wrong {tokens} from {networks} {addresses} within {} s, ", PERIOD.as_secs())?;
        write!(f, "{refused} of them refused with 429")
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

fn name(network: IpAddr) -> String {
    match network {
        OTHERS => "many addresses".to_owned(),
        IpAddr::V6(network) => format!("{network}/64"),
        IpAddr::V4(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(guesses: &Guesses, address: &str, now: Instant) -> Option<Duration> {
        guesses.wrong(address.parse().unwrap(), now)
    }

    #[test]
    fn eleventh_wrong_token_within_a_minute_is_refused() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..FAILURES {
            assert_eq!(guess(&guesses, "192.0.2.1", now), None);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(guess(&guesses, "::ffff:192.0.2.1", later), Some(Duration::from_secs(40)));
        assert_eq!(guess(&guesses, "192.0.2.2", later), None);
        assert_eq!(guess(&guesses, "192.0.2.1", now + PERIOD), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_counted_together() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..FAILURES {
            assert_eq!(guess(&guesses, &format!("2001:db8:0:1:{n:x}::1"), now), None);
        }
        assert!(guess(&guesses, "2001:db8:0:1:ffff::", now).is_some());
        assert!(guess(&guesses, "2001:db8:0:2::1", now).is_none());
    }

    #[test]
    fn many_networks_use_no_more_memory_and_get_no_more_guesses() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        let allowed = (0..10 * 4096_u32).filter(|n| guesses.wrong(address(*n), now).is_none()).count();
        assert_eq!(allowed, SEPARATE + FAILURES as usize);
        assert_eq!(guesses.counts().networks.len(), SEPARATE + 1);
        guesses.summary();
        assert_eq!(guess(&guesses, "192.0.2.1", now + PERIOD), None);
        assert_eq!(guesses.counts().networks.len(), 1);
    }

    #[test]
    fn limit_is_reported_at_once_and_the_rest_in_one_summary() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        guess(&guesses, "192.0.2.1", now);
        assert_eq!(guesses.news(), News { over: None, starts_period: true });
        for _ in 0..12 {
            guess(&guesses, "2001:db8::1", now);
        }
        assert_eq!(guesses.news(), News { over: Some("2001:db8::/64".into()), starts_period: false });
        guess(&guesses, "2001:db8::2", now);
        assert_eq!(guesses.news(), News { over: None, starts_period: false });
        let summary = guesses.summary().unwrap();
        assert_eq!(summary.most, "2001:db8::/64");
        assert_eq!(summary.to_string(), "14 wrong tokens from 2 addresses within 60 s, 3 of them refused with 429");
        let one = Summary { wrong: 1, refused: 0, networks: 1, ..summary };
        assert_eq!(one.to_string(), "1 wrong token from 1 address within 60 s, 0 of them refused with 429");
        assert_eq!(guesses.summary(), None);
        guess(&guesses, "2001:db8::2", now);
        assert!(guesses.news().starts_period);
    }
}
