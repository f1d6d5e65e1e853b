//! Findings over the rounds: they begin after sightings in a row, end after absences in a row, and stay proven.

use std::collections::BTreeMap;

use super::party::Party;
use super::verdict::FleetKind;

/// Absences in a row that end a finding.
const ABSENCES: usize = 5;

/// The onset of a finding can be moved to a later time during this many sightings.
const REDATED: usize = 12;

/// What one round shows about one party.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sighting {
    pub party: Party,
    pub kind: FleetKind,
    /// The proven minimum of the error; `None` when it is inferred.
    pub gap_s: Option<f64>,
    /// The estimated error and its half-width.
    pub size_s: Option<(f64, f64)>,
    /// When it began.
    pub since_ns: i64,
    /// Whether the onset was measured rather than taken from the first sighting.
    pub is_dated: bool,
    /// How many sightings in a row make a finding.
    pub needed: usize,
    /// The proof holds only if this vantage reports honestly.
    pub relies_on: Option<usize>,
}

/// A party, and whether its readings contradict each other: what it is accused of then is not an error of its clock.
pub(super) type Key = (Party, bool);

impl Sighting {
    pub fn key(&self) -> Key {
        (self.party, self.kind.is_false())
    }
}

/// A party that was seen at fault.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub kind: FleetKind,
    pub gap_s: Option<f64>,
    pub size_s: Option<(f64, f64)>,
    pub since_ns: i64,
    pub relies_on: Option<usize>,
    pub is_confirmed: bool,
    seen: usize,
    absent: usize,
    absent_since_ns: i64,
}

impl Finding {
    fn is_proven(&self) -> bool {
        self.is_confirmed && self.gap_s.is_some()
    }
}

/// An undecided question: sets of parties, each of which would explain everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Contest {
    pub alternatives: Vec<Vec<Party>>,
    pub since_ns: i64,
    is_confirmed: bool,
    seen: usize,
    absent: usize,
    absent_since_ns: i64,
}

/// All findings, and the time of the last change.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    live: BTreeMap<Key, Finding>,
    contest: Option<Contest>,
    /// The instant from which the present findings hold, and the finding with this onset, if it is one.
    changed: Option<(i64, Option<Key>)>,
}

impl Findings {
    /// Takes the sightings of a round. Findings that are `held` do not end, because it is in doubt what would show them.
    pub fn update(&mut self, sightings: &[Sighting], held: &[Party], now_ns: i64) {
        for sighting in sightings {
            self.see(sighting);
        }
        let is_seen = |key: &Key| sightings.iter().any(|sighting| sighting.key() == *key);
        let mut ended = None;
        self.live.retain(|key, finding| {
            if is_seen(key) || (finding.is_proven() && held.contains(&key.0)) {
                return true;
            }
            if finding.absent == 0 {
                finding.absent_since_ns = now_ns;
            }
            finding.absent += 1;
            if !finding.is_confirmed {
                // Sightings must follow each other, with at most one absence, because a reading may be lost.
                return finding.absent < 2;
            }
            if finding.absent >= ABSENCES {
                ended = ended.max(Some(finding.absent_since_ns));
                return false;
            }
            true
        });
        if let Some(ended_ns) = ended {
            self.changed = Some((ended_ns, None));
        }
    }

    fn see(&mut self, it: &Sighting) {
        let finding = self.live.entry(it.key()).or_insert_with(|| Finding {
            kind: it.kind,
            gap_s: None,
            size_s: None,
            since_ns: it.since_ns,
            relies_on: it.relies_on,
            is_confirmed: false,
            seen: 0,
            absent: 0,
            absent_since_ns: 0,
        });
        finding.seen += 1;
        finding.absent = 0;
        // A movement that is seen later dates the finding, unless the finding is much older than the movement.
        if it.is_dated && (finding.seen <= REDATED || it.since_ns <= finding.since_ns) {
            finding.since_ns = it.since_ns;
            finding.kind = it.kind;
        }
        if let Some(gap_s) = it.gap_s {
            finding.gap_s = Some(gap_s);
            finding.relies_on = it.relies_on;
        }
        finding.size_s = it.size_s.or(finding.size_s);
        if finding.seen >= it.needed && !finding.is_confirmed {
            finding.is_confirmed = true;
            self.changed = Some((finding.since_ns, Some(it.key())));
        } else if finding.is_confirmed
            && let Some((since_ns, Some(key))) = &mut self.changed
            && *key == it.key()
        {
            *since_ns = finding.since_ns;
        }
    }

