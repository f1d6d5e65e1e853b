//! The rules that types cannot express, applied to decoded sections. Every broken rule is a fault; none ends the search.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::decode::{Findings, Sections};
use super::fault::{KeyPath, Source};
use super::layers::Environment;
use super::model::{Config, Csv, Host, Http, Influx, Log, LogFile, Monitor, Server, Store, Token as HttpToken};
use super::tree::Tree;
use super::{address, raw};
use crate::sample::ServerIdent;

/// Requests of a burst are this far apart.
const BURST_SPACING: Duration = Duration::from_secs(2);
/// Asked politely, a pool is polled no faster: its servers are other people's.
const POOL_POLL: Duration = Duration::from_secs(900);
/// Tags that every output writes itself.
const OWN_TAGS: [&str; 3] = ["vantage", "server", "address"];
/// Names become tags, file contents and parts of URLs.
const LONGEST_NAME: usize = 128;

/// What validation may look at beside the configuration.
pub(super) struct Surroundings<'a> {
    pub environment: &'a Environment,
    pub file: Option<&'a Path>,
}

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

    fn sound(&self, paths: &[&KeyPath]) -> bool {
        paths.iter().all(|path| self.findings.is_sound(path))
    }

    fn positive(&mut self, span: Duration, path: &KeyPath) {
        self.require(span > Duration::ZERO, path, || "must be longer than nothing".to_owned());
    }

    fn plain(&mut self, text: &str, path: &KeyPath) {
        self.require(!text.trim().is_empty(), path, || "must not be empty".to_owned());
        self.require(text.len() <= LONGEST_NAME, path, || format!("must not be longer than {LONGEST_NAME} bytes"));
        self.require(!text.chars().any(char::is_control), path, || "must not contain control characters".to_owned());
    }

    fn path(&mut self, value: &Path, path: &KeyPath) {
        self.require(!value.as_os_str().is_empty(), path, || "must not be empty".to_owned());
        let nul = value.as_os_str().as_encoded_bytes().contains(&0);
        self.require(!nul, path, || "must not contain a NUL".to_owned());
    }
}

/// Turns decoded sections into a configuration. What it returns is to be used only when there are no findings.
pub(super) fn validate(
    sections: Sections,
    tree: &Tree,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
    warnings: &mut Vec<String>,
) -> Option<Config> {
    let mut rules = Rules { tree, findings };
    let servers = servers(sections.servers, &mut rules);
    warn_about_pools(&servers, warnings);
    let monitor = Monitor { vantage: sections.monitor.vantage, data_dir: sections.monitor.data_dir };
    rules.plain(&monitor.vantage, &KeyPath::dotted("monitor.vantage"));
    rules.path(&monitor.data_dir, &KeyPath::dotted("monitor.data_dir"));
    let http = http(sections.http, &mut rules, surroundings);
    let influxdb = sections.influxdb.map(|section| influx(section, &mut rules, surroundings));
    let csv = sections.csv.filter(|csv| csv.enabled).map(|csv| self::csv(csv, &mut rules));
    let store = store(sections.store, &mut rules);
    let log = log(sections.log, &mut rules);
    Some(Config { monitor, servers, http: http?, influxdb: influxdb.flatten(), csv, store, log, shown: Arc::default() })
}

fn servers(sections: Vec<(usize, raw::Server)>, rules: &mut Rules<'_>) -> Vec<Arc<Server>> {
    let all = KeyPath::dotted("server");
    if sections.is_empty() && rules.sound(&[&all]) && rules.tree.server_count() == 0 {
        let message =
            "there is no server to watch: add a [[server]] with an address, or set NTP_SERVER=time.example.net";
        rules.findings.add(rules.tree, &all, message);
    }
    let mut servers: Vec<(KeyPath, Arc<Server>)> = Vec::with_capacity(sections.len());
    for (index, section) in sections {
        let path = all.index(index);
        if let Some(server) = server(section, &path, rules) {
            servers.push((path, Arc::new(server)));
        }
    }
    unique(&servers, rules);
    servers.into_iter().map(|(_, server)| server).collect()
}

/// Names are unique; so are addresses, or the same machine would be polled faster than its floor.
fn unique(servers: &[(KeyPath, Arc<Server>)], rules: &mut Rules<'_>) {
    let mut names = BTreeMap::new();
    let mut targets = BTreeMap::new();
    for (path, server) in servers {
        if let Some(first) = names.insert(&server.ident.name, path) {
            let message = || format!("{:?} is the name of {first} too", server.ident.name);
            rules.require(false, &path.key("name"), message);
        }
        let target = (format!("{:?}", server.host), server.port);
        let Some((first, own)) = targets.insert(target, (path, server.own)) else { continue };
        rules.require(own && server.own, &path.key("address"), || {
            format!("is the address of {first} too; only a server that is your own (own = true) may be polled twice")
        });
    }
}

