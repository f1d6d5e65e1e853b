//! The part of a report about the fleet: vantages and their clocks, wrong servers, verdicts of all vantages together.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::listed::Listed;
use super::times::Times;
use crate::history::fleet::{FleetSurvey, SurveyedVantage, WrongServer};
use ntp_monitor_core::fleet::verdict::{FleetState, FleetVerdict};
use ntp_monitor_core::stats::verdict::When;
use ntp_monitor_core::text::percent::percent;
use ntp_monitor_core::text::plain::one_line;
use ntp_monitor_core::text::units::{NOTHING, at_least, bound, signed_seconds, span};

/// Maximum number of vantages in the table.
const MOST_VANTAGES: usize = 200;
/// Maximum number of pairs of vantages in the table; pairs with the largest clock difference come first.
const MOST_PAIRS: usize = 20;

const VANTAGES: [&str; 6] = ["vantage", "servers", "polls", "answered", "clock minus the median", "found wrong for"];
const SERVERS: [&str; 4] = ["server", "wrong from", "found wrong for", "by at least"];
const PAIRS: [&str; 4] = ["clock of", "minus that of", "difference", "bound"];

/// The fleet as text.
#[derive(Debug, Clone)]
pub struct FleetPart {
    vantages: Vec<Line<6>>,
    servers: Vec<Line<4>>,
    pairs: Vec<Line<4>>,
    verdicts: Listed<FleetVerdict>,
    pub notes: Vec<String>,
    times: Times,
}

/// Whether a row is highlighted as wrong, and its cells.
type Line<const N: usize> = (bool, [String; N]);

impl FleetPart {
    pub(super) fn of(found: &FleetSurvey, times: &Times) -> Self {
        let mut pairs: Vec<_> = found.found.skew.iter().collect();
        pairs.sort_by(|a, b| b.estimate_s.abs().total_cmp(&a.estimate_s.abs()));
        let pair = |pair: &&ntp_monitor_core::fleet::skew::Skew| {
            let cells = [signed_seconds(pair.estimate_s), bound(pair.bound_s)];
            let [difference, bound] = cells;
            (pair.exceeds(0.0), [pair.a.to_string(), pair.b.to_string(), difference, bound])
        };
        let mut notes = vec![format!(
            "Judged from samples since {}; samples of other vantages are kept for a shorter time.",
            times.minute(found.judged_from)
        )];
        let more = found.vantages.len().saturating_sub(MOST_VANTAGES);
        if more > 0 {
            notes.push(format!("{more} more vantages are not listed."));
        }
        Self {
            vantages: found.vantages.iter().take(MOST_VANTAGES).map(vantage).collect(),
            servers: found.servers.iter().map(server).collect(),
            pairs: pairs.iter().take(MOST_PAIRS).map(pair).collect(),
            verdicts: Listed::of(&found.found.verdicts).with(|it| it.sentence = times.sentence(&it.sentence)),
            notes,
            times: times.clone(),
        }
    }

    /// The tables of the HTML page.
    pub(super) fn tables(&self) -> Vec<Value> {
        let verdicts: Vec<_> = self.verdicts.shown.iter().map(|verdict| self.verdict(verdict)).collect();
        vec![
            table("Fleet", &VANTAGES, &self.vantages, 0, &self.notes),
            table("Servers that are wrong from several places", &SERVERS, &self.servers, 0, &[]),
            table("Clocks of the vantages against each other", &PAIRS, &self.pairs, 0, &[]),
            table("Verdicts of the fleet", &["time", "state", "verdict"], &verdicts, self.verdicts.before, &[]),
        ]
    }

    fn verdict(&self, verdict: &FleetVerdict) -> Line<3> {
        let at = |when: Option<When>, otherwise: &str| {
            when.map_or_else(|| otherwise.to_owned(), |when| self.times.minute(when))
        };
        let time = format!("{} to {}", at(verdict.since, "the start"), at(verdict.until, "the end"));
        let is_bad = matches!(verdict.state, FleetState::ServerWrong | FleetState::VantageWrong | FleetState::Several);
        (is_bad, [time, verdict.state.label().replace('_', " "), verdict.sentence.clone()])
    }

    pub(super) fn text(&self, text: &mut String) {
        text.push_str("\nFleet\n");
        for (_, [name, _, polls, answered, clock, wrong]) in &self.vantages {
            let name = one_line(name, ' ');
            let _ =
                writeln!(text, "  {name}: {polls} polls, {answered} answered; clock {clock}; found wrong for {wrong}");
        }
        for (_, [name, from, wrong, gap]) in &self.servers {
            let _ = writeln!(text, "  {}: wrong from {from}, for {wrong}, by at least {gap}", one_line(name, ' '));
        }
        for (_, [time, _, sentence]) in self.verdicts.shown.iter().map(|verdict| self.verdict(verdict)) {
            let _ = writeln!(text, "  {time}  {}", one_line(&sentence, ' '));
        }
        for note in &self.notes {
            let _ = writeln!(text, "  ({note})");
        }
    }
}

/// The fleet in one or two sentences.
pub(super) fn summary(found: &FleetSurvey) -> String {
    let list = |names: Vec<String>, none: &str| if names.is_empty() { none.to_owned() } else { names.join(", ") };
    let servers = found.servers.iter().map(|it| format!("{} ({})", it.server, places(it))).collect();
    let clocks = found.vantages.iter().filter(|it| it.wrong_s > 0.0).map(|it| it.name.clone()).collect();
    format!(
        "Fleet of {} vantages: wrong servers: {}; wrong clocks of vantages: {}.",
        found.vantages.len(),
        list(servers, "none"),
        list(clocks, "none")
    )
}

fn places(server: &WrongServer) -> String {
    format!("{} of {} places", server.wrong_from, server.seen_from)
}

fn lasting(wrong_s: f64, proven: bool) -> String {
    if wrong_s <= 0.0 {
        return NOTHING.to_owned();
    }
    format!("{}, {}", span(Duration::from_secs_f64(wrong_s)), if proven { "proven" } else { "inferred" })
}

fn vantage(it: &SurveyedVantage) -> Line<6> {
    let clock = it.clock.as_ref();
    let clock = clock.map_or_else(
        || NOTHING.to_owned(),
        |clock| format!("{} {}", signed_seconds(clock.estimate_s), bound(clock.bound_s)),
    );
    let cells = [
        it.name.clone(),
        it.servers.to_string(),
        it.polls.to_string(),
        percent(it.answered as f64 / it.polls.max(1) as f64),
        clock,
        lasting(it.wrong_s, it.proven),
    ];
    (it.wrong_s > 0.0, cells)
}

fn server(it: &WrongServer) -> Line<4> {
    let gap = it.gap_s.map_or_else(|| NOTHING.to_owned(), at_least);
    (true, [it.server.clone(), places(it), lasting(it.wrong_s, it.proven), gap])
}

fn table<const N: usize>(title: &str, columns: &[&str; N], rows: &[Line<N>], before: usize, notes: &[String]) -> Value {
    let rows: Value = rows.iter().map(|(is_bad, cells)| json!([is_bad, &cells[..]])).collect();
    json!({ "title": title, "columns": &columns[..], "rows": rows, "before": before, "notes": notes })
}
