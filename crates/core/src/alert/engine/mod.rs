//! The alert engine: evaluates all rules over an [`Observation`] and returns what to store and which notifications to
//! send.
//!
//! The engine reads no clock; the observation carries the time. While no condition is true, an evaluation allocates
//! nothing for a rule and a server beyond what the expression itself needs; `benches/alerts.rs` measures this.

mod alert;
mod group;
mod listing;
mod notify;
mod orphans;
mod quiet;

mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::defaults;
use super::facts::{Facts, Memory, Observation, targets};
use super::inhibit::Inhibitor;
use super::rule::Rule;
use super::silence::{Silence, Window};
use super::state::Timing;
use super::status::{AlertStatus, Outcome, Saved};
use crate::clock::Stamp;
use quiet::Quiet;
use watch::Watch;

/// After a gap between evaluations longer than this, the durations of pending and resolving alerts start again.
const UNWATCHED: Duration = Duration::from_secs(300);

/// Settings that apply to all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// No alert starts to fire for this long after the service started.
    pub startup_grace: Duration,
    /// Alerts of one rule that change within this time share a notification.
    pub group_wait: Duration,
    /// A reminder is sent for a firing alert after this time; zero for never.
    pub repeat_interval: Duration,
    /// A firing alert without data for this long ends.
    pub no_data_after: Duration,
    /// An alert that starts to fire this many times within `flap_window` is flapping.
    pub flap_count: u32,
    /// The window for `flap_count`.
    pub flap_window: Duration,
    /// The URL of the web page of this monitor.
    pub url: Option<String>,
    /// The configured vantage point of this monitor.
    pub vantage: String,
    /// The name of the fleet that this monitor is a hub of.
    pub fleet: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            startup_grace: Duration::from_secs(60),
            group_wait: Duration::from_secs(30),
            repeat_interval: Duration::from_secs(4 * 3600),
            no_data_after: Duration::from_secs(3600),
            flap_count: 5,
            flap_window: Duration::from_secs(3600),
            url: None,
            vantage: String::new(),
            fleet: None,
        }
    }
}

impl Settings {
    fn is_reminder_due(&self, told: Stamp, now: Stamp) -> bool {
        !self.repeat_interval.is_zero() && now.since(told) >= self.repeat_interval
    }

    fn timing(&self, rule: &Rule) -> Timing {
        Timing {
            held_for: rule.spec.held_for,
            keep_firing_for: rule.spec.keep_firing_for,
            no_data_after: self.no_data_after,
            flap_count: self.flap_count,
            flap_window: self.flap_window,
        }
    }
}

/// The complete configuration of alerting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rulebook {
    /// The settings for all rules.
    pub settings: Settings,
    /// All rules, including disabled ones; names are unique.
    pub rules: Vec<Arc<Rule>>,
    /// The maintenance windows.
    pub windows: Vec<Window>,
}

impl Rulebook {
    /// The built-in rules with default settings.
    #[must_use]
    pub fn built_in() -> Self {
        let rules =
            defaults::rules().into_iter().map(|spec| Arc::new(Rule::compile(spec).expect("a test compiles each")));
        Self { rules: rules.collect(), ..Self::default() }
    }
}

/// The alert engine.
#[derive(Debug)]
pub struct Engine {
    book: Rulebook,
    watches: Vec<Watch>,
    silences: Vec<Silence>,
    memory: Memory,
    inhibitor: Inhibitor,
    started: Stamp,
    last: Option<Stamp>,
    /// Whether this hub had the lease of its fleet at the last evaluation.
    spoke: bool,
}

/// The context of one evaluation of all rules.
struct Evaluation<'a> {
    now: Stamp,
    facts: &'a Facts<'a>,
    settings: &'a Settings,
    quiet: Quiet<'a>,
    /// Whether alerts may start to fire and notifications may be sent: false during the startup grace.
    may_fire: bool,
    was_unwatched: bool,
}

impl Engine {
    /// Creates an engine; `now` is the start of the startup grace.
    #[must_use]
    pub fn new(book: Rulebook, now: Stamp) -> Self {
        let watches = enabled(&book).map(|rule| Watch::new(Arc::clone(rule))).collect();
        let mut inhibitor = Inhibitor::default();
        inhibitor.set_rules(enabled(&book).map(Arc::as_ref));
        Self {
            book,
            watches,
            silences: Vec::new(),
            memory: Memory::default(),
            inhibitor,
            started: now,
            last: None,
            spoke: false,
        }
    }

    /// Restores the stored state of alerts. Alerts whose rule no longer exists end. So do alerts of another vantage
    /// point, because receivers know them under its name. The end is notified if the alert was.
    #[must_use]
    pub fn restore(&mut self, now: Stamp, saved: Vec<Saved>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut gone: BTreeMap<[String; 2], Vec<Saved>> = BTreeMap::new();
        for mut one in saved {
            if one.vantage.is_empty() {
                one.vantage.clone_from(&self.book.settings.vantage);
            }
            let is_ours = one.vantage == self.book.settings.vantage;
            match self.watches.iter_mut().find(|watch| watch.rule().spec.name == one.alert) {
                Some(watch) if is_ours => watch.restore(now, one),
                _ => gone.entry([one.vantage.clone(), one.alert.clone()]).or_default().push(one),
            }
        }
        for ([vantage, alert], all) in gone {
            let settings = Settings { vantage, ..self.book.settings.clone() };
            orphans::end(now, &settings, &alert, all, &mut outcome);
        }
        self.name_vantage(&mut outcome);
        outcome
    }

