//! Compares the verdicts on a simulated world with its truth.

use std::collections::{HashMap, VecDeque};

use ntp_monitor_core::stats::attribution::Attribution;
use ntp_monitor_core::stats::events::Event;
use ntp_monitor_core::stats::verdict::{Entry, History, Kind, LocalVerdict, Sign, State, Verdict, When};

use ntp_monitor_core::world::Fault;

use super::kinds::{Case, Party};
use super::record;

/// A verdict may last this many polls longer than the fault: its end must be confirmed.
const GRACE_POLLS: f64 = 8.0;
/// A stated onset may be this many polls early.
const EARLY_POLLS: f64 = 4.0;

/// How often an interval of a rate was stated for a drifting clock, and how often it held the true rate: for servers
/// and for this host's clock.
pub type Rates = [(usize, usize); 2];

/// The score of one world.
#[derive(Debug, Default, Clone)]
pub struct Score {
    /// Years during which a server was watched.
    pub server_years: f64,
    /// Episodes in which a party was accused that was not at fault.
    pub wrong_inferred: usize,
    pub wrong_proven: usize,
    /// Faults that had to be found, and those that were.
    pub wanted: usize,
    pub found: usize,
    /// Polls from the onset to the first right accusation, one for each fault that was found.
    pub delays: Vec<f64>,
    /// For each fault that ended, the share of its time that the history names, and the time that the history names in
    /// addition, relative to the time of the fault.
    pub overlaps: Vec<(f64, f64)>,
    /// For each world with a fault, whether the state changed at most twice for each fault.
    pub calm: Vec<bool>,
    /// (stated confidence, right) of each episode of inferred accusations.
    pub stated: Vec<(f64, bool)>,
    /// How often a "right to within" was stated, and how often it was true at the next sample.
    pub bounds: (usize, usize),
    pub rates: Rates,
    pub notes: Vec<String>,
    /// The states from the first fault on, one for each change.
    pub states: Vec<String>,
    /// Events of a party that overlap another one of it, or that contradict the truth.
    pub bad_events: Vec<String>,
    /// Proven errors of a server that were larger than its true error within the last poll interval.
    pub bad_gaps: Vec<String>,
    /// The history and the events, for reading.
    pub record: Vec<String>,
}

#[derive(Debug)]
struct Episode {
    begin_s: f64,
    /// Whether every accusation was true.
    right: bool,
    /// Whether it was ever stated as proven.
    proven: bool,
    /// Whether it was stated as proven when it was not true.
    falsely_proven: bool,
    confidence: f64,
    /// The newest rate that was stated, in ppm, with half of its interval.
    rate_ppm: Option<(f64, f64)>,
    /// The first sentence.
    sentence: String,
}

