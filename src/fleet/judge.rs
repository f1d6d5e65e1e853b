//! What a hub makes of the samples of all vantages: the verdict of the fleet, the skew matrix, and who sees which server.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::quorum::{self, Quorum};
use super::roster::{Roster, Seen};
use super::state::{HubView, VantageView};
use ntp_monitor_core::fleet::skew::Skew;
use ntp_monitor_core::fleet::verdict::FleetVerdict;
use ntp_monitor_core::fleet::witness::Witness;
use ntp_monitor_core::fleet::{Fleet, FleetConfig, Weight};
use ntp_monitor_core::sample::Sample;

/// Most vantages that are judged; others are stored only.
const MOST_VANTAGES: usize = 1000;
/// Most servers of one vantage that are judged.
const MOST_SERVERS: usize = 10_000;
/// Samples that are older than this come too late for the verdict of the present; they are history.
const LATE_NS: i64 = 600 * 1_000_000_000;
/// A clock that is this far off is corrected before the samples of vantages are put on one time scale.
const FAR_OFF_NS: u64 = 1_000_000_000;
/// A sample that seems to be taken this long after it came has a time that means nothing, and is not judged.
const FUTURE_NS: i64 = 60 * 1_000_000_000;
/// When there are too many servers, those that were not polled for this long are forgotten.
const FORGOTTEN_NS: i64 = 86_400 * 1_000_000_000;
/// Samples that a vantage must have sent before it counts.
const TESTED: u64 = 3;

/// What was computed last.
#[derive(Debug, Clone)]
pub struct Picture {
    /// When, on this host's wall clock.
    pub at_ns: i64,
    pub verdict: FleetVerdict,
    pub skew: Vec<Skew>,
    /// Samples that came too late to be judged.
    pub late: u64,
    /// Samples that were not judged because there are too many servers.
    pub left_out: u64,
    /// What all places together see of each server.
    pub quorum: Quorum,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            at_ns: 0,
            verdict: FleetVerdict::nothing_yet(),
            skew: Vec::new(),
            late: 0,
            left_out: 0,
            quorum: Quorum::default(),
        }
    }
}

struct Inner {
    fleet: Fleet,
    roster: Roster,
    late: u64,
    /// The latest time on this host's wall clock.
    now_ns: i64,
}

/// Shared by the part that reads samples and the part that judges.
pub struct Judge(Mutex<Inner>);

impl Default for Judge {
    fn default() -> Self {
        let fleet = Fleet::new(FleetConfig::default());
        Self(Mutex::new(Inner { fleet, roster: Roster::new(), late: 0, now_ns: i64::MIN }))
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Judge")
    }
}

impl Judge {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes samples that were stored just now.
    pub fn observe(&self, samples: &[Arc<Sample>], view: &HubView, now_ns: i64) {
        let mut inner = self.lock();
        inner.follow_clock(now_ns);
        for sample in samples {
            let vantage = &sample.server.vantage;
            let known = view.vantages.get(&**vantage);
            let placed = placed_ns(sample.at.wall_ns, correction_ns(known), now_ns);
            let Some(at_ns) = placed.filter(|at_ns| *at_ns >= now_ns - LATE_NS) else {
                inner.late += 1;
                continue;
            };
            inner.take(vantage, &group(vantage, known), sample, at_ns);
        }
    }

    /// Weighs the vantages and judges, if a round is over.
    #[must_use]
    pub fn judge(&self, view: &HubView, silent_after: Duration, now: Instant, now_ns: i64) -> Picture {
        let mut inner = self.lock();
        inner.follow_clock(now_ns);
        for (vantage, known) in &view.vantages {
            let polls = inner.roster.get(vantage.as_str()).map_or(0, |seen| seen.values().map(|seen| seen.polls).sum());
            if polls > 0 {
                let counts = polls >= TESTED && is_heard(known, silent_after, now);
                inner.fleet.weigh(vantage, if counts { Weight::Voting } else { Weight::Observed });
            }
        }
        let verdict = inner.fleet.judge(now_ns);
        let counts = |vantage: &str| view.vantages.get(vantage).is_some_and(|known| is_heard(known, silent_after, now));
        let quorum = quorum::count(&inner.roster, &counts, now_ns);
        let (skew, left_out) = (inner.fleet.skew().pairs().to_vec(), inner.fleet.left_out());
        if left_out > 0 {
            inner.forget(now_ns);
        }
        Picture { at_ns: now_ns, verdict, skew, late: inner.late, left_out, quorum }
    }

    /// Who sees which server.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.lock().roster.clone()
    }
}

impl Inner {
    /// Begins again when this host's clock was set back: readings whose times are yet to come would keep out all others.
    fn follow_clock(&mut self, now_ns: i64) {
        if now_ns < self.now_ns.saturating_sub(FUTURE_NS) {
            self.fleet = Fleet::new(FleetConfig::default());
            self.roster
                .values_mut()
                .flat_map(BTreeMap::values_mut)
                .for_each(|seen| seen.at_ns = seen.at_ns.min(now_ns));
            self.now_ns = now_ns;
        }
        self.now_ns = self.now_ns.max(now_ns);
    }

