//! Validates single keys of a notifier: texts, secrets, URLs, addresses. Faults name
//! the key and never repeat a secret.

use std::path::PathBuf;

use lettre::message::Mailbox;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::{COMMON, HTTP, Table, is_loopback};
use crate::config::model::{Hidden, NotifierType};
use crate::config::units::Secret;
use crate::config::validate::secret::Places;

impl Table<'_, '_> {
    /// Rejects keys of other types, because they would have no effect.
    pub(super) fn refuse_foreign_keys(&mut self) {
        let own = super::keys(self.kind);
        let set: Vec<String> = self
            .rules
            .tree
            .get(&self.path)
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flat_map(|table| table.keys().cloned())
            .collect();
        let has_http = self.kind != NotifierType::Email;
        let is_known = |key: &&str| COMMON.contains(key) || own.contains(key) || has_http && HTTP.contains(key);
        for key in set.iter().map(String::as_str).filter(|key| !is_known(key)) {
            let why = format!("is not a key of type {:?}, which has {}", self.kind.label(), own.join(", "));
            self.require(false, key, &why);
        }
    }

    pub(super) fn require(&mut self, holds: bool, key: &str, message: &str) {
        let path = self.path.key(key);
        self.rules.require(holds, &path, || message.to_owned());
    }

    pub(super) fn text(&mut self, key: &str, text: Option<String>) -> Option<String> {
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
        Some(secret)
    }

    /// An optional secret. It must be valid, because many secrets become headers.
    pub(super) fn printable(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        let secret = self.secret(key, inline, file)?;
        let sound = !secret.expose().is_empty() && !secret.expose().chars().any(char::is_control);
        let key = if inline.is_some() { key.to_owned() } else { format!("{key}_file") };
        self.require(sound, &key, "must contain exactly one line, which is not empty");
        sound.then_some(secret)
    }

    pub(super) fn needed(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
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

    pub(super) fn secret_url(&mut self, key: &str, inline: &Option<Secret>, file: &Option<PathBuf>) -> Option<Hidden> {
        let secret = self.needed(key, inline, file)?;
        let key = if inline.is_some() { key.to_owned() } else { format!("{key}_file") };
        self.url(&key, secret.expose())?;
        Some(secret)
    }

    pub(super) fn api(&mut self, url: Option<String>, usual: &str) -> Option<String> {
        let url = url.unwrap_or_else(|| usual.to_owned());
        let parsed = self.url("api_url", &url)?;
        self.require(parsed.query().is_none() && parsed.fragment().is_none(), "api_url", "must not contain a query");
        Some(url.trim_end_matches('/').to_owned())
    }

    /// No fault repeats the text, because it may be a secret.
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
            let warning = "uses http, not https: messages can be read and changed in transit";
            self.warnings.push(format!("notifier {name}: {key} {warning}"));
        }
        sound.then_some(url)
    }

    pub(super) fn headers(&mut self, headers: std::collections::BTreeMap<String, Secret>) -> Vec<(String, Hidden)> {
        let path = self.path.key("headers");
        for (name, value) in &headers {
            let sound = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value.0.expose_secret()).is_ok();
            self.rules.require(sound, &path.key(name), || "is not a valid HTTP header".to_owned());
        }
        headers.into_iter().map(|(name, value)| (name, Hidden::from(value.0))).collect()
    }

    pub(super) fn mailbox(&mut self, key: &str, address: &str) -> Option<Mailbox> {
        let mailbox = address.parse().ok();
        self.require(
            mailbox.is_some(),
            key,
            &format!("{address:?} is not an email address such as \"ops@example.net\""),
        );
        mailbox
    }
}
