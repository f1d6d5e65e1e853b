//! Compares the leap second announcements of servers with each other, with the calendar and with the leap second list.

use serde::{Deserialize, Serialize};

use super::{DAY_S, LeapList, is_leap_day};
use crate::ntp::Leap;
use crate::stats::events::EventKind;

/// A problem with leap seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeapFinding {
    /// Some servers announce a leap second and others do not, or not the same one.
    Disagreement {
        /// Those that announce.
        announcing: Vec<String>,
        /// How many answered.
        of: usize,
    },
    /// Announced more than a month before the end of June or December, when none can occur.
    WrongSeason {
        /// Those that announce.
        announcing: Vec<String>,
    },
    /// Announced, but the list has no leap second within 31 days.
    NotInList {
        /// Those that announce.
        announcing: Vec<String>,
    },
    /// The list has a leap second within a day and these servers do not announce it (a smearing server never does).
    NotAnnounced {
        /// Those that are silent.
        silent: Vec<String>,
    },
    /// The list expires soon or has expired.
    ListExpiry {
        /// Whole days left, rounded down: -1 during the first day afterwards.
        days_left: i64,
    },
}

/// A list that expires within this many days is reported: new ones come out half a year ahead.
const EXPIRY_WARNING_DAYS: i64 = 28;
/// Servers announce at most this long ahead. RFC 5905 has the last minute of the month; ntpd announces a month ahead.
const ANNOUNCE_AHEAD_S: i64 = 31 * DAY_S;

impl LeapFinding {
    /// The kind of its event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Disagreement { .. } => EventKind::LeapDisagreement,
            Self::WrongSeason { .. } => EventKind::LeapOutOfSeason,
            Self::NotInList { .. } => EventKind::LeapNotListed,
            Self::NotAnnounced { .. } => EventKind::LeapNotAnnounced,
            Self::ListExpiry { .. } => EventKind::LeapListExpiry,
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Disagreement { announcing, of } => {
                format!(
                    "{} of {of} servers announce a leap second, the others do not: {}",
                    announcing.len(),
                    announcing.join(", ")
                )
            }
            Self::WrongSeason { announcing } => format!(
                "a leap second is announced outside of June and December, when none can occur, by {}",
                announcing.join(", ")
            ),
            Self::NotInList { announcing } => {
                format!("a leap second is announced that the list does not have, by {}", announcing.join(", "))
            }
            Self::NotAnnounced { silent } => format!(
                "the list has a leap second within a day that is not announced by {}: they smear it or will miss it",
                silent.join(", ")
            ),
            Self::ListExpiry { days_left: -1 } => {
                "the leap second list expired less than a day ago and says nothing any more".to_owned()
            }
            Self::ListExpiry { days_left } if *days_left < 0 => {
                format!("the leap second list expired {} ago and says nothing any more", days(-days_left - 1))
            }
            Self::ListExpiry { days_left } => format!("the leap second list expires in {}", days(*days_left)),
        }
    }
}

fn days(n: i64) -> String {
    if n == 1 { "1 day".to_owned() } else { format!("{n} days") }
}

/// Compares what the servers announce at a Unix time. Servers that report that they are not synchronised are ignored.
#[must_use]
pub fn judge_announcements(servers: &[(&str, Leap)], list: Option<&LeapList>, unix_s: i64) -> Vec<LeapFinding> {
    let mut findings = Vec::new();
    let speaking: Vec<_> = servers.iter().filter(|(_, leap)| *leap != Leap::Unknown).collect();
    let names = |wanted: &dyn Fn(Leap) -> bool| -> Vec<String> {
        speaking.iter().filter(|(_, leap)| wanted(*leap)).map(|(name, _)| (*name).to_owned()).collect()
    };
    let announcing = names(&|leap| leap != Leap::None);
    let inserting = names(&|leap| leap == Leap::Insert).len();
    if !announcing.is_empty() {
        if announcing.len() < speaking.len() || (inserting > 0 && inserting < announcing.len()) {
            findings.push(LeapFinding::Disagreement { announcing: announcing.clone(), of: speaking.len() });
        }
        if !in_season(unix_s) {
            findings.push(LeapFinding::WrongSeason { announcing: announcing.clone() });
        }
    }
    if let Some(list) = list {
        findings.extend(against_list(list, unix_s, announcing, names(&|leap| leap == Leap::None)));
    }
    findings
}

