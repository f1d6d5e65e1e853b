//! Validates `[nats]` and `[fleet]`.

use std::path::PathBuf;
use std::time::Duration;

use super::outbound::pem_file;
use super::secret::Places;
use super::{Rules, Surroundings, tls};
use crate::config::fault::KeyPath;
use crate::config::model::{Allowed, Fleet, Login, Monitor, Nats, NatsTls, Server};
use crate::config::named_file::{read_value, resolve};
use crate::config::network::{Network, is_of_one_host};
use crate::config::raw;

/// Names of vantages become names of NATS accounts and keys of buckets.
const LONGEST_NAME: usize = 63;

/// `None` without `[nats]`, or if there is a fault.
pub(super) fn fleet(
    nats: Option<raw::Nats>,
    fleet: Option<raw::Fleet>,
    monitor: &Monitor,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Fleet> {
    let (nats, section) = both(nats, fleet, rules)?;
    let nats = connection(nats, rules, surroundings);
    let name = vantage(&section, monitor, rules);
    for (nth, group) in section.groups.iter().enumerate() {
        rules.plain(group, &fleet_key("groups").index(nth));
    }
    let allow = section.allow.iter().enumerate().filter_map(|(nth, text)| {
        let allowed = allowed(text);
        allowed.map_err(|why| rules.require(false, &fleet_key("allow").index(nth), || why)).ok()
    });
    let allow = allow.collect();
    limits(&section, rules);
    Some(Fleet {
        nats: nats?,
        role: section.role,
        name,
        groups: section.groups,
        plan: section.plan,
        allow,
        fallback_interval: section.fallback_interval.0,
        budget: section.budget.0,
        own_budget: section.own_budget.map(|span| span.0),
        vantages_per_server: usize::from(section.vantages_per_server),
        plan_validity: section.plan_validity.0,
        skew_limit: section.skew_limit.0,
        raw_for: section.raw_for.0,
        raw_max_bytes: section.raw_max_bytes.0,
        silent_after: section.silent_after.0,
        alerts: section.alerts,
        journal_max_age: section.journal_max_age.0,
        journal_max_bytes: section.journal_max_bytes.0,
    })
}

fn fleet_key(key: &str) -> KeyPath {
    KeyPath::dotted("fleet").key(key)
}

/// Both sections; `None` without them, and if one of them is missing, which is a fault.
fn both(nats: Option<raw::Nats>, fleet: Option<raw::Fleet>, rules: &mut Rules<'_>) -> Option<(raw::Nats, raw::Fleet)> {
    match (nats, fleet) {
        (Some(nats), Some(fleet)) => return Some((nats, fleet)),
        (None, Some(_)) => {
            rules.require(false, &KeyPath::dotted("fleet"), || "needs a section [nats] with the url".to_owned());
        }
        (Some(_), None) => {
            let why = || "needs a section [fleet] with the role of this instance".to_owned();
            rules.require(false, &KeyPath::dotted("nats"), why);
        }
        (None, None) => {}
    }
    None
}

/// The name of this vantage.
fn vantage(section: &raw::Fleet, monitor: &Monitor, rules: &mut Rules<'_>) -> String {
    let (name, path) = match &section.name {
        Some(name) => (name, fleet_key("name")),
        None => (&monitor.vantage, KeyPath::dotted("monitor.vantage")),
    };
    rules.require(is_vantage_name(name), &path, || {
        format!(
            "{name:?} cannot name a vantage of a fleet: use 1 to {LONGEST_NAME} lower-case letters, digits, \"_\" and \
             \"-\", or set fleet.name"
        )
    });
    name.clone()
}

/// Checks the spans, counts and sizes.
fn limits(section: &raw::Fleet, rules: &mut Rules<'_>) {
    let floor = Server::FLOOR;
    for (span, name) in [(section.budget.0, "budget"), (section.fallback_interval.0, "fallback_interval")] {
        rules.require(span >= floor, &fleet_key(name), || format!("must be at least {} s", floor.as_secs()));
    }
    let own_budget = section.own_budget.map(|span| span.0);
    rules.require(own_budget.is_none_or(|span| span >= Server::OWN_FLOOR), &fleet_key("own_budget"), || {
        "must be at least 100 ms".to_owned()
    });
    rules.require(section.plan_validity.0 >= Duration::from_secs(40), &fleet_key("plan_validity"), || {
        "must be at least 40 s".to_owned()
    });
    let spans = [
        (section.skew_limit.0, "skew_limit"),
        (section.silent_after.0, "silent_after"),
        (section.raw_for.0, "raw_for"),
        (section.journal_max_age.0, "journal_max_age"),
    ];
    for (span, name) in spans {
        rules.positive(span, &fleet_key(name));
    }
    let count = section.vantages_per_server;
    rules.require((1..=1000).contains(&count), &fleet_key("vantages_per_server"), || {
        "must be from 1 to 1000".to_owned()
    });
    for (size, name) in [(section.raw_max_bytes.0, "raw_max_bytes"), (section.journal_max_bytes.0, "journal_max_bytes")]
    {
        rules.require(size > 0, &fleet_key(name), || "must be more than 0".to_owned());
    }
}

fn connection(section: raw::Nats, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<Nats> {
    let table = KeyPath::dotted("nats");
    let urls: Vec<String> =
        section.url.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
    rules.require(!urls.is_empty(), &table.key("url"), || "must name a server".to_owned());
    for url in &urls {
        if let Err(why) = check_url(url) {
            rules.require(false, &table.key("url"), || why);
        }
    }
    rules.require(is_prefix(&section.prefix), &table.key("prefix"), || {
        "must be lower-case letters, digits, \"_\" and \"-\", at most 32".to_owned()
    });
    rules.require(matches!(section.replicas, 1 | 3 | 5), &table.key("replicas"), || "must be 1, 3 or 5".to_owned());
    let login = login(&section, rules, surroundings);
    let tls = section.tls.as_ref().map(|tls| files(tls, rules, surroundings));
    Some(Nats { urls, login, tls, prefix: section.prefix, replicas: usize::from(section.replicas) })
}

/// How this instance authenticates: a user with a password, a file of credentials, or an NKey; at most one of them.
fn login(section: &raw::Nats, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Login {
    let table = KeyPath::dotted("nats");
    let places = Places::of(&table, "password");
    let password = places.look(section.password.as_ref(), section.password_file.as_ref(), rules, surroundings);
    let password = password.map(|(hidden, path)| {
        let is_sound = !hidden.expose().is_empty() && !hidden.expose().chars().any(char::is_control);
        rules.require(is_sound, path, || "must contain exactly one line, which is not empty".to_owned());
        hidden
    });
    if rules.sound(&[&places.inline, &places.file]) {
        rules.require(section.user.is_some() || password.is_none(), &table.key("user"), || {
            "is missing: a password needs a user".to_owned()
        });
        rules.require(section.user.is_none() || password.is_some(), &places.inline, || {
            "is missing: set password_file or password".to_owned()
        });
    }
    let mut from_file = |file: &Option<PathBuf>, key: &str, check: fn(&str) -> Result<(), &'static str>| {
        let read = read_value(file.as_deref()?, surroundings);
        let read = read.map_err(|fault| rules.refuse_file(&table.key(key), fault)).ok()?;
        check(read.expose()).map_err(|why| rules.require(false, &table.key(key), || why.to_owned())).ok()?;
        Some(read)
    };
    let creds = from_file(&section.creds, "creds", is_creds);
    let nkey = from_file(&section.nkey, "nkey", is_seed);
    let ways = [section.user.is_some(), section.creds.is_some(), section.nkey.is_some()];
    let one = ways.into_iter().filter(|is_set| *is_set).count() <= 1;
    rules.require(one, &table, || "has more than one of user, creds and nkey; one is enough".to_owned());
    match (section.user.clone().zip(password), creds, nkey) {
        (Some((name, password)), ..) => Login::User { name, password },
        (_, Some(creds), _) => Login::Creds(creds),
        (_, _, Some(seed)) => Login::Nkey(seed),
        _ => Login::None,
    }
}

/// Whether a text is a file of credentials, as `nsc` writes them. No error shows any of its content.
fn is_creds(text: &str) -> Result<(), &'static str> {
    let has = |part: &str| text.contains(part);
    match has("BEGIN NATS USER JWT") && has("BEGIN USER NKEY SEED") {
        true => Ok(()),
        false => Err("is not a file of credentials: it must contain a NATS USER JWT and a USER NKEY SEED"),
    }
}

/// Whether a text is the seed of a user's NKey: base 32, of 58 characters.
fn is_seed(text: &str) -> Result<(), &'static str> {
    let is_base_32 = text.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b));
    match text.len() == 58 && text.starts_with("SU") && is_base_32 {
        true => Ok(()),
        false => Err("must contain the seed of a user's NKey: 58 characters that begin with SU"),
    }
}

