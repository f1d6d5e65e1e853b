//! One reading of a server by a vantage.

use crate::ntp::{Leap, RefId};
use crate::sample::Sample;

/// One accepted exchange, reduced to what the verdict needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub at_ns: i64,
    pub offset_s: f64,
    pub delay_s: f64,
    /// The precision of the server's clock.
    pub precision_s: f64,
    /// The server's own statement about its error.
    pub claim_s: f64,
    pub stratum: u8,
    pub refid: RefId,
    pub leap: Leap,
    pub poll_s: f64,
    /// By how much the clock of the vantage had been set until then, in seconds.
    pub stepped_s: f64,
}

impl Reading {
    /// The reading of a sample; `None` if it has no valid offset or the server does not claim to be synchronised.
    pub fn of(sample: &Sample, at_ns: i64) -> Option<Self> {
        let (measure, reply) = (sample.measure?, sample.reply?);
        let is_sound = sample.outcome.is_success()
            && measure.offset_s.is_finite()
            && measure.delay_s.is_finite()
            && measure.delay_s >= 0.0
            && reply.root_delay_s.is_finite()
            && reply.root_dispersion_s.is_finite();
        is_sound.then(|| Self {
            at_ns,
            offset_s: measure.offset_s,
            delay_s: measure.delay_s,
            precision_s: reply.precision_s().min(1.0),
            claim_s: reply.root_delay_s.abs() / 2.0 + reply.root_dispersion_s.abs(),
            stratum: reply.stratum,
            refid: reply.refid,
            leap: reply.leap,
            poll_s: sample.poll_s,
            stepped_s: 0.0,
        })
    }
}
