//! The built-in rules, as data. A `[[alert]]` of the same name changes one, `enabled = false` switches it off.
//!
//! Thresholds are those in use elsewhere: 50 ms as the mixin of node_exporter and the predecessor of this program have
//! it, root distance 1.5 s as RFC 5905 (MAXDIST), and times that a burst of loss or one bad poll does not fill.

use std::time::Duration;

use super::notification::Severity;
use super::rule::{Origin, RuleSpec};
use super::selector::Selector;

/// A built-in rule.
struct Default {
    name: &'static str,
    expr: &'static str,
    held_for_s: u64,
    keep_firing_for_s: u64,
    severity: Severity,
    summary: &'static str,
    description: &'static str,
    /// An event: its end is not told.
    is_event: bool,
    inhibit: bool,
}

const MINUTE: u64 = 60;

/// What most rules have.
const USUAL: Default = Default {
    name: "",
    expr: "",
    held_for_s: 5 * MINUTE,
    keep_firing_for_s: 5 * MINUTE,
    severity: Severity::Warning,
    summary: "",
    description: "",
    is_event: false,
    inhibit: true,
};

const RULES: &[Default] = &[
    Default {
        name: "high-offset",
        // Of a falseticker its own rule tells.
        expr: "abs_offset_ms > 50 && provable && !falseticker",
        held_for_s: 10 * MINUTE,
        summary: "{{ server }} is {{ abs_offset_ms }} ms {{ 'ahead' if offset_ms > 0 else 'behind' }}, provably",
        description: "That is more than its root distance ({{ root_distance_ms }} ms) can explain.",
        ..USUAL
    },
    Default {
        name: "failing-queries",
        // Of one that answers but is not synchronised the next rule tells.
        expr: "consecutive_failures >= 3 && !unsynchronised",
        summary: "{{ server }} gives no time: {{ consecutive_failures }} polls in a row failed ({{ outcome }})",
        description: "{% if success_ratio_1h is defined %}Of the polls of the last hour {{ (100 * success_ratio_1h) | round }} % \
                      succeeded.{% endif %}",
        ..USUAL
    },
    Default {
        name: "server-unsynchronised",
        expr: "unsynchronised",
        summary: "{{ server }} says that its clock is not synchronised",
        ..USUAL
    },
    Default {
        name: "falseticker",
        expr: "falseticker && gap_ms > 1",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        severity: Severity::Critical,
        summary: "{{ why }}",
        description: "Its offset is {{ offset_ms }} ms ± {{ root_distance_ms }} ms; {{ majority_members }} servers agree \
                      with each other.",
        ..USUAL
    },
    Default {
        name: "root-distance",
        expr: "root_distance_ms > 1500",
        held_for_s: 10 * MINUTE,
        summary: "{{ server }} can only promise its time to within {{ root_distance_ms }} ms",
        description: "Its upstream may be gone: clients reject it at 1500 ms (RFC 5905, MAXDIST).",
        ..USUAL
    },
    Default {
        name: "stratum-change",
        expr: "stratum_changed_s < 600 && stratum < 16",
        held_for_s: 0,
        keep_firing_for_s: 0,
        severity: Severity::Info,
        summary: "{{ server }} is at stratum {{ stratum }} now",
        is_event: true,
        ..USUAL
    },
    Default {
        name: "refid-change",
        expr: "refid_changed_s < 600 && refid_kept_s > 86400",
        held_for_s: 0,
        keep_firing_for_s: 0,
        severity: Severity::Info,
        summary: "{{ server }} has another upstream",
        description: "It had kept the one before for {{ refid_kept_s / 3600 }} hours.",
        is_event: true,
        ..USUAL
    },
    Default {
        name: "leap-unlisted",
        expr: "leap_unlisted",
        keep_firing_for_s: 3600,
        severity: Severity::Critical,
        summary: "{{ server }} announces a leap second that is not on the published list",
        description: "Clients that believe it will be a second off when the month ends.",
        ..USUAL
    },
    Default {
        name: "leap-list-expiring",
        expr: "leap_list_days_left < 30",
        held_for_s: 3600,
        keep_firing_for_s: 3600,
        summary: "the list of leap seconds {% if leap_list_days_left < 0 %}expired {{ -leap_list_days_left }} days \
                  ago{% else %}expires in {{ leap_list_days_left }} days{% endif %}",
        description: "Install a newer leap-seconds.list: the IERS publishes one twice a year.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "own-clock-wrong",
        expr: "local_wrong",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        severity: Severity::Critical,
        summary: "the clock of this machine is wrong by {{ local_error_at_least_ms }} ms at least",
        description: "{{ verdict_sentence }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "own-clock-unsynchronised",
        expr: "local_unsynchronised",
        held_for_s: 10 * MINUTE,
        summary: "the clock of this machine is not synchronised: {{ local_distrust }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "no-majority",
        expr: "!majority && servers_answering >= 3",
        held_for_s: 15 * MINUTE,
        summary: "no majority of the servers agrees on the time",
        description: "{{ verdict_sentence }}",
        ..USUAL
    },
    Default {
        name: "sink-stalled",
        expr: "sinks_failing > 0",
        severity: Severity::Critical,
        summary: "{{ sinks_failing }} of the outputs cannot be written",
        description: "Nothing is lost yet where there is a queue; the oldest entry has waited for {{ sink_lag_s }} s.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "part-down",
        expr: "parts_down > 0",
        severity: Severity::Critical,
        summary: "{{ parts_down }} parts of the monitor do not run",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "monitor-blind",
        expr: "servers_total > 0 && servers_answering == 0",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: MINUTE,
        severity: Severity::Critical,
        summary: "the monitor is blind: none of {{ servers_total }} servers answers",
        description: "The network of the monitor is to be suspected first.",
        inhibit: false,
        ..USUAL
    },
];

/// The built-in rules.
#[must_use]
pub fn rules() -> Vec<RuleSpec> {
    RULES.iter().map(spec).collect()
}

fn spec(rule: &Default) -> RuleSpec {
    RuleSpec {
        name: rule.name.to_owned(),
        expr: rule.expr.to_owned(),
        held_for: Duration::from_secs(rule.held_for_s),
        keep_firing_for: Duration::from_secs(rule.keep_firing_for_s),
        severity: rule.severity,
        servers: Selector::default(),
        notify: None,
        summary: rule.summary.to_owned(),
        description: rule.description.to_owned(),
        runbook_url: None,
        notify_resolved: !rule.is_event,
        inhibit: rule.inhibit,
        enabled: true,
        origin: Origin::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Rule;
    use super::*;

    #[test]
    fn every_built_in_rule_is_sound_and_says_something() {
        for spec in rules() {
            let name = spec.name.clone();
            assert!(!spec.summary.is_empty(), "{name}");
            assert_eq!(Rule::compile(spec).err(), None, "{name}");
        }
    }
}