/// Runs a world and scores the live verdicts and the history.
pub fn score(case: &Case) -> Score {
    let world = &case.world;
    let mut samples = world.samples();
    let (mut attribution, mut history) = (Attribution::new(), History::new(10_000));
    let mut score = Score { wanted: case.guilt.iter().filter(|g| g.required).count(), ..Score::default() };
    score.server_years = world.servers.len() as f64 * world.duration_s / (365.25 * 86_400.0);
    let mut open: HashMap<String, Episode> = HashMap::new();
    let mut found: Vec<Option<f64>> = vec![None; case.guilt.len()];
    let (mut changes, mut state) = (0, None);
    let first_s = case.guilt.iter().map(|g| g.from_s).reduce(f64::min).unwrap_or(0.0);
    let mut errors_s: VecDeque<(f64, f64)> = VecDeque::new();
    let own_poll_s = poll_of(case, Party::Own);
    let mut events: Vec<Event> = Vec::new();
    while let Some((t_s, sample)) = samples.next_timed() {
        errors_s.push_back((t_s, samples.local_error_s()));
        while errors_s.front().is_some_and(|(at_s, _)| *at_s < t_s - own_poll_s) {
            errors_s.pop_front();
        }
        if let Some(within_s) = within(attribution.verdict()) {
            score.bounds.0 += 1;
            score.bounds.1 += usize::from(samples.local_error_s().abs() <= within_s);
        }
        let is_judged = attribution.observe(&sample) == Ok(true);
        attribution.take_events().into_iter().for_each(|event| event.upsert(&mut events));
        if !is_judged {
            continue;
        }
        let verdict = attribution.verdict();
        score.bad_gaps.extend(record::false_gap(case, verdict, t_s).map(|text| format!("{t_s:.0} s: {text}")));
        history.record(verdict, When(sample.at.wall_ns));
        let before = state.replace(verdict.state);
        let is_change = before.is_some_and(|before| before != verdict.state) && t_s > first_s + 1.0;
        changes += usize::from(is_change);
        if is_change {
            score.states.push(format!("{t_s:.0} {:?}: {}", verdict.state, verdict.sentence));
        }
        let said = accusations(verdict);
        open.retain(|name, episode| {
            let lasts = said.iter().any(|a| a.name == *name);
            if !lasts {
                close(&mut score, case, name, episode, t_s);
            }
            lasts
        });
        for accusation in said {
            let guilt = case.guilt.iter().position(|g| {
                let poll_s = poll_of(case, g.party);
                accusation.names(g.party)
                    && (g.from_s - EARLY_POLLS * poll_s..g.until_s + GRACE_POLLS * poll_s).contains(&t_s)
            });
            if let Some(i) = guilt.filter(|i| t_s >= case.guilt[*i].from_s) {
                found[i].get_or_insert(t_s);
            }
            // A bound is true if this host's error reached it within the last poll interval, regardless of faults.
            let is_beyond = |least_s: f64| errors_s.iter().any(|(_, e)| -e * least_s.signum() >= least_s.abs());
            let bound = accusation.at_least_s.map(is_beyond);
            let is_true = bound.unwrap_or(guilt.is_some());
            let new = Episode {
                begin_s: t_s,
                right: true,
                proven: false,
                falsely_proven: false,
                confidence: accusation.confidence,
                rate_ppm: None,
                sentence: verdict.sentence.clone(),
            };
            let episode = open.entry(accusation.name.clone()).or_insert(new);
            episode.right &= is_true;
            episode.proven |= accusation.proven;
            episode.falsely_proven |= accusation.proven && !is_true;
            episode.rate_ppm = accusation.rate_ppm;
        }
    }
    if !case.guilt.is_empty() {
        score.calm.push(changes <= 2 * case.guilt.len());
    }
    for (name, episode) in &open {
        close(&mut score, case, name, episode, world.duration_s);
    }
    for (guilt, found_s) in case.guilt.iter().zip(&found) {
        if let Some(found_s) = found_s {
            score.found += usize::from(guilt.required);
            score.delays.push((found_s - guilt.from_s) / poll_of(case, guilt.party));
        }
        if guilt.until_s.is_finite() && guilt.required {
            let entries: Vec<_> = history.entries().cloned().collect();
            score.overlaps.push(overlap(case, guilt.party, (guilt.from_s, guilt.until_s), &entries));
        }
    }
    score.bad_events = record::bad_events(case, &events);
    score.record = record::lines(history.entries(), &events);
    score
}

/// The bound that is stated for this host's clock, in seconds, if it is not wrong.
fn within(verdict: &Verdict) -> Option<f64> {
    let is_right = matches!(verdict.state, State::Consistent | State::Path | State::ServerWrong);
    let (estimate_s, bound_s) = verdict.local.estimate_s.zip(verdict.local.bound_s).filter(|_| is_right)?;
    Some(estimate_s.abs() + bound_s)
}

struct Accusation {
    name: String,
    proven: bool,
    /// The proven minimum offset of the servers, with its sign; only for this host's clock.
    at_least_s: Option<f64>,
    confidence: f64,
    rate_ppm: Option<(f64, f64)>,
}

impl Accusation {
    fn names(&self, party: Party) -> bool {
        self.name == name(party)
    }
}

pub fn name(party: Party) -> String {
    match party {
        Party::Own => "own".into(),
        Party::Server(i) => format!("ntp{}", i + 1),
    }
}

pub fn poll_of(case: &Case, party: Party) -> f64 {
    match party {
        Party::Own => case.world.servers[0].poll_s,
        Party::Server(i) => case.world.servers[i].poll_s,
    }
}

