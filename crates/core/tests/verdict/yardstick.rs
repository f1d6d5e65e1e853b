//! A simple detector with which the delays of verdicts are compared. It compares the medians of two adjacent windows of
//! 4, 8, … 256 polls of a server's offset from the median of the others, and raises an alarm if they differ by more
//! than six sigma of the pooled MAD.
//!
//! Four values alone give too small a sigma, so it is that of the longest windows available. Delays are comparable only
//! at a threshold at which the yardstick raises no more false alarms than the verdict, so it is run with several
//! thresholds.

use std::collections::HashMap;

use super::kinds::{Case, Party};
use super::score::{median, name, poll_of};
use ntp_monitor_core::sample::Sample;

/// The lengths of the windows, as powers of two.
const LENGTHS: std::ops::RangeInclusive<u32> = 2..=8;

/// Thresholds in sigmas.
pub const SIGMAS: [f64; 10] = [6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0];

/// The yardstick in several worlds, at each threshold.
#[derive(Debug, Default, Clone)]
pub struct Yardstick {
    /// Polls from the onset to the alarm, one for each world with a fault and without a false alarm at the onset.
    pub delays: [Vec<f64>; SIGMAS.len()],
    /// Alarms in worlds without a fault, and the server-years of these worlds.
    pub false_alarms: [usize; SIGMAS.len()],
    pub healthy_years: f64,
}

impl Yardstick {
    pub fn add(&mut self, other: Self) {
        self.delays.iter_mut().zip(other.delays).for_each(|(all, more)| all.extend(more));
        self.false_alarms.iter_mut().zip(other.false_alarms).for_each(|(all, more)| *all += more);
        self.healthy_years += other.healthy_years;
    }

    /// Watches the party of the first fault that has to be found, or every server of a healthy world.
    pub fn measure(&mut self, case: &Case, is_healthy: bool) {
        if let Some(guilt) = case.guilt.iter().find(|g| g.required) {
            let mut before = [false; SIGMAS.len()];
            let mut alarm_s = [None; SIGMAS.len()];
            follow(case, guilt.party, |t_s, stray| {
                for (k, limit) in SIGMAS.into_iter().enumerate() {
                    if t_s < guilt.from_s {
                        before[k] = stray > limit;
                    } else if stray > limit {
                        alarm_s[k].get_or_insert(t_s);
                    }
                }
                alarm_s.iter().any(Option::is_none)
            });
            for (k, alarm_s) in alarm_s.into_iter().enumerate().filter(|(k, _)| !before[*k]) {
                self.delays[k].extend(alarm_s.map(|t_s| (t_s - guilt.from_s) / poll_of(case, guilt.party)));
            }
        } else if is_healthy {
            for i in 0..case.world.servers.len() {
                let mut was = [false; SIGMAS.len()];
                follow(case, Party::Server(i), |_, stray| {
                    for (k, limit) in SIGMAS.into_iter().enumerate() {
                        let is = stray > limit;
                        self.false_alarms[k] += usize::from(is && !was[k]);
                        was[k] = is;
                    }
                    true
                });
            }
            self.healthy_years += case.world.servers.len() as f64 * case.world.duration_s / (365.25 * 86_400.0);
        }
    }

    /// The index of the lowest threshold at which it raises at most this many false alarms per server-year.
    pub fn threshold(&self, rate: f64) -> usize {
        let is_quiet = |count: &usize| *count as f64 <= rate * self.healthy_years;
        self.false_alarms.iter().position(is_quiet).unwrap_or(SIGMAS.len() - 1)
    }
}

/// Calls `look` with the time and the largest deviation in sigmas after each reply of `party`, until it returns false.
fn follow(case: &Case, party: Party, mut look: impl FnMut(f64, f64) -> bool) {
    let mut samples = case.world.samples();
    let mut last: HashMap<String, f64> = HashMap::new();
    let mut series: Vec<f64> = Vec::new();
    let suspect = name(party);
    while let Some((t_s, sample)) = samples.next_timed() {
        let Some(offset_s) = sample.offset_s() else { continue };
        last.insert(sample.server.name.to_string(), offset_s);
        let is_due = match party {
            Party::Own => *sample.server.name == *"ntp1",
            Party::Server(_) => *sample.server.name == *suspect,
        };
        if !is_due || last.len() < 3 {
            continue;
        }
        series.push(watched(&sample, &last, &suspect));
        if !look(t_s, stray(&series)) {
            return;
        }
    }
}

fn watched(sample: &Sample, last: &HashMap<String, f64>, suspect: &str) -> f64 {
    let mut others: Vec<f64> = last.iter().filter(|(name, _)| *name != suspect).map(|(_, o)| *o).collect();
    let level_s = median(&mut others);
    if suspect == "own" { level_s } else { sample.offset_s().unwrap_or(level_s) - level_s }
}

/// How far the newest window is from the one before it, in sigmas, over all lengths.
fn stray(series: &[f64]) -> f64 {
    let windows = |w: usize| {
        let from = series.len().checked_sub(2 * w)?;
        Some((series[from..from + w].to_vec(), series[from + w..].to_vec()))
    };
    // Four values do not show their noise, so take that of the longest windows available.
    let Some((mut before, mut after)) = LENGTHS.rev().find_map(|k| windows(1 << k)) else { return 0.0 };
    let (m0, m1) = (median(&mut before), median(&mut after));
    let mut rest: Vec<f64> = before.iter().map(|x| (x - m0).abs()).collect();
    rest.extend(after.iter().map(|x| (x - m1).abs()));
    let sigma = 1.4826 * median(&mut rest);
    let of_length = |w: usize| {
        let Some((mut before, mut after)) = windows(w) else { return 0.0 };
        (median(&mut after) - median(&mut before)).abs() / (sigma * (2.0 / w as f64).sqrt())
    };
    LENGTHS.map(|k| of_length(1 << k)).fold(0.0, f64::max)
}
