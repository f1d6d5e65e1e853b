//! This host's clock as all servers together see it: the common mode, its series, and what was found wrong.

mod unmoved;

use serde::{Deserialize, Serialize};

use super::bits::Bits;
use super::finding::{Finding, Seen};
use super::series::PHI;
use super::track::{Peers, Scratch, Sighting, Track};
use crate::stats::consensus::Interval;
use unmoved::Unmoved;

/// Weight of the newest rate in the usual one.
const RATE_WEIGHT: f64 = 0.05;
/// The same after the rate has changed.
const FAST_RATE_WEIGHT: f64 = 0.5;
/// The part of a round's unrest that remains in the next round.
const CALMS: f64 = 0.9;
/// No clock drifts faster, in s/s.
const FASTEST: f64 = 500e-6;
/// Rounds over which proofs are counted, and how many suffice.
const OF_ROUNDS: u32 = 14;
const PROOFS: u32 = 2;

/// A movement is in doubt up to this part of what the common mode moves unpredictedly from round to round.
const DOUBT: f64 = 0.75;
/// After so many rounds in which no clock is blamed for a movement, the new place is the usual one.
const USUAL_AFTER: usize = 64;

/// The moment of a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// The time of the newest sample, on the samples' axis.
    pub t_s: f64,
    /// How far the wall clock was set and steered against the raw clock.
    pub moved_s: f64,
    /// Whether there is a raw clock.
    pub has_raw: bool,
    /// The usual rate at which this host's clock is steered, in s/s; zero if it is not known.
    pub steered: f64,
    /// A leap second may have been inserted or removed about now.
    pub near_leap: bool,
    /// The smallest step that the raw clock would have shown, in seconds.
    pub doubt_s: Option<f64>,
    /// Seconds since the noon at which a smear of a leap second began, if this may be the day.
    pub since_noon_s: Option<f64>,
}

/// How far this host's clock had drifted by a round.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Drifted {
    at_s: f64,
    sum_s: f64,
    /// The usual rate, in s/s.
    rate: f64,
}

/// The common mode as the servers show it in one round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub common_s: f64,
    /// How far the servers scatter about it.
    pub spread_s: f64,
    /// How far unusual delays may have moved it.
    pub excess_s: f64,
    /// Whether most of the servers that are polled were heard.
    pub by_most: bool,
    /// Seconds between rounds, usually.
    pub period_s: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Own {
    pub track: Track,
    /// The common mode of the newest round: the offset that all servers share beyond their levels.
    pub common_s: Option<f64>,
    at_s: f64,
    moved_s: f64,
    /// The usual rate of the common mode beyond what was set and steered, in s/s.
    pub rate: f64,
    /// By how much it may be off because of its first guess, in s/s.
    rate_doubt: f64,
    /// Rounds that it was learned from.
    rounds: u32,
    /// How fast it moved unpredictedly in this round or the last, in s/s.
    pub loose: f64,
    last_loose: f64,
    last_unusual: f64,
    /// The unpredicted movements of the last rounds, in seconds.
    drifted_s: [f64; 4],
    /// The unpredicted movement of this round while the noise of the common mode is not known, otherwise zero.
    #[serde(skip)]
    pub early_s: f64,
    /// The sum of all unpredicted movements, and its values in the last rounds before something was found wrong.
    free_s: f64,
    free_before_s: [f64; 8],
    /// The largest movement of it since then, with its sign.
    free_peak_s: f64,
    /// The sum of all movements beyond what was set and steered, predicted or not.
    drifted_in_all_s: f64,
    /// That sum, the time and the usual rate in the last rounds before something was found wrong.
    before: [Drifted; 8],
    /// How far it moved unpredictedly in the last rounds, in seconds: servers' series are uncertain by as much.
    pub unrest_s: f64,
    /// The same without single jumps.
    slewed_s: f64,
    pub excess_s: f64,
    pub sighting: Option<Sighting>,
    sights: Bits,
    /// The direction of the last sighting of what is wrong; zero before the first.
    side: f64,
    conflicts: Bits,
    /// The majority interval of this round, if it proves this host's clock wrong. A proof ends with its round.
    #[serde(skip)]
    pub proof: Option<Interval>,
    pub finding: Option<Finding>,
    pub unmoved: Option<Unmoved>,
    /// When an undecided jump was over, in this round.
    #[serde(skip)]
    pub returned_s: Option<f64>,
    /// A leap second that this host missed, as a movement of the common mode.
    pub missed_leap_s: Option<f64>,
    /// The machine was restarted since the last round. Its raw clock began again, so it does not show how far this
    /// host's clock was set meanwhile.
    restarted: bool,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            track: Track::new(0.0),
            common_s: None,
            at_s: 0.0,
            moved_s: 0.0,
            rate: 0.0,
            rounds: 0,
            rate_doubt: 0.0,
            loose: 0.0,
            last_loose: 0.0,
            last_unusual: 0.0,
            drifted_s: [0.0; 4],
            early_s: 0.0,
            free_s: 0.0,
            free_before_s: [0.0; 8],
            free_peak_s: 0.0,
            drifted_in_all_s: 0.0,
            before: [Drifted::default(); 8],
            unrest_s: 0.0,
            slewed_s: 0.0,
            excess_s: 0.0,
            sighting: None,
            sights: Bits::default(),
            side: 0.0,
            conflicts: Bits::default(),
            proof: None,
            finding: None,
            unmoved: None,
            returned_s: None,
            missed_leap_s: None,
            restarted: false,
        }
    }
}

