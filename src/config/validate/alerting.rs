//! Validates `[alerting]`, `[[alert]]` and `[[silence]]`. Compiles expressions and templates; an invalid one
//! is a fault with its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::Rules;
use crate::config::fault::KeyPath;
use crate::config::model::{Channel, Notifier, Server};
use crate::config::raw;
use crate::config::units::Span;
use ntp_monitor_core::alert::defaults;
use ntp_monitor_core::alert::engine::{Rulebook, Settings};
use ntp_monitor_core::alert::notification::Severity;
use ntp_monitor_core::alert::rule::{Origin, Rule, RuleFault, RuleSpec};
use ntp_monitor_core::alert::selector::Selector;
use ntp_monitor_core::alert::silence::{Matcher, Times, Window};
use ntp_monitor_core::text::plain::is_disruptive;

/// Maximum number of rules, including built-in ones.
const MOST_RULES: usize = 200;
/// The longest URL; it is in every message, and messages are limited.
const LONGEST_URL: usize = 1000;
const USUAL: Duration = Duration::from_secs(300);

/// The sections about alerts.
pub(super) struct Sections {
    pub settings: raw::alerting::Alerting,
    pub rules: Vec<(usize, raw::alerting::Alert)>,
    pub windows: Vec<(usize, raw::alerting::Silence)>,
}

pub(super) fn alerting(
    sections: Sections,
    vantage: &str,
    servers: &[Arc<Server>],
    rules: &mut Rules<'_>,
    warnings: &mut Vec<String>,
) -> Rulebook {
    let default_rules = sections.settings.default_rules;
    let settings = settings(sections.settings, vantage, rules);
    let known: Vec<String> = sections.rules.iter().map(|(_, section)| section.name.clone()).collect();
    let specs = specs(sections.rules, default_rules, servers, rules, warnings);
    for (_, section) in &sections.windows {
        warn_about_servers(&format!("silence {:?}", section.comment), &section.servers, servers, warnings);
    }
    let windows = sections.windows.into_iter().filter_map(|(n, section)| window(n, section, &known, rules)).collect();
    Rulebook { settings, rules: specs, windows }
}

fn settings(section: raw::alerting::Alerting, vantage: &str, rules: &mut Rules<'_>) -> Settings {
    let path = KeyPath::dotted("alerting");
    rules.positive(section.no_data_after.0, &path.key("no_data_after"));
    rules.positive(section.flap_window.0, &path.key("flap_window"));
    rules.require((2..=100).contains(&section.flap_count), &path.key("flap_count"), || "must be 2 to 100".to_owned());
    if let Some(url) = &section.url {
        web_address(url, &path.key("url"), rules);
    }
    Settings {
        startup_grace: section.startup_grace.0,
        group_wait: section.group_wait.0,
        repeat_interval: section.repeat_interval.0,
        no_data_after: section.no_data_after.0,
        flap_count: section.flap_count,
        flap_window: section.flap_window.0,
        url: section.url,
        vantage: vantage.to_owned(),
        fleet: None,
    }
}

fn web_address(url: &str, path: &KeyPath, rules: &mut Rules<'_>) {
    rules.require(url.len() <= LONGEST_URL, path, || format!("must not be longer than {LONGEST_URL} bytes"));
    let is_one = url.starts_with("https://") || url.starts_with("http://");
    rules.require(is_one && !url.chars().any(|c| c.is_whitespace() || is_disruptive(c)), path, || {
        format!("{url:?} is not a web address such as \"https://example.net/\"")
    });
}

