//! The metrics of a fleet: all vantages at a hub; the connection and the journal at an agent.

use tokio::time::Instant;

use super::family::{Family, Kind, Values, gauge, truth};
use super::scrape::Scrape;
use crate::fleet::judge::is_heard;
use ntp_monitor_core::fleet::skew::from_median;

/// The most pairs of vantages in the exposition.
const PAIRS: usize = 200;

pub(super) const SKEW: Family = Family {
    name: "fleet_skew",
    unit: Some("seconds"),
    kind: Kind::Gauge,
    help: "The clock of vantage a minus the clock of b, for pairs that are proven to differ by more than fleet.skew_limit; the 200 largest.",
    values: Values::ByTwo("a", "b", |scrape| {
        let Some(limit_s) = hub(scrape).map(|fleet| fleet.skew_limit.as_secs_f64()) else { return Vec::new() };
        let mut pairs: Vec<_> = scrape.fleet.skew.iter().filter(|pair| pair.exceeds(limit_s)).collect();
        pairs.sort_by(|a, b| b.estimate_s.abs().total_cmp(&a.estimate_s.abs()));
        pairs.truncate(PAIRS);
        pairs.into_iter().map(|pair| (pair.a.to_string(), pair.b.to_string(), pair.estimate_s)).collect()
    }),
};

pub(super) const MAJORITY_SKEW: Family = Family {
    name: "fleet_vantage_skew",
    unit: Some("seconds"),
    kind: Kind::Gauge,
    help: "The clock of a vantage minus the median clock of all vantages.",
    values: Values::By("vantage", |scrape| {
        let all = from_median(&scrape.fleet.skew).into_iter();
        all.map(|clock| (clock.vantage.to_string(), clock.estimate_s)).collect()
    }),
};

pub(super) const VANTAGE_UP: Family = Family {
    name: "fleet_vantage_up",
    unit: None,
    kind: Kind::Gauge,
    help: "Whether a vantage was heard within fleet.silent_after: 1 if so, else 0.",
    values: Values::By("vantage", |scrape| {
        let Some(silent_after) = hub(scrape).map(|fleet| fleet.silent_after) else { return Vec::new() };
        let now = Instant::now();
        let heard = |(name, known): (&String, &_)| (name.clone(), truth(is_heard(known, silent_after, now)));
        scrape.hub_view.vantages.iter().map(heard).collect()
    }),
};

pub(super) const SAMPLES: Family = Family {
    name: "fleet_samples",
    unit: None,
    kind: Kind::Counter,
    help: "On a hub since its start: samples received, repeated (stored once) and lost by agents, and messages rejected.",
    values: Values::By("outcome", |scrape| {
        if hub(scrape).is_none() {
            return Vec::new();
        }
        let view = &scrape.hub_view;
        [("received", view.received), ("repeated", view.repeated), ("lost", view.lost), ("refused", view.refused)]
            .map(|(outcome, count)| (outcome.to_owned(), count as f64))
            .into()
    }),
};

pub(super) const CONNECTED: Family =
    gauge("fleet_connected", None, "Whether this instance is connected to the fleet: 1 if so, else 0.", |scrape| {
        let fleet = scrape.config.fleet.as_ref()?;
        let hub = !fleet.role.is_hub() || scrape.hub_view.is_connected;
        Some(truth(hub && (!fleet.role.is_agent() || scrape.agent_view.is_connected)))
    });

pub(super) const SPEAKS: Family =
    gauge("fleet_hub_speaks", None, "Whether this hub has the lease: 1 if so, else 0.", |scrape| {
        hub(scrape).map(|_| truth(scrape.hub_view.speaks()))
    });

pub(super) const JOURNAL: Family =
    gauge("fleet_journal_samples", None, "On an agent: samples that no hub has stored yet.", |scrape| {
        let is_agent = scrape.config.fleet.as_ref().is_some_and(|fleet| fleet.role.is_agent());
        is_agent.then_some(scrape.journal.samples as f64)
    });

pub(super) const DROPPED: Family = Family {
    name: "fleet_journal_dropped_samples",
    unit: None,
    kind: Kind::Counter,
    help: "On an agent since its start: samples dropped because the journal was too old or too large.",
    values: Values::One(|scrape| {
        let is_agent = scrape.config.fleet.as_ref().is_some_and(|fleet| fleet.role.is_agent());
        is_agent.then_some(scrape.journal.dropped as f64)
    }),
};

fn hub(scrape: &Scrape) -> Option<&crate::config::Fleet> {
    scrape.config.fleet.as_ref().filter(|fleet| fleet.role.is_hub())
}
