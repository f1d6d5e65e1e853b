//! Builds the verdict from the findings: its state and its sentences.

use super::findings::{LocalFinding, ServerFinding};
use super::{Attribution, robust};
use crate::stats::consensus::{Interval, MIN_SERVERS, camps};
use crate::stats::independence::{Independence, Witness};
use crate::stats::verdict::{
    Class, Kind, LocalVerdict, MajorityVerdict, ServerVerdict, Sign, State, Verdict, When, local_sentence, seconds,
    server_sentence, verdict_sentence,
};

/// The data of a verdict, before the sentences.
struct Case {
    heard: usize,
    local: LocalFinding,
    servers: Vec<ServerFinding>,
    majority: Option<MajorityVerdict>,
    independence: Independence,
    contested: bool,
}

impl Attribution {
    /// Recomputes the verdict.
    pub(super) fn judge(&mut self) {
        let case = self.case();
        let state = self.state(&case);
        let local = self.local_verdict(&case, state);
        let unreliable = state == State::LocalWrong || local.distrust.is_some();
        let servers: Vec<_> =
            case.servers.iter().enumerate().map(|(i, f)| self.server_verdict(i, f, &case, state, unreliable)).collect();
        let reason = self.reason(&case, state, &servers, &local);
        let local_text = local_sentence(&local, case.majority.as_ref());
        let sentence = verdict_sentence(state, &local_text, &servers, &reason);
        let verdict = Verdict {
            state,
            since: Some(self.since(state, &local, &servers)),
            confidence: confidence(state, &case),
            assumption: assumption(state, &case),
            independence: case.independence.sentence(),
            local,
            servers,
            majority: case.majority,
            reason,
            sentence,
            suspended: state != State::LocalWrong && self.engine.common.is_suspect(),
        };
        let now = When(self.timeline.wall_ns(self.last_s));
        self.journal.note(&verdict, case.local.witnessed, now, &mut self.events);
        self.verdict = verdict;
    }

    fn case(&self) -> Case {
        let series = &self.engine.series;
        let heard = series.iter().filter(|s| self.is_heard(s)).count();
        let contested = self.is_contested();
        let local = self.local_finding(heard);
        let enough = heard >= MIN_SERVERS;
        let mut servers: Vec<_> = (0..series.len()).map(|i| self.server_finding(i, enough, contested)).collect();
        // If half of the servers seem to have moved, it is not clear which half did: keep only proven errors.
        let inferred = servers.iter().filter(|s| s.accused && !s.proven).count();
        let contested = contested || (inferred > 0 && inferred * 2 >= heard);
        if contested {
            servers.iter_mut().filter(|s| !s.proven).for_each(|s| s.accused = false);
        }
        let witnesses: Vec<Witness> = series
            .iter()
            .filter(|s| self.is_heard(s))
            .map(|s| Witness {
                address: s.address.map(|a| a.ip()),
                stratum: s.watch.said().map(|said| said.stratum),
                refid: s.watch.said().and_then(|said| Some(said.upstream?.0)),
            })
            .collect();
        let independence = Independence::of(&witnesses);
        let agrees = |s: &ServerFinding, series: &super::Series| s.heard && !s.proven && !series.disjoint.is_pending();
        let members = servers.iter().zip(series).filter(|(s, series)| agrees(s, series)).count();
        let majority = self.engine.common.majority.filter(|_| enough).map(|m| MajorityVerdict {
            low_s: m.low_s,
            high_s: m.high_s,
            members,
            of: heard,
            independent: independence.count,
        });
        Case { heard, local, servers, majority, independence, contested }
    }

    fn state(&self, case: &Case) -> State {
        let common = &self.engine.common;
        let accused = case.servers.iter().any(|s| s.accused);
        match () {
            () if case.heard == 0 => State::Undecidable,
            () if case.local.undecided.is_some() => State::Undecidable,
            () if case.local.wrong => State::LocalWrong,
            () if accused => State::ServerWrong,
            () if case.heard < MIN_SERVERS || common.split.open => State::Undecidable,
            () if (common.torn.open || case.contested) && !common.congested => State::Undecidable,
            () if case.servers.iter().any(|s| s.path) => State::Path,
            () => State::Consistent,
        }
    }

