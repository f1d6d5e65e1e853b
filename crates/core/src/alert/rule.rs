//! A rule: when an alert holds, how long it must, whom it is about, and what is said.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::expression::Expression;
use super::notification::Severity;
use super::selector::Selector;
use super::status::Gist;
use super::template::Template;
use super::variables::{Kind, Variable};

/// The longest summary and description, in bytes.
const SUMMARY: usize = 500;
const DESCRIPTION: usize = 4000;

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It is built in.
    Default,
    /// It is built in and was changed, or it is the configuration's own.
    Configured,
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSpec {
    /// What its alerts are called.
    pub name: String,
    /// When it holds.
    pub expr: String,
    /// It must hold for this long before it fires.
    pub held_for: Duration,
    /// It must have ceased to hold for this long before it is over.
    pub keep_firing_for: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Which servers it is about.
    pub servers: Selector,
    /// Who is told; `None` for everybody.
    pub notify: Option<Vec<String>>,
    /// One sentence, as a template.
    pub summary: String,
    /// More, as a template; may be empty.
    pub description: String,
    /// What to do about it.
    pub runbook_url: Option<String>,
    /// Whether its end is told.
    pub notify_resolved: bool,
    /// Whether it is held back while the own clock or the monitor's network explains it.
    pub inhibit: bool,
    /// Whether it is in force.
    pub enabled: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// What is wrong with one key of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The key, as the configuration names it.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A sound rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// As it is written.
    pub spec: RuleSpec,
    /// When it holds.
    pub expression: Expression,
    /// One sentence.
    pub summary: Template,
    /// More than that.
    pub description: Template,
}

/// Rules are the same when they are written the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Rule {
    /// Checks a rule.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(spec: RuleSpec) -> Result<Self, Vec<RuleFault>> {
        let mut faults = Vec::new();
        let expression = keep("expr", Expression::parse(&spec.expr), &mut faults);
        let summary = keep("summary", Template::parse(&spec.summary, SUMMARY), &mut faults);
        let description = keep("description", Template::parse(&spec.description, DESCRIPTION), &mut faults);
        if spec.servers.is_narrow() && expression.as_ref().is_some_and(|it| !it.is_about_servers()) {
            let message = "the expression looks at no server, so there is nothing to choose from".to_owned();
            faults.push(RuleFault { key: "servers", message });
        }
        match (expression, summary, description) {
            (Some(expression), Some(summary), Some(description)) if faults.is_empty() => {
                Ok(Self { spec, expression, summary, description })
            }
            _ => Err(faults),
        }
    }

    /// What it takes to tell the end of its alerts when it is gone.
    #[must_use]
    pub fn gist(&self) -> Gist {
        let RuleSpec { severity, notify, notify_resolved, runbook_url, .. } = &self.spec;
        Gist {
            severity: *severity,
            notify: notify.clone(),
            notify_resolved: *notify_resolved,
            runbook_url: runbook_url.clone(),
        }
    }

    /// The number that is shown: the first one in the expression.
    #[must_use]
    pub fn shown(&self) -> Option<&'static Variable> {
        self.expression.variables().iter().copied().find(|variable| variable.kind() == Kind::Number)
    }
}

fn keep<T, E: ToString>(key: &'static str, result: Result<T, E>, faults: &mut Vec<RuleFault>) -> Option<T> {
    result.map_err(|why| faults.push(RuleFault { key, message: why.to_string() })).ok()
}
