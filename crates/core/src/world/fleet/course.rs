//! The course of a simulated clock: its error over time.

/// The error of a clock, and the part of it that is that of its oscillator, at equal distances in time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// The time between two points, in seconds.
    pub every_s: f64,
    /// The error of the clock in seconds, positive when it is ahead.
    pub clock_s: Vec<f64>,
    /// The error of its oscillator in seconds. The raw clock shares it; the rest of the error are corrections.
    pub oscillator_s: Vec<f64>,
}

impl Course {
    /// The error of the clock at `t_s`, in seconds, interpolated; zero without a course.
    #[must_use]
    pub fn at(&self, t_s: f64) -> f64 {
        interpolated(&self.clock_s, self.every_s, t_s)
    }

    /// The error of the oscillator at `t_s`, in seconds, interpolated; zero without a course.
    #[must_use]
    pub fn oscillator_at(&self, t_s: f64) -> f64 {
        interpolated(&self.oscillator_s, self.every_s, t_s)
    }
}

fn interpolated(points: &[f64], every_s: f64, t_s: f64) -> f64 {
    let Some(last) = points.last() else { return 0.0 };
    let place = (t_s / every_s).max(0.0);
    let (at, share) = (place as usize, place.fract());
    match (points.get(at), points.get(at + 1)) {
        (Some(before), Some(after)) => before + share * (after - before),
        _ => *last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn course_is_interpolated_and_ends_at_its_last_point() {
        let course = Course { every_s: 4.0, clock_s: vec![0.0, 0.4, 0.2], oscillator_s: vec![] };
        assert_eq!([0.0, 2.0, 8.0, 99.0].map(|t_s| course.at(t_s)), [0.0, 0.2, 0.2, 0.2]);
        assert_eq!(course.oscillator_at(2.0), 0.0);
        assert_eq!(Course::default().at(2.0), 0.0);
    }
}
