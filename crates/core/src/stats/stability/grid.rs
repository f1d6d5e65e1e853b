//! Samples on an even grid that keeps its gaps (Riley, "Gaps, outliers, dead time and uneven spacing").
//!
//! Each sample goes to the nearest slot; of two in a slot, the one closer to its middle stays. A slot without a sample
//! stays empty: interpolating or closing gaps would make the series look too stable.

use super::StabilityError;
use crate::stats::quantile;

/// Maximum number of slots: two years at 16 s. Longer series need a larger tau0.
pub const MAX_SLOTS: usize = 4_000_000;

/// Phase (time error) at even spacing; NaN where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseGrid {
    pub(super) tau0_s: f64,
    pub(super) x: Vec<f64>,
}

impl PhaseGrid {
    /// A grid of phases in seconds that are evenly spaced already. NaN and infinities are gaps.
    ///
    /// # Errors
    /// When `tau0_s` is not a positive number, or there are too few or too many slots.
    pub fn from_phase(tau0_s: f64, mut x: Vec<f64>) -> Result<Self, StabilityError> {
        check_spacing(tau0_s)?;
        check_slots(x.len() as f64)?;
        x.iter_mut().filter(|x| x.is_infinite()).for_each(|x| *x = f64::NAN);
        let grid = Self { tau0_s, x };
        if grid.measured() < 3 { Err(StabilityError::TooFew(grid.measured())) } else { Ok(grid) }
    }

    /// A grid of (time, phase) pairs in any order, both in seconds. Pairs that are not finite are ignored.
    ///
    /// # Errors
    /// When `tau0_s` is not a positive number, or there are too few samples or too many slots.
    pub fn from_samples(tau0_s: f64, samples: &[(f64, f64)]) -> Result<Self, StabilityError> {
        check_spacing(tau0_s)?;
        let mut samples: Vec<_> = samples.iter().copied().filter(|(t, x)| t.is_finite() && x.is_finite()).collect();
        samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (Some(first), Some(last)) = (samples.first().copied(), samples.last().copied()) else {
            return Err(StabilityError::TooFew(0));
        };
        let slots = ((last.0 - first.0) / tau0_s).round() + 1.0;
        check_slots(slots)?;
        let mut x = vec![f64::NAN; slots as usize];
        let mut taken_at = (usize::MAX, 0.0);
        for (t, phase) in samples {
            let place = (t - first.0) / tau0_s;
            let slot = (place.round() as usize).min(x.len() - 1);
            let off_middle = (place - slot as f64).abs();
            if taken_at.0 != slot || off_middle < taken_at.1 {
                x[slot] = phase;
                taken_at = (slot, off_middle);
            }
        }
        Self::from_phase(tau0_s, x)
    }

    /// Slots, gaps included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.x.len()
    }

    /// Slots that hold a sample.
    #[must_use]
    pub fn measured(&self) -> usize {
        self.x.iter().filter(|x| !x.is_nan()).count()
    }
}

/// A spacing this close to whole seconds, as a share of itself, is rounded to them, because polls are jittered.
const NEARLY_WHOLE: f64 = 0.005;

/// The usual spacing of polls in seconds: the median distance of successive times, rounded to whole seconds if it is
/// close. Pass the times of all polls, including lost ones. `None` without two different times.
#[must_use]
pub fn usual_spacing_s(times_s: &[f64]) -> Option<f64> {
    let mut sorted: Vec<_> = times_s.iter().copied().filter(|t| t.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let mut distances: Vec<_> = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|d| *d > 0.0).collect();
    let spacing_s = quantile::median(&mut distances)?;
    let whole_s = spacing_s.round();
    Some(if (spacing_s - whole_s).abs() <= NEARLY_WHOLE * spacing_s { whole_s } else { spacing_s })
}

fn check_spacing(tau0_s: f64) -> Result<(), StabilityError> {
    if tau0_s.is_finite() && tau0_s > 0.0 { Ok(()) } else { Err(StabilityError::Spacing(tau0_s)) }
}

fn check_slots(slots: f64) -> Result<(), StabilityError> {
    if slots <= MAX_SLOTS as f64 { Ok(()) } else { Err(StabilityError::TooLong(slots)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_sample_goes_to_its_slot_and_a_lost_one_leaves_a_gap() {
        let grid = PhaseGrid::from_samples(64.0, &[(0.0, 1.0), (66.0, 2.0), (190.0, 3.0), (257.0, 4.0)]).unwrap();
        assert_eq!(grid.slots(), 5);
        assert_eq!(grid.measured(), 4);
        assert!(grid.x[2].is_nan());
        assert_eq!((grid.x[1], grid.x[3], grid.x[4]), (2.0, 3.0, 4.0));
    }

    #[test]
    fn slot_keeps_the_sample_closest_to_its_middle() {
        let grid = PhaseGrid::from_samples(10.0, &[(0.0, 0.0), (8.0, 1.0), (11.0, 2.0), (14.0, 3.0), (20.0, 4.0)]);
        assert_eq!(grid.unwrap().x, [0.0, 2.0, 4.0]);
    }

    #[test]
    fn spacing_is_the_usual_one_whatever_the_order() {
        assert_eq!(usual_spacing_s(&[128.0, 0.0, 64.0, 192.0, 2000.0]), Some(64.0));
        assert_eq!(usual_spacing_s(&[0.0, 64.1, 128.2]), Some(64.0), "polls are jittered");
        assert_eq!(usual_spacing_s(&[0.0, 0.1, 0.2]), Some(0.1));
        assert_eq!(usual_spacing_s(&[5.0, 5.0]), None);
        assert_eq!(usual_spacing_s(&[]), None);
    }

    #[test]
    fn series_that_fits_no_grid_is_rejected_with_a_reason() {
        let two = [(0.0, 0.0), (1.0, f64::NAN), (2.0, 0.0)];
        assert_eq!(PhaseGrid::from_samples(1.0, &two), Err(StabilityError::TooFew(2)));
        assert_eq!(PhaseGrid::from_samples(0.0, &two), Err(StabilityError::Spacing(0.0)));
        let apart = [(0.0, 0.0), (1e9, 1.0), (2e9, 1.0)];
        assert_eq!(PhaseGrid::from_samples(1.0, &apart), Err(StabilityError::TooLong(2e9 + 1.0)));
    }
}
