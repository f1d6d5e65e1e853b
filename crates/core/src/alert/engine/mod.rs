//! All rules together, step by step: what is seen goes in, what is to be recorded and told comes out.
//!
//! Pure: the time is part of what is seen. While nothing holds, a step allocates nothing for a rule and a server beyond
//! what their expression does; `benches/alerts.rs` measures it.

mod alert;
mod group;
mod listing;
mod orphans;
mod quiet;
mod speech;
mod watch;

use std::collections::{BTreeMap, HashMap};
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

/// When nobody looked for this long, what held before need not have held all the time.
const UNWATCHED: Duration = Duration::from_secs(300);

/// How alerts are handled, whatever their rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// After a start nothing fires for this long.
    pub startup_grace: Duration,
    /// Alerts of a rule that change within this are told together.
    pub group_wait: Duration,
    /// What still fires is told again after this; zero for never.
    pub repeat_interval: Duration,
    /// An alert whose value is not known ends after this.
    pub no_data_after: Duration,
    /// An alert that begins this often …
    pub flap_count: u32,
    /// … within this is flapping.
    pub flap_window: Duration,
    /// Where the page is.
    pub url: Option<String>,
    /// Where the monitor looks from.
    pub vantage: String,
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

/// What alerts are made by: all that the configuration says of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rulebook {
    /// How alerts are handled.
    pub settings: Settings,
    /// Every rule, also those that are switched off; names are unique.
    pub rules: Vec<Arc<Rule>>,
    /// Maintenance windows.
    pub windows: Vec<Window>,
}

impl Rulebook {
    /// The built-in rules, handled as usual.
    #[must_use]
    pub fn built_in() -> Self {
        let rules =
            defaults::rules().into_iter().map(|spec| Arc::new(Rule::compile(spec).expect("a test compiles each")));
        Self { rules: rules.collect(), ..Self::default() }
    }
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    book: Rulebook,
    watches: Vec<Watch>,
    silences: Vec<Silence>,
    memory: Memory,
    inhibitor: Inhibitor,
    started: Stamp,
    last: Option<Stamp>,
}

/// What all rules look at in one step.
struct Turn<'a> {
    now: Stamp,
    facts: &'a Facts<'a>,
    settings: &'a Settings,
    quiet: Quiet<'a>,
    /// Whether alerts may begin to fire and people may be told.
    may_fire: bool,
    was_unwatched: bool,
}

impl Engine {
    /// An engine that starts at `now`.
    #[must_use]
    pub fn new(book: Rulebook, now: Stamp) -> Self {
        let watches = enabled(&book).map(|rule| Watch::new(Arc::clone(rule))).collect();
        let mut inhibitor = Inhibitor::default();
        inhibitor.rely_on(enabled(&book).map(Arc::as_ref));
        Self { book, watches, silences: Vec::new(), memory: Memory::default(), inhibitor, started: now, last: None }
    }

    /// Takes up what an earlier engine left. Alerts of rules that there no longer are have ended: who was told of them
    /// is told so.
    #[must_use]
    pub fn restore(&mut self, now: Stamp, saved: Vec<Saved>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut gone: BTreeMap<String, Vec<Saved>> = BTreeMap::new();
        for one in saved {
            match self.watches.iter_mut().find(|watch| watch.rule().spec.name == one.alert) {
                Some(watch) => watch.restore(now, one),
                None => gone.entry(one.alert.clone()).or_default().push(one),
            }
        }
        for (alert, all) in gone {
            orphans::end(now, &self.book.settings, &alert, all, &mut outcome);
        }
        outcome
    }

    /// Goes on by other rules. Alerts of rules that are no longer there, or look at something else, end.
    pub fn reconfigure(&mut self, now: Stamp, book: Rulebook) -> Outcome {
        let mut outcome = Outcome::default();
        let mut before: HashMap<String, Watch> =
            self.watches.drain(..).map(|watch| (watch.rule().spec.name.clone(), watch)).collect();
        for rule in enabled(&book) {
            let watch = match before.remove(&rule.spec.name) {
                Some(mut watch) if watch.rule().expression.source() == rule.expression.source() => {
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
        self.inhibitor.rely_on(enabled(&book).map(Arc::as_ref));
        self.book = book;
        outcome
    }

    /// The silences from now on.
    pub fn set_silences(&mut self, silences: Vec<Silence>) {
        self.silences = silences;
    }

    /// Looks at what is seen, once. `stopwatch` says how many microseconds have passed since some instant, for the cost
    /// of each rule.
    pub fn step(&mut self, observed: &Observation<'_>, stopwatch: &dyn Fn() -> u64) -> Outcome {
        let now = observed.now;
        let was_unwatched = self.last.replace(now).is_some_and(|last| now.since(last) > UNWATCHED);
        self.memory.observe(now, observed.snapshot);
        let targets = targets(observed.servers, observed.snapshot);
        let facts = Facts::new(observed, &targets, &self.memory);
        self.inhibitor.observe(now, &facts);
        let turn = Turn {
            now,
            facts: &facts,
            settings: &self.book.settings,
            quiet: Quiet::new(timestamp(now), &self.silences, &self.book.windows, &self.inhibitor),
            may_fire: now.since(self.started) >= self.book.settings.startup_grace,
            was_unwatched,
        };
        let mut outcome = Outcome::default();
        for watch in &mut self.watches {
            let begin = stopwatch();
            watch.judge(&turn, &mut outcome);
            watch.cost_us = stopwatch().saturating_sub(begin);
            watch.speak(&turn, &mut outcome);
        }
        outcome
    }

    /// What there is to show.
    #[must_use]
    pub fn status(&self) -> AlertStatus {
        listing::status(&self.book, &self.watches, &self.silences)
    }
}

fn enabled(book: &Rulebook) -> impl Iterator<Item = &Arc<Rule>> {
    book.rules.iter().filter(|rule| rule.spec.enabled)
}

/// Wall time as people and JSON write it.
pub(super) fn timestamp(at: Stamp) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at.wall_ns)).expect("64 bits of nanoseconds are within years 1677 to 2262")
}