fn files(section: &raw::NatsTls, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> NatsTls {
    let key = |key: &str| KeyPath::dotted("nats.tls").key(key);
    if let Some(ca) = &section.ca {
        pem_file(&key("ca"), ca, rules, surroundings);
    }
    let find = |file: &Option<PathBuf>| Some(resolve(file.as_deref()?, surroundings));
    let (ca, cert, own_key) = (find(&section.ca), find(&section.cert), find(&section.key));
    if let (Some(cert), Some(own_key)) = (&cert, &own_key)
        && let Err(faults) = tls::pair(&[cert.clone(), own_key.clone()])
    {
        for (name, fault) in ["cert", "key"].into_iter().zip(faults) {
            fault.into_iter().for_each(|fault| rules.refuse_file(&key(name), fault));
        }
    }
    rules.require(cert.is_some() || own_key.is_none(), &key("cert"), || {
        "is missing: a key needs a certificate".to_owned()
    });
    rules.require(own_key.is_some() || cert.is_none(), &key("key"), || {
        "is missing: a certificate needs its key".to_owned()
    });
    NatsTls { ca, pair: cert.zip(own_key) }
}

/// A URL must not contain a user name or password; they have their own keys, which are masked.
fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
    let Some(rest) = rest else { return Err("must begin with nats:// or tls://".to_owned()) };
    if rest.contains('@') {
        return Err("must not contain a user name or a password: set user and password_file".to_owned());
    }
    let is_plain = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    if is_plain { Ok(()) } else { Err("must be nats://HOST:PORT or tls://HOST:PORT".to_owned()) }
}

