//! Compares the fleet's verdicts on a simulated world with its truth.

use std::collections::BTreeSet;
use std::fmt;

use ntp_monitor_core::fleet::replay::FleetReplay;
use ntp_monitor_core::fleet::verdict::{FleetKind, FleetReport, FleetState, FleetVerdict};
use ntp_monitor_core::fleet::witness::VantageGroups;

use super::kinds::Case;
use super::truth::is_true;
use ntp_monitor_core::world::fleet::{FleetSample, FleetWorld, What};

const POLL_S: f64 = 64.0;
pub const START_NS: i64 = 1_772_000_000_000_000_000;

/// The score of one world.
#[derive(Debug, Default)]
pub struct Score {
    /// Parties that were accused and must not be.
    pub wrong: Vec<String>,
    /// Vantages that are named without a simulated fault, and whose clock did move as far as stated.
    pub truly_moved: usize,
    /// Other errors.
    pub faults: Vec<String>,
    pub pairs: usize,
    pub outside: usize,
    pub outside_strict: usize,
    pub half_widths_s: Vec<f64>,
    pub errors_s: Vec<f64>,
    /// After how many polls each party that must be named was named live.
    pub polls: Vec<f64>,
}

pub fn since_s(verdict: &FleetVerdict) -> f64 {
    verdict.since.map_or(0.0, |since| (since.0 - START_NS) as f64 / 1e9)
}

pub fn until_s(verdict: &FleetVerdict) -> f64 {
    verdict.until.map_or(f64::INFINITY, |until| (until.0 - START_NS) as f64 / 1e9)
}

/// All parties that a verdict names, and those that it calls proven.
fn named(verdict: &FleetVerdict) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut all, mut proven) = (BTreeSet::new(), BTreeSet::new());
    for it in &verdict.servers {
        all.insert(format!("server:{}", it.server));
        if it.proven {
            proven.insert(format!("server:{}", it.server));
        }
    }
    for it in &verdict.vantages {
        all.insert(format!("vantage:{}", it.vantage));
        if it.proven {
            proven.insert(format!("vantage:{}", it.vantage));
        }
    }
    all.extend(verdict.paths.iter().map(|it| format!("path:{}/{}", it.vantage, it.server)));
    (all, proven)
}

/// Whether `party` is one that `allowed` names; `path:v/*` covers each path of v.
fn is_allowed(party: &str, allowed: &[&String]) -> bool {
    let wide = party.split_once('/').map(|(start, end)| {
        let vantage = format!("{start}/*");
        let server = format!("path:*/{end}");
        (vantage, server)
    });
    allowed.iter().any(|it| it.as_str() == party || wide.as_ref().is_some_and(|(v, s)| *it == v || *it == s))
}

pub fn judge(case: &Case) -> Score {
    let (mut samples, clocks) = case.world.run();
    if case.by_clock {
        samples.sort_by_key(|it| it.sample.at.wall_ns);
    }
    let mut replay = FleetReplay::new(VantageGroups::default());
    samples.iter().for_each(|it| replay.observe(&it.sample));
    let mut named_s = vec![None; case.must.len()];
    let report = replay.finish_with(&mut |_| {}, &mut |at_ns, verdict| {
        let at_s = (at_ns - START_NS) as f64 / 1e9;
        let (mut all, _) = named(verdict);
        if verdict.state == FleetState::Undecidable {
            all.insert("undecidable".to_owned());
        }
        for (group, first_s) in case.must.iter().zip(&mut named_s) {
            if first_s.is_none() && at_s > case.onset_s && group.iter().any(|it| all.contains(it)) {
                *first_s = Some(at_s);
            }
        }
    });
    if std::env::var_os("NTP_MONITOR_FLEET_SHOW").is_some() {
        report.verdicts.iter().for_each(|it| println!("{:>6.0} to {:>6.0}: {}", since_s(it), until_s(it), it.sentence));
    }
    // A fault from the beginning is found while the usual values are still being learned, so its delay is not scored.
    let is_late = case.onset_s > 5.0 * POLL_S;
    let polls = named_s.into_iter().flatten().filter(|_| is_late).map(|at_s| (at_s - case.onset_s) / POLL_S);
    let mut score = Score { polls: polls.collect(), ..Score::default() };
    verdicts(case, &samples, &report, &mut score);
    skew(case, &report, &clocks, &mut score);
    score
}

