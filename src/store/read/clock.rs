//! The history of this host's clock: each minute of a short span, wider steps of a long one. A step shows the extremes
//! and the largest bounds of its minutes, so it never looks better than its worst minute.

use std::time::Duration;

use super::Reader;
use crate::store::StoreError;
use crate::store::clock::{self, ClockPoint};

/// Interval between two stored points.
const MINUTE_S: i64 = 60;
const SECOND_NS: i64 = 1_000_000_000;

/// The history of this host's clock within a span, by time.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockHistory {
    /// The width of a step in seconds, whole minutes; `None` if each stored point is returned.
    pub width_s: Option<i64>,
    /// The steps that have a point.
    pub steps: Vec<ClockStep>,
}

/// The points within one step, or a single one.
#[derive(Debug, Clone, PartialEq)]
pub struct ClockStep {
    /// The start of the step, or the time of the single point.
    pub time_ns: i64,
    pub points: u32,
    /// The mean of the estimates: true time minus this clock, positive when this clock is slow.
    pub estimate_s: Option<f64>,
    /// The minimum of estimate minus bound.
    pub low_s: Option<f64>,
    /// The maximum of estimate plus bound.
    pub high_s: Option<f64>,
    pub bound_s: Option<f64>,
    /// Whether the clock could be trusted all the time, according to its own state.
    pub trusted: bool,
    /// Whether the kernel considered its clock synchronised all the time.
    pub kernel_synchronised: Option<bool>,
    /// The mean of the kernel's frequency correction in ppm.
    pub frequency_ppm: Option<f64>,
    /// The minimum of the frequency correction.
    pub frequency_min_ppm: Option<f64>,
    /// The maximum of the frequency correction.
    pub frequency_max_ppm: Option<f64>,
    /// The kernel's largest maximum error.
    pub max_error_s: Option<f64>,
    /// The kernel's largest estimated error.
    pub est_error_s: Option<f64>,
    /// The remaining offset according to a time daemon, with the largest magnitude.
    pub daemon_offset_s: Option<f64>,
    /// The largest bound according to a time daemon.
    pub daemon_bound_s: Option<f64>,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` at the last point, in nanoseconds.
    pub wall_less_raw_ns: i64,
    estimates: u32,
    frequencies: u32,
}

impl Reader {
    /// The history of this host's clock within a span. Returns each point if no `step` longer than a minute is
    /// requested and there are at most `max_points`. Otherwise returns steps of the requested width, widened so that at
    /// most `max_points` cover the recorded time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn clock_history(
        &self,
        from_ns: i64,
        to_ns: i64,
        step: Option<Duration>,
        max_points: usize,
    ) -> Result<ClockHistory, StoreError> {
        self.run("read the clock history", |conn| {
            let (count, first_ns) = clock::extent(conn, from_ns, to_ns)?;
            let step_s = step.map_or(0, |step| i64::try_from(step.as_secs()).unwrap_or(i64::MAX));
            let is_fine = step_s <= MINUTE_S && usize::try_from(count).is_ok_and(|count| count <= max_points);
            let width_s =
                (!is_fine).then(|| width_s(to_ns.saturating_sub(first_ns.unwrap_or(to_ns)), step_s, max_points));
            let mut steps: Vec<ClockStep> = Vec::new();
            clock::visit(conn, from_ns, to_ns, |point| {
                let time_ns = width_s.map_or(point.wall_ns, |width_s| begin_ns(point.wall_ns, width_s));
                match steps.last_mut().filter(|last| width_s.is_some() && last.time_ns == time_ns) {
                    Some(last) => last.add(&point),
                    None => steps.push(ClockStep::of(time_ns, &point)),
                }
            })?;
            Ok(ClockHistory { width_s, steps })
        })
    }
}

/// A width of whole minutes, at least `step_s`, so that at most `most` steps touch the span, wherever it starts.
fn width_s(span_ns: i64, step_s: i64, most: usize) -> i64 {
    let spans = i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(1).max(1);
    let least_s = span_ns / SECOND_NS / spans + 1;
    let minutes = |seconds: i64| seconds.saturating_add(MINUTE_S - 1) / MINUTE_S;
    minutes(least_s.max(step_s)) * MINUTE_S
}

fn begin_ns(wall_ns: i64, width_s: i64) -> i64 {
    wall_ns.div_euclid(SECOND_NS).div_euclid(width_s).saturating_mul(width_s).saturating_mul(SECOND_NS)
}

impl ClockStep {
    fn of(time_ns: i64, point: &ClockPoint) -> Self {
        let edge = |sign: f64| Some(point.estimate_s? + sign * point.bound_s?);
        Self {
            time_ns,
            points: 1,
            estimate_s: point.estimate_s,
            low_s: edge(-1.0),
            high_s: edge(1.0),
            bound_s: point.bound_s,
            trusted: point.trusted,
            kernel_synchronised: point.kernel_synchronised,
            frequency_ppm: point.kernel_frequency_ppm,
            frequency_min_ppm: point.kernel_frequency_ppm,
            frequency_max_ppm: point.kernel_frequency_ppm,
            max_error_s: point.kernel_max_error_s,
            est_error_s: point.kernel_est_error_s,
            daemon_offset_s: point.daemon_offset_s,
            daemon_bound_s: point.daemon_bound_s,
            wall_less_raw_ns: point.wall_less_raw_ns,
            estimates: u32::from(point.estimate_s.is_some()),
            frequencies: u32::from(point.kernel_frequency_ppm.is_some()),
        }
    }

    /// Adds a later point.
    fn add(&mut self, point: &ClockPoint) {
        let one = Self::of(self.time_ns, point);
        self.points += 1;
        self.estimate_s = mean(&mut self.estimates, self.estimate_s, one.estimate_s);
        self.low_s = either(self.low_s, one.low_s, f64::min);
        self.high_s = either(self.high_s, one.high_s, f64::max);
        self.bound_s = either(self.bound_s, one.bound_s, f64::max);
        self.trusted &= one.trusted;
        self.kernel_synchronised = either(self.kernel_synchronised, one.kernel_synchronised, |a, b| a && b);
        self.frequency_ppm = mean(&mut self.frequencies, self.frequency_ppm, one.frequency_ppm);
        self.frequency_min_ppm = either(self.frequency_min_ppm, one.frequency_min_ppm, f64::min);
        self.frequency_max_ppm = either(self.frequency_max_ppm, one.frequency_max_ppm, f64::max);
        self.max_error_s = either(self.max_error_s, one.max_error_s, f64::max);
        self.est_error_s = either(self.est_error_s, one.est_error_s, f64::max);
        let larger = |a: f64, b: f64| if b.abs() > a.abs() { b } else { a };
        self.daemon_offset_s = either(self.daemon_offset_s, one.daemon_offset_s, larger);
        self.daemon_bound_s = either(self.daemon_bound_s, one.daemon_bound_s, f64::max);
        self.wall_less_raw_ns = one.wall_less_raw_ns;
    }
}

/// Combines two optional values with `both` if both are present, otherwise returns the present one.
fn either<T>(a: Option<T>, b: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    }
}

/// Updates the mean of `n` values with one more value.
fn mean(n: &mut u32, before: Option<f64>, value: Option<f64>) -> Option<f64> {
    let Some(value) = value else { return before };
    *n += 1;
    Some(before.map_or(value, |before| before + (value - before) / f64::from(*n)))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::schema;

    fn point(minute: i64, estimate_s: Option<f64>, bound_s: f64) -> ClockPoint {
        ClockPoint {
            wall_ns: minute * MINUTE_S * SECOND_NS,
            wall_less_raw_ns: minute,
            estimate_s,
            bound_s: estimate_s.map(|_| bound_s),
            trusted: minute != 1,
            kernel_synchronised: (minute > 0).then_some(minute != 2),
            kernel_frequency_ppm: Some(minute as f64),
            kernel_max_error_s: Some(1.0 / (minute + 1) as f64),
            kernel_est_error_s: None,
            daemon_offset_s: Some(if minute == 1 { -3.0 } else { 2.0 }),
            daemon_bound_s: None,
        }
    }

    #[test]
    fn step_shows_extremes_and_largest_bounds() {
        let points =
            [point(0, Some(1e-3), 1e-4), point(1, None, 0.0), point(2, Some(-3e-3), 5e-4), point(3, Some(2e-3), 2e-4)];
        let mut step = ClockStep::of(0, &points[0]);
        points[1..].iter().for_each(|point| step.add(point));
        assert_eq!((step.points, step.trusted, step.kernel_synchronised), (4, false, Some(false)));
        assert!(step.estimate_s.unwrap().abs() < 1e-18, "{step:?}");
        assert_eq!((step.low_s, step.high_s, step.bound_s), (Some(-3.5e-3), Some(2.2e-3), Some(5e-4)));
        assert_eq!(
            (step.frequency_min_ppm, step.frequency_ppm, step.frequency_max_ppm),
            (Some(0.0), Some(1.5), Some(3.0))
        );
        assert_eq!((step.max_error_s, step.est_error_s, step.daemon_offset_s), (Some(1.0), None, Some(-3.0)));
        assert_eq!(step.wall_less_raw_ns, 3);
    }

    #[test]
    fn day_is_returned_by_minute_and_week_in_steps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        let mut conn = Connection::open(&path).unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let week = 7 * 1440;
        let tx = conn.transaction().unwrap();
        (0..week).for_each(|minute| clock::insert(&tx, &point(minute, Some(1e-3), 1e-4)).unwrap());
        tx.commit().unwrap();
        let reader = Reader::open(&path).unwrap();
        let end_ns = week * MINUTE_S * SECOND_NS;
        let of = |from_ns, step, most| reader.clock_history(from_ns, end_ns, step, most).unwrap();
        let day = of(end_ns - 1440 * MINUTE_S * SECOND_NS, None, 2000);
        assert_eq!((day.width_s, day.steps.len()), (None, 1440));
        // Only the recorded time counts, not the years before.
        let all = of(i64::MIN / 2, Some(Duration::from_secs(30)), 2000);
        assert_eq!(all.width_s, Some(360));
        assert_eq!(all.steps.len() as i64, week / 6);
        assert_eq!(all.steps.iter().map(|step| i64::from(step.points)).sum::<i64>(), week);
        let hours = of(0, Some(Duration::from_secs(3600)), 2000);
        assert_eq!((hours.width_s, hours.steps.len()), (Some(3600), 168));
        assert_eq!((hours.steps[1].time_ns, hours.steps[1].points), (3600 * SECOND_NS, 60));
        assert_eq!(of(end_ns - 1, None, 2000).steps, []);
    }

    #[test]
    fn width_is_whole_minutes_and_limits_the_steps() {
        assert_eq!(width_s(0, 0, 2000), 60);
        assert_eq!(width_s(0, 61, 2000), 120);
        for (span_s, begin_s) in [(86_400, 0), (86_400 * 366, 59), (1_000_003, 17), (20 * 366 * 86_400, 31)] {
            let width_s = width_s(span_s * SECOND_NS, 0, 2000);
            let (first, last) = (begin_s / width_s, (begin_s + span_s) / width_s);
            assert!(last - first < 2000 && width_s % 60 == 0, "{span_s}: {width_s}");
        }
        assert!(width_s(i64::MAX, i64::MAX, 1) > 0);
        assert_eq!(begin_ns(-1, 60), -60 * SECOND_NS);
    }
}
