//! One series as the API shows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::nts::NtsState;
use crate::config::Server;
use ntp_monitor_core::health::availability::{Rates, Tally};
use ntp_monitor_core::health::report::ServerHealth;
use ntp_monitor_core::sample::{Authentication, Sample, SeriesKey, ServerIdent};
use ntp_monitor_core::stats::snapshot::SeriesSnapshot;
use ntp_monitor_core::stats::summary::WindowSummary;
use ntp_monitor_core::stats::verdict::{Class, Kind, ServerVerdict, When};
use ntp_monitor_core::text::units::wall_time;

/// The state of a series in one word; the worst is last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The configuration has paused it.
    Paused,
    /// No poll has ended yet.
    Pending,
    /// The last poll gave an offset, and a majority of the servers agrees with it.
    Ok,
    /// The last poll gave an offset, but no majority can say whether it is right.
    Unjudged,
    /// The last poll gave no offset; an earlier one of the last eight did. Also a server that refuses to serve this host
    /// and has not been asked since the service started.
    Failing,
    /// None of the last eight polls gave an offset.
    Unreachable,
    /// The verdict says that it is wrong.
    Wrong,
}

impl Condition {
    pub const ALL: [Self; 7] =
        [Self::Paused, Self::Pending, Self::Ok, Self::Unjudged, Self::Failing, Self::Unreachable, Self::Wrong];

    /// The name in the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Unjudged => "unjudged",
            Self::Failing => "failing",
            Self::Unreachable => "unreachable",
            Self::Wrong => "wrong",
        }
    }

    /// The inverse of [`Condition::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.label() == label)
    }
}

/// One address of one server. Unknown values are `null`. Offsets are positive when the server is ahead of this host;
/// times are in seconds.
///
/// Measured values are from the last poll that gave an offset, if it is one of the last eight and the server has not
/// refused to serve this host since.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Row {
    /// The id to use in requests: the name, or `name@address` for one of several addresses (`addresses = "all"`).
    pub id: String,
    /// The configured name.
    pub name: String,
    /// The address that is polled; `null` until the name has resolved.
    pub address: Option<String>,
    /// The configured tags.
    pub tags: BTreeMap<String, String>,
    /// The state in one word.
    pub state: Condition,
    /// How the last poll ended.
    pub outcome: Option<&'static str>,
    /// The detail of the outcome; empty if there is none.
    pub reason: String,
    /// How it compares with the other servers.
    pub class: Class,
    /// Whether the verdict blames the server or its path.
    pub blamed: bool,
    /// What is wrong with it or its path.
    pub kind: Option<Kind>,
    /// Proven minimum error; `null` if no error is proven.
    pub gap_s: Option<f64>,
    /// When the problem began; `null` if there is none.
    pub since: Option<When>,
    /// One sentence for people.
    pub sentence: String,
    /// Offset.
    pub offset_s: Option<f64>,
    /// Round-trip delay.
    pub delay_s: Option<f64>,
    /// Jitter (RFC 5905) over the last eight polls.
    pub jitter_s: Option<f64>,
    /// Root distance: the largest possible error of the offset, if the server is correct.
    pub root_distance_s: Option<f64>,
    /// Offset ± root distance: the range of the true offset, if the server is correct.
    pub interval: Option<Bounds>,
    /// The reach register: one bit for each of the last eight polls, octal.
    pub reach: String,
    /// Stratum.
    pub stratum: Option<u8>,
    /// Leap indicator, 0 to 3.
    pub leap: Option<u8>,
    /// Reference identifier.
    pub refid: Option<String>,
    /// Root delay, as the server states it.
    pub root_delay_s: Option<f64>,
    /// Root dispersion, as the server states it.
    pub root_dispersion_s: Option<f64>,
    /// Time from the last setting of the server's clock to its last reply, as the server states it.
    pub reference_age_s: Option<f64>,
    /// Precision, as the server states it.
    pub precision_s: Option<f64>,
    /// The poll interval; while the server refuses to serve this host, the pause until it is asked again.
    pub poll_s: f64,
    /// How the packets were timestamped: `kernel`, `kernel-rx` or `userland`.
    pub timestamping: Option<&'static str>,
    /// How the last reply was authenticated, or should have been: `none` or `nts`.
    pub authentication: Option<&'static str>,
    /// The state of NTS, for a server that is configured for it.
    pub nts: Option<NtsState>,
    /// The score of the NTP Pool, about −100 to 20.
    pub score: Option<f64>,
    /// Success rates.
    pub success: Success,
    /// Consecutive polls that gave no offset.
    pub consecutive_failures: u64,
    /// Polls since the service started.
    pub polls: u64,
    /// Polls since the service started, by outcome; outcomes that did not occur are omitted.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Replies rejected since the service started.
    pub rejected_replies: u64,
    /// When the last poll ended.
    pub last_poll: Option<When>,
    /// When the last poll that gave an offset ended.
    pub last_seen: Option<When>,
    /// The offsets of the last polls, oldest first, at most 30; `null` where a poll gave none.
    #[schemars(with = "Vec<Option<f32>>")]
    pub sparkline: Vec<f32>,
}