fn server(section: raw::Server, path: &KeyPath, rules: &mut Rules<'_>) -> Option<Server> {
    let address = path.key("address");
    let target = address::parse(&section.address);
    if let Err(why) = &target {
        rules.require(false, &address, || why.clone());
    }
    if rules.sound(&[&address]) {
        rules.plain(&section.name, &path.key("name"));
    }
    tags(&section.tags, &path.key("tags"), rules);
    let (host, port) = target.ok()?;
    let timeout = timeout(&section, path, rules);
    let server = Server {
        ident: Arc::new(ServerIdent { name: section.name.into(), tags: section.tags }),
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
    };
    timing(&server, path, rules);
    thresholds(&server, path, rules);
    if let Host::Address(ip) = server.host {
        let message = || "and the address are of different families".to_owned();
        rules.require(server.family.admits(ip), &path.key("family"), message);
    }
    Some(server)
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

/// The default is meant for usual intervals; where one's own server is polled faster, it gives way.
fn timeout(section: &raw::Server, path: &KeyPath, rules: &Rules<'_>) -> Duration {
    let wanted = section.timeout.0;
    match rules.tree.source(&path.key("timeout")) {
        Source::Default => wanted.min(section.poll_interval.0.mul_f64(0.75)),
        _ => wanted,
    }
}

fn timing(server: &Server, path: &KeyPath, rules: &mut Rules<'_>) {
    let show = humantime::format_duration;
    let [poll, timeout, samples] = ["poll_interval", "timeout", "samples_per_poll"].map(|key| path.key(key));
    rules.require(server.poll_interval >= server.floor(), &poll, || {
        let hint = if server.own { "" } else { "; mark it own = true if it is yours" };
        format!("{} is below the floor of {}{hint}", show(server.poll_interval), show(server.floor()))
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

fn warn_about_pools(servers: &[Arc<Server>], warnings: &mut Vec<String>) {
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
            "{first}{others}: pool servers belong to volunteers; poll_interval = \"15m\" or longer is polite"
        ));
    }
}

fn http(section: raw::Http, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<Http> {
    let path = KeyPath::dotted("http.listen");
    let listen: Option<SocketAddr> = section.listen.parse().ok();
    rules.require(listen.is_some(), &path, || {
        format!("{:?} is not an address with a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"", section.listen)
    });
    let listen = listen?;
    let has_token = !section.tokens.is_empty();
    if rules.sound(&[&KeyPath::dotted("http.public_read")]) {
        rules.require(listen.ip().is_loopback() || section.public_read || has_token, &path, || {
            format!(
                "{listen} can be reached from other machines: set public_read = true if everybody may read, or give \
                 tokens to those who may"
            )
        });
    }
    Some(Http { listen, public_read: section.public_read, tokens: tokens(section.tokens, rules, surroundings) })
}

fn tokens(sections: Vec<raw::Token>, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Vec<HttpToken> {
    let all = KeyPath::dotted("http.tokens");
    let mut tokens: Vec<HttpToken> = Vec::new();
    for (n, section) in sections.into_iter().enumerate() {
        let path = all.index(n);
        rules.plain(&section.name, &path.key("name"));
        let unique = tokens.iter().all(|known| known.name != section.name);
        rules.require(unique, &path.key("name"), || format!("{:?} is the name of another token too", section.name));
        if let Some(sha256) = hash(&section, &path, rules, surroundings) {
            tokens.push(HttpToken { name: section.name, role: section.role, sha256 });
        }
    }
    tokens
}

/// The hash of a token, as given or of the token in a file. The reasons repeat neither.
fn hash(section: &raw::Token, path: &KeyPath, rules: &mut Rules<'_>, around: &Surroundings<'_>) -> Option<[u8; 32]> {
    /// A token that can be guessed is none.
    const SHORTEST: usize = 16;
    let found = match (&section.sha256, &section.token_file) {
        (Some(hash), None) => from_hex(hash.0.expose_secret())
            .ok_or_else(|| ("sha256", "must be the 64 hexadecimal digits that sha256sum prints".to_owned())),
        (None, Some(file)) => match read_token(file, around) {
            Ok(token) if token.expose_secret().len() >= SHORTEST => {
                Ok(Sha256::digest(token.expose_secret().as_bytes()).into())
            }
            Ok(_) => Err(("token_file", format!("holds a token of fewer than {SHORTEST} characters"))),
            Err(why) => Err(("token_file", why)),
        },
        _ => Err(("sha256", "or token_file must be set, and not both".to_owned())),
    };
    found.map_err(|(key, why)| rules.require(false, &path.key(key), || why)).ok()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn influx(section: raw::Influx, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<Influx> {
    let key = |key: &str| KeyPath::dotted("influxdb").key(key);
    if let Err(why) = check_url(&section.url) {
        rules.require(false, &key("url"), || why.to_owned());
    }
    rules.plain(&section.org, &key("org"));
    rules.plain(&section.bucket, &key("bucket"));
    rules.require((1..=100_000).contains(&section.batch), &key("batch"), || "must be from 1 to 100000".to_owned());
    rules.positive(section.flush_interval.0, &key("flush_interval"));
    rules.positive(section.timeout.0, &key("timeout"));
    rules.positive(section.outbox_max_age.0, &key("outbox_max_age"));
    rules.require(section.outbox_max_bytes.0 > 0, &key("outbox_max_bytes"), || "must be more than 0".to_owned());
    let token = token(&section, rules, surroundings)?;
    Some(Influx {
        url: section.url.trim_end_matches('/').to_owned(),
        org: section.org,
        bucket: section.bucket,
        token,
        batch: section.batch as usize,
        flush_interval: section.flush_interval.0,
        timeout: section.timeout.0,
        outbox_max_age: section.outbox_max_age.0,
        outbox_max_bytes: section.outbox_max_bytes.0,
    })
}

/// The client library panics on some of what is refused here, and drops a path without a word. The URL is not repeated:
/// it may hold a password.
fn check_url(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or("must begin with http:// or https://")?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err("must not contain a user or a password: the token goes into token, token_file or INFLUX_TOKEN");
    }
    if authority.contains(['/', '?', '#']) {
        return Err("must not contain a path or a query: InfluxDB behind a path is not supported");
    }
    match address::parse(authority) {
        Ok(_) => Ok(()),
        Err(_) => Err("must name a host, such as http://127.0.0.1:8086"),
    }
}

/// The token: from whichever of `token` and `token_file` the stronger layer sets.
fn token(section: &raw::Influx, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<SecretString> {
    let [token, file] = ["influxdb.token", "influxdb.token_file"].map(KeyPath::dotted);
    let layer = |path: &KeyPath| rules.tree.source(path).layer();
    let (inline, from_file) = match (&section.token, &section.token_file) {
        (Some(secret), Some(_)) if layer(&token) > layer(&file) => (Some(secret), None),
        (Some(_), Some(path)) if layer(&token) < layer(&file) => (None, Some(path)),
        (inline, from_file) => (inline.as_ref(), from_file.as_ref()),
    };
    let secret = match (inline, from_file) {
        (Some(_), Some(_)) => {
            rules.require(false, &token, || "and token_file are both set; one is enough".to_owned());
            return None;
        }
        (Some(secret), None) => secret.0.clone(),
        (None, Some(path)) => match read_token(path, surroundings) {
            Ok(secret) => secret,
            Err(why) => {
                rules.require(false, &file, || why);
                return None;
            }
        },
        (None, None) => {
            if rules.sound(&[&file]) {
                rules.require(false, &token, || "is missing: set INFLUX_TOKEN, token_file or token".to_owned());
            }
            return None;
        }
    };
    let text = secret.expose_secret();
    let printable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let path = if from_file.is_some() { &file } else { &token };
    rules.require(printable, path, || "the token must be printable ASCII without spaces, and not empty".to_owned());
    printable.then_some(secret)
}

/// Reads a token file. A relative path is looked for among systemd's credentials, then beside the configuration file.
fn read_token(path: &Path, surroundings: &Surroundings<'_>) -> Result<SecretString, String> {
    let credential = surroundings.environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
    let beside = surroundings.file.and_then(Path::parent).map(|dir| dir.join(path));
    let found = [credential, beside].into_iter().flatten().find(|path| path.exists());
    let path: PathBuf = found.unwrap_or_else(|| path.to_owned());
    let text = std::fs::read_to_string(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

fn csv(section: raw::Csv, rules: &mut Rules<'_>) -> Csv {
    rules.path(&section.dir, &KeyPath::dotted("csv.dir"));
    if let Some(keep) = section.keep.0 {
        rules.positive(keep, &KeyPath::dotted("csv.keep"));
    }
    Csv { dir: section.dir, rotation: section.rotation, compress: section.compress, keep: section.keep.0 }
}

fn store(section: raw::Store, rules: &mut Rules<'_>) -> Store {
    rules.path(&section.path, &KeyPath::dotted("store.path"));
    let kept = [
        ("store.raw_for", section.raw_for.0),
        ("store.rollup_5m_for", section.rollup_5m_for.0),
        ("store.rollup_1h_for", section.rollup_1h_for.0),
    ];
    for (key, span) in kept {
        rules.positive(span, &KeyPath::dotted(key));
    }
    Store {
        path: section.path,
        raw_for: section.raw_for.0,
        rollup_5m_for: section.rollup_5m_for.0,
        rollup_1h_for: section.rollup_1h_for.0,
    }
}

fn log(section: raw::Log, rules: &mut Rules<'_>) -> Log {
    /// A file that is finished after every few records would be no log.
    const SMALLEST: u64 = 64 << 10;
    rules.require(section.rotation.0 >= SMALLEST, &KeyPath::dotted("log.rotation"), || {
        "must be at least 64KiB".to_owned()
    });
    rules.require(section.keep <= 10_000, &KeyPath::dotted("log.keep"), || "must be at most 10000".to_owned());
    if let Some(path) = &section.file {
        rules.path(path, &KeyPath::dotted("log.file"));
    }
    let file = section.file.map(|path| LogFile { path, max_bytes: section.rotation.0, keep: section.keep as usize });
    Log { level: section.level, format: section.format, file }
}