/// The built-in rules with their changes, and the configured ones.
fn specs(
    sections: Vec<(usize, raw::alerting::Alert)>,
    default_rules: bool,
    servers: &[Arc<Server>],
    rules: &mut Rules<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Arc<Rule>> {
    let root = KeyPath::default().key("alert");
    let mut names = BTreeMap::new();
    let mut all: Vec<(Option<KeyPath>, RuleSpec)> =
        defaults::rules().into_iter().map(|spec| (None, RuleSpec { enabled: default_rules, ..spec })).collect();
    rules.require(sections.len() <= MOST_RULES, &root, || format!("must not be more than {MOST_RULES}"));
    for (n, section) in sections {
        let path = root.index(n);
        rules.plain(&section.name, &path.key("name"));
        if let Some(other) = names.insert(section.name.clone(), n) {
            let message = || format!("{:?} is also the name of alert[{other}]", section.name);
            rules.require(false, &path.key("name"), message);
            continue;
        }
        warn_about_servers(&format!("alert {:?}", section.name), section.servers.iter().flatten(), servers, warnings);
        if let Some(url) = &section.runbook_url {
            web_address(url, &path.key("runbook_url"), rules);
        }
        match all.iter_mut().find(|(_, spec)| spec.name == section.name) {
            Some((place, spec)) => {
                *spec = changed(spec.clone(), section);
                *place = Some(path);
            }
            None => {
                let is_given = section.expr.is_some();
                rules.require(is_given, &path.key("expr"), || {
                    format!("is missing: there is no built-in rule {:?}", section.name)
                });
                if is_given {
                    all.push((Some(path), changed(blank(section.name.clone()), section)));
                }
            }
        }
    }
    all.into_iter().filter_map(|(path, spec)| compiled(path, spec, rules)).collect()
}

/// Parses a rule to try out: JSON with the keys of `[[alert]]`.
///
/// # Errors
/// All faults, each with its key.
pub fn rule_of_json(value: &serde_json::Value) -> Result<Rule, Vec<(String, String)>> {
    let section: raw::alerting::Alert = serde_path_to_error::deserialize(value).map_err(|why| {
        let path = why.path().to_string();
        vec![(if path == "." { String::new() } else { path }, why.inner().to_string())]
    })?;
    let built_in = defaults::rules().into_iter().find(|spec| spec.name == section.name);
    if built_in.is_none() && section.expr.is_none() {
        return Err(vec![("expr".to_owned(), format!("is missing: there is no built-in rule {:?}", section.name))]);
    }
    let spec = changed(built_in.unwrap_or_else(|| blank(section.name.clone())), section);
    Rule::compile(spec).map_err(|faults| faults.into_iter().map(|it| (it.key.to_owned(), it.message)).collect())
}

/// Checks that the notifiers that a rule names are configured and can send alerts. Works on the undecoded values, so
/// that a rule with other faults is checked too.
pub(super) fn receivers(notifiers: &[Notifier], rules: &mut Rules<'_>, count: usize) {
    let root = KeyPath::default().key("alert");
    let sections = rules.tree.get(&KeyPath::dotted("notifier")).and_then(|all| all.as_array());
    let named = sections.into_iter().flatten().filter_map(|section| section.get("name")?.as_str());
    let named: Vec<String> = named.map(str::to_owned).collect();
    for path in (0..count).map(|n| root.index(n).key("notify")) {
        let written = rules.tree.get(&path).and_then(|names| names.as_array()).cloned().unwrap_or_default();
        for (n, name) in written.iter().enumerate().filter_map(|(n, name)| Some((n, name.as_str()?))) {
            // A notifier with faults is not missing.
            let is_named = named.iter().any(|known| known == name);
            rules.require(is_named, &path.index(n), || format!("there is no notifier {name:?}"));
            let found = notifiers.iter().find(|notifier| notifier.name == name);
            let is_deaf = found.is_some_and(|notifier| matches!(notifier.channel, Channel::Heartbeat(_)));
            rules.require(!is_deaf, &path.index(n), || format!("{name:?} is a heartbeat, which cannot send alerts"));
        }
    }
}

fn compiled(path: Option<KeyPath>, spec: RuleSpec, rules: &mut Rules<'_>) -> Option<Arc<Rule>> {
    let path = path.unwrap_or_else(|| KeyPath::default().key("alert"));
    match Rule::compile(spec) {
        Ok(rule) => Some(Arc::new(rule)),
        Err(faults) => {
            for RuleFault { key, message } in faults {
                rules.require(false, &path.key(key), || message);
            }
            None
        }
    }
}

fn blank(name: String) -> RuleSpec {
    RuleSpec {
        summary: "{{ alert }}: {{ server }}: {{ value }}".to_owned(),
        name,
        expr: String::new(),
        held_for: USUAL,
        keep_firing_for: USUAL,
        severity: Severity::Warning,
        servers: Selector::default(),
        notify: None,
        description: String::new(),
        runbook_url: None,
        notify_resolved: true,
        inhibit: true,
        enabled: true,
        origin: Origin::Configured,
    }
}

/// Given keys replace existing ones.
fn changed(old: RuleSpec, new: raw::alerting::Alert) -> RuleSpec {
    RuleSpec {
        name: old.name,
        expr: new.expr.unwrap_or(old.expr),
        held_for: new.r#for.map_or(old.held_for, |Span(span)| span),
        keep_firing_for: new.keep_firing_for.map_or(old.keep_firing_for, |Span(span)| span),
        severity: new.severity.unwrap_or(old.severity),
        servers: new.servers.map_or(old.servers, Selector),
        notify: new.notify.or(old.notify),
        summary: new.summary.unwrap_or(old.summary),
        description: new.description.unwrap_or(old.description),
        runbook_url: new.runbook_url.or(old.runbook_url),
        notify_resolved: new.notify_resolved.unwrap_or(old.notify_resolved),
        inhibit: new.inhibit.unwrap_or(old.inhibit),
        enabled: new.enabled.unwrap_or(true),
        origin: Origin::Configured,
    }
}

/// A server may be added later, so an unknown name is allowed.
fn warn_about_servers<'s>(
    section: &str,
    entries: impl IntoIterator<Item = &'s String>,
    servers: &[Arc<Server>],
    warnings: &mut Vec<String>,
) {
    for entry in entries {
        let selector = Selector(vec![entry.split('@').next().unwrap_or(entry).to_owned()]);
        if !servers.iter().any(|server| selector.admits(&server.ident.name, &server.ident)) {
            warnings.push(format!("{section}: {entry:?} is neither the name nor a tag of any server"));
        }
    }
}