/// A closed interval of offsets.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize)]
pub struct Bounds {
    /// The lower end.
    pub low_s: f64,
    /// The upper end.
    pub high_s: f64,
}

/// Success rates over three windows.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize)]
pub struct Success {
    /// The last hour.
    pub hour: Rate,
    /// The last 24 hours.
    pub day: Rate,
    /// The last 7 days.
    pub week: Rate,
}

/// How many polls gave an offset.
#[derive(Debug, Clone, Copy, PartialEq, Default, JsonSchema, Serialize)]
pub struct Rate {
    /// Polls that gave an offset.
    pub ok: u64,
    /// All polls.
    pub polls: u64,
    /// The share of polls that gave an offset, 0 to 1.
    pub ratio: Option<f64>,
}

impl Rate {
    /// Success rates of an hour of which only the summary is known.
    fn of_hour(hour: &WindowSummary) -> Self {
        let polls = hour.polls;
        let ratio = hour.loss.map(|loss| 1.0 - loss);
        Self { ok: ratio.map_or(0, |ratio| (ratio * polls as f64).round() as u64), polls, ratio }
    }
}

impl From<Tally> for Rate {
    fn from(tally: Tally) -> Self {
        Self { ok: tally.ok, polls: tally.polls, ratio: tally.ratio() }
    }
}

impl From<Rates> for Success {
    fn from(rates: Rates) -> Self {
        Self { hour: rates.hour.into(), day: rates.day.into(), week: rates.week.into() }
    }
}

impl Row {
    /// A server that has not been polled yet.
    pub(in crate::web) fn pending(server: &ServerIdent, poll_s: f64) -> Self {
        let name = server.name.to_string();
        Self {
            id: name.clone(),
            sentence: format!("{name} has not been polled yet."),
            name,
            address: None,
            tags: server.tags.clone(),
            state: Condition::Pending,
            outcome: None,
            reason: String::new(),
            class: Class::Unknown,
            blamed: false,
            kind: None,
            gap_s: None,
            since: None,
            offset_s: None,
            delay_s: None,
            jitter_s: None,
            root_distance_s: None,
            interval: None,
            reach: "000".into(),
            stratum: None,
            leap: None,
            refid: None,
            root_delay_s: None,
            root_dispersion_s: None,
            reference_age_s: None,
            precision_s: None,
            poll_s,
            timestamping: None,
            authentication: None,
            nts: None,
            score: None,
            success: Success::default(),
            consecutive_failures: 0,
            polls: 0,
            outcomes: BTreeMap::new(),
            rejected_replies: 0,
            last_poll: None,
            last_seen: None,
            sparkline: Vec::new(),
        }
    }

    /// A paused server. Its earlier data is in the history.
    pub(super) fn paused(server: &Server) -> Self {
        let pending = Self::pending(&server.ident, server.poll_interval.as_secs_f64());
        Self { state: Condition::Paused, sentence: format!("{} is paused.", pending.name), ..pending }
    }

