//! Validates `[report]`: the schedule, the time zone and the notifiers.

use jiff::tz::TimeZone;

use super::Rules;
use crate::config::fault::KeyPath;
use crate::config::model::{Channel, Notifier, Report};
use crate::config::raw;
use ntp_monitor_core::calendar::schedule::Schedule;

pub(super) fn report(
    section: raw::Report,
    notifiers: &[Notifier],
    rules: &mut Rules<'_>,
    warnings: &mut Vec<String>,
) -> Report {
    let key = |name: &str| KeyPath::dotted("report").key(name);
    let schedule = section.schedule.as_deref().map(str::parse::<Schedule>);
    if let Some(Err(why)) = &schedule {
        rules.require(false, &key("schedule"), || why.clone());
    }
    let zone = zone(&section.timezone);
    rules.require(zone.is_some(), &key("timezone"), || {
        format!("{:?} is not in this machine's time zone database, such as \"Europe/Amsterdam\"", section.timezone)
    });
    rules.require((1..=10_000).contains(&section.keep), &key("keep"), || "must be from 1 to 10000".to_owned());
    if let Some(limit) = section.limit {
        rules.positive(limit.0, &key("limit"));
    }
    // A notifier with faults is not missing.
    if rules.sound(&[&KeyPath::dotted("notifier")]) {
        for (n, name) in section.to.iter().enumerate() {
            receiver(name, notifiers, &key("to").index(n), rules);
        }
    }
    if section.schedule.is_none() && !section.to.is_empty() {
        warnings.push("report.to: no report is ever sent, because report.schedule is not set".to_owned());
    }
    Report {
        schedule: schedule.and_then(Result::ok),
        zone: zone.unwrap_or(TimeZone::UTC),
        to: section.to,
        keep: section.keep as usize,
        limit: section.limit.map(|limit| limit.0),
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("system") { TimeZone::try_system().ok() } else { TimeZone::get(name).ok() }
}

/// Heartbeats cannot send reports.
fn receiver(name: &str, notifiers: &[Notifier], path: &KeyPath, rules: &mut Rules<'_>) {
    let found = notifiers.iter().find(|notifier| notifier.name == name);
    rules.require(found.is_some(), path, || {
        let known: Vec<_> = notifiers.iter().map(|notifier| notifier.name.as_str()).collect();
        let known =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!("no [[notifier]] is called {name:?}; {known}")
    });
    let Some(channel) = found.map(|notifier| &notifier.channel) else { return };
    let silent = matches!(channel, Channel::Pagerduty { .. } | Channel::Heartbeat(_));
    let kind = channel.kind().label();
    rules.require(!silent, path, || format!("{name:?} is of type {kind}, which cannot send reports"));
    let has_template = matches!(channel, Channel::Webhook(webhook) if webhook.body_template.is_some());
    rules.require(!has_template, path, || {
        format!("{name:?} has a body_template, which is meant for alerts: use a webhook without one for reports")
    });
}
