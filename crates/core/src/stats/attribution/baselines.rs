//! Learns the baselines of the servers, freed of the slow wander that all of them share.

use super::engine::Engine;
use super::robust;
use super::wander::Wander;

impl Engine {
    /// Learns the baselines of quiet servers anew.
    pub(super) fn learn_all_servers(&mut self) {
        self.wander = self.see_wander();
        let (mut lags_s, mut kept, mut shifts_s) = (Vec::new(), Vec::new(), Vec::new());
        for series in &mut self.series {
            let usual_s = series.base.map(|b| b.offset_s);
            let wander = |j| self.wander.at(self.common.time_s(j));
            let lag_s =
                if series.is_quiet() { series.learn(self.cell, self.step_s, wander, &mut self.scratch) } else { None };
            kept.push(lag_s.is_none());
            if let (Some(lag_s), Some(base)) = (lag_s, series.base) {
                lags_s.push(lag_s);
                shifts_s.extend(usual_s.map(|usual_s| base.offset_s - usual_s));
            }
        }
        // All together they follow the wander as if it had not been looked at: else a drift that grows would be usual
        // before it is large enough to be told.
        let lag_s = robust::median(&mut lags_s);
        self.wander = self.wander.behind(lag_s);
        // Baselines that are kept, because something is being watched, follow like the others.
        let many = shifts_s.len() * 2 > self.voters;
        let shift_s = if many { robust::median(&mut shifts_s) + lag_s } else { 0.0 };
        for (series, kept) in self.series.iter_mut().zip(kept) {
            series.shift(if kept { shift_s } else { lag_s });
        }
    }

    /// Learns the baselines of those that have none yet.
    pub(super) fn learn_new_servers(&mut self) {
        for series in self.series.iter_mut().filter(|s| s.base.is_none() && s.is_quiet()) {
            series.learn(self.cell, self.step_s, |j| self.wander.at(self.common.time_s(j)), &mut self.scratch);
        }
    }

    /// The drift that the offsets of most quiet servers share, as far as it stands out of the noise.
    fn see_wander(&self) -> Wander {
        let quiet = self.series.iter().filter(|s| s.is_quiet());
        let mut rates: Vec<f64> = quiet.filter_map(|s| s.rate(self.cell, |j| self.common.time_s(j))).collect();
        let levels = self.common.levels(self.cell);
        let (Some((from_s, _)), Some((until_s, _))) = (levels.first(), levels.last()) else { return Wander::default() };
        let rate = robust::median(&mut rates);
        let stands_out = rates.len() * 2 > self.voters && rate.abs() * (until_s - from_s) / 2.0 > self.common.noise_s;
        if stands_out { Wander::new(rate, (from_s + until_s) / 2.0) } else { Wander::default() }
    }
}