    /// A series with all known data.
    pub(super) fn of(
        server: &ServerIdent,
        key: &SeriesKey,
        series: &SeriesSnapshot,
        verdict: Option<&ServerVerdict>,
        health: Option<&ServerHealth>,
    ) -> Self {
        let last = &series.last;
        let mut row = Self {
            address: key.address.map(|address| address.to_string()),
            outcome: Some(last.outcome.label()),
            reason: last.outcome.reason().into_owned(),
            reach: series.hour.reach.to_string(),
            authentication: Some(last.authentication.label()),
            nts: last.nts.as_ref().map(|status| NtsState::of(status, last.at.wall_ns)),
            score: Some(series.hour.score.value()),
            consecutive_failures: series.consecutive_failures,
            success: Success { hour: Rate::of_hour(&series.hour), ..Success::default() },
            polls: series.polls,
            last_poll: Some(When(last.at.wall_ns)),
            last_seen: series.last_measured.as_ref().map(|sample| When(sample.at.wall_ns)),
            sparkline: series.recent_s.to_vec(),
            ..Self::pending(server, last.poll_s)
        };
        row.sentence = format!("{} has not been judged yet.", row.name);
        let reachable = series.hour.reach.is_reachable();
        if let Some(sample) = series.last_measured.as_ref().filter(|_| reachable) {
            row.measured(sample, series.hour.jitter_s);
        }
        if let Some(verdict) = verdict {
            row.judged(verdict);
        }
        if let Some(health) = health {
            row.success = health.success.into();
            row.consecutive_failures = health.consecutive_failures;
            row.outcomes = health.outcomes.by_label().collect();
            // From the same source as the outcomes, which may be a poll ahead of the statistics.
            row.polls = health.outcomes.by_label().map(|(_, polls)| polls).sum();
            row.rejected_replies = health.rejected_replies;
        }
        let is_authentic = last.authentication == Authentication::Nts && last.outcome.is_success();
        if is_authentic && row.is_accused() {
            row.add_sentence(
                "Its replies are authenticated by NTS, which proves who sent them, but not that they are right.",
            );
        }
        row.state = match () {
            () if row.is_accused() => Condition::Wrong,
            () if !reachable => Condition::Unreachable,
            () if !last.outcome.is_success() => Condition::Failing,
            () if row.class != Class::Truechimer => Condition::Unjudged,
            () => Condition::Ok,
        };
        row
    }

    /// A server that refused to serve this host before the service started, and has not been asked since.
    pub(super) fn unpolled(server: &ServerIdent, health: &ServerHealth, health_ns: i64) -> Self {
        let pending = Self::pending(server, health.poll_s);
        let mut row = Self {
            address: health.address.map(|address| address.to_string()),
            sentence: format!("{} has not been judged yet.", pending.name),
            state: Condition::Failing,
            outcome: Some(health.outcome),
            reason: health.reason.clone(),
            success: health.success.into(),
            consecutive_failures: health.consecutive_failures,
            last_poll: Some(When(health_ns.saturating_sub((health.last_poll_ago_s * 1e9) as i64))),
            ..pending
        };
        row.denied(health, health_ns);
        row
    }

    /// Adds until when the server is not asked, if it refuses to serve this host. Earlier measurements are then too old
    /// to be shown as current.
    pub(super) fn denied(&mut self, health: &ServerHealth, health_ns: i64) {
        let Some(denial) = health.denial else { return };
        let again_ns = health_ns.saturating_add((denial.asked_again_in_s * 1e9) as i64);
        let again = wall_time(again_ns);
        self.add_sentence(&format!("It refuses to serve this host ({}) and is asked again at {again}.", denial.code));
        self.poll_s = health.poll_s;
        if matches!(self.state, Condition::Ok | Condition::Unjudged) {
            self.state = Condition::Failing;
        }
        (self.offset_s, self.delay_s, self.jitter_s, self.root_distance_s) = (None, None, None, None);
        (self.interval, self.timestamping, self.stratum, self.leap, self.refid) = (None, None, None, None, None);
        (self.root_delay_s, self.root_dispersion_s) = (None, None);
        (self.reference_age_s, self.precision_s) = (None, None);
    }

