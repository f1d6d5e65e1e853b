//! Silences and maintenance windows, during which no notifications are sent.
//!
//! A silence is created through the API or the page, with a comment and an end. A maintenance window is configured,
//! once or weekly. Both use the wall clock.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::sample::ServerIdent;

/// Selects alerts by rule and server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matcher {
    /// The name of the rule; `None` for all rules.
    pub alert: Option<String>,
    /// The servers. An empty selector also matches alerts that are not about a server.
    pub servers: Selector,
}

impl Matcher {
    /// Whether alerts of this rule can match.
    #[must_use]
    pub fn is_about(&self, alert: &str) -> bool {
        self.alert.as_deref().is_none_or(|wanted| wanted == alert)
    }

    /// Whether the alert of this rule about this server, or about no server, matches.
    #[must_use]
    pub fn admits(&self, alert: &str, server: Option<(&str, &ServerIdent)>) -> bool {
        self.is_about(alert) && admits(&self.servers, server)
    }
}

/// Whether `servers` matches an alert about this server, or about no server.
#[must_use]
pub fn admits(servers: &Selector, server: Option<(&str, &ServerIdent)>) -> bool {
    match server {
        Some((id, ident)) => servers.admits(id, ident),
        None => !servers.is_narrow(),
    }
}

/// A silence: no notifications are sent for the matching alerts until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// The number of the silence.
    pub id: i64,
    /// The name of the rule; `null` for all rules.
    pub alert: Option<String>,
    /// The servers by name or tag. An empty list matches all alerts, also those that are not about a server.
    pub servers: Vec<String>,
    /// Why the silence was created.
    pub comment: String,
    /// Who created the silence.
    pub created_by: String,
    /// When the silence starts.
    #[schemars(with = "String")]
    pub starts_at: Timestamp,
    /// When the silence ends.
    #[schemars(with = "String")]
    pub ends_at: Timestamp,
}

impl Silence {
    /// The alerts that the silence applies to.
    #[must_use]
    pub fn matcher(&self) -> Matcher {
        Matcher { alert: self.alert.clone(), servers: Selector(self.servers.clone()) }
    }

    /// Whether the silence is active at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// A configured maintenance window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The reason for the maintenance.
    pub comment: String,
    /// The alerts that the window applies to.
    pub matcher: Matcher,
    /// When the window is open.
    pub times: Times,
}

/// When a maintenance window is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// The window opens once.
    Once {
        /// When the window opens.
        from: Timestamp,
        /// When the window closes.
        until: Timestamp,
    },
    /// The window opens on the same days of every week. If the start falls into the gap of a change to summer time, it
    /// moves later by the length of the gap; if it occurs twice, the first one counts.
    Weekly {
        /// The days on which the window opens.
        days: Vec<Weekday>,
        /// The local time at which the window opens.
        start: Time,
        /// How long the window stays open, at most [`Times::LONGEST`].
        length: Duration,
        /// The time zone of `start`.
        zone: TimeZone,
    },
}

impl Times {
    /// The maximum length of a weekly window. For longer periods, change the rules instead.
    pub const LONGEST: Duration = Duration::from_secs(6 * 86_400);

    /// When the window that is open at `now` closes; `None` if it is not open.
    #[must_use]
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            Self::Weekly { days, start, length, zone } => {
                let today = zone.to_datetime(now).date();
                let ends = (0..=7_i64).filter_map(|back| {
                    let day = today.checked_sub(back.days()).ok()?;
                    if !days.contains(&day.weekday()) {
                        return None;
                    }
                    let from = zone.to_timestamp(day.to_datetime(*start)).ok()?;
                    let until = from.checked_add(*length).ok()?;
                    (from <= now && now < until).then_some(until)
                });
                ends.max()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(days: &[Weekday], start: &str, hours: u64) -> Times {
        Times::Weekly {
            days: days.to_vec(),
            start: start.parse().unwrap(),
            length: Duration::from_secs(hours * 3600),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        }
    }

    fn is_open(times: &Times, now: &str) -> bool {
        times.open_until(now.parse().unwrap()).is_some()
    }

    #[test]
    fn weekly_window_can_span_midnight() {
        let times = weekly(&[Weekday::Saturday], "22:00", 6);
        for (now, open) in [
            ("2026-11-21T20:59:59Z", false),
            ("2026-11-21T21:00:00Z", true),
            ("2026-11-22T02:59:59Z", true),
            ("2026-11-22T03:00:00Z", false),
            ("2026-11-22T21:30:00Z", false),
        ] {
            assert_eq!(is_open(&times, now), open, "{now}");
        }
    }

    #[test]
    fn start_in_the_summer_time_gap_moves_later() {
        // On 2026-03-29 the clocks of Berlin go from 02:00 (01:00 UTC) to 03:00.
        let times = weekly(&[Weekday::Sunday], "02:30", 1);
        for (now, open) in
            [("2026-03-29T01:00:00Z", false), ("2026-03-29T01:30:00Z", true), ("2026-03-29T02:30:00Z", false)]
        {
            assert_eq!(is_open(&times, now), open, "{now}");
        }
        // On 2026-10-25 they go back from 03:00 (01:00 UTC) to 02:00.
        for (now, open) in
            [("2026-10-25T00:30:00Z", true), ("2026-10-25T01:29:00Z", true), ("2026-10-25T01:30:00Z", false)]
        {
            assert_eq!(is_open(&times, now), open, "{now}");
        }
    }

    #[test]
    fn empty_selector_matches_alerts_without_server() {
        let matcher = |alert: Option<&str>, servers: &[&str]| Matcher {
            alert: alert.map(str::to_owned),
            servers: Selector(servers.iter().map(|server| (*server).to_owned()).collect()),
        };
        assert!(matcher(None, &[]).admits("monitor-blind", None));
        assert!(!matcher(None, &["a"]).admits("monitor-blind", None));
        assert!(!matcher(Some("high-offset"), &[]).admits("monitor-blind", None));
        let ident = ServerIdent::named("a");
        assert!(matcher(Some("high-offset"), &["a"]).admits("high-offset", Some(("a", &ident))));
    }
}
