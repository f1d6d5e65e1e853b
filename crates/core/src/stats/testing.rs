//! Samples for the unit tests of the statistics.

use crate::clock::Stamp;
use crate::ntp::{Leap, RefId};
use crate::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// Both clocks at `at_s`; the wall clock is a billion seconds ahead.
pub fn stamp(at_s: f64) -> Stamp {
    let mono_ns = (at_s * 1e9).round() as i64;
    Stamp::new(mono_ns + 1_000_000_000_000_000_000, mono_ns, 0)
}

/// A sample of a stratum 2 server, timestamped by the kernel.
pub fn sample(at_s: f64, offset_s: f64, delay_s: f64) -> Sample {
    let reply = Reply {
        stratum: 2,
        leap: Leap::None,
        refid: RefId(*b"GPS\0"),
        precision_log2: -23,
        root_delay_s: 0.0,
        root_dispersion_s: 0.0,
        reference_age_s: None,
    };
    Sample {
        outcome: Outcome::Sample,
        reply: Some(reply),
        measure: Some(Measure { offset_s, delay_s, root_distance_s: delay_s / 2.0 }),
        timestamping: Some(Timestamping::Kernel),
        lost: 0,
        ..lost(at_s)
    }
}

/// A poll that timed out.
pub fn lost(at_s: f64) -> Sample {
    Sample {
        at: stamp(at_s),
        server: ServerIdent::named("test"),
        address: None,
        outcome: Outcome::Timeout,
        reply: None,
        measure: None,
        poll_s: 64.0,
        timestamping: None,
        authentication: Authentication::None,
        mode: Mode::Basic,
        sent: 1,
        lost: 1,
        evidence: None,
        rejected: Vec::new(),
        nts: None,
        rejected_count: 0,
    }
}
