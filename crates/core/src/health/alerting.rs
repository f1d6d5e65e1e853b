//! The health of alerting: rules with errors, and alert state that cannot be stored.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::status::{Reason, Status};

/// Problems with alerting.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct AlertingHealth {
    /// Rules whose last evaluation failed, by name, with the reason.
    pub rule_errors: BTreeMap<String, String>,
    /// Why alert state cannot be written to the store; `null` when it can. No notifications are sent until it can.
    pub not_recorded: Option<String>,
}

/// The reasons why alerting degrades the health.
pub(super) fn reasons(health: &AlertingHealth) -> Vec<Reason> {
    let reason =
        |name: &str, reason| Reason { status: Status::Degraded, about: "alert", name: name.to_owned(), reason };
    let errors = health.rule_errors.iter().map(|(rule, why)| reason(rule, format!("cannot be evaluated: {why}")));
    let not_recorded = health
        .not_recorded
        .iter()
        .map(|why| reason("store", format!("notifications are held until alert state can be stored: {why}")));
    errors.chain(not_recorded).collect()
}