/// Whether `name` can be a part of a subject, a key of a bucket and a name of an account.
#[must_use]
pub fn is_vantage_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_prefix(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
}

fn allowed(text: &str) -> Result<Allowed, String> {
    if text.contains('/') || text.parse::<std::net::IpAddr>().is_ok() {
        let network = Network::parse(text)?;
        let host = text.split('/').next().and_then(|host| host.parse().ok());
        return match host {
            Some(host) if !is_of_one_host(host) => Err(format!("{text:?} is not the address of one host")),
            _ => Ok(Allowed::Network(network)),
        };
    }
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if is_name {
        Ok(Allowed::Name(text.to_ascii_lowercase()))
    } else {
        Err(format!("{text:?} is not a name or a network"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Login, load};

    fn loaded(more: &[(&str, &str)]) -> Result<crate::config::Config, String> {
        let base = [("NTP_SERVER", "a.example"), ("NTP_MONITOR__MONITOR__VANTAGE", "here")];
        let all = base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        load(None, &all.collect::<Environment>(), &[]).map(|loaded| loaded.config).map_err(|why| why.to_string())
    }

    const NATS: (&str, &str) = ("NTP_MONITOR__NATS__URL", "nats://127.0.0.1:4222");
    /// A file that holds neither a certificate nor a password.
    const OTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clippy.toml");
    const ROLE: (&str, &str) = ("NTP_MONITOR__FLEET__ROLE", "agent");

    #[test]
    fn without_nats_there_is_no_fleet() {
        assert!(loaded(&[]).unwrap().fleet.is_none());
        let fleet = loaded(&[NATS, ROLE]).unwrap().fleet.unwrap();
        assert_eq!((fleet.name.as_str(), fleet.nats.prefix.as_str()), ("here", "ntpm"));
        assert!(!fleet.nats.requires_tls());
    }

    #[test]
    fn each_mistake_in_nats_and_fleet_is_named() {
        let vantage = ("NTP_MONITOR__MONITOR__VANTAGE", "Büro 1");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hunter2");
        std::fs::write(&file, "hunter2").unwrap();
        let file = file.to_str().unwrap();
        for (settings, part) in [
            (vec![ROLE], "needs a section [nats]"),
            (vec![NATS], "needs a section [fleet]"),
            (vec![NATS, ROLE, vantage], "cannot name a vantage"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__USER", "u")], "set password_file"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__PASSWORD", "p")], "needs a user"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__PREFX", "p")], "did you mean \"prefix\"?"),
            (vec![ROLE, ("NTP_MONITOR__NATS__URL", "nats://u:p@h")], "user name or a password"),
            (vec![ROLE, ("NTP_MONITOR__NATS__URL", "http://h")], "nats:// or tls://"),
            (vec![NATS, ROLE, ("NTP_MONITOR__FLEET__ALLOW", "224.0.0.0/4")], "one host"),
            (vec![NATS, ROLE, ("NTP_MONITOR__FLEET__ALLOW", "0.0.0.0/0")], "every address"),
            (vec![NATS, ROLE, ("NTP_MONITOR__FLEET__BUDGET", "1s")], "at least 16 s"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__TLS__CA", "/nowhere.pem")], "cannot be read"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__TLS__CA", "/dev/null")], "not a regular file"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__TLS__CA", OTHER)], "nats.tls.ca: "),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__TLS__CERT", OTHER)], "a certificate needs its key"),
            (
                vec![NATS, ROLE, ("NTP_MONITOR__NATS__TLS__CERT", OTHER), ("NTP_MONITOR__NATS__TLS__KEY", OTHER)],
                "nats.tls.key: ",
            ),
            (
                vec![NATS, ROLE, ("NTP_MONITOR__NATS__USER", "u"), ("NTP_MONITOR__NATS__PASSWORD_FILE", OTHER)],
                "exactly one line",
            ),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__CREDS", "/nowhere.creds")], "cannot be read"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__CREDS", file)], "not a file of credentials"),
            (vec![NATS, ROLE, ("NTP_MONITOR__NATS__NKEY", file)], "58 characters"),
        ] {
            let why = loaded(&settings).unwrap_err();
            assert!(why.contains(part), "{part:?} in {why}");
        }
    }

    #[test]
    fn credentials_and_keys_are_read_from_files_and_masked() {
        let dir = tempfile::tempdir().unwrap();
        let seed = format!("SU{}", "A".repeat(56));
        let creds = format!("-----BEGIN NATS USER JWT-----\nj\n-----BEGIN USER NKEY SEED-----\n{seed}\n");
        let place = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (creds, seed_file) = (place("a.creds", &creds), place("a.nk", &format!("{seed}\n")));
        let (creds, nkey) = (("NTP_MONITOR__NATS__CREDS", &*creds), ("NTP_MONITOR__NATS__NKEY", &*seed_file));
        let login = |of| loaded(&[NATS, ROLE, of]).unwrap().fleet.unwrap().nats.login;
        assert!(matches!(login(creds), Login::Creds(text) if text.expose().contains(&seed)));
        assert_eq!(login(nkey), Login::Nkey(seed.as_str().into()));
        assert!(!format!("{:?}", loaded(&[NATS, ROLE, nkey]).unwrap()).contains(&seed));
        assert!(loaded(&[NATS, ROLE, nkey, creds]).unwrap_err().contains("one is enough"));
    }

    #[test]
    fn nats_password_is_masked_in_every_view_of_the_configuration() {
        let secret = [NATS, ROLE, ("NTP_MONITOR__NATS__USER", "u"), ("NTP_MONITOR__NATS__PASSWORD", "hunter2")];
        let config = loaded(&secret).unwrap();
        assert!(!config.shown.text().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    }
}