    /// Applies a new configuration. Alerts of rules that were removed, or whose expression changed, end; all end if the
    /// vantage point has another name.
    pub fn reconfigure(&mut self, now: Stamp, book: Rulebook) -> Outcome {
        let mut outcome = Outcome::default();
        let keeps_vantage = book.settings.vantage == self.book.settings.vantage;
        let mut before: HashMap<String, Watch> =
            self.watches.drain(..).map(|watch| (watch.rule().spec.name.clone(), watch)).collect();
        for rule in enabled(&book) {
            let watch = match before.remove(&rule.spec.name) {
                Some(mut watch) if keeps_vantage && watch.rule().expression.source() == rule.expression.source() => {
                    watch.set_rule(Arc::clone(rule));
                    watch
                }
                Some(mut changed) => {
                    changed.end_all(now, &self.book.settings, &mut outcome);
                    Watch::new(Arc::clone(rule))
                }
                None => Watch::new(Arc::clone(rule)),
            };
            self.watches.push(watch);
        }
        let mut gone: Vec<Watch> = before.into_values().collect();
        gone.iter_mut().for_each(|watch| watch.end_all(now, &self.book.settings, &mut outcome));
        self.inhibitor.set_rules(enabled(&book).map(Arc::as_ref));
        self.book = book;
        self.name_vantage(&mut outcome);
        outcome
    }

    /// Records the vantage name in stored states, under which receivers know them, and explains notifications under
    /// another name.
    fn name_vantage(&self, outcome: &mut Outcome) {
        let name = &self.book.settings.vantage;
        for saved in outcome.memos.iter_mut().filter_map(|memo| memo.saved.as_mut()) {
            saved.vantage.clone_from(name);
        }
        for it in outcome.notifications.iter_mut().map(|it| &mut it.notification).filter(|it| it.vantage != *name) {
            let why =
                format!("This monitor is now called {name:?}; alerts that still fire are notified under that name.");
            it.description = format!("{}\n{why}", it.description).trim_start().to_owned();
        }
    }

    /// Replaces the silences.
    pub fn set_silences(&mut self, silences: Vec<Silence>) {
        self.silences = silences;
    }

    /// Evaluates all rules once. `stopwatch` returns the microseconds since an arbitrary instant; it is used to measure
    /// the cost of each rule.
    pub fn step(&mut self, observed: &Observation<'_>, stopwatch: &dyn Fn() -> u64) -> Outcome {
        let now = observed.now;
        let was_unwatched = self.last.replace(now).is_some_and(|last| now.since(last) > UNWATCHED);
        self.memory.observe(now, observed.snapshot);
        let targets = targets(observed.servers, observed.snapshot);
        let facts = Facts::new(observed, &targets, &self.memory);
        self.inhibitor.observe(now, &facts);
        let evaluation = Evaluation {
            now,
            facts: &facts,
            settings: &self.book.settings,
            quiet: Quiet::new(timestamp(now), &self.silences, &self.book.windows, &self.inhibitor),
            may_fire: now.since(self.started) >= self.book.settings.startup_grace,
            was_unwatched,
        };
        let mut outcome = Outcome::default();
        let speaks = observed.fleet.is_some_and(|fleet| fleet.speaks);
        // The previous hub may not have notified. Receivers recognise the alert, because its fingerprint contains the
        // fleet.
        if speaks && !std::mem::replace(&mut self.spoke, speaks) {
            let about_fleet = self.watches.iter_mut().filter(|watch| watch.rule().expression.is_about_fleet());
            about_fleet.for_each(Watch::forget_notified);
        }
        self.spoke = speaks;
        for watch in &mut self.watches {
            let begin = stopwatch();
            watch.judge(&evaluation, &mut outcome);
            watch.cost_us = stopwatch().saturating_sub(begin);
            watch.notify(&evaluation, &mut outcome);
        }
        self.leave_to_the_speaker(&mut outcome, speaks);
        self.name_vantage(&mut outcome);
        outcome
    }

    /// Every hub evaluates the rules about its fleet; only the hub with the lease notifies.
    fn leave_to_the_speaker(&self, outcome: &mut Outcome, speaks: bool) {
        let about_fleet = self.watches.iter().filter(|watch| watch.rule().expression.is_about_fleet());
        let names: BTreeSet<&str> = about_fleet.map(|watch| watch.rule().spec.name.as_str()).collect();
        for it in outcome.notifications.iter_mut().map(|it| &mut it.notification) {
            it.fleet = self.book.settings.fleet.clone().filter(|_| names.contains(&*it.alert));
        }
        outcome.notifications.retain(|it| speaks || !names.contains(&*it.notification.alert));
    }

    /// The status of alerts and rules for display.
    #[must_use]
    pub fn status(&self) -> AlertStatus {
        listing::status(&self.book, &self.watches, &self.silences)
    }
}

fn enabled(book: &Rulebook) -> impl Iterator<Item = &Arc<Rule>> {
    book.rules.iter().filter(|rule| rule.spec.enabled)
}

/// The wall time of a stamp.
pub(super) fn timestamp(at: Stamp) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at.wall_ns)).expect("64 bits of nanoseconds are within years 1677 to 2262")
}
