//! The difference between two configurations, which a reload applies. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{Config, Http, Server, Token};

/// The difference between a running configuration and its successor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Added servers.
    pub added: Vec<Arc<Server>>,
    /// Names of removed servers.
    pub removed: Vec<Arc<str>>,
    /// Servers with changed settings, as newly configured.
    pub changed: Vec<Arc<Server>>,
    /// Names of the changed sections: `monitor`, `http`, `influxdb`, …
    pub sections: Vec<&'static str>,
    /// Changed keys that take effect at the next start only.
    pub needs_restart: Vec<&'static str>,
}

/// The changes from `old` to `new`. Servers are identified by name; their order does not matter.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut before: BTreeMap<&str, &Arc<Server>> = old.servers.iter().map(|s| (&*s.ident.name, s)).collect();
    let mut changes = Changes { sections: sections(old, new), needs_restart: fixed(old, new), ..Changes::default() };
    for server in &new.servers {
        match before.remove(&*server.ident.name) {
            None => changes.added.push(Arc::clone(server)),
            Some(same) if same == server => {}
            Some(_) => changes.changed.push(Arc::clone(server)),
        }
    }
    changes.removed = before.into_values().map(|server| Arc::clone(&server.ident.name)).collect();
    changes
}

fn sections(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("monitor", old.monitor.vantage != new.monitor.vantage || old.monitor.data_dir != new.monitor.data_dir),
        ("http", configured(&old.http) != configured(&new.http)),
        ("influxdb", old.influxdb != new.influxdb),
        ("csv", old.csv != new.csv),
        ("store", old.store != new.store),
        ("log", old.log != new.log),
        ("alerting", old.alerting != new.alerting),
        ("leap", old.leap != new.leap),
        ("notifier", old.notifiers != new.notifiers),
        ("report", old.report != new.report),
        ("fleet", old.fleet != new.fleet),
    ];
    differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

/// The tokens without the one that the running service creates for itself.
fn configured(http: &Http) -> Http {
    let tokens = http.tokens.iter().filter(|token| token.name != Token::OWN).cloned().collect();
    Http { tokens, ..http.clone() }
}

/// Settings that are read once: sockets, open files and their options.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("monitor.data_dir", old.monitor.data_dir != new.monitor.data_dir),
        ("http.listen", old.http.listen != new.http.listen),
        ("http.tls", old.http.tls.is_some() != new.http.tls.is_some()),
        ("store.path", old.store.path != new.store.path),
        ("store.raw_for", old.store.raw_for != new.store.raw_for),
        ("store.rollup_5m_for", old.store.rollup_5m_for != new.store.rollup_5m_for),
        ("store.rollup_1h_for", old.store.rollup_1h_for != new.store.rollup_1h_for),
        ("log.format", old.log.format != new.log.format),
        ("log.file", old.log.file != new.log.file),
        ("fleet", old.fleet != new.fleet),
    ];
    differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, load};
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Config {
        let environment: Environment = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(None, &environment, &[]).unwrap().config
    }

    #[test]
    fn the_same_configuration_needs_no_change() {
        let one = config(&[("NTP_SERVER", "a.example,b.example")]);
        let reordered = config(&[("NTP_SERVER", "b.example,a.example")]);
        assert_eq!(diff(&one, &one.clone()), Changes::default());
        assert_eq!(diff(&one, &reordered), Changes::default());
    }

    #[test]
    fn servers_are_added_removed_and_changed_by_name() {
        let old = config(&[("NTP_SERVER", "a.example,b.example")]);
        let new = config(&[("NTP_SERVER", "b.example,c.example"), ("POLLING_INTERVAL", "32")]);
        let changes = diff(&old, &new);
        let names = |servers: &[Arc<Server>]| servers.iter().map(|s| s.ident.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&changes.added), ["c.example"]);
        assert_eq!(names(&changes.changed), ["b.example"]);
        assert_eq!(changes.removed, [Arc::from("a.example")]);
        assert!(changes.sections.is_empty());
    }

    #[test]
    fn servers_that_did_not_change_are_in_memory_once() {
        let old = config(&[("NTP_SERVER", "a.example,b.example"), ("POLLING_INTERVAL", "32")]);
        let new = config(&[("NTP_SERVER", "c.example,b.example"), ("POLLING_INTERVAL", "32")]);
        let shared = new.clone().sharing_servers(&old);
        assert_eq!(shared.servers, new.servers);
        assert!(Arc::ptr_eq(&shared.servers[1], &old.servers[1]));
        let changed = config(&[("NTP_SERVER", "b.example"), ("POLLING_INTERVAL", "64")]);
        assert_eq!(changed.clone().sharing_servers(&old).servers, changed.servers);
    }

    #[test]
    fn changed_sockets_and_files_need_a_restart() {
        let server = ("NTP_SERVER", "a.example");
        let old = config(&[server]);
        let listen = ("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:8081");
        let new = config(&[server, listen, ("LOG_LEVEL", "debug"), ("NTP_MONITOR__STORE__RAW_FOR", "8d")]);
        let changes = diff(&old, &new);
        assert_eq!(changes.sections, ["http", "store", "log"]);
        assert_eq!(changes.needs_restart, ["http.listen", "store.raw_for"]);
    }

    #[test]
    fn token_of_the_service_itself_is_no_change() {
        let (read, mut running) = (config(&[("NTP_SERVER", "a")]), config(&[("NTP_SERVER", "a")]));
        running.http.tokens.push(Token {
            name: Token::OWN.into(),
            role: crate::config::Role::Read,
            sha256: [0; 32],
            file: None,
        });
        assert_eq!([diff(&running, &read), diff(&read, &running)], [Changes::default(), Changes::default()]);
        running.http.tokens[0].name = "boss".into();
        assert_eq!(diff(&running, &read).sections, ["http"]);
    }

    #[test]
    fn a_new_token_is_a_change() {
        let base = [("NTP_SERVER", "a"), ("INFLUX_URL", "http://h"), ("INFLUX_ORG", "o"), ("INFLUX_BUCKET", "b")];
        let with = |token| config(&[&base[..], &[("INFLUX_TOKEN", token)]].concat());
        assert_eq!(diff(&with("one"), &with("two")).sections, ["influxdb"]);
        assert_eq!(diff(&with("one"), &with("one")), Changes::default());
    }
}
