//! Applies the rules that types cannot express to the decoded sections, and collects all faults.

pub mod alerting;
pub mod fleet;
pub mod http;
mod influx;
mod leap;
mod notifier;
pub(super) mod outbound;
mod outputs;
mod report;
mod secret;
mod servers;
pub(super) mod tls;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::decode::{Findings, Sections};
use super::fault::{KeyPath, Source};
use super::model::{Config, Fleet, Monitor};
use super::named_file::{FileFault, Surroundings};
use super::shown::ShownConfig;
use super::tree::Tree;
use ntp_monitor_core::text::plain::is_plain;

/// The longest name. Names become tags, file contents and parts of URLs.
const LONGEST_NAME: usize = 128;
/// A longer span is a mistake. Years have 365.25 days.
const LONGEST_SPAN: Duration = Duration::from_secs(100 * 31_557_600);

struct Rules<'a> {
    tree: &'a Tree,
    findings: &'a mut Findings,
}

impl Rules<'_> {
    fn require(&mut self, holds: bool, path: &KeyPath, message: impl FnOnce() -> String) {
        if !holds && self.findings.is_sound(path) {
            self.findings.add(self.tree, path, message());
        }
    }

    /// Reports a fault of the file that `path` names.
    fn refuse_file(&mut self, path: &KeyPath, fault: FileFault) {
        match fault {
            FileFault::Unread(why) if self.findings.is_sound(path) => self.findings.add_unread(self.tree, path, why),
            FileFault::Unread(_) => (),
            FileFault::Wrong(why) => self.require(false, path, || why),
        }
    }

    fn sound(&self, paths: &[&KeyPath]) -> bool {
        paths.iter().all(|path| self.findings.is_sound(path))
    }

    fn positive(&mut self, span: Duration, path: &KeyPath) {
        self.require(span > Duration::ZERO, path, || "must be longer than 0".to_owned());
        self.require(span <= LONGEST_SPAN, path, || "must not be longer than 100 years".to_owned());
    }

    fn plain(&mut self, text: &str, path: &KeyPath) {
        self.require(!text.trim().is_empty(), path, || "must not be empty".to_owned());
        self.require(text.trim() == text, path, || "must not begin or end with a blank".to_owned());
        self.require(text.len() <= LONGEST_NAME, path, || format!("must not be longer than {LONGEST_NAME} bytes"));
        self.require(is_plain(text), path, || {
            "must not contain control characters, invisible characters or marks that change the reading direction"
                .to_owned()
        });
    }

    fn path(&mut self, value: &Path, path: &KeyPath) {
        self.require(!value.as_os_str().is_empty(), path, || "must not be empty".to_owned());
        let nul = value.as_os_str().as_encoded_bytes().contains(&0);
        self.require(!nul, path, || "must not contain a NUL".to_owned());
    }
}

/// Converts decoded sections to a configuration. The result is valid only if there are no findings.
pub(super) fn validate(
    sections: Sections,
    tree: &Tree,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
    warnings: &mut Vec<String>,
) -> Option<Config> {
    let mut rules = Rules { tree, findings };
    let servers = servers::servers(sections.servers, &mut rules, surroundings);
    servers::warn_about_none(tree, warnings);
    servers::warn_about_pools(&servers, warnings);
    let super::raw::Monitor { vantage, data_dir } = sections.monitor;
    let is_named = tree.source(&KeyPath::dotted("monitor.vantage")) != Source::Default;
    let monitor = Monitor { vantage, is_named, data_dir };
    rules.plain(&monitor.vantage, &KeyPath::dotted("monitor.vantage"));
    rules.path(&monitor.data_dir, &KeyPath::dotted("monitor.data_dir"));
    let http = http::http(sections.http, &mut rules, surroundings, warnings);
    let influxdb = sections.influxdb.map(|section| influx::influx(section, &mut rules, surroundings));
    let csv = sections.csv.filter(|csv| csv.enabled).map(|csv| outputs::csv(csv, &mut rules));
    let store = outputs::store(sections.store, &mut rules);
    let log = outputs::log(sections.log, &mut rules);
    let alerts = tree.count(&KeyPath::default().key("alert"));
    let alerting =
        alerting::Sections { settings: sections.alerting, rules: sections.alerts, windows: sections.silences };
    let mut alerting = alerting::alerting(alerting, &monitor.vantage, &servers, &mut rules, warnings);
    let leap = leap::leap(sections.leap, &mut rules);
    let notifiers = notifier::notifiers(sections.notifiers, &mut rules, surroundings, warnings);
    let report = report::report(sections.report, &notifiers, &mut rules, warnings);
    alerting::receivers(&notifiers, &mut rules, alerts);
    let fleet = fleet::fleet(sections.nats, sections.fleet, &monitor, &mut rules, surroundings);
    let is_hub = |fleet: &&Fleet| fleet.role.is_hub();
    alerting.settings.fleet = fleet.as_ref().filter(is_hub).map(|fleet| fleet.nats.prefix.clone());
    Some(Config {
        monitor,
        servers,
        http: http?,
        influxdb: influxdb.flatten(),
        csv,
        store,
        log,
        alerting: Arc::new(alerting),
        leap,
        notifiers,
        report,
        fleet,
        shown: ShownConfig::default(),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, load};

    #[test]
    fn absurd_spans_are_refused() {
        let with = |key: &str, value: &str| {
            let settings = [("NTP_SERVER", "a.example"), (key, value)];
            load(None, &Environment::from(settings.map(|(key, value)| (key.to_owned(), value.to_owned()))), &[])
        };
        for (key, right, wrong) in [
            ("NTP_MONITOR__STORE__RAW_FOR", "100y", "5000y"),
            ("NTP_MONITOR__CSV__KEEP", "1d", "1s"),
            ("NTP_MONITOR__CSV__KEEP", "10y", "5000y"),
            ("NTP_MONITOR__DEFAULTS__POLL_INTERVAL", "30d", "1000y"),
        ] {
            assert!(with(key, right).is_ok(), "{key} = {right}");
            assert!(with(key, wrong).is_err(), "{key} = {wrong}");
        }
    }

    #[test]
    fn names_with_disruptive_characters_are_refused() {
        let load_named = |name: &str| {
            let settings = [("NTP_SERVER", "a.example"), ("NTP_MONITOR__MONITOR__VANTAGE", name)];
            load(None, &Environment::from(settings.map(|(key, value)| (key.to_owned(), value.to_owned()))), &[])
        };
        assert!(load_named("Zürich שלום").is_ok());
        for name in ["a\u{202e}b", "a\u{2066}b", "a\u{200f}b", "a\u{2028}b", "a\u{1b}b"] {
            let faults = load_named(name).err().unwrap().to_string();
            assert!(faults.contains("reading direction"), "{faults}");
        }
    }
}
