//! What `/health` says of the rules of alerts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::report::{Reason, Status};

/// What is wrong with the rules of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct AlertingHealth {
    /// Rules that could not be evaluated last, each with the reason.
    pub rule_errors: BTreeMap<String, String>,
    /// Why what happened cannot be recorded, while that is so: nobody is told meanwhile.
    pub not_recorded: Option<String>,
}

/// Why alerts are worth a reason.
pub(super) fn reasons(health: &AlertingHealth) -> Vec<Reason> {
    let reason =
        |name: &str, reason| Reason { status: Status::Degraded, about: "alert", name: name.to_owned(), reason };
    let errors = health.rule_errors.iter().map(|(rule, why)| reason(rule, format!("cannot be evaluated: {why}")));
    let not_recorded = health
        .not_recorded
        .iter()
        .map(|why| reason("store", format!("nobody is told, for it cannot be recorded: {why}")));
    errors.chain(not_recorded).collect()
}