impl Own {
    /// The machine was restarted, and with it the raw clock: what was set and steered is counted from zero again.
    pub fn restart(&mut self) {
        (self.moved_s, self.restarted) = (0.0, true);
    }

    /// The free rate of this host's clock, and by how much it may be off, with how fast the common mode moved
    /// unpredictedly, in s/s. Without a raw clock, steering is not seen, so that the rate may change at any time: ranges
    /// do not follow it, but allow for it.
    pub fn drift(&self, now: &Now) -> (f64, f64) {
        if now.has_raw {
            (self.rate, self.loose + self.rate_doubt)
        } else {
            (0.0, self.loose.max(self.rate.abs() - PHI))
        }
    }

    /// Where the common mode should be now.
    pub fn predict(&self, now: &Now) -> Option<f64> {
        let before_s = self.common_s?;
        Some(before_s - (now.moved_s - self.moved_s) + self.rate * (now.t_s - self.at_s))
    }

    /// No server shows the common mode in this round, so it is taken to be where it was predicted.
    pub fn assume(&mut self, now: &Now, predicted_s: f64) {
        (self.common_s, self.at_s, self.moved_s) = (Some(predicted_s), now.t_s, now.moved_s);
    }

    /// Takes the common mode of a round. A jump in a `silent` round is not kept. Returns the size of an unpredicted jump,
    /// zero if none.
    pub fn follow(&mut self, now: &Now, shown: Shown, silent: bool) -> f64 {
        let Shown { common_s, spread_s, excess_s, by_most, period_s } = shown;
        let predicted_s = self.predict(now);
        let passed_s = (now.t_s - self.at_s).max(0.1);
        let before_s = self.common_s.replace(common_s);
        let moved_s = now.moved_s - self.moved_s;
        (self.at_s, self.moved_s, self.excess_s) = (now.t_s, now.moved_s, excess_s);
        if self.rounds == 0 {
            // A steered clock is assumed to keep time, so that its free rate is the rate at which it is steered, unless it
            // is being corrected just now.
            self.rate = now.steered.clamp(-FASTEST, FASTEST);
            self.rate_doubt = self.rate.abs();
        }
        let Some((predicted_s, before_s)) = predicted_s.zip(before_s) else { return 0.0 };
        self.rounds = self.rounds.saturating_add(1);
        let predicted_s = if self.rounds == 1 { before_s - moved_s + self.rate * passed_s } else { predicted_s };
        let unusual_s = common_s - predicted_s;
        let restarted = std::mem::take(&mut self.restarted);
        if !restarted {
            self.free_s += unusual_s;
            self.drifted_in_all_s += unusual_s + self.rate * passed_s;
        }
        if self.finding.is_none() {
            self.free_before_s.rotate_left(1);
            self.free_before_s[7] = self.free_s;
            self.before.rotate_left(1);
            self.before[7] = Drifted { at_s: now.t_s, sum_s: self.drifted_in_all_s, rate: self.rate };
            self.free_peak_s = 0.0;
        }
        let free_s = self.free_s - self.free_before_s[0];
        if by_most && free_s.abs() > self.free_peak_s.abs() {
            self.free_peak_s = free_s;
        }
        let noise_s = if self.track.usual.is_some() { 8.0 * self.track.sigma_s() } else { 4.0 * spread_s + 1e-4 };
        let enough_s = noise_s.max(0.6 * excess_s);
        let is_fast = unusual_s.abs() > 0.3 * enough_s;
        // Before its noise is known, every movement counts: it may be set or slewed at the start.
        let is_loose = is_fast || self.track.usual.is_none();
        let loose = if is_loose { unusual_s.abs() / passed_s } else { 0.0 };
        self.early_s = if self.track.usual.is_none() { unusual_s } else { 0.0 };
        self.loose = loose.max(self.last_loose);
        self.unrest_s = (CALMS * self.unrest_s).max(loose * passed_s);
        self.last_loose = loose;
        let is_jump = unusual_s.abs() > enough_s;
        if is_jump && !silent && !restarted && by_most {
            self.note_jump(now, unusual_s, before_s, passed_s);
        }
        self.end_jump(common_s, now.t_s - 0.5 * passed_s);
        // The same twice in a row is a rate and no jump.
        let unusual = unusual_s / passed_s;
        let repeats = is_fast && (0.6..1.6).contains(&(unusual / self.last_unusual));
        self.last_unusual = unusual;
        let slewed_s = if is_jump && !repeats { 0.0 } else { loose * passed_s };
        self.slewed_s = (CALMS * self.slewed_s).max(slewed_s);
        self.drifted_s.rotate_left(1);
        self.drifted_s[3] = if is_jump && !repeats { 0.0 } else { unusual_s };
        // Noise averages out over the rounds; a wrong rate adds up.
        let lasts = repeats || self.drifted_s.iter().sum::<f64>().abs() > 0.3 * enough_s;
        // Over a short time, noise looks like a rate.
        if (!is_jump || repeats) && !restarted && passed_s > 0.5 * period_s {
            let free = (common_s - before_s + moved_s) / passed_s;
            let weight = if lasts { FAST_RATE_WEIGHT } else { RATE_WEIGHT }.max(1.0 / (f64::from(self.rounds) + 4.0));
            self.rate += weight * (free.clamp(-FASTEST, FASTEST) - self.rate);
            self.rate_doubt *= 1.0 - weight;
        }
        let teaches = !is_jump && !silent && self.unmoved.is_none() && self.finding.is_none_or(|f| !f.named);
        self.track.push(
            now.t_s,
            common_s,
            2.0 * excess_s,
            teaches && self.sighting.is_none() && !self.conflicts.last(),
        );
        if is_jump { unusual_s } else { 0.0 }
    }

