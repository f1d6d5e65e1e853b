//! The texts of a verdict: its reason, and the assumption under which it holds.

use std::sync::Arc;

use super::Attribution;
use super::judge::Case;
use crate::stats::consensus::{Interval, MIN_SERVERS, camps};
use crate::stats::verdict::{Kind, LocalVerdict, ServerVerdict, State, blamed_sentences, list_names, within};

/// Groups of servers that a sentence names.
const MOST_GROUPS: usize = 5;

impl Attribution {
    pub(super) fn reason(&self, case: &Case, state: State, servers: &[ServerVerdict], local: &LocalVerdict) -> String {
        match state {
            State::Undecidable => self.undecidable_reason(case),
            State::Path => path_reason(servers, self.engine.congested.open),
            State::Consistent => consistent_reason(case, local),
            State::LocalWrong if self.engine.own.missed_leap_s.is_some_and(|size_s| size_s > 0.0) => {
                "this host inserted a leap second and the servers did not".into()
            }
            State::LocalWrong if self.engine.own.missed_leap_s.is_some() => {
                "all servers inserted or removed a leap second and this host did not".into()
            }
            State::LocalWrong if case.local.proven_by_raw => {
                "REALTIME − MONOTONIC_RAW jumped by the same amount as the offsets of all servers".into()
            }
            State::LocalWrong if case.local.proven => {
                "the offset range that the majority agrees on does not contain zero".into()
            }
            State::LocalWrong => "the offsets of all servers moved together while their delays did not change".into(),
            State::ServerWrong if case.servers.iter().any(|s| s.accused && s.proven) => {
                "the error range of a server does not overlap the range that the majority agrees on".into()
            }
            State::ServerWrong => "one server moved relative to all others while its delay did not change".into(),
        }
    }

    fn undecidable_reason(&self, case: &Case) -> String {
        if case.heard == 0 && !self.engine.series.is_empty() {
            return "No server answers, so no clock can be judged.".into();
        }
        if self.engine.smear.is_split() {
            return self.engine.smear_text();
        }
        if let Some(why) = &case.local.undecided {
            return format!("Undecidable: {why}.");
        }
        if case.heard < MIN_SERVERS {
            if let Some(text) = self.apart_text() {
                return text;
            }
            return too_few(case.heard, self.engine.series.len());
        }
        let shared = self.independence.sentence().map_or_else(String::new, |text| format!(" {text}."));
        if self.engine.camps.open {
            return format!(
                "Undecidable: most servers moved together while others stayed with this host's clock{}.{shared}",
                self.groups(true)
            );
        }
        if self.engine.is_too_early() && !self.engine.torn.open && !self.engine.split.open {
            return "Undecidable: the first replies disagree, and the next ones decide who is wrong.".into();
        }
        let by_movement = !self.engine.split.open;
        let why = match &case.majority {
            Some(it) if by_movement => {
                format!(
                    "the error ranges of {} of {} servers overlap, but the servers moved differently",
                    it.members, it.of
                )
            }
            _ => "no majority of the servers agrees".to_owned(),
        };
        format!("Undecidable: {why}{}.{shared}", self.groups(by_movement))
    }

    /// Lists the groups of servers that agree with each other, by their error ranges or by their movements.
    fn groups(&self, by_movement: bool) -> String {
        let (now_s, moved_s) = (self.last_s, self.witness.moved_s());
        let range = |i: usize| {
            let series = &self.engine.series[i];
            if by_movement {
                let noise_s = 8.0 * series.track.sigma_s().min(1.0);
                let lean_s = series.sighting.map_or(series.lean_s, |s| s.size_s);
                Interval::around(lean_s, noise_s.min(0.4 * lean_s.abs().max(noise_s)))
            } else {
                series.range_at(now_s, moved_s, self.engine.own.drift(&self.now()))
            }
        };
        let heard = (0..self.engine.series.len()).filter(|i| self.is_heard(*i));
        let (named, intervals): (Vec<_>, Vec<_>) =
            heard.filter_map(|i| Some((Arc::clone(&self.engine.series[i].ident.name), range(i)?))).unzip();
        let of_camp = |camp: Vec<usize>| list_names(camp.len(), camp.iter().map(|i| &*named[*i]));
        let mut text: Vec<String> = camps(&intervals).take(MOST_GROUPS + 1).map(of_camp).collect();
        if text.len() > MOST_GROUPS {
            text[MOST_GROUPS] = "others".into();
        }
        if text.len() < 2 { String::new() } else { format!(" ({})", text.join(" against ")) }
    }

    pub(super) fn assumption(&self, state: State, case: &Case) -> String {
        let independent = self.independence.count;
        let look = if independent == 1 { "looks" } else { "look" };
        let majority = format!(
            "more than half of the {} servers are right ({independent} of them {look} independent)",
            case.heard
        );
        let inferred = case.servers.iter().any(|s| s.accused && !s.proven);
        match state {
            State::Undecidable => String::new(),
            State::LocalWrong if case.local.proven_by_raw => {
                "this host's raw clock ran without interruption; no server is needed to prove the step".into()
            }
            State::LocalWrong if !case.local.proven => {
                format!(
                    "{majority}, keep their rate, and did not step together; no path changes its asymmetry without \
                     its delay"
                )
            }
            State::ServerWrong if inferred => {
                format!("{majority} and keep their rate; no path changes its asymmetry without its delay")
            }
            _ if case.servers.iter().any(|s| s.kind == Some(Kind::Asymmetry)) => {
                format!("{majority}; a path changes an offset by at most half the change of its delay")
            }
            _ => majority,
        }
    }
}

/// The reason when only `heard` of all servers give a time.
fn too_few(heard: usize, all: usize) -> String {
    let servers = |n: usize| if n == 1 { "1 server".to_owned() } else { format!("{n} servers") };
    if all < MIN_SERVERS {
        let configured = servers(heard);
        return format!(
            "Undecidable: with {configured} a wrong one cannot be identified. Configure at least three, better four."
        );
    }
    let (configured, verb) = (servers(all), if heard == 1 { "gives" } else { "give" });
    format!("Undecidable: only {heard} of {configured} {verb} a time, and so few cannot show which one is wrong.")
}

/// The reason for a consistent verdict. A server that disagrees only for a moment does not count as agreeing.
fn consistent_reason(case: &Case, local: &LocalVerdict) -> String {
    let (members, of) = case.majority.as_ref().map_or((case.heard, case.heard), |it| (it.members, it.of));
    let who = if members < of { format!("{members} of {of}") } else { format!("All {of}") };
    let agree = format!("{who} servers agree with each other and with this host's clock");
    match local.bound_s.zip(local.estimate_s) {
        Some((bound, estimate)) => {
            format!("{agree}, which is right to {} if the majority is right.", within(bound + estimate.abs()))
        }
        None => format!("{agree}."),
    }
}

fn path_reason(servers: &[ServerVerdict], congested: bool) -> String {
    if congested {
        return "The delays to most servers increased together: a shared access link is congested. No clock is \
                blamed, because the samples with low delay did not move."
            .into();
    }
    blamed_sentences(servers)
}