    /// Forgets servers that nobody polls any more, and begins again if that makes room for those that were left out.
    fn forget(&mut self, now_ns: i64) {
        for servers in self.roster.values_mut() {
            servers.retain(|_, seen| seen.at_ns > now_ns.saturating_sub(FORGOTTEN_NS));
        }
        let servers: HashSet<&Witness> = self.roster.values().flat_map(BTreeMap::keys).collect();
        if Fleet::has_room_for(servers.len()) {
            self.fleet = Fleet::new(FleetConfig::default());
        }
    }

    fn take(&mut self, vantage: &Arc<str>, group: &Arc<str>, sample: &Sample, at_ns: i64) {
        if self.roster.len() >= MOST_VANTAGES && !self.roster.contains_key(vantage) {
            return;
        }
        let servers = self.roster.entry(Arc::clone(vantage)).or_default();
        let witness = Witness::of(sample, group);
        if servers.len() >= MOST_SERVERS && !servers.contains_key(&witness) {
            return;
        }
        servers.entry(witness.clone()).or_insert_with(|| Seen::unseen(sample)).update(sample, at_ns);
        self.fleet.observe(vantage, &witness, sample, at_ns);
    }
}

/// Whether a vantage said something lately.
#[must_use]
pub fn is_heard(known: &VantageView, silent_after: Duration, now: Instant) -> bool {
    known.heard.is_some_and(|heard| now.duration_since(heard) < silent_after)
}

/// The group within which private addresses of a vantage are unique: its first one, or itself.
#[must_use]
pub fn group(vantage: &Arc<str>, known: Option<&VantageView>) -> Arc<str> {
    let named = known.and_then(|known| known.presence.as_ref()?.groups.first());
    named.map_or_else(|| Arc::clone(vantage), |group| group.as_str().into())
}

/// What is taken off the times of a vantage. Small errors are left alone, because they are what is judged.
fn correction_ns(known: Option<&VantageView>) -> i64 {
    known.and_then(|known| known.clock_ahead_ns).filter(|ahead_ns| ahead_ns.unsigned_abs() > FAR_OFF_NS).unwrap_or(0)
}