    /// Takes what the error ranges of a round prove about this host's clock.
    pub fn prove(&mut self, majority: Option<Interval>, jump_s: f64) {
        if jump_s != 0.0 && self.finding.is_none_or(|f| !f.proven) {
            self.conflicts.take_back(2);
        }
        let Some(majority) = majority else { return };
        let least_s = majority.low_s.max(-majority.high_s);
        self.conflicts.push(least_s > 0.0);
        // Some replies may be older than a jump of this round, so that the proof must be clearly larger than it.
        self.proof = Some(majority).filter(|_| least_s > 0.0 && least_s >= 1.5 * jump_s.abs().max(self.early_s.abs()));
    }

    /// Nothing that was proven or seen of this host's clock counts any longer.
    pub fn forget_proof(&mut self) {
        (self.conflicts, self.proof, self.missed_leap_s, self.unmoved) = (Bits::default(), None, None, None);
        if let Some(finding) = &mut self.finding {
            finding.proven = false;
        }
    }

    pub fn is_proven(&self) -> bool {
        self.conflicts.count(OF_ROUNDS) >= PROOFS
    }

    /// Whether the proof has lasted long enough to count without any other sign.
    pub fn is_long_proven(&self) -> bool {
        self.conflicts.count(6) >= 5
    }

    /// By how much the error ranges of this round prove this host's clock wrong, in seconds, positive when it is slow;
    /// zero if they do not. What the clock was moved since the round, beyond its free rate, is taken off the bound.
    /// `estimate_s` is the error as it is now; a bound that contradicts it is dropped.
    pub fn at_least_s(&self, now: &Now, estimate_s: f64) -> f64 {
        let is_named = self.finding.is_some_and(|f| f.named && f.proven);
        let Some(proof) = self.proof.filter(|_| is_named) else { return 0.0 };
        let passed_s = now.t_s - self.at_s;
        // Without a raw clock, the clock may have been steered at another rate, or not at all.
        let (free_s, doubt_s) =
            if now.has_raw { (self.rate * passed_s, 0.0) } else { (0.0, self.rate.abs() * passed_s) };
        let since_s = now.moved_s - self.moved_s - free_s;
        let (low_s, high_s) = (proof.low_s - since_s - doubt_s, proof.high_s - since_s + doubt_s);
        let least_s = if low_s > 0.0 { low_s } else { high_s.min(0.0) };
        if estimate_s * least_s.signum() >= least_s.abs() { least_s } else { 0.0 }
    }

