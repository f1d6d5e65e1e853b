//! Limits how often events that a remote can cause are logged: a token bucket for each server and kind of event. Pure:
//! time is an argument. The memory is bounded for any keys.

use std::collections::HashMap;
use std::sync::Arc;

/// Maximum number of keys with their own bucket; all others share one.
const MAX_KEYS: usize = 4096;

/// The key of a bucket.
type EventKey = (Arc<str>, &'static str);

/// The decision about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Log it, with the number of similar events suppressed since the last logged one.
    Log { suppressed: u64 },
    /// Do not log it; it was counted.
    Suppress,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When the bucket is full again, on the monotonic clock; this number is the whole state of a token bucket.
    full_at_ns: i64,
    suppressed: u64,
}

impl Bucket {
    const FULL: Self = Self { full_at_ns: i64::MIN, suppressed: 0 };
}

/// Token buckets by server and kind.
#[derive(Debug)]
pub struct RateLimit {
    burst: u32,
    refill_ns: i64,
    buckets: HashMap<EventKey, Bucket>,
    shared: Bucket,
    pruned_at_ns: Option<i64>,
}

impl RateLimit {
    /// Admits at most `burst` events at once (at least one), and one more every `refill_ns` nanoseconds.
    #[must_use]
    pub fn new(burst: u32, refill_ns: i64) -> Self {
        let (burst, refill_ns) = (burst.max(1), refill_ns.max(1));
        Self { burst, refill_ns, buckets: HashMap::new(), shared: Bucket::FULL, pruned_at_ns: None }
    }

    /// Decides about an event of `kind` from `server` at `mono_ns` on the monotonic clock.
    pub fn allow(&mut self, server: &Arc<str>, kind: &'static str, mono_ns: i64) -> Allowance {
        let (span, refill) = (self.refill_ns.saturating_mul(i64::from(self.burst)), self.refill_ns);
        let bucket = self.bucket(server, kind, mono_ns);
        let full_at = bucket.full_at_ns.max(mono_ns).saturating_add(refill);
        if full_at > mono_ns.saturating_add(span) {
            bucket.suppressed += 1;
            return Allowance::Suppress;
        }
        bucket.full_at_ns = full_at;
        Allowance::Log { suppressed: std::mem::take(&mut bucket.suppressed) }
    }

    fn bucket(&mut self, server: &Arc<str>, kind: &'static str, mono_ns: i64) -> &mut Bucket {
        let key = (Arc::clone(server), kind);
        if self.buckets.len() >= MAX_KEYS && !self.buckets.contains_key(&key) {
            self.prune(mono_ns);
            if self.buckets.len() >= MAX_KEYS {
                return &mut self.shared;
            }
        }
        self.buckets.entry(key).or_insert(Bucket::FULL)
    }

    /// Removes buckets that are full and have nothing to report. Runs at most once per refill, because it visits every
    /// bucket.
    fn prune(&mut self, mono_ns: i64) {
        if self.pruned_at_ns.is_some_and(|at| mono_ns.saturating_sub(at) < self.refill_ns) {
            return;
        }
        self.pruned_at_ns = Some(mono_ns);
        self.buckets.retain(|_, bucket| bucket.full_at_ns > mono_ns || bucket.suppressed > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn server(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn after_a_burst_one_event_per_refill_is_logged_with_a_count() {
        let mut limit = RateLimit::new(2, SECOND);
        let a = server("a");
        assert_eq!(limit.allow(&a, "origin", 0), Allowance::Log { suppressed: 0 });
        assert_eq!(limit.allow(&a, "origin", 0), Allowance::Log { suppressed: 0 });
        assert_eq!(limit.allow(&a, "origin", 1), Allowance::Suppress);
        assert_eq!(limit.allow(&a, "origin", SECOND - 1), Allowance::Suppress);
        assert_eq!(limit.allow(&a, "origin", SECOND), Allowance::Log { suppressed: 2 });
    }

    #[test]
    fn one_noisy_key_silences_no_other() {
        let mut limit = RateLimit::new(1, SECOND);
        for _ in 0..100 {
            limit.allow(&server("a"), "origin", 0);
        }
        assert_eq!(limit.allow(&server("b"), "origin", 0), Allowance::Log { suppressed: 0 });
        assert_eq!(limit.allow(&server("a"), "short", 0), Allowance::Log { suppressed: 0 });
    }

    #[test]
    fn memory_is_bounded_and_old_keys_make_room() {
        let mut limit = RateLimit::new(1, SECOND);
        for n in 0..2 * MAX_KEYS {
            limit.allow(&server(&n.to_string()), "origin", 0);
        }
        assert_eq!(limit.buckets.len(), MAX_KEYS);
        limit.allow(&server("late"), "origin", 3 * SECOND);
        assert_eq!(limit.buckets.len(), 1);
    }

    proptest! {
        #[test]
        fn logged_events_are_bounded_and_all_events_are_counted(
            burst in 1..10_u32,
            gaps in prop::collection::vec(0..3 * SECOND, 1..200),
        ) {
            let mut limit = RateLimit::new(burst, SECOND);
            let (mut now, mut logged, mut reported, mut silent) = (0, 0_i64, 0, 0_u64);
            for gap in &gaps {
                now += gap;
                match limit.allow(&server("a"), "x", now) {
                    Allowance::Log { suppressed } => { logged += 1; reported += suppressed; silent = 0; }
                    Allowance::Suppress => silent += 1,
                }
                prop_assert!(logged <= i64::from(burst) + (now - gaps[0]) / SECOND);
            }
            prop_assert_eq!(logged as u64 + reported + silent, gaps.len() as u64);
        }
    }
}
