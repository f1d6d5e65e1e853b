//! Validates `[[server]]`: names, minimum intervals, time-outs, bursts, thresholds.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::outbound::pem_file;
use super::{Rules, Surroundings};
use crate::config::fault::{KeyPath, Source};
use crate::config::model::{EngineChoice, Host, Nts, Server};
use crate::config::named_file::resolve;
use crate::config::tree::Tree;
use crate::config::{address, is_of_one_host, raw};
use ntp_monitor_core::nts::record::PORT as KEY_EXCHANGE_PORT;
use ntp_monitor_core::sample::ServerIdent;

/// The time between two requests of a burst.
const BURST_SPACING: Duration = Duration::from_secs(2);
/// The interval below which polling a public pool is impolite.
const POOL_POLL: Duration = Duration::from_secs(900);
/// Reserved tags, which outputs write themselves.
const OWN_TAGS: [&str; 3] = ["vantage", "server", "address"];

/// The files of `nts_ca`, each read once for all servers. `None` for a file that cannot be used.
struct Authorities<'a> {
    surroundings: &'a Surroundings<'a>,
    read: HashMap<PathBuf, Option<Arc<str>>>,
}

impl Authorities<'_> {
    fn get(&mut self, file: &Path, path: &KeyPath, rules: &mut Rules<'_>) -> Option<Arc<str>> {
        if let Some(known) = self.read.get(file) {
            return known.clone();
        }
        let pem = pem_file(path, file, rules, self.surroundings).map(Arc::from);
        self.read.insert(file.to_owned(), pem.clone());
        pem
    }
}