    pub fn is_in_conflict(&self) -> bool {
        self.conflicts.last()
    }

    /// How far the common mode moved at most, since shortly before something was found wrong, beyond what was set and
    /// steered. When it has moved back, what was found is over, and still no movement of this host's clock.
    pub fn moved_freely_s(&self) -> f64 {
        self.free_peak_s
    }

    /// The same with what the usual rate has changed since: a drift that goes on becomes the usual rate.
    pub fn drifted_freely_s(&self) -> f64 {
        let Drifted { at_s, sum_s, rate } = self.before[0];
        self.drifted_in_all_s - sum_s - rate * (self.at_s - at_s)
    }

    /// How far replies of different ages may seem to have moved in a round of `period_s`, in seconds, because this host's
    /// clock was slewed and no raw clock shows it. After a jump, only replies from before it do.
    pub fn unseen_s(&self, now: &Now, period_s: f64) -> f64 {
        if now.has_raw { 0.0 } else { self.slewed_s.max(self.loose * period_s) }
    }

    /// Whether the common mode moved by more than what may only look like a movement of it.
    pub fn moved_clearly(&self, now: &Now, period_s: f64) -> bool {
        self.lean_s().abs() > DOUBT * self.unseen_s(now, period_s)
    }

    /// How far the newest three values are from the level, their median, in seconds.
    pub fn lean_s(&self) -> f64 {
        let mut newest: Vec<f64> = self.track.deviations(3).iter().map(|p| p.1).collect();
        super::robust::median(&mut newest)
    }

    /// The same for the newest value alone.
    pub fn newest_lean_s(&self) -> f64 {
        self.track.newest_s().zip(self.track.level_s()).map_or(0.0, |(newest_s, level_s)| newest_s - level_s)
    }