fn window(n: usize, section: raw::alerting::Silence, written: &[String], rules: &mut Rules<'_>) -> Option<Window> {
    let path = KeyPath::default().key("silence").index(n);
    rules.plain(&section.comment, &path.key("comment"));
    // A window that matches no rule would not suppress anything.
    if let Some(alert) = &section.alert {
        let is_known = written.contains(alert) || defaults::rules().iter().any(|rule| rule.name == *alert);
        rules.require(is_known, &path.key("alert"), || format!("there is no rule {alert:?}"));
    }
    let times = times(&section, &path, rules)?;
    let matcher = Matcher { alert: section.alert, servers: Selector(section.servers) };
    Some(Window { comment: section.comment, matcher, times })
}

fn times(section: &raw::alerting::Silence, path: &KeyPath, rules: &mut Rules<'_>) -> Option<Times> {
    let weekly = section.weekdays.is_some() || section.start.is_some() || section.r#for.is_some();
    match (&section.from, &section.until, weekly) {
        (Some(from), Some(until), false) => {
            let from = instant(from, &path.key("from"), rules);
            let until = instant(until, &path.key("until"), rules);
            let (from, until) = from.zip(until)?;
            rules.require(from < until, &path.key("until"), || "must be later than from".to_owned());
            Some(Times::Once { from, until })
        }
        (None, None, true) => every_week(section, path, rules),
        _ => {
            let message = "give either from and until, or weekdays, start and for".to_owned();
            rules.require(false, path, || message);
            None
        }
    }
}

fn instant(text: &str, path: &KeyPath, rules: &mut Rules<'_>) -> Option<Timestamp> {
    let instant = text.parse().ok();
    rules.require(instant.is_some(), path, || format!("{text:?} is not a time such as \"2027-01-01T02:00:00Z\""));
    instant
}

fn every_week(section: &raw::alerting::Silence, path: &KeyPath, rules: &mut Rules<'_>) -> Option<Times> {
    let names = section.weekdays.as_deref().unwrap_or_default();
    let days: Vec<Weekday> = names.iter().filter_map(|name| weekday(name)).collect();
    rules.require(!days.is_empty() && days.len() == names.len(), &path.key("weekdays"), || {
        "must be weekdays such as [\"Sat\", \"Sun\"]".to_owned()
    });
    let start = section.start.as_deref().unwrap_or_default();
    let time: Option<Time> = start.parse().ok();
    rules.require(time.is_some(), &path.key("start"), || format!("{start:?} is not a time of day such as \"02:00\""));
    let length = section.r#for.map_or(Duration::ZERO, |Span(span)| span);
    rules.require(!length.is_zero() && length <= Times::LONGEST, &path.key("for"), || {
        "must be longer than 0 and at most six days".to_owned()
    });
    let name = section.timezone.as_deref().unwrap_or("UTC");
    let zone = TimeZone::get(name).ok();
    rules.require(zone.is_some(), &path.key("timezone"), || {
        format!("{name:?} is not a time zone such as \"Europe/Berlin\", or this machine has no list of them (tzdata)")
    });
    Some(Times::Weekly { days, start: time?, length, zone: zone? })
}

fn weekday(name: &str) -> Option<Weekday> {
    const DAYS: [(&str, Weekday); 7] = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let name = name.to_ascii_lowercase();
    DAYS.iter().find(|(short, _)| name.starts_with(short)).map(|(_, day)| *day)
}
