//! The metrics of notifiers.

use super::family::{Family, Kind, Values, truth};
use super::scrape::Scrape;
use ntp_monitor_core::health::notifiers::NotifierHealth;

/// The results of notifications and attempts, with their counts.
fn outcomes(notifier: &NotifierHealth) -> [(&'static str, u64); 4] {
    let NotifierHealth { delivered, failures, given_up, expired, .. } = *notifier;
    [("delivered", delivered), ("failed", failures), ("given_up", given_up), ("expired", expired)]
}

pub(super) const NOTIFICATIONS: Family = Family {
    name: "notifications",
    unit: None,
    kind: Kind::Counter,
    help: "Since start, by outcome: delivered, given_up (the receiver rejected it and accepted others, or never answered), expired (too old or too many), and failed attempts.",
    values: Values::ByTwo("notifier", "outcome", |scrape| {
        let all = scrape.health.notifiers.iter();
        all.flat_map(|(name, notifier)| {
            outcomes(notifier).map(|(label, count)| (name.clone(), label.to_owned(), count as f64))
        })
        .collect()
    }),
};

pub(super) const QUEUE: Family =
    of_notifiers("notifier_queue", None, "Queued notifications of the notifier.", |scrape| {
        each(scrape, |notifier| Some(notifier.queued as f64))
    });

pub(super) const LAG: Family =
    of_notifiers("notifier_lag", Some("seconds"), "Age of the oldest queued notification, in seconds.", |scrape| {
        each(scrape, |notifier| Some(notifier.oldest_s))
    });

pub(super) const FAILING: Family = of_notifiers(
    "notifier_failing",
    None,
    "Whether the last attempts of the notifier failed: 1 if so, else 0.",
    |scrape| each(scrape, |notifier| Some(truth(notifier.failing))),
);

pub(super) const LAST_SUCCESS: Family = of_notifiers(
    "notifier_last_success_timestamp",
    Some("seconds"),
    "When the receiver last accepted a message, in seconds since 1970.",
    |scrape| each(scrape, |notifier| Some(notifier.last_success?.as_nanosecond() as f64 / 1e9)),
);

const fn of_notifiers(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    values: fn(&Scrape) -> Vec<(String, f64)>,
) -> Family {
    Family { name, unit, kind: Kind::Gauge, help, values: Values::By("notifier", values) }
}

fn each(scrape: &Scrape, value: fn(&NotifierHealth) -> Option<f64>) -> Vec<(String, f64)> {
    let all = scrape.health.notifiers.iter();
    all.filter_map(|(name, notifier)| Some((name.clone(), value(notifier)?))).collect()
}
