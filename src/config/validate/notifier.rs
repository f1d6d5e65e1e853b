//! Rules of `[[notifier]]`: which keys each type has, and which it needs.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::secret::{Places, resolve};
use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::model::{Channel, Email, Heartbeat, Hidden, MailTls, Notifier, NotifierType, Webhook};
use crate::config::raw;
use crate::config::units::Secret;
use crate::notify::template::BodyTemplate;

/// Keys of every type.
const COMMON: [&str; 5] = ["name", "type", "timeout", "rate", "ca_file"];
/// What is asked for more often than this is asked for too often.
const SHORTEST_BEAT: Duration = Duration::from_secs(15);
/// Longer than this, an attempt holds up everything behind it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);
const PAGERDUTY: &str = "https://events.pagerduty.com";
const TELEGRAM: &str = "https://api.telegram.org";
const NTFY: &str = "https://ntfy.sh";

/// The keys that only some types have.
fn keys(kind: NotifierType) -> &'static [&'static str] {
    match kind {
        NotifierType::Slack | NotifierType::Teams => &["url", "url_file"],
        NotifierType::Webhook => {
            &["url", "url_file", "secret", "secret_file", "headers", "body_template", "content_type"]
        }
        NotifierType::Pagerduty => &["api_url", "routing_key", "routing_key_file"],
        NotifierType::Ntfy => &["api_url", "topic", "topic_file", "token", "token_file"],
        NotifierType::Telegram => &["api_url", "token", "token_file", "chat_id"],
        NotifierType::Heartbeat => &["url", "url_file", "interval", "fail_url", "fail_url_file"],
        NotifierType::Email => &["host", "port", "tls", "from", "to", "username", "password", "password_file"],
    }
}