    fn local_verdict(&self, case: &Case, state: State) -> LocalVerdict {
        let estimate_s = self.estimate();
        let bound_s = match (estimate_s, case.majority) {
            (Some(estimate), Some(m)) => Some((m.high_s - estimate).max(estimate - m.low_s).max(0.0)),
            _ => None,
        };
        let wrong = state == State::LocalWrong;
        let at_least_s =
            case.majority.filter(|_| wrong && case.local.proven).map_or(0.0, |m| m.low_s.max(-m.high_s).max(0.0));
        let sign = match estimate_s.filter(|_| wrong) {
            Some(estimate) if estimate > 0.0 => Sign::Slow,
            Some(_) => Sign::Fast,
            None => Sign::None,
        };
        LocalVerdict {
            estimate_s,
            bound_s,
            at_least_s,
            sign,
            kind: case.local.kind.filter(|_| wrong),
            rate_ppm: case.local.rate_ppm.filter(|_| wrong),
            since: case.local.since.filter(|_| wrong),
            distrust: self.local.distrust().map(str::to_owned),
        }
    }

    /// The median offset over the half of the servers with the smallest root distance, without those proven wrong.
    fn estimate(&self) -> Option<f64> {
        let trusted = self.engine.series.iter().filter(|s| self.is_heard(s) && !s.disjoint.open);
        let mut now: Vec<_> = trusted.filter_map(|s| s.now.map(|p| (p.lambda_s, p.theta_s))).collect();
        now.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        now.truncate((now.len() / 2 + 1).max(3));
        let mut offsets: Vec<f64> = now.into_iter().map(|(_, theta)| theta).collect();
        (!offsets.is_empty()).then(|| robust::median(&mut offsets))
    }

    fn server_verdict(
        &self,
        i: usize,
        it: &ServerFinding,
        case: &Case,
        state: State,
        unreliable: bool,
    ) -> ServerVerdict {
        let series = &self.engine.series[i];
        let class = match (it.heard && case.majority.is_some() && state != State::Undecidable, it.proven, it.accused) {
            (true, true, _) => Class::Falseticker,
            (true, false, false) => Class::Truechimer,
            _ => Class::Unknown,
        };
        let blamed = match state {
            State::LocalWrong | State::ServerWrong => it.accused,
            State::Path => it.path,
            State::Undecidable => it.kind == Some(Kind::Unreachable),
            State::Consistent => false,
        };
        let mut verdict = ServerVerdict {
            server: series.ident.name.to_string(),
            address: series.address.map(|a| a.to_string()),
            class,
            gap_s: it.proven.then_some(series.gap_s),
            size_s: it.size_s,
            rate_ppm: it.rate_ppm,
            since: it.since,
            kind: it.kind,
            blamed,
            proven: it.proven,
            confidence: it.confidence,
            sentence: String::new(),
        };
        verdict.sentence = server_sentence(&verdict, case.majority.as_ref(), unreliable);
        if series.unsynchronised {
            verdict.sentence = format!("{} reports that it is not synchronised.", verdict.server);
        }
        verdict
    }

    fn reason(&self, case: &Case, state: State, servers: &[ServerVerdict], local: &LocalVerdict) -> String {
        match state {
            State::Undecidable => self.undecidable_reason(case),
            State::Path => path_reason(servers, self.engine.common.congested),
            State::Consistent => consistent_reason(case, local),
            State::LocalWrong if case.local.witnessed => {
                "REALTIME − MONOTONIC_RAW jumped by the same amount as the offsets of all servers".into()
            }
            State::LocalWrong if case.local.proven => {
                "the offset range that the majority agrees on does not contain zero".into()
            }
            State::LocalWrong => "the offsets of all servers moved together while their delays did not change".into(),
            State::ServerWrong if case.servers.iter().any(|s| s.proven) => {
                "the error range of a server does not overlap the range that the majority agrees on".into()
            }
            State::ServerWrong => "one server moved relative to all others while its delay did not change".into(),
        }
    }