fn against_list(list: &LeapList, unix_s: i64, announcing: Vec<String>, silent: Vec<String>) -> Vec<LeapFinding> {
    let mut findings = Vec::new();
    let days_left = list.days_left(unix_s);
    if days_left < EXPIRY_WARNING_DAYS {
        findings.push(LeapFinding::ListExpiry { days_left });
    }
    if days_left < 0 {
        return findings;
    }
    if !announcing.is_empty() && list.next_leap(unix_s, ANNOUNCE_AHEAD_S).is_none() {
        findings.push(LeapFinding::NotInList { announcing });
    }
    if !silent.is_empty() && list.next_leap(unix_s, DAY_S).is_some() {
        findings.push(LeapFinding::NotAnnounced { silent });
    }
    findings
}

/// Whether a leap second can occur at the end of one of the next 31 days.
fn in_season(unix_s: i64) -> bool {
    let today = unix_s.div_euclid(DAY_S);
    (today..today + 31).any(is_leap_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT_2017: i64 = 1_483_228_800;

    fn list() -> LeapList {
        LeapList::parse(include_str!("testdata/leap-seconds.list")).unwrap()
    }

    #[test]
    fn servers_that_disagree_are_named() {
        let servers = [("a", Leap::Insert), ("b", Leap::None), ("c", Leap::Unknown)];
        let findings = judge_announcements(&servers, None, MIDNIGHT_2017 - 3600);
        assert_eq!(findings, [LeapFinding::Disagreement { announcing: vec!["a".into()], of: 2 }]);
        let opposite = [("a", Leap::Insert), ("b", Leap::Delete)];
        assert_eq!(judge_announcements(&opposite, None, MIDNIGHT_2017 - 3600).len(), 1);
    }

    #[test]
    fn impossible_and_unlisted_announcements_are_reported() {
        let march = 1_488_800_000;
        let findings = judge_announcements(&[("a", Leap::Insert)], Some(&list()), march);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].sentence().contains("outside of June and December"));
        assert!(matches!(findings[1], LeapFinding::NotInList { .. }));
    }

    #[test]
    fn a_listed_leap_second_must_be_announced_the_day_before() {
        let servers = [("a", Leap::Insert), ("smearer", Leap::None)];
        let findings = judge_announcements(&servers, Some(&list()), MIDNIGHT_2017 - 3600);
        assert!(findings.contains(&LeapFinding::NotAnnounced { silent: vec!["smearer".into()] }));
        assert_eq!(judge_announcements(&[("a", Leap::Insert)], Some(&list()), MIDNIGHT_2017 - 3600), []);
    }

    #[test]
    fn the_expiry_of_the_list_is_watched() {
        let list = list();
        let at = |days: i64| judge_announcements(&[], Some(&list), list.expires_unix_s - days * DAY_S);
        assert_eq!(at(60), []);
        assert_eq!(at(10), [LeapFinding::ListExpiry { days_left: 10 }]);
        let said = |unix_s| judge_announcements(&[], Some(&list), unix_s)[0].sentence();
        let half_a_day = list.expires_unix_s + DAY_S / 2;
        for (days, wanted) in
            [(0, "expired less than a day ago"), (1, "expired 1 day ago"), (156, "expired 156 days ago")]
        {
            assert!(said(half_a_day + days * DAY_S).contains(wanted), "{}", said(half_a_day + days * DAY_S));
        }
    }
}
