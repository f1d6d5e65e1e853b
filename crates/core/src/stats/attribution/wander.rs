//! Slow wander of the own clock: too small to be told, but baselines are learned from other moments for each server, and
//! what the clock did between those moments must not seem to be a server's doing.

/// A drift that the offsets of all servers share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wander {
    /// In seconds per second, as offsets see it.
    rate: f64,
    /// The time at which its share of an offset is zero.
    zero_s: f64,
}

impl Wander {
    /// A drift of `rate` seconds per second, whose share of an offset is zero at `zero_s`.
    pub fn new(rate: f64, zero_s: f64) -> Self {
        Self { rate, zero_s }
    }

    /// Its share of an offset at a time, in seconds.
    pub fn at(&self, t_s: f64) -> f64 {
        // No time has come yet where there is no rate.
        if self.rate == 0.0 { 0.0 } else { self.rate * (t_s - self.zero_s) }
    }

    /// The same with shares that are smaller by this much.
    pub fn behind(self, lag_s: f64) -> Self {
        if self.rate == 0.0 { self } else { Self { zero_s: self.zero_s + lag_s / self.rate, ..self } }
    }
}
