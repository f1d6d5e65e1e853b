//! The built-in rules. An `[[alert]]` section with the same name changes a rule; `enabled = false` disables it.
//!
//! The thresholds follow common practice: an offset of 50 ms as in the node_exporter mixin and the predecessor of this
//! program, and a root distance of 1.5 s as in RFC 5905 (MAXDIST). The durations are long enough that a burst of packet
//! loss or a single bad poll does not fire an alert.

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
    /// Whether the rule reports an event. The end of an event is not notified.
    is_event: bool,
    inhibit: bool,
}

const MINUTE: u64 = 60;

/// The values that most rules share.
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
        // Falsetickers have a rule of their own.
        expr: "abs_offset_ms > 50 && provable && !falseticker",
        held_for_s: 10 * MINUTE,
        summary: "{{ server }} is {{ abs_offset_ms }} ms {{ 'ahead of' if offset_ms > 0 else 'behind' }} this \
                  host's clock",
        description: "The offset is larger than the root distance ({{ root_distance_ms }} ms), so the two clocks \
                      cannot both be right.",
        ..USUAL
    },
    Default {
        name: "failing-queries",
        // Servers that answer but are not synchronised have a rule of their own.
        expr: "consecutive_failures >= 3 && !unsynchronised",
        summary: "{{ server }} failed {{ consecutive_failures }} polls in a row ({{ outcome }})",
        description: "{% if success_ratio_1h is defined %}{{ (100 * success_ratio_1h) | round }} % of the polls of \
                      the last hour succeeded.{% endif %}",
        ..USUAL
    },
    Default {
        name: "server-unsynchronised",
        expr: "unsynchronised",
        summary: "{{ server }} reports that its clock is not synchronised",
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
                      with each other.{% if nts is defined and nts %} Its last poll was {% if not nts_authenticated \
                      %}not {% endif %}authenticated by NTS.{% endif %}",
        ..USUAL
    },
    Default {
        name: "spoofed-replies",
        expr: "spoofed_replies",
        held_for_s: 0,
        keep_firing_for_s: 10 * MINUTE,
        summary: "replies that answer none of our requests arrive in the name of {{ server }}",
        description: "They are rejected, so the measurements are not affected. Somebody forges replies, or a device on \
                      the path alters them; the page of the server shows the packets.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "server-suspected",
        expr: "suspected",
        held_for_s: 5 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        summary: "{{ why }}",
        description: "This is inferred from how its offset moved, not proven: a change of its path that left the delay as \
                      it was would look the same.",
        ..USUAL
    },
    Default {
        name: "root-distance",
        expr: "root_distance_ms > 1500",
        held_for_s: 10 * MINUTE,
        summary: "{{ server }} has a root distance of {{ root_distance_ms }} ms",
        description: "The server may have lost its upstream. Clients reject servers above 1500 ms (RFC 5905, MAXDIST).",
        ..USUAL
    },
    Default {
        name: "stratum-change",
        expr: "stratum_changed_s < 600 && stratum < 16",
        held_for_s: 0,
        keep_firing_for_s: 0,
        severity: Severity::Info,
        summary: "{{ server }} changed to stratum {{ stratum }}",
        is_event: true,
        ..USUAL
    },
    Default {
        name: "refid-change",
        expr: "refid_changed_s < 600 && refid_kept_s > 86400",
        held_for_s: 0,
        keep_firing_for_s: 0,
        severity: Severity::Info,
        summary: "{{ server }} switched to another upstream",
        description: "It had used the previous one for {{ refid_kept_s / 3600 }} hours.",
        is_event: true,
        ..USUAL
    },
    Default {
        name: "nts-not-authenticated",
        // Key exchange and downgrades have rules of their own.
        expr: "nts && !nts_authenticated && nts_exchange_failures == 0 && !nts_downgraded && consecutive_failures >= 3",
        held_for_s: 10 * MINUTE,
        summary: "{{ server }} is configured for NTS, but none of its last polls was authenticated ({{ outcome }})",
        description: "Its replies are not used. Keys were exchanged, so look at the server's rejected replies.",
        ..USUAL
    },
    Default {
        name: "nts-key-exchange-failing",
        expr: "nts_exchange_failures >= 2",
        held_for_s: 0,
        summary: "{{ server }}: {{ nts_exchange_failures }} NTS key exchanges failed in a row{% if nts_fault is defined %}: \
                  {{ nts_fault }}{% endif %}",
        description: "{% if nts_clock_explains %}This host's clock is wrong by at least {{ local_error_at_least_ms }} ms, \
                      which explains this fault: set the clock first. {% endif %}{% if nts_cookies is defined and \
                      nts_cookies > 0 %}{{ nts_cookies }} cookies are left.{% else %}No request is possible until a \
                      key exchange succeeds.{% endif %}",
        ..USUAL
    },
    Default {
        name: "nts-downgrade",
        expr: "nts_downgraded",
        held_for_s: MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        severity: Severity::Critical,
        summary: "{{ server }} answers NTS requests with replies without NTS",
        description: "These replies are rejected. The server no longer uses NTS, or somebody else answers.",
        ..USUAL
    },
    Default {
        name: "nts-certificate-expiring",
        expr: "nts_certificate_left_ratio <= 0.2",
        held_for_s: 3600,
        keep_firing_for_s: 0,
        summary: "{{ server }}: the certificate for NTS {% if nts_certificate_days_left < 0 %}expired \
                  {{ -nts_certificate_days_left }} days ago{% else %}expires in {{ nts_certificate_days_left }} days{% \
                  endif %}",
        description: "It was signed by {{ nts_issuer }}. Less than a fifth of its lifetime is left, so its renewal has \
                      probably failed.",
        ..USUAL
    },
    Default {
        name: "nts-certificate-nearly-expired",
        expr: "nts_certificate_left_ratio <= 0.05 && nts_certificate_days_left <= 2",
        held_for_s: 0,
        keep_firing_for_s: 0,
        severity: Severity::Critical,
        summary: "{{ server }}: the certificate for NTS {% if nts_certificate_days_left < 0 %}expired \
                  {{ -nts_certificate_days_left }} days ago{% else %}expires in {{ 24 * nts_certificate_days_left }} hours{% \
                  endif %}",
        description: "It was signed by {{ nts_issuer }}. After it has expired, key exchanges fail, and polls fail as \
                      soon as the cookies are used up.",
        ..USUAL
    },
    Default {
        name: "leap-unlisted",
        expr: "leap_unlisted",
        keep_firing_for_s: 3600,
        severity: Severity::Critical,
        summary: "{{ server }} announces a leap second that is not on the published list",
        description: "Clients that follow the announcement will be one second off at the end of the month.",
        ..USUAL
    },
    Default {
        name: "leap-list-expiring",
        expr: "leap_list_days_left < 30",
        held_for_s: 3600,
        keep_firing_for_s: 3600,
        summary: LEAP_LIST_SUMMARY,
        description: "Install a newer leap-seconds.list. The IERS publishes one twice a year.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "own-clock-wrong",
        expr: "local_wrong",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        severity: Severity::Critical,
        summary: "this host's clock is {% if local_error_at_least_ms > 0 %}wrong by at least {{ local_error_at_least_ms }} \
                  ms{% else %}probably wrong{% endif %}",
        description: "{{ verdict_sentence }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "own-clock-unsynchronised",
        expr: "local_unsynchronised",
        held_for_s: 10 * MINUTE,
        summary: "this host's clock is not synchronised: {{ local_distrust }}",
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
        summary: "{{ sinks_failing }} outputs cannot be written",
        description: "Entries are queued until the queue is full. The oldest entry is {{ sink_lag_s }} s old.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "fleet-skew",
        expr: "fleet_skew_ms > fleet_skew_limit_ms",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        summary: "the clocks of {{ fleet_skew_pair }} are proven to differ by at least {{ fleet_skew_ms }} ms",
        description: "{{ fleet_sentence }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "vantage-silent",
        expr: "fleet_vantages_silent > 0",
        held_for_s: 2 * MINUTE,
        summary: "{{ fleet_vantages_silent }} of {{ fleet_vantages }} vantages are silent: {{ fleet_silent }}",
        description: "Their samples no longer vote. See docs/FLEET.md for the causes.",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "fleet-verdict",
        expr: "fleet_wrong_servers + fleet_wrong_vantages > 0",
        held_for_s: 2 * MINUTE,
        keep_firing_for_s: 10 * MINUTE,
        summary: "{{ fleet_sentence }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "fleet-server-unreachable",
        expr: "fleet_unreachable_servers > 0",
        held_for_s: 5 * MINUTE,
        severity: Severity::Critical,
        summary: "no place reaches {{ fleet_unreachable }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "fleet-nts-failing",
        expr: "fleet_nts_failing > 0 || fleet_nts_certificate_days_left < 14",
        held_for_s: 10 * MINUTE,
        summary: "NTS fails or a certificate expires: {{ fleet_nts_failing }} servers not authenticated",
        description: "{{ fleet_nts }}",
        inhibit: false,
        ..USUAL
    },
    Default {
        name: "part-down",
        expr: "parts_down > 0",
        severity: Severity::Critical,
        summary: "{{ parts_down }} parts of the service are not running",
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
        description: "Check the network connection of this host first.",
        inhibit: false,
        ..USUAL
    },
];