    /// Looks at the series in a round of `period_s`. The common mode plus `bias_s` is an offset; the servers' levels
    /// differ by `spread_s`. Unless all servers went along with the common mode, it is no repair of this host's clock.
    /// Returns the end of a named finding that is over.
    pub fn look(
        &mut self,
        now: &Now,
        peers: &Peers,
        (bias_s, spread_s): (f64, f64),
        period_s: f64,
        went_along: bool,
    ) -> Option<f64> {
        self.sighting = self.track.look(peers);
        let mut end_s = None;
        if went_along && self.sighting.is_some() && self.is_improving(bias_s, spread_s) {
            self.sighting = None;
            if self.is_repaired(bias_s) {
                self.track.cut();
                self.sights = Bits::default();
            }
        }
        // While the rate of the common mode is not known, replies of different ages show where it was and will be. That
        // prolongs no finding.
        let doubt_s = DOUBT * (self.loose * period_s).max(self.unseen_s(now, period_s));
        if self.finding.is_some_and(|f| f.named) {
            self.sighting = self.sighting.filter(|s| s.size_s.abs() > doubt_s);
        }
        self.sights.push(self.sighting.is_some());
        let is_seen = self.sighting.is_some() || self.conflicts.last();
        if self.finding.is_none() && (self.sights.count(3) >= 2 || self.is_proven()) {
            self.finding = Some(Finding::new(now.t_s));
        }
        let proven = self.is_proven();
        if let Some(finding) = &mut self.finding {
            if let Some(size_s) = self.sighting.map(|s| s.size_s) {
                // A proven finding ends with its proof instead.
                if self.side * size_s < 0.0 && !proven {
                    finding.turns();
                }
                self.side = size_s.signum();
            }
            let before_s = finding.seen_s;
            let seen = Seen { t_s: now.t_s, is_seen, proven, bad_share: None, is_steady: true, rerouted: false };
            if finding.take(seen, &self.track) {
                let size_s = finding.size_s.filter(|_| self.track.usual.is_some());
                let end = size_s.and_then(|size_s| self.track.end_of(size_s, before_s)).unwrap_or(before_s);
                end_s = finding.named.then_some(end);
                (self.track.ended_s, self.side) = (end, 0.0);
                (self.finding, self.sights, self.conflicts) = (None, Bits::default(), Bits::default());
                self.missed_leap_s = None;
                if self.track.usual.is_none() {
                    self.track.cut();
                }
            }
        }
        end_s
    }

    /// Whether the clock used to be far from the servers and is nearer to them now.
    fn is_improving(&self, bias_s: f64, spread_s: f64) -> bool {
        let (Some(level_s), Some(common_s)) = (self.track.level_s(), self.common_s) else { return false };
        let (before_s, after_s) = (level_s + bias_s, common_s + bias_s);
        before_s.abs() > 3.0 * spread_s && after_s.abs() < before_s.abs()
    }

    fn is_repaired(&self, bias_s: f64) -> bool {
        let (Some(level_s), Some(common_s)) = (self.track.level_s(), self.common_s) else { return false };
        (common_s + bias_s).abs() < 0.5 * (level_s + bias_s).abs()
    }

    /// Whether the common mode moved for good and no clock was named: paths moved it, and its old level is void.
    pub fn stands_elsewhere(&self) -> bool {
        let is_old = |f: &Finding| f.sightings as usize >= USUAL_AFTER && usize::from(f.unnamed) >= USUAL_AFTER;
        let lasts = self.finding.is_some_and(|f| !f.proven && f.misses == 0 && is_old(&f));
        lasts && self.unmoved.is_none() && self.track.stands_still(USUAL_AFTER)
    }

    /// Forgets what was usual.
    pub fn start_again(&mut self) {
        self.track.cut();
        (self.finding, self.sighting, self.sights, self.side) = (None, None, Bits::default(), 0.0);
    }

    pub fn is_suspect(&self) -> bool {
        self.sights.count(3) >= 1 || self.conflicts.last() || self.finding.is_some()
    }

    pub fn learn(&mut self, peers: Peers, scratch: &mut Scratch) {
        if self.track.is_due() && self.finding.is_none_or(|f| !f.named) && self.unmoved.is_none() {
            self.track.learn(&Peers { sigmas: [f64::NAN; 5], ..peers }, scratch);
        }
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
