//! The cookies of one server, and when keys must be exchanged. Pure: times are monotonic nanoseconds, random numbers
//! come from the caller.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Cookie, FULL_STOCK, Keys, Ticket, UniqueId};

/// How often keys may be exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Minimum time between the beginnings of two key exchanges.
    pub floor: Duration,
    /// The longest wait after failures.
    pub longest_wait: Duration,
    /// Keys are replaced after this time, even if they still work.
    pub lifetime: Duration,
}

impl Policy {
    /// For public servers: at most one key exchange a minute.
    pub const PUBLIC: Self = Self { floor: Duration::from_secs(60), ..Self::OWN };
    /// For servers with `own = true`.
    pub const OWN: Self = Self {
        floor: Duration::from_secs(4),
        longest_wait: Duration::from_secs(3600),
        lifetime: Duration::from_secs(24 * 3600),
    };
}

/// Whether a key exchange is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// No, there are cookies.
    No,
    /// Yes, and it may begin now.
    Now,
    /// Yes, but it must wait until this time, in monotonic nanoseconds.
    At(i64),
}

/// The cookies of one server and the history of its key exchanges.
#[derive(Debug)]
pub struct Stock {
    policy: Policy,
    keys: Option<Arc<Keys>>,
    cookies: VecDeque<Cookie>,
    /// When the keys were exchanged.
    exchanged_ns: i64,
    /// How long after that they are replaced.
    lifetime: Duration,
    /// Whether the server refused the cookies, so that they are worthless.
    is_refused: bool,
    /// No key exchange begins before this time.
    earliest_ns: i64,
    /// Failed key exchanges in a row.
    failures: u32,
}

