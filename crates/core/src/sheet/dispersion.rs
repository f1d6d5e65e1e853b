//! The behaviour of the root dispersion that a server states.

use serde::{Deserialize, Serialize};

use crate::ntp::{NtpShort, NtpTimestamp};

/// The minimum number of replies, and time in nanoseconds, to recognise any behaviour other than growth: at 1 ppm, one
/// unit of the field (15 µs) takes 15 s.
const REPLIES: u8 = 8;
const SPAN_NS: i64 = 64 * 1_000_000_000;

/// How the root dispersion behaves from reply to reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dispersion {
    /// It grows while the server's clock is not set, as RFC 5905 requires.
    Grows,
    /// It is always the same.
    Constant,
    /// It changes, but was not seen to grow between two updates of the server's clock.
    Changes,
}

/// The replies since the last observation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Dispersions {
    last: Option<(NtpTimestamp, NtpShort)>,
    since_ns: i64,
    replies: u8,
    has_changed: bool,
}

impl Dispersions {
    /// Adds a reply that arrived at `at_ns` (monotonic), with its reference time and its root dispersion. Returns an
    /// observation when there is one.
    pub fn add(&mut self, at_ns: i64, reference: NtpTimestamp, dispersion: NtpShort) -> Option<Dispersion> {
        let before = self.last.replace((reference, dispersion));
        let Some((same_reference, earlier)) = before else {
            (self.since_ns, self.replies) = (at_ns, 1);
            return None;
        };
        self.replies = self.replies.saturating_add(1);
        self.has_changed |= earlier != dispersion;
        let observed = if same_reference == reference && dispersion.0 > earlier.0 {
            Dispersion::Grows
        } else if self.replies < REPLIES || at_ns.saturating_sub(self.since_ns) < SPAN_NS {
            return None;
        } else if self.has_changed {
            Dispersion::Changes
        } else {
            Dispersion::Constant
        };
        (self.since_ns, self.replies, self.has_changed) = (at_ns, 1, false);
        Some(observed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// The observations of polls every 16 s, given as reference time and dispersion.
    fn observed(replies: impl IntoIterator<Item = (u64, u32)>) -> Vec<Dispersion> {
        let mut dispersions = Dispersions::default();
        let polls = (0..).zip(replies);
        polls.filter_map(|(k, (set, units))| dispersions.add(k * 16 * S, NtpTimestamp(set), NtpShort(units))).collect()
    }

    #[test]
    fn growth_between_two_updates_is_seen_at_once() {
        assert_eq!(observed([(1, 10), (1, 10), (1, 11)]), [Dispersion::Grows]);
        let sawtooth = (0..40).map(|k| (k / 4, 10 + (k % 4) as u32));
        assert!(observed(sawtooth).iter().all(|seen| *seen == Dispersion::Grows));
    }

    #[test]
    fn constant_and_changing_dispersion_take_eight_replies() {
        assert_eq!(observed((0..7).map(|k| (k, 10))), []);
        assert_eq!(observed((0..15).map(|k| (k, 10))), [Dispersion::Constant; 2]);
        assert_eq!(observed((0..8).map(|k| (k, 10 + k as u32))), [Dispersion::Changes]);
        assert_eq!(observed((0..8).map(|k| (k / 2, 10 + (k / 2) as u32))), [Dispersion::Changes], "held, not grown");
    }

    #[test]
    fn replies_within_a_minute_prove_no_constancy() {
        let mut dispersions = Dispersions::default();
        let fast = |k: i64| dispersions.add(k * S, NtpTimestamp(1), NtpShort(10));
        assert_eq!((0..70).filter_map(fast).collect::<Vec<_>>(), [Dispersion::Constant], "at 64 s, not before");
    }
}
