//! A rule: the condition of an alert, its durations, the servers it applies to, and its texts.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::notification::Severity;
use super::selector::Selector;
use super::template::Template;
use super::variables::{Kind, Variable};

/// The maximum length of a rendered summary and description, in bytes.
const SUMMARY: usize = 500;
const DESCRIPTION: usize = 4000;

/// The origin of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A built-in rule, unchanged.
    Default,
    /// A rule from the configuration: a new one, or a changed built-in rule.
    Configured,
}

/// The parts of a rule that are needed to notify the end of its alerts after the rule has been removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleSummary {
    /// The severity of the rule.
    pub severity: Severity,
    /// The notifiers to use; `None` for all.
    pub notify: Option<Vec<String>>,
    /// Whether a notification is sent when an alert resolves.
    pub notify_resolved: bool,
    /// The URL of instructions for handling the alert.
    pub runbook_url: Option<String>,
}

impl Default for RuleSummary {
    fn default() -> Self {
        Self { severity: Severity::Warning, notify: None, notify_resolved: true, runbook_url: None }
    }
}

/// A rule as written in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// The name of the rule and of its alerts.
    pub name: String,
    /// The condition, as a CEL expression.
    pub expr: String,
    /// The condition must be true for this long before the alert fires.
    pub held_for: Duration,
    /// The condition must be false for this long before the alert resolves.
    pub keep_firing_for: Duration,
    /// The severity of its alerts.
    pub severity: Severity,
    /// The servers that the rule applies to.
    pub servers: Selector,
    /// The notifiers to use; `None` for all.
    pub notify: Option<Vec<String>>,
    /// The template of the one-sentence summary.
    pub summary: String,
    /// The template of the details; may be empty.
    pub description: String,
    /// The URL of instructions for handling the alert.
    pub runbook_url: Option<String>,
    /// Whether a notification is sent when an alert resolves.
    pub notify_resolved: bool,
    /// Whether alerts are held back while this host's clock or network explains them.
    pub inhibit: bool,
    /// Whether the rule is evaluated.
    pub enabled: bool,
    /// The origin of the rule.
    pub origin: Origin,
}

/// An error in one key of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The configuration key.
    pub key: &'static str,
    /// What is wrong and how to fix it.
    pub message: String,
}

/// A checked and compiled rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule as written.
    pub spec: RuleSpec,
    /// The compiled condition.
    pub expression: Expression,
    /// The compiled template of the summary.
    pub summary: Template,
    /// The compiled template of the description.
    pub description: Template,
}

/// Rules are equal if their specifications are equal.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Rule {
    /// Checks and compiles a rule.
    ///
    /// # Errors
    /// All errors in the rule, not only the first.
    pub fn compile(spec: RuleSpec) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        let expression = keep("expr", Expression::parse(&spec.expr), &mut faults);
        let summary = keep("summary", Template::parse(&spec.summary, SUMMARY), &mut faults);
        let description = keep("description", Template::parse(&spec.description, DESCRIPTION), &mut faults);
        if spec.servers.is_narrow() && expression.as_ref().is_some_and(|it| !it.is_about_servers()) {
            let message = "the expression uses no server variable, so servers cannot be selected".to_owned();
            faults.push(RuleFault { key: "servers", message });
        }
        match (expression, summary, description) {
            (Some(expression), Some(summary), Some(description)) if faults.is_empty() => {
                Ok(Self { spec, expression, summary, description })
            }
            _ => Err(faults),
        }
    }

    /// The parts of the rule that are needed to notify the end of its alerts after the rule has been removed.
    #[must_use]
    pub fn rule_summary(&self) -> RuleSummary {
        let RuleSpec { severity, notify, notify_resolved, runbook_url, .. } = &self.spec;
        RuleSummary {
            severity: *severity,
            notify: notify.clone(),
            notify_resolved: *notify_resolved,
            runbook_url: runbook_url.clone(),
        }
    }

    /// The variable whose value is shown with an alert: the first number in the expression.
    #[must_use]
    pub fn shown(&self) -> Option<&'static Variable> {
        self.expression.variables().iter().copied().find(|variable| variable.kind() == Kind::Number)
    }
}

fn keep<T, E: ToString>(key: &'static str, result: Result<T, E>, faults: &mut Vec<RuleFault>) -> Option<T> {
    result.map_err(|why| faults.push(RuleFault { key, message: why.to_string() })).ok()
}