    fn measured(&mut self, sample: &Sample, jitter_s: Option<f64>) {
        self.jitter_s = jitter_s;
        self.timestamping = sample.timestamping.map(|way| way.label());
        if let Some(measure) = sample.measure {
            self.offset_s = Some(measure.offset_s);
            self.delay_s = Some(measure.delay_s);
            self.root_distance_s = Some(measure.root_distance_s);
            let (centre, half) = (measure.offset_s, measure.root_distance_s);
            self.interval = Some(Bounds { low_s: centre - half, high_s: centre + half });
        }
        if let Some(reply) = sample.reply {
            self.stratum = Some(reply.stratum);
            self.leap = Some(reply.leap.bits());
            self.refid = Some(reply.refid.display(reply.stratum));
            self.root_delay_s = Some(reply.root_delay_s);
            self.root_dispersion_s = Some(reply.root_dispersion_s);
            self.reference_age_s = reply.reference_age_s;
            self.precision_s = Some(reply.precision_s());
        }
    }

    /// Appends to the sentence about the server.
    pub(super) fn add_sentence(&mut self, sentence: &str) {
        self.sentence.push(' ');
        self.sentence.push_str(sentence);
    }

    /// Whether it is polled, and a poll has ended.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        !matches!(self.state, Condition::Paused | Condition::Pending)
    }

    /// Whether the verdict blames its clock, not its path.
    fn is_accused(&self) -> bool {
        let of_the_path = matches!(self.kind, Some(Kind::Asymmetry | Kind::Congestion | Kind::Unreachable));
        self.class == Class::Falseticker || (self.blamed && !of_the_path)
    }

    fn judged(&mut self, verdict: &ServerVerdict) {
        self.class = verdict.class;
        self.blamed = verdict.blamed;
        self.kind = verdict.kind;
        self.gap_s = verdict.gap_s;
        self.since = verdict.since;
        self.sentence.clone_from(&verdict.sentence);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::*;
    use ntp_monitor_core::health::report::{Denial, OutcomeCounts};

    fn refused() -> ServerHealth {
        let address: SocketAddr = ([192, 0, 2, 1], 123).into();
        ServerHealth {
            server: Arc::from("a"),
            address: Some(address),
            outcome: "kiss",
            reason: "DENY".into(),
            consecutive_failures: 1,
            reach: "376".into(),
            success: Rates::default(),
            up_for_s: None,
            last_poll_ago_s: 600.0,
            last_sample_ago_s: None,
            poll_s: 3600.0,
            denial: Some(Denial { code: "DENY", asked_again_in_s: 3000.0, ago_s: 600.0 }),
            outcomes: OutcomeCounts::default(),
            rejected_replies: 0,
        }
    }

    #[test]
    fn row_of_a_refusing_server_says_when_it_is_asked_again() {
        let health_ns = 1_800_000_000_000_000_000;
        let row = Row::unpolled(&ServerIdent::named("a"), &refused(), health_ns);
        assert_eq!((row.state, row.outcome, row.reason.as_str()), (Condition::Failing, Some("kiss"), "DENY"));
        assert_eq!((row.poll_s, row.address.as_deref()), (3600.0, Some("192.0.2.1:123")));
        assert_eq!(row.last_poll, Some(When(health_ns - 600_000_000_000)));
        let again = wall_time(health_ns + 3_000_000_000_000);
        let said = format!("It refuses to serve this host (DENY) and is asked again at {again}.");
        assert!(row.sentence.ends_with(&said), "{}", row.sentence);
    }

    #[test]
    fn measurements_before_a_denial_are_not_shown_as_current() {
        let ident = ServerIdent::named("a");
        let mut row = Row { offset_s: Some(0.1), stratum: Some(1), poll_s: 16.0, ..Row::pending(&ident, 16.0) };
        row.state = Condition::Unjudged;
        row.denied(&ServerHealth { denial: None, ..refused() }, 0);
        assert_eq!((row.offset_s, row.poll_s, row.state), (Some(0.1), 16.0, Condition::Unjudged));
        row.denied(&refused(), 0);
        assert_eq!((row.offset_s, row.stratum, row.poll_s, row.state), (None, None, 3600.0, Condition::Failing));
    }
}