impl Stock {
    /// An empty stock.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            keys: None,
            cookies: VecDeque::with_capacity(FULL_STOCK),
            exchanged_ns: 0,
            lifetime: policy.lifetime,
            is_refused: false,
            earliest_ns: i64::MIN,
            failures: 0,
        }
    }

    /// Continues after an earlier process, whose last key exchange may have begun as late as `begun_ns`.
    pub fn resume(&mut self, begun_ns: i64) {
        self.hold(begun_ns.saturating_add(nanos(self.policy.floor)));
    }

    /// The earliest time of the next key exchange, in monotonic nanoseconds.
    #[must_use]
    pub fn earliest_ns(&self) -> i64 {
        self.earliest_ns
    }

    /// No key exchange begins before this time.
    pub fn hold(&mut self, earliest_ns: i64) {
        self.earliest_ns = self.earliest_ns.max(earliest_ns);
    }

    /// Whether keys must be exchanged, or should be because they are old.
    #[must_use]
    pub fn due(&self, now_ns: i64) -> Due {
        let age_ns = now_ns.saturating_sub(self.exchanged_ns);
        let is_old = age_ns >= nanos(self.lifetime);
        if !self.is_empty() && !is_old && !self.is_refused {
            Due::No
        } else if now_ns >= self.earliest_ns {
            Due::Now
        } else {
            Due::At(self.earliest_ns)
        }
    }

    /// Records that a key exchange begins. It counts for the minimum time even if it fails.
    pub fn begin(&mut self, now_ns: i64) {
        self.earliest_ns = now_ns.saturating_add(nanos(self.policy.floor));
    }

    /// Replaces keys and cookies after a key exchange.
    pub fn exchanged(&mut self, keys: Keys, cookies: Vec<Cookie>, now_ns: i64) {
        self.keys = Some(Arc::new(keys));
        self.cookies.clear();
        self.exchanged_ns = now_ns;
        self.lifetime = self.policy.lifetime;
        self.is_refused = false;
        self.failures = 0;
        self.add(cookies);
    }

    /// Replaces these keys after `lifetime`, if that is sooner than the policy says, but not before the minimum time.
    pub fn replace_within(&mut self, lifetime: Duration) {
        self.lifetime = self.policy.lifetime.min(lifetime).max(self.policy.floor);
    }

    /// Records a failed key exchange, which ended at `now_ns`. The wait before the next one doubles, with jitter:
    /// `random` is from 0 to 1. Remaining cookies stay in use.
    pub fn failed(&mut self, now_ns: i64, random: f64) {
        self.failures = self.failures.saturating_add(1);
        self.earliest_ns = self.earliest_ns.max(now_ns.saturating_add(self.wait_ns(random)));
    }

    fn wait_ns(&self, random: f64) -> i64 {
        let (floor, longest) = (self.policy.floor, self.policy.longest_wait.max(self.policy.floor));
        let doubled = floor.saturating_mul(1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX));
        // From three quarters to five quarters, so that servers which failed together are not retried together.
        let wait = doubled.min(longest).mul_f64(0.75 + random.clamp(0.0, 1.0) / 2.0);
        nanos(wait.max(floor))
    }

    /// Removes a cookie for one request; `None` if there is none. `id` is random.
    pub fn take(&mut self, id: UniqueId) -> Option<Ticket> {
        let keys = self.keys.clone()?;
        let cookie = self.cookies.pop_front()?;
        let wanted = FULL_STOCK - self.cookies.len().min(FULL_STOCK - 1);
        Some(Ticket::new(keys, cookie, wanted, id))
    }

    /// Adds the cookies of an authentic reply; the stock never exceeds [`FULL_STOCK`].
    pub fn add(&mut self, cookies: Vec<Cookie>) {
        let room = FULL_STOCK.saturating_sub(self.cookies.len());
        self.cookies.extend(cookies.into_iter().take(room));
    }

    /// Records that the server could not read a cookie and sent no authentic reply: it has lost its keys, so all
    /// cookies are useless.
    pub fn refused(&mut self) {
        self.is_refused = true;
        self.cookies.clear();
    }

    /// The number of cookies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cookies.len()
    }

    /// Whether no request can be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// The length of the next cookie in octets.
    #[must_use]
    pub fn cookie_len(&self) -> Option<usize> {
        self.cookies.front().map(|cookie| cookie.octets().len())
    }

    /// Failed key exchanges in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nts::{Aead, Key};

    const SECOND: i64 = 1_000_000_000;

    fn keys() -> Keys {
        let key = |octet: u8| Key::new(Aead::AesSivCmac256, &[octet; 32]).unwrap();
        Keys { aead: Aead::AesSivCmac256, to_server: key(1), to_client: key(2) }
    }

    fn cookies(numbers: std::ops::Range<u8>) -> Vec<Cookie> {
        numbers.map(|number| Cookie::new(&[number; 100]).unwrap()).collect()
    }

    /// A stock that was filled at time 0.
    fn full() -> Stock {
        let mut stock = Stock::new(Policy::PUBLIC);
        stock.begin(0);
        stock.exchanged(keys(), cookies(0..8), 0);
        stock
    }

    #[test]
    fn new_stock_needs_a_key_exchange_at_once() {
        let mut stock = Stock::new(Policy::PUBLIC);
        assert_eq!(stock.due(0), Due::Now);
        assert!(stock.take([0; 32]).is_none());
        stock.begin(0);
        assert_eq!(stock.due(SECOND), Due::At(60 * SECOND));
    }

    #[test]
    fn cookies_are_used_once_and_lost_ones_are_requested() {
        let mut stock = full();
        let sent: Vec<String> = (0..8)
            .map(|_| {
                let ticket = stock.take([0; 32]).unwrap();
                format!("{ticket:?} {:?}", ticket.seal(&[0; 48], [0; 16])[88])
            })
            .collect();
        let expected = (0..8).map(|n| format!("Ticket {{ placeholders: {n}, .. }} {n}"));
        assert_eq!(sent, expected.collect::<Vec<_>>());
        assert!(stock.take([0; 32]).is_none() && stock.due(61 * SECOND) == Due::Now);
    }

    #[test]
    fn replies_refill_the_stock_to_eight_at_most() {
        let mut stock = full();
        (0..3).for_each(|_| drop(stock.take([0; 32])));
        stock.add(cookies(8..20));
        assert_eq!((stock.len(), stock.cookie_len()), (8, Some(100)));
        assert_eq!(stock.due(SECOND), Due::No);
    }

    #[test]
    fn nak_leads_to_one_key_exchange_per_floor() {
        let mut stock = full();
        stock.refused();
        assert_eq!((stock.due(SECOND), stock.len()), (Due::At(60 * SECOND), 0));
        // A server that refuses the new cookies too.
        let mut begun = Vec::new();
        for now in (0..600).map(|second| second * SECOND) {
            if stock.due(now) == Due::Now {
                stock.begin(now);
                stock.exchanged(keys(), cookies(0..8), now);
                begun.push(now / SECOND);
            }
            stock.refused();
        }
        assert_eq!(begun, (1..10).map(|minute| minute * 60).collect::<Vec<i64>>());
    }

    #[test]
    fn failures_double_the_wait_up_to_an_hour() {
        let mut stock = Stock::new(Policy::PUBLIC);
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..9 {
            stock.begin(now);
            stock.failed(now, 0.5);
            let Due::At(next) = stock.due(now) else { panic!("not due") };
            waits.push((next - now) / SECOND);
            now = next;
        }
        assert_eq!(waits, [120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
        assert_eq!(stock.failures(), 9);
        for (random, expected) in [(0.0, 2700), (1.0, 4500)] {
            stock.failed(now, random);
            assert_eq!(stock.due(now), Due::At(now + expected * SECOND), "{random}");
            now += 10_000 * SECOND;
        }
        stock.exchanged(keys(), cookies(0..1), now);
        assert_eq!((stock.failures(), stock.due(now)), (0, Due::No));
    }

    #[test]
    fn keys_are_replaced_daily_and_used_until_then() {
        let mut stock = full();
        let day = nanos(Policy::PUBLIC.lifetime);
        assert_eq!((stock.due(day - 1), stock.due(day)), (Due::No, Due::Now));
        stock.begin(day);
        stock.failed(day, 0.5);
        assert!(matches!(stock.due(day), Due::At(_)) && stock.take([0; 32]).is_some());
    }

    #[test]
    fn keys_are_replaced_more_often_when_certificates_are_short() {
        let mut stock = full();
        stock.replace_within(Duration::from_secs(3600));
        assert_eq!((stock.due(3599 * SECOND), stock.due(3600 * SECOND)), (Due::No, Due::Now));
        stock.replace_within(Duration::ZERO);
        assert_eq!((stock.due(59 * SECOND), stock.due(60 * SECOND)), (Due::No, Due::Now), "not before the floor");
        stock.replace_within(Duration::from_secs(900 * 86_400));
        assert_eq!(stock.due(nanos(Policy::PUBLIC.lifetime) - 1), Due::No);
        stock.exchanged(keys(), cookies(0..8), 0);
        assert_eq!(stock.due(nanos(Policy::PUBLIC.lifetime)), Due::Now, "daily at the latest");
    }

    #[test]
    fn restart_does_not_shorten_the_wait() {
        let mut stock = Stock::new(Policy::PUBLIC);
        stock.resume(-10 * SECOND);
        assert_eq!(stock.due(0), Due::At(50 * SECOND));
        stock.resume(-90 * SECOND);
        assert_eq!(stock.due(0), Due::At(50 * SECOND), "the later one counts");
    }
}