fn accusations(verdict: &Verdict) -> Vec<Accusation> {
    let clocks = matches!(verdict.state, State::LocalWrong | State::ServerWrong);
    let of_servers = verdict.blamed().filter(|s| clocks && s.kind != Some(Kind::Unreachable));
    let mut all: Vec<_> = of_servers
        .map(|s| Accusation {
            name: s.server.to_string(),
            proven: s.proven,
            at_least_s: None,
            confidence: s.confidence,
            rate_ppm: s.rate_ppm,
        })
        .collect();
    if verdict.state == State::LocalWrong {
        let LocalVerdict { at_least_s, sign, rate_ppm, .. } = verdict.local;
        let at_least_s = (at_least_s > 0.0).then_some(if sign == Sign::Fast { -at_least_s } else { at_least_s });
        let proven = at_least_s.is_some() || verdict.confidence > 0.985;
        all.push(Accusation { name: "own".into(), proven, at_least_s, confidence: verdict.confidence, rate_ppm });
    }
    all
}

/// The rate in ppm at which offsets move because of this party, if its drift is the only fault.
fn true_rate_ppm(case: &Case, party: &str) -> Option<f64> {
    let of = |fault: &Fault| match *fault {
        Fault::ServerDrift { server, ppm, .. } if name(Party::Server(server)) == party => Some(ppm),
        Fault::LocalDrift { ppm, .. } if party == name(Party::Own) => Some(-ppm),
        _ => None,
    };
    let mut faults = case.world.faults.iter();
    faults.next().and_then(of).filter(|_| case.world.faults.len() == 1)
}

fn close(score: &mut Score, case: &Case, name: &str, episode: &Episode, t_s: f64) {
    if let Some(((rate, half), truth)) = episode.rate_ppm.zip(true_rate_ppm(case, name)) {
        let rates = &mut score.rates[usize::from(name == self::name(Party::Own))];
        rates.0 += 1;
        rates.1 += usize::from((rate - truth).abs() <= half);
    }
    if !episode.proven {
        score.stated.push((episode.confidence, episode.right));
    }
    if !episode.right {
        score.wrong_proven += usize::from(episode.falsely_proven);
        score.wrong_inferred += usize::from(!episode.falsely_proven);
        let how = if episode.falsely_proven { "proven" } else { "inferred" };
        let (begin_s, sentence) = (episode.begin_s, &episode.sentence);
        score.notes.push(format!("{name} {how} {begin_s:.0}–{t_s:.0} s: {sentence}"));
    }
}

/// The share of the true span that the history names, and the time that it names wrongly, relative to the true span.
fn overlap(case: &Case, party: Party, truth: (f64, f64), entries: &[Entry]) -> (f64, f64) {
    let second = |ns: i64| (ns - case.world.start_unix_s * 1_000_000_000) as f64 / 1e9;
    let names = |entry: &&Entry| match party {
        Party::Own => entry.state == State::LocalWrong,
        Party::Server(_) => {
            matches!(entry.state, State::LocalWrong | State::ServerWrong)
                && entry.blamed.iter().any(|b| b.server == name(party))
        }
    };
    let (mut inside_s, mut named_s) = (0.0, 0.0);
    for entry in entries.iter().filter(names) {
        let (from_s, until_s) = (second(entry.since.0), entry.until.map_or(case.world.duration_s, |w| second(w.0)));
        // Time that belongs to another fault of the same party does not count.
        let others = case.guilt.iter().filter(|g| g.party == party && g.from_s != truth.0);
        let elsewhere_s: f64 = others.map(|g| (until_s.min(g.until_s) - from_s.max(g.from_s)).max(0.0)).sum();
        named_s += until_s - from_s - elsewhere_s;
        inside_s += (until_s.min(truth.1) - from_s.max(truth.0)).max(0.0);
    }
    let length_s = truth.1 - truth.0;
    (inside_s / length_s, (named_s - inside_s) / length_s)
}

/// The median; sorts its argument.
pub fn median(values: &mut [f64]) -> f64 {
    let middle = values.len().saturating_sub(1) / 2;
    if values.is_empty() { f64::NAN } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