fn verdicts(case: &Case, samples: &[FleetSample], report: &FleetReport, score: &mut Score) {
    let allowed: Vec<&String> = case.must.iter().flatten().chain(&case.may).collect();
    let mut found = vec![None::<f64>; case.must.len()];
    for verdict in &report.verdicts {
        if !(-POLL_S..=case.world.duration_s + POLL_S).contains(&since_s(verdict)) {
            score.faults.push(format!("dated {:.0}, out of the recording", since_s(verdict)));
        }
        let (all, proven) = named(verdict);
        let is_undecidable = verdict.state == FleetState::Undecidable && !verdict.alternatives.is_empty();
        let early = since_s(verdict) < case.onset_s - 2.5 * POLL_S;
        for party in &all {
            let is_late =
                case.until_read.iter().any(|(it, limit_s)| it == party && until_s(verdict) > limit_s + 2.5 * POLL_S);
            if !is_allowed(party, &allowed) || early || is_late {
                let (at_s, onset_s) = (since_s(verdict), case.onset_s);
                if !is_allowed(party, &allowed) && is_true(case, samples, verdict, party) {
                    score.truly_moved += 1;
                    continue;
                }
                score.wrong.push(format!("{party} at {at_s:.0} s (onset {onset_s:.0}): {}", verdict.sentence));
            }
        }
        score.faults.extend(proven.iter().filter(|it| case.never_proven.contains(it)).map(|it| format!("{it} proven")));
        let split = verdict.servers.iter().filter(|it| it.kind == FleetKind::Split);
        let split = split.map(|it| format!("server:{}", it.server)).filter(|it| case.never_split.contains(it));
        score.faults.extend(split.map(|it| format!("{it} split")));
        if is_undecidable && !case.undecidable_ok {
            score.faults.push(format!("undecidable {:?}", verdict.alternatives));
        }
        for (group, found) in case.must.iter().zip(&mut found) {
            let is_named = group.iter().any(|it| all.contains(it) || (it == "undecidable" && is_undecidable));
            if is_named && found.is_none() {
                *found = Some(since_s(verdict));
            }
        }
        if let Some(fault_until_s) = case.until_s {
            let is_over = until_s(verdict) > fault_until_s + 2.5 * POLL_S;
            if is_over && !all.is_empty() {
                score.faults.push(format!("{all:?} until {:.0}, not {fault_until_s:.0}", until_s(verdict)));
            }
        }
    }
    for (group, found) in case.must.iter().zip(found) {
        match found {
            None => score.faults.push(format!("{group:?} not named")),
            Some(at_s) if (at_s - case.onset_s).abs() > case.polls * POLL_S => {
                score.faults.push(format!("{group:?} dated {at_s:.0}, not {:.0}", case.onset_s));
            }
            Some(_) => {}
        }
    }
}

fn skew(case: &Case, report: &FleetReport, clocks: &[f64], score: &mut Score) {
    let clock = |name: &str| clocks[name[1..].parse::<usize>().unwrap() - 1];
    for pair in &report.skew {
        // A clock that is reported wrong throughout cannot be distinguished from a wrong clock.
        let is_reported =
            |what: &What, name: &str| matches!(what, What::Lie(v, None, _) if FleetWorld::vantage(*v) == name);
        if case.world.faults.iter().any(|it| is_reported(&it.what, &pair.a) || is_reported(&it.what, &pair.b)) {
            continue;
        }
        let error_s = (pair.estimate_s - (clock(&pair.a) - clock(&pair.b))).abs();
        score.pairs += 1;
        score.half_widths_s.push(pair.bound_s);
        score.errors_s.push(error_s);
        // The clocks moved on for half a round after the last one that was judged.
        if error_s > pair.bound_s + 2e-3 * f64::from(u8::from(error_s > 1.0)) {
            score.outside += 1;
            score.outside_strict += usize::from(case.is_strict);
        }
    }
}

/// The score of many worlds.
#[derive(Debug, Default)]
pub struct Total {
    pub worlds: usize,
    pub wrong: usize,
    pub truly_moved: usize,
    pub not_right: usize,
    pub pairs: usize,
    pub outside: usize,
    pub outside_strict: usize,
    half_widths_s: Vec<f64>,
    errors_s: Vec<f64>,
    polls: Vec<f64>,
    examples: Vec<String>,
}

impl Total {
    pub fn add(&mut self, score: &Score, seed: u64) {
        self.worlds += 1;
        self.wrong += usize::from(!score.wrong.is_empty());
        self.truly_moved += usize::from(score.truly_moved > 0);
        self.not_right += usize::from(!score.wrong.is_empty() || !score.faults.is_empty());
        self.pairs += score.pairs;
        self.outside += score.outside;
        self.outside_strict += score.outside_strict;
        self.half_widths_s.extend(&score.half_widths_s);
        self.errors_s.extend(&score.errors_s);
        self.polls.extend(&score.polls);
        if self.examples.len() < 3 && !(score.wrong.is_empty() && score.faults.is_empty()) {
            let first = |all: &[String]| all.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            self.examples.push(format!("[{seed}] accused: {}; {}", first(&score.wrong), first(&score.faults)));
        }
        if score.outside_strict > 0 && self.examples.len() < 3 {
            self.examples.push(format!("[{seed}] skew outside of its bound"));
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.wrong += other.wrong;
        self.truly_moved += other.truly_moved;
        self.not_right += other.not_right;
        self.pairs += other.pairs;
        self.outside += other.outside;
        self.outside_strict += other.outside_strict;
        self.half_widths_s.extend(&other.half_widths_s);
        self.errors_s.extend(&other.errors_s);
        self.polls.extend(&other.polls);
        self.examples.extend(other.examples.iter().take(1).cloned());
    }

    pub fn right(&self) -> f64 {
        1.0 - self.not_right as f64 / self.worlds.max(1) as f64
    }

    pub fn contained(&self) -> f64 {
        1.0 - self.outside as f64 / self.pairs.max(1) as f64
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (right, wrong, outside) = (self.worlds - self.not_right, self.wrong, self.outside);
        write!(
            f,
            "right {right}/{}, wrongly accused {wrong}, truly moved {}, skew outside {outside}/{}",
            self.worlds, self.truly_moved, self.pairs
        )?;
        write!(f, ", half-width {:.2} ms", 1e3 * median(&self.half_widths_s))?;
        write!(f, ", error {:.2} ms", 1e3 * median(&self.errors_s))?;
        if !self.polls.is_empty() {
            let longest = self.polls.iter().copied().fold(0.0, f64::max);
            write!(f, ", named after {:.1} polls, at most {longest:.1}", median(&self.polls))?;
        }
        self.examples.iter().try_for_each(|example| write!(f, "\n    {example}"))
    }
}