pub(super) fn servers(
    sections: Vec<(usize, raw::Server)>,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Vec<Arc<Server>> {
    let mut authorities = Authorities { surroundings, read: HashMap::new() };
    let all = KeyPath::dotted("server");
    let mut servers: Vec<(KeyPath, Arc<Server>)> = Vec::with_capacity(sections.len());
    for (index, section) in sections {
        let path = all.index(index);
        if let Some(server) = server(section, &path, &mut authorities, rules) {
            servers.push((path, Arc::new(server)));
        }
    }
    unique(&servers, rules);
    servers.into_iter().map(|(_, server)| server).collect()
}

/// Names are unique, and so are addresses, because otherwise the same host would be polled faster than its minimum
/// interval.
fn unique(servers: &[(KeyPath, Arc<Server>)], rules: &mut Rules<'_>) {
    let mut names = BTreeMap::new();
    let mut targets = BTreeMap::new();
    for (path, server) in servers {
        if let Some(first) = names.insert(&server.ident.name, path) {
            let message = || format!("{:?} is also the name of {first}", server.ident.name);
            rules.require(false, &path.key("name"), message);
        }
        let target = (format!("{:?}", server.host), server.port);
        let Some((first, own)) = targets.insert(target, (path, server.own)) else { continue };
        rules.require(own && server.own, &path.key("address"), || {
            format!("is also the address of {first}; only a server that you operate (own = true) may be polled twice")
        });
    }
}

fn server(
    section: raw::Server,
    path: &KeyPath,
    authorities: &mut Authorities<'_>,
    rules: &mut Rules<'_>,
) -> Option<Server> {
    let address = path.key("address");
    let target = address::parse(&section.address);
    if let Err(why) = &target {
        rules.require(false, &address, || why.clone());
    }
    if rules.sound(&[&address]) {
        rules.plain(&section.name, &path.key("name"));
    }
    tags(&section.tags, &path.key("tags"), rules);
    // An invalid address does not hide other faults.
    let is_usable = target.is_ok();
    let (host, port) = target.unwrap_or((Host::Name("".into()), 0));
    let timeout = timeout(&section, path, rules);
    let nts = nts(&section, path, authorities, rules);
    let server = Server {
        ident: Arc::new(ServerIdent { vantage: Arc::default(), name: section.name.into(), tags: section.tags }),
        host,
        port,
        own: section.own,
        poll_interval: section.poll_interval.0,
        timeout,
        engine: section.engine,
        family: section.family,
        addresses: section.addresses,
        samples_per_poll: section.samples_per_poll,
        offset_warning: section.offset_warning.0,
        offset_critical: section.offset_critical.0,
        nts,
        sheet: section.sheet.unwrap_or(section.own),
        interleaved: section.interleaved.0,
        paused: section.paused,
        pace: None,
    };
    timing(&server, path, rules);
    thresholds(&server, path, rules);
    if let Host::Address(ip) = server.host {
        rules.require(is_of_one_host(ip), &address, || {
            format!("{ip} is unspecified, broadcast or multicast, not the address of a server")
        });
        let message = || "and the address are of different families".to_owned();
        rules.require(server.family.admits(ip), &path.key("family"), message);
    }
    is_usable.then_some(server)
}

fn tags(tags: &BTreeMap<String, String>, path: &KeyPath, rules: &mut Rules<'_>) {
    for (key, value) in tags {
        let path = path.key(key);
        rules.require(!OWN_TAGS.contains(&key.as_str()), &path, || {
            format!("clashes with a tag that the program writes ({})", OWN_TAGS.join(", "))
        });
        rules.plain(key, &path);
        rules.plain(value, &path);
    }
}

/// The other keys of NTS are checked without `nts` too, so that it can be switched on later.
fn nts(section: &raw::Server, path: &KeyPath, authorities: &mut Authorities<'_>, rules: &mut Rules<'_>) -> Option<Nts> {
    let key_server = section.nts_ke.as_ref().map(|text| address::split(text));
    let key_server = match key_server.transpose() {
        Ok(found) => found.map(|(host, port)| (host, port.unwrap_or(KEY_EXCHANGE_PORT))),
        Err(why) => {
            rules.require(false, &path.key("nts_ke"), || why);
            None
        }
    };
    let file = section.nts_ca.as_ref();
    let ca_pem = file.and_then(|file| authorities.get(file, &path.key("nts_ca"), rules));
    let fits = !section.nts || section.engine == EngineChoice::Kernel;
    rules.require(fits, &path.key("engine"), || "the portable engine does not support NTS (nts = true)".to_owned());
    let ca_file = file.map(|file| resolve(file, authorities.surroundings));
    section.nts.then_some(Nts { key_server, ca_pem, ca_file })
}

/// The default time-out is for usual intervals; it is reduced for an `own` server that is polled faster.
fn timeout(section: &raw::Server, path: &KeyPath, rules: &Rules<'_>) -> Duration {
    let wanted = section.timeout.0;
    match rules.tree.source(&path.key("timeout")) {
        Source::Default => wanted.min(section.poll_interval.0.mul_f64(0.75)),
        _ => wanted,
    }
}

/// Servers that are polled less often cannot be judged.
const LONGEST_POLL: Duration = Duration::from_secs(31 * 86_400);

fn timing(server: &Server, path: &KeyPath, rules: &mut Rules<'_>) {
    let show = humantime::format_duration;
    let [poll, timeout, samples] = ["poll_interval", "timeout", "samples_per_poll"].map(|key| path.key(key));
    rules.require(server.poll_interval >= server.floor(), &poll, || {
        let hint = if server.own { "" } else { "; set own = true if you operate this server" };
        format!("{} is below the minimum of {}{hint}", show(server.poll_interval), show(server.floor()))
    });
    rules.require(server.poll_interval <= LONGEST_POLL, &poll, || {
        format!("{} is above the maximum of {}", show(server.poll_interval), show(LONGEST_POLL))
    });
    rules.positive(server.timeout, &timeout);
    rules.require((1..=8).contains(&server.samples_per_poll), &samples, || "must be from 1 to 8".to_owned());
    if rules.sound(&[&poll, &timeout]) {
        rules.require(server.timeout < server.poll_interval, &timeout, || {
            format!("{} must be shorter than the poll interval, {}", show(server.timeout), show(server.poll_interval))
        });
    }
    if server.samples_per_poll > 1 && rules.sound(&[&poll, &timeout, &samples]) {
        let burst = BURST_SPACING * u32::from(server.samples_per_poll - 1) + server.timeout;
        rules.require(burst < server.poll_interval, &samples, || {
            format!(
                "a burst of {} and its timeout take {}, which does not fit into the poll interval, {}",
                server.samples_per_poll,
                show(burst),
                show(server.poll_interval)
            )
        });
    }
}

fn thresholds(server: &Server, path: &KeyPath, rules: &mut Rules<'_>) {
    let [warning, critical] = ["offset_warning", "offset_critical"].map(|key| path.key(key));
    rules.positive(server.offset_warning, &warning);
    rules.positive(server.offset_critical, &critical);
    if rules.sound(&[&warning, &critical]) {
        rules.require(server.offset_warning <= server.offset_critical, &warning, || {
            let show = humantime::format_duration;
            format!("{} is above offset_critical, {}", show(server.offset_warning), show(server.offset_critical))
        });
    }
}

/// Without servers the service runs, so that the first one can be added on its page and the last one removed.
pub(super) fn warn_about_none(tree: &Tree, warnings: &mut Vec<String>) {
    // A hub of a fleet needs no servers of its own.
    let is_hub = tree.get(&KeyPath::dotted("fleet.role")).is_some_and(|role| role == "hub");
    if !is_hub && tree.count(&KeyPath::dotted("server")) == 0 {
        let hint = "add one on the page, or a [[server]] with an address, or set NTP_SERVER=time.example.net";
        warnings.push(format!("no server is configured: {hint}"));
    }
}

pub(super) fn warn_about_pools(servers: &[Arc<Server>], warnings: &mut Vec<String>) {
    let is_pool =
        |host: &Host| matches!(host, Host::Name(name) if name.ends_with(".pool.ntp.org") || name == "pool.ntp.org");
    let hasty: Vec<&str> = servers
        .iter()
        .filter(|server| !server.own && is_pool(&server.host) && server.poll_interval < POOL_POLL)
        .map(|server| &*server.ident.name)
        .collect();
    if let Some(first) = hasty.first() {
        let others = if hasty.len() > 1 { format!(" and {} more", hasty.len() - 1) } else { String::new() };
        warnings.push(format!(
            "{first}{others}: pool servers are run by volunteers: set poll_interval = \"15m\" or longer"
        ));
    }
}
