//! Servers that smear a leap second beside others that insert it. From noon to noon they differ by up to half a second,
//! although each of them does what it is meant to do, so no majority shows who is wrong.

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::watch::Watch;

/// The onset of a smear may be dated early by so many rounds.
const EARLY_ROUNDS: f64 = 8.0;

/// Whether the servers are split into those that smear a leap second and those that insert it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Smear {
    pub watch: Watch,
    /// The noon at which the smear began, on the samples' axis.
    pub noon_s: f64,
    /// Movements since noon up to this size, in seconds, may be a smear that is too small to be seen yet; zero if none
    /// is.
    pub doubt_s: f64,
    /// How far a smearing server is ahead of the others now, in seconds.
    pub size_s: f64,
    /// All servers have moved since noon as if they smeared a leap second that none of them announced.
    pub of_all: bool,
}

impl Smear {
    /// Whether at least half of the votes are of servers that smear a leap second which others insert.
    pub fn is_split(&self) -> bool {
        self.watch.open
    }

    /// Whether this movement of this host's clock is that of all servers if they smear a leap second.
    pub fn is_of_all(&self, own: &Finding, period_s: f64) -> bool {
        self.of_all && own.since_s >= self.noon_s - EARLY_ROUNDS * period_s
    }

    pub fn is_calm(&self) -> bool {
        !self.watch.open && self.doubt_s == 0.0
    }

    /// Whether the smear of other servers may look like this movement.
    pub fn explains(&self, finding: &Finding, size_s: f64, period_s: f64) -> bool {
        self.doubt_s > size_s.abs() && finding.since_s >= self.noon_s - EARLY_ROUNDS * period_s
    }
}
