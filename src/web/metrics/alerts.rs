//! The metrics of alerts.

use std::collections::BTreeMap;

use super::family::{Family, Kind, Values};
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::alert::status::{Active, AlertState};

pub(super) const ALERTS: Family = Family {
    name: "alerts",
    unit: None,
    kind: Kind::Gauge,
    help: "Active alerts, by state: firing, inhibited, silenced or pending.",
    values: Values::ByTwo("state", "severity", |scrape| {
        let severities = [Severity::Info, Severity::Warning, Severity::Critical];
        let all = AlertState::ACTIVE.into_iter().flat_map(|state| severities.map(|severity| (state, severity)));
        let mut counts: BTreeMap<(AlertState, Severity), u64> = all.map(|key| (key, 0)).collect();
        for alert in &scrape.alerts.active {
            *counts.entry((alert.state, alert.severity)).or_default() += 1;
        }
        let row = |((state, severity), count): ((AlertState, Severity), u64)| {
            (state.label().to_owned(), severity.label().to_owned(), count as f64)
        };
        counts.into_iter().map(row).collect()
    }),
};

pub(super) const FIRING: Family = Family {
    name: "alert_firing",
    unit: None,
    kind: Kind::Gauge,
    help: "1 for each firing alert, also while it is inhibited or silenced; server is empty if the alert is about no server.",
    values: Values::ByTwo("alert", "server", |scrape| {
        let fires = |it: &&Active| it.state != AlertState::Pending;
        let row = |it: &Active| (it.alert.clone(), it.server.clone().unwrap_or_default(), 1.0);
        scrape.alerts.active.iter().filter(fires).map(row).collect()
    }),
};