/// Returns the built-in rules.
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

/// The variable has whole days, rounded down: -1 on the first day after the list has expired. The finding about leap
/// seconds counts in the same way.
const LEAP_LIST_SUMMARY: &str = "the leap second list {% if leap_list_days_left == -1 %}expired less than a day ago\
    {% elif leap_list_days_left == -2 %}expired 1 day ago\
    {% elif leap_list_days_left < 0 %}expired {{ -leap_list_days_left - 1 }} days ago\
    {% elif leap_list_days_left == 1 %}expires in 1 day\
    {% else %}expires in {{ leap_list_days_left }} days{% endif %}";

#[cfg(test)]
mod tests {
    use super::super::rule::Rule;
    use super::*;

    #[test]
    fn alert_about_the_leap_list_counts_days_as_the_finding_does() {
        use crate::template::{Options, Template};
        let options = Options {
            longest_source: 4000,
            work: 100_000,
            is_strict: true,
            null: "unknown",
            decimals: Some(3),
            is_html: false,
        };
        let template = Template::parse(LEAP_LIST_SUMMARY, options).unwrap();
        let said = |days_left: f64| {
            let values = serde_json::json!({ "leap_list_days_left": days_left });
            let mut text = String::new();
            template.render(values.as_object().unwrap(), 1000, &mut text).unwrap();
            text.trim_start_matches("the leap second list ").to_owned()
        };
        let expected = [
            (10.0, "expires in 10 days"),
            (1.0, "expires in 1 day"),
            (0.0, "expires in 0 days"),
            (-1.0, "expired less than a day ago"),
            (-2.0, "expired 1 day ago"),
            (-157.0, "expired 156 days ago"),
        ];
        for (days_left, words) in expected {
            assert_eq!(said(days_left), words);
        }
    }

    #[test]
    fn every_built_in_rule_compiles_and_has_a_summary() {
        for spec in rules() {
            let name = spec.name.clone();
            assert!(!spec.summary.is_empty(), "{name}");
            assert_eq!(Rule::compile(spec).err(), None, "{name}");
        }
    }
}
