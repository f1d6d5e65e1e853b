//! The largest offsets of a server, at separate times.

use crate::history::course::Point;
use ntp_monitor_core::stats::verdict::When;

/// Minimum time between two listed moments, in nanoseconds.
const APART_NS: i64 = 3_600_000_000_000;

/// The time of a large offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The time; for an aggregate, the middle of its bucket.
    pub at: When,
    /// The offset with the largest magnitude at that time, in seconds.
    pub offset_s: f64,
    /// The mean delay at that time, in seconds; up to half of it may explain the offset.
    pub delay_s: f64,
}

/// The `most` largest offsets, largest first.
pub(super) fn worst(points: &[Point], most: usize) -> Vec<Moment> {
    let mut moments: Vec<Moment> = points
        .iter()
        .map(|point| {
            let (low_s, high_s) = (point.offset_s.low, point.offset_s.high);
            let offset_s = if low_s.abs() > high_s.abs() { low_s } else { high_s };
            Moment { at: When(point.at_ns), offset_s, delay_s: point.delay_s.mean }
        })
        .collect();
    moments.sort_by(|a, b| b.offset_s.abs().total_cmp(&a.offset_s.abs()));
    let mut chosen: Vec<Moment> = Vec::new();
    for moment in moments {
        if chosen.len() == most {
            break;
        }
        if chosen.iter().all(|other| other.at.0.abs_diff(moment.at.0) >= APART_NS.unsigned_abs()) {
            chosen.push(moment);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::course::Range;

    #[test]
    fn largest_offsets_come_first_and_one_per_hour() {
        let point = |minute: i64, low: f64, high: f64| Point {
            at_ns: minute * 60_000_000_000,
            n: 2,
            offset_s: Range { mean: 0.0, low, high },
            delay_s: Range { mean: 0.01, low: 0.01, high: 0.01 },
            distance_s: 0.0,
            bound_s: 0.0,
        };
        let points = vec![point(0, -0.5, 0.1), point(1, -0.4, 0.4), point(100, 0.0, 0.2), point(300, -0.1, 0.3)];
        let got = worst(&points, 2);
        assert_eq!(got.iter().map(|moment| moment.offset_s).collect::<Vec<_>>(), [-0.5, 0.3]);
    }
}
