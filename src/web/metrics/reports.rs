//! The metrics of scheduled reports.

use super::family::{Family, Kind, Values, truth};

pub(super) const REPORTS: Family = Family {
    name: "scheduled_reports",
    unit: None,
    kind: Kind::Counter,
    help: "Since start, by outcome: sent (once for each notifier), given_up, and failed attempts.",
    values: Values::By("outcome", |scrape| {
        let reports = &scrape.health.reports;
        [("sent", reports.sent), ("given_up", reports.given_up), ("failed", reports.failures)]
            .map(|(outcome, count)| (outcome.to_owned(), count as f64))
            .into()
    }),
};

pub(super) const FAILING: Family = Family {
    name: "scheduled_report_failing",
    unit: None,
    kind: Kind::Gauge,
    help: "Whether a due report could not be made or delivered yet: 1 if so, else 0.",
    values: Values::One(|scrape| Some(truth(scrape.health.reports.is_failing()))),
};