    /// Takes the alternatives of a round that cannot be distinguished. They are confirmed after `needed` sightings.
    pub fn contest(&mut self, alternatives: Vec<Vec<Party>>, since_ns: i64, now_ns: i64, needed: usize) {
        if alternatives.is_empty() {
            let Some(contest) = &mut self.contest else { return };
            if contest.absent == 0 {
                contest.absent_since_ns = now_ns;
            }
            contest.absent += 1;
            if contest.absent >= ABSENCES || !contest.is_confirmed {
                if contest.is_confirmed {
                    self.changed = Some((contest.absent_since_ns, None));
                }
                self.contest = None;
            }
            return;
        }
        let contest = self.contest.get_or_insert_with(|| Contest {
            alternatives: alternatives.clone(),
            since_ns,
            is_confirmed: false,
            seen: 0,
            absent: 0,
            absent_since_ns: 0,
        });
        contest.seen += 1;
        contest.absent = 0;
        // Later rounds show better which party is on which side. Shortly after the confirmation, the sides are kept.
        if contest.seen <= needed + 2 {
            contest.alternatives = alternatives;
        }
        if contest.seen >= needed && !contest.is_confirmed {
            contest.is_confirmed = true;
            self.changed = Some((contest.since_ns, None));
        }
    }

    /// The confirmed alternatives, if any.
    pub fn contested(&self) -> Option<&Contest> {
        self.contest.as_ref().filter(|contest| contest.is_confirmed)
    }

    /// Forgets findings that are explained otherwise, unless they are confirmed and rest on a contradiction, or were
    /// proven before `since_ns`, when the majority was not in doubt.
    pub fn drop_explained(&mut self, is_explained: impl Fn(Party) -> bool, since_ns: i64) {
        self.live.retain(|(party, is_false), finding| {
            (finding.is_proven() && (*is_false || finding.since_ns < since_ns)) || !is_explained(*party)
        });
    }

    /// Ends findings at once that `is_refuted` says are refuted.
    pub fn end(&mut self, now_ns: i64, mut is_refuted: impl FnMut(&Key, &Finding) -> bool) {
        let mut has_ended = false;
        self.live.retain(|key, finding| {
            let ends = is_refuted(key, finding);
            has_ended |= ends && finding.is_confirmed;
            !ends
        });
        if has_ended {
            self.changed = Some((now_ns, None));
        }
    }

    /// The findings that hold. Of a party whose readings contradict each other, nothing else is said.
    pub fn confirmed(&self) -> impl Iterator<Item = (Party, &Finding)> {
        let is_false = |party: Party| self.live.get(&(party, true)).is_some_and(|finding| finding.is_confirmed);
        let holds = move |((party, known_false), finding): &(&Key, &Finding)| {
            finding.is_confirmed && (*known_false || !is_false(*party))
        };
        self.live.iter().filter(holds).map(|((party, _), finding)| (*party, finding))
    }

    /// Servers that show two clocks and vantages that report falsely: nothing can be concluded from their readings.
    pub fn false_parties(&self) -> impl Iterator<Item = Party> {
        self.confirmed().filter(|(_, finding)| finding.kind.is_false()).map(|(party, _)| party)
    }

    /// The parties whose clocks were proven wrong by claims.
    pub fn proven(&self) -> impl Iterator<Item = (Party, f64)> {
        let proven = self.confirmed().filter(|(_, finding)| !finding.kind.is_false());
        proven.filter_map(|(party, finding)| Some((party, finding.gap_s?)))
    }

    /// From when the present findings hold.
    pub fn changed_ns(&self) -> Option<i64> {
        self.changed.map(|(at_ns, _)| at_ns)
    }
}