pub(super) fn notifiers(
    sections: Vec<(usize, raw::Notifier)>,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Notifier> {
    let mut notifiers: Vec<Notifier> = Vec::new();
    for (n, section) in sections {
        let path = KeyPath::dotted("notifier").index(n);
        let unique = notifiers.iter().all(|known| known.name != section.name);
        rules.require(unique, &path.key("name"), || format!("{:?} is the name of another notifier too", section.name));
        let name = section.name.clone();
        let mut table =
            Table { path, name, kind: section.kind, rules: &mut *rules, surroundings, warnings: &mut *warnings };
        notifiers.extend(table.notifier(section));
    }
    notifiers
}

/// One `[[notifier]]` under examination.
struct Table<'a, 'r> {
    path: KeyPath,
    name: String,
    kind: NotifierType,
    rules: &'a mut Rules<'r>,
    surroundings: &'a Surroundings<'a>,
    warnings: &'a mut Vec<String>,
}

impl Table<'_, '_> {
    fn notifier(&mut self, section: raw::Notifier) -> Option<Notifier> {
        self.refuse_foreign_keys();
        let name = self.path.key("name");
        self.rules.plain(&section.name, &name);
        let timeout = self.path.key("timeout");
        self.rules.positive(section.timeout.0, &timeout);
        self.require(section.timeout.0 <= LONGEST_TIMEOUT, "timeout", "must not be longer than 120s");
        self.require((1..=10_000).contains(&section.rate), "rate", "must be from 1 to 10000");
        let ca_pem = match &section.ca_file {
            Some(file) => Some(self.certificates(file)?),
            None => None,
        };
        let (name, timeout, per_minute) = (section.name.clone(), section.timeout.0, section.rate);
        Some(Notifier { name, timeout, per_minute, ca_pem, channel: self.channel(section)? })
    }

    fn channel(&mut self, section: raw::Notifier) -> Option<Channel> {
        match self.kind {
            NotifierType::Slack => Some(Channel::Slack(self.secret_url("url", &section.url, &section.url_file)?)),
            NotifierType::Teams => Some(Channel::Teams(self.secret_url("url", &section.url, &section.url_file)?)),
            NotifierType::Webhook => self.webhook(section),
            NotifierType::Pagerduty => {
                let key = self.needed("routing_key", &section.routing_key, &section.routing_key_file);
                Some(Channel::Pagerduty { api_url: self.api(section.api_url, PAGERDUTY)?, routing_key: key? })
            }
            NotifierType::Ntfy => {
                let topic = self.needed("topic", &section.topic, &section.topic_file);
                let token = self.printable("token", &section.token, &section.token_file);
                Some(Channel::Ntfy { api_url: self.api(section.api_url, NTFY)?, topic: topic?, token })
            }
            NotifierType::Telegram => {
                let token = self.needed("token", &section.token, &section.token_file);
                let chat_id = self.text("chat_id", section.chat_id);
                Some(Channel::Telegram {
                    api_url: self.api(section.api_url, TELEGRAM)?,
                    token: token?,
                    chat_id: chat_id?,
                })
            }
            NotifierType::Heartbeat => {
                let url = self.secret_url("url", &section.url, &section.url_file);
                let has_fail = section.fail_url.is_some() || section.fail_url_file.is_some();
                let fail_url =
                    has_fail.then(|| self.secret_url("fail_url", &section.fail_url, &section.fail_url_file)).flatten();
                let interval = section.interval.map_or(Duration::from_secs(60), |span| span.0);
                self.require(interval >= SHORTEST_BEAT, "interval", "must be at least 15s");
                Some(Channel::Heartbeat(Heartbeat { url: url?, fail_url, interval }))
            }
            NotifierType::Email => self.email(section),
        }
    }

    fn webhook(&mut self, section: raw::Notifier) -> Option<Channel> {
        let url = self.secret_url("url", &section.url, &section.url_file);
        let secret = self.printable("secret", &section.secret, &section.secret_file);
        let headers = self.headers(section.headers.unwrap_or_default());
        if let Some(template) = &section.body_template
            && let Err(why) = BodyTemplate::check(template)
        {
            self.require(false, "body_template", &why);
        }
        self.require(
            section.content_type.is_none() || section.body_template.is_some(),
            "content_type",
            "belongs to a body_template; without one the body is JSON",
        );
        let content_type = section.content_type.unwrap_or_else(|| "application/json".to_owned());
        self.require(HeaderValue::try_from(&content_type).is_ok(), "content_type", "cannot be sent in a header");
        Some(Channel::Webhook(Webhook {
            url: url?,
            secret,
            headers,
            body_template: section.body_template,
            content_type,
        }))
    }

    fn email(&mut self, section: raw::Notifier) -> Option<Channel> {
        let tls = section.tls.unwrap_or_default();
        let host = self.text("host", section.host);
        let is_local = host.as_deref().is_some_and(is_loopback);
        self.require(
            tls != MailTls::None || is_local || host.is_none(),
            "tls",
            "none is for a server on this machine only: passwords and alerts would be open to everybody on the way",
        );
        let usual = match tls {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        let port = section.port.unwrap_or(usual);
        self.require(port > 0, "port", "must be from 1 to 65535");
        let from = self.text("from", section.from).and_then(|from| self.mailbox("from", &from));
        let to: Vec<Mailbox> = section.to.iter().flatten().filter_map(|address| self.mailbox("to", address)).collect();
        self.require(section.to.as_ref().is_some_and(|to| !to.is_empty()), "to", "is missing: at least one address");
        let password = self.printable("password", &section.password, &section.password_file);
        let both = section.username.is_some() == password.is_some();
        self.require(both, "username", "and password go together: set both or neither");
        let login = section.username.zip(password);
        Some(Channel::Email(Email { host: host?, port, tls, from: from?, to, login }))
    }

    /// A key of another type would be silently without effect.
    fn refuse_foreign_keys(&mut self) {
        let own = keys(self.kind);
        let set: Vec<String> = self
            .rules
            .tree
            .get(&self.path)
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        for key in set.iter().map(String::as_str).filter(|key| !COMMON.contains(key) && !own.contains(key)) {
            let why = format!("is no key of type {:?}; it has {}", self.kind.label(), own.join(", "));
            self.require(false, key, &why);
        }
    }

    fn require(&mut self, holds: bool, key: &str, message: &str) {
        let path = self.path.key(key);
        self.rules.require(holds, &path, || message.to_owned());
    }

    fn text(&mut self, key: &str, text: Option<String>) -> Option<String> {
        let path = self.path.key(key);
        match text {
            Some(text) => {
                self.rules.plain(&text, &path);
                Some(text)
            }
            None => {
                self.rules.require(false, &path, || "is missing".to_owned());
                None
            }
        }
    }

    fn secret(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        let places = Places::of(&self.path, key);
        let (secret, _) = places.look(inline.as_ref(), file.as_ref(), self.rules, self.surroundings)?;
        Some(Hidden::from(secret))
    }

    /// A secret that may be missing, but not be broken: many of them end up in a header.
    fn printable(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        let secret = self.secret(key, inline, file)?;
        let sound = !secret.expose().is_empty() && !secret.expose().chars().any(char::is_control);
        let key = if inline.is_some() { key.to_owned() } else { format!("{key}_file") };
        self.require(sound, &key, "must hold something, on one line");
        sound.then_some(secret)
    }

    fn needed(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        if inline.is_none() && file.is_none() {
            let path = Places::of(&self.path, key);
            if self.rules.sound(&[&path.file]) {
                self.require(
                    false,
                    key,
                    &format!("is missing: set {key}, {key}_file or a variable of the environment"),
                );
            }
            return None;
        }
        self.printable(key, inline, file)
    }

    fn secret_url(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        let secret = self.needed(key, inline, file)?;
        let key = if inline.is_some() { key.to_owned() } else { format!("{key}_file") };
        self.url(&key, secret.expose())?;
        Some(secret)
    }

    fn api(&mut self, url: Option<String>, usual: &str) -> Option<String> {
        let url = url.unwrap_or_else(|| usual.to_owned());
        let parsed = self.url("api_url", &url)?;
        self.require(parsed.query().is_none() && parsed.fragment().is_none(), "api_url", "must not contain a query");
        Some(url.trim_end_matches('/').to_owned())
    }

    /// The text is not repeated in any fault: it may be a secret.
    fn url(&mut self, key: &str, text: &str) -> Option<Url> {
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => {
                self.require(false, key, "must be a URL that begins with https:// or http://");
                return None;
            }
        };
        let sound = url.username().is_empty() && url.password().is_none();
        self.require(sound, key, "must not contain a user or a password");
        if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback) {
            let name = &self.name;
            let warning = "is http and not https: what is sent can be read and changed on the way";
            self.warnings.push(format!("notifier {name}: {key} {warning}"));
        }
        sound.then_some(url)
    }

    fn headers(&mut self, headers: std::collections::BTreeMap<String, Secret>) -> Vec<(String, Hidden)> {
        let path = self.path.key("headers");
        for (name, value) in &headers {
            let sound = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value.0.expose_secret()).is_ok();
            self.rules.require(sound, &path.key(name), || "is no header that can be sent".to_owned());
        }
        headers.into_iter().map(|(name, value)| (name, Hidden::from(value.0))).collect()
    }

    fn mailbox(&mut self, key: &str, address: &str) -> Option<Mailbox> {
        let mailbox = address.parse().ok();
        self.require(mailbox.is_some(), key, &format!("{address:?} is no mail address, such as \"ops@example.net\""));
        mailbox
    }

    fn certificates(&mut self, file: &std::path::Path) -> Option<String> {
        let path = resolve(file, self.surroundings);
        let text = std::fs::read_to_string(&path).map_err(|why| format!("{} cannot be read: {why}", path.display()));
        let found = text.and_then(|pem| match reqwest::Certificate::from_pem(pem.as_bytes()) {
            Ok(_) => Ok(pem),
            Err(_) => Err(format!("{} holds no certificate in PEM", path.display())),
        });
        found.map_err(|why| self.require(false, "ca_file", &why)).ok()
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