/// When a sample was taken, on this host's clock; `None` when its time means nothing. No sample is taken after it came: if
/// it seems so, the vantage's clock was set since its last announcement, and the correction is obsolete.
fn placed_ns(wall_ns: i64, correction_ns: i64, now_ns: i64) -> Option<i64> {
    let latest_ns = now_ns.saturating_add(FAR_OFF_NS.cast_signed());
    let corrected_ns = wall_ns.saturating_sub(correction_ns);
    let is_obsolete = corrected_ns > latest_ns && wall_ns.abs_diff(now_ns) < corrected_ns.abs_diff(now_ns);
    let at_ns = if is_obsolete { wall_ns } else { corrected_ns };
    (at_ns <= now_ns.saturating_add(FUTURE_NS)).then(|| at_ns.min(latest_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::presence::Presence;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::ntp::{Leap, RefId};
    use ntp_monitor_core::sample::{Measure, Outcome, Reply, ServerIdent};

    const S: i64 = 1_000_000_000;

    fn sample(vantage: &str, offset_s: f64, wall_ns: i64) -> Arc<Sample> {
        let at = Stamp::new(wall_ns, wall_ns, 0);
        Arc::new(Sample {
            address: "192.0.2.1:123".parse().ok(),
            outcome: Outcome::Sample,
            measure: Some(Measure { offset_s, delay_s: 0.01, root_distance_s: 0.02 }),
            ..Sample::unasked(at, ServerIdent::seen_from(vantage, "a"), Outcome::Sample, 16.0)
        })
    }

    #[test]
    fn samples_of_the_past_are_history_and_not_judged() {
        let (judge, view) = (Judge::default(), HubView::default());
        let now_ns = 100_000 * S;
        judge.observe(&[sample("ams", 0.0, now_ns - LATE_NS - 1), sample("ber", 0.0, now_ns)], &view, now_ns);
        let picture = judge.judge(&view, Duration::from_secs(90), Instant::now(), now_ns);
        assert_eq!((picture.late, judge.roster().keys().map(|name| &**name).collect::<Vec<_>>()), (1, vec!["ber"]));
    }

    /// What is judged after two vantages polled one server from `start_ns`; ber reads `offset_s`.
    fn compared(judge: &Judge, start_ns: i64, offset_s: f64) -> Picture {
        let (mut view, now) = (HubView::default(), Instant::now());
        let heard = VantageView { heard: Some(now), ..VantageView::default() };
        let reply = Reply {
            stratum: 1,
            leap: Leap::None,
            refid: RefId(*b"GPS\0"),
            precision_log2: -20,
            root_delay_s: 0.0,
            root_dispersion_s: 0.001,
            reference_age_s: None,
        };
        for (vantage, offset_s) in [("ams", 0.0), ("ber", offset_s)] {
            view.vantages.insert(vantage.into(), heard.clone());
            for n in 0..8 {
                let polled =
                    Sample { reply: Some(reply), ..Sample::clone(&sample(vantage, offset_s, start_ns + n * S / 10)) };
                judge.observe(&[Arc::new(polled)], &view, start_ns);
            }
        }
        // Agents send and hubs judge about once a second.
        judge.judge(&view, Duration::from_secs(90), now, start_ns + 2 * S)
    }

    #[test]
    fn servers_polled_ten_times_a_second_are_compared() {
        let picture = compared(&Judge::default(), 100_000 * S, 0.0);
        assert_eq!(picture.skew.len(), 1, "{picture:?}");
    }

    #[test]
    fn times_of_a_clock_that_is_far_off_are_corrected() {
        let judge = Judge::default();
        let mut view = HubView::default();
        let ahead = VantageView { clock_ahead_ns: Some(3000 * S), ..VantageView::default() };
        view.vantages.insert("ams".into(), ahead);
        judge.observe(&[sample("ams", 0.0, 103_000 * S)], &view, 100_000 * S);
        assert_eq!(judge.roster()["ams"].values().next().unwrap().at_ns, 100_000 * S);
    }

    fn announced(ahead_ns: i64) -> HubView {
        let known = VantageView { clock_ahead_ns: Some(ahead_ns), ..VantageView::default() };
        HubView { vantages: [("ams".to_owned(), known)].into(), ..HubView::default() }
    }

    fn last_ns(judge: &Judge) -> i64 {
        judge.roster()["ams"].values().next().unwrap().at_ns
    }

    #[test]
    fn repaired_clock_of_a_vantage_is_followed_at_once() {
        let (judge, now_ns) = (Judge::default(), 100_000 * S);
        judge.observe(&[sample("ams", 1800.0, now_ns - 1800 * S)], &announced(-1800 * S), now_ns);
        // Its clock was set; the next announcement is yet to come.
        judge.observe(&[sample("ams", 0.0, now_ns + S)], &announced(-1800 * S), now_ns + S);
        assert_eq!(last_ns(&judge), now_ns + S);
        judge.observe(&[sample("ams", 0.0, now_ns + 30 * S)], &announced(0), now_ns + 30 * S);
        assert_eq!(last_ns(&judge), now_ns + 30 * S);
    }

    #[test]
    fn clock_of_the_hub_that_was_set_back_stops_no_verdict() {
        let (judge, now_ns) = (Judge::default(), 100_000 * S);
        let difference_s = |picture: &Picture| picture.skew[0].estimate_s.abs();
        assert!(difference_s(&compared(&judge, now_ns, 0.0)) < 0.01);
        let after = compared(&judge, now_ns - 3000 * S, 0.5);
        assert!(last_ns(&judge) < now_ns - 2990 * S && difference_s(&after) > 0.4, "{:?}", after.skew);
    }

    #[test]
    fn servers_that_are_gone_make_room_for_new_ones() {
        let (judge, view, now) = (Judge::default(), HubView::default(), Instant::now());
        let observe = |n: u16, at_ns: i64| {
            let address = format!("192.0.2.{}:{}", n % 250, 1000 + n).parse().ok();
            judge.observe(&[Arc::new(Sample { address, ..Sample::clone(&sample("ams", 0.0, at_ns)) })], &view, at_ns);
            judge.judge(&view, Duration::from_secs(90), now, at_ns).left_out
        };
        let start_ns = 100_000 * S;
        for n in 0..1000 {
            assert_eq!(observe(n, start_ns), 0);
        }
        assert_eq!(observe(1000, start_ns + S), 1, "too many at once");
        let late_ns = start_ns + 2 * FORGOTTEN_NS;
        observe(2000, late_ns);
        assert_eq!((observe(2001, late_ns + S), judge.roster()["ams"].len()), (0, 2));
    }

    #[test]
    fn announced_clocks_of_any_error_are_borne() {
        let now_ns = 1_800_000_000 * S;
        for ahead_ns in [i64::MIN, i64::MIN + 1, i64::MAX, -now_ns] {
            let judge = Judge::default();
            judge.observe(&[sample("ams", 0.0, now_ns)], &announced(ahead_ns), now_ns);
            assert!(judge.roster().values().flat_map(BTreeMap::values).all(|seen| seen.at_ns <= now_ns + S));
        }
    }

    #[test]
    fn private_addresses_belong_to_the_group_of_a_vantage() {
        let presence = Presence { groups: vec!["office".into()], ..Presence::default() };
        let known = VantageView { presence: Some(Arc::new(presence)), ..VantageView::default() };
        assert_eq!(&*group(&"ams".into(), Some(&known)), "office");
        assert_eq!(&*group(&"ams".into(), None), "ams");
    }
}
