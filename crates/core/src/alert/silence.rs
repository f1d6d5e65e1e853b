//! Alerts that nobody is told of for a while: silences, set by a person with a reason and an end, and maintenance
//! windows, which the configuration sets once or for every week. Both follow the wall clock, for that is what people
//! mean.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::sample::ServerIdent;

/// Which alerts are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matcher {
    /// The name of the rule; `None` for all.
    pub alert: Option<String>,
    /// Servers; without any entry also what is about no server.
    pub servers: Selector,
}

impl Matcher {
    /// Whether alerts of this rule can be meant.
    #[must_use]
    pub fn is_about(&self, alert: &str) -> bool {
        self.alert.as_deref().is_none_or(|wanted| wanted == alert)
    }

    /// Whether the alert of this rule about this server, or none, is meant.
    #[must_use]
    pub fn admits(&self, alert: &str, server: Option<(&str, &ServerIdent)>) -> bool {
        self.is_about(alert) && admits(&self.servers, server)
    }
}

/// Whether an alert about this server, or about none, is meant by who names these.
#[must_use]
pub fn admits(servers: &Selector, server: Option<(&str, &ServerIdent)>) -> bool {
    match server {
        Some((id, ident)) => servers.admits(id, ident),
        None => !servers.is_narrow(),
    }
}

/// A silence as a person set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// The name of the rule; `None` for all.
    pub alert: Option<String>,
    /// Servers by name or tag; without any, all, and what is about none.
    pub servers: Vec<String>,
    /// Why.
    pub comment: String,
    /// Who set it.
    pub created_by: String,
    /// When it begins.
    #[schemars(with = "String")]
    pub starts_at: Timestamp,
    /// When it ends.
    #[schemars(with = "String")]
    pub ends_at: Timestamp,
}

impl Silence {
    /// Which alerts it is about.
    #[must_use]
    pub fn matcher(&self) -> Matcher {
        Matcher { alert: self.alert.clone(), servers: Selector(self.servers.clone()) }
    }

    /// Whether it is in force.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// A maintenance window of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Why.
    pub comment: String,
    /// Which alerts it is about.
    pub matcher: Matcher,
    /// When.
    pub times: Times,
}

/// When a maintenance window is open.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// Once.
    Once {
        /// From then on.
        from: Timestamp,
        /// Until then.
        until: Timestamp,
    },
    /// On the same days of every week. A start that a change to summer time leaves out is as much later as the clocks
    /// are put forward; one that occurs twice is the first.
    Weekly {
        /// On these days.
        days: Vec<Weekday>,
        /// From this time of the day on.
        start: Time,
        /// For this long, less than a week.
        length: Duration,
        /// By the clocks of this place.
        zone: TimeZone,
    },
}

impl Times {
    /// Windows longer than this should be a change of the rules.
    pub const LONGEST: Duration = Duration::from_secs(6 * 86_400);

    /// When the window that is open now closes; `None` while none is.
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
    fn a_weekly_window_reaches_over_midnight() {
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
    fn a_start_in_the_gap_of_summer_time_comes_as_much_later() {
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
    fn what_is_about_no_server_is_meant_by_who_names_none() {
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