    fn undecidable_reason(&self, case: &Case) -> String {
        if case.heard == 0 && !self.engine.series.is_empty() {
            return "No server answers, so no clock can be judged.".into();
        }
        if let Some(why) = case.local.undecided {
            let groups = if case.contested { self.groups(true) } else { String::new() };
            return format!("Undecidable: {why}{groups}.");
        }
        if case.heard < MIN_SERVERS {
            let n = case.heard;
            return format!(
                "Undecidable: with {n} server{} a wrong one cannot be identified. Configure at least three, better \
                 four.",
                if n == 1 { "" } else { "s" }
            );
        }
        let by_movement = !self.engine.common.split.open;
        format!("Undecidable: no majority of the servers agrees{}.", self.groups(by_movement))
    }

    /// Lists the groups of servers that agree with each other, by their error ranges or by their movements.
    fn groups(&self, by_movement: bool) -> String {
        let heard: Vec<_> = self.engine.series.iter().filter(|s| self.is_heard(s) && s.now.is_some()).collect();
        let interval = |s: &&super::Series| {
            let now = s.now?;
            if by_movement {
                Interval::around(s.movement()?, s.threshold_s())
            } else {
                Interval::around(now.theta_s, now.lambda_s)
            }
        };
        let (named, intervals): (Vec<_>, Vec<_>) =
            heard.iter().filter_map(|s| Some((s.ident.name.to_string(), interval(s)?))).unzip();
        let camps = camps(&intervals);
        let text: Vec<String> =
            camps.iter().map(|camp| camp.iter().map(|i| named[*i].as_str()).collect::<Vec<_>>().join(", ")).collect();
        if text.len() < 2 { String::new() } else { format!(" ({})", text.join(" against ")) }
    }
}

/// The reason for a consistent verdict. A server that disagrees only for a moment does not count as agreeing.
fn consistent_reason(case: &Case, local: &LocalVerdict) -> String {
    let (members, of) = case.majority.as_ref().map_or((case.heard, case.heard), |it| (it.members, it.of));
    let who = if members < of { format!("{members} of {of}") } else { format!("All {of}") };
    let agree = format!("{who} servers agree with each other and with this host's clock");
    match local.bound_s.zip(local.estimate_s) {
        Some((bound, estimate)) => {
            format!("{agree}, which is right to within {} if the majority is right.", seconds(bound + estimate.abs()))
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
    servers.iter().filter(|s| s.blamed).map(|s| s.sentence.as_str()).collect::<Vec<_>>().join(" ")
}

fn confidence(state: State, case: &Case) -> f64 {
    match state {
        State::LocalWrong if case.local.witnessed => 0.999,
        State::LocalWrong if case.local.proven => 0.99,
        State::LocalWrong => 0.9,
        State::ServerWrong => case.servers.iter().filter(|s| s.accused).map(|s| s.confidence).fold(1.0, f64::min),
        State::Path | State::Consistent => 0.9,
        State::Undecidable => 0.0,
    }
}

fn assumption(state: State, case: &Case) -> String {
    let majority = format!(
        "more than half of the {} servers are right ({} of them look independent)",
        case.heard, case.independence.count
    );
    let inferred = case.servers.iter().any(|s| s.accused && !s.proven);
    match state {
        State::Undecidable => String::new(),
        State::LocalWrong if case.local.witnessed => {
            "this host's raw clock ran without interruption; no server is needed to prove the step".into()
        }
        State::LocalWrong if !case.local.proven => {
            format!(
                "{majority}, keep their rate, and did not step together; no path changes its asymmetry without its \
                 delay"
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
