//! Validates `[[notifier]]`: the keys that each type accepts and requires.

mod keys;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;
use reqwest::header::HeaderValue;

use super::outbound::{certificates, proxy};
use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::model::{Channel, Chat, Email, Heartbeat, MailTls, Notifier, NotifierType, Webhook};
use crate::config::raw;
use ntp_monitor_core::alert::body::BodyTemplate;

/// Keys of every type.
const COMMON: [&str; 5] = ["name", "type", "timeout", "rate", "ca_file"];
/// Keys of every type that sends HTTP requests.
const HTTP: [&str; 2] = ["proxy", "proxy_file"];
/// The minimum interval of heartbeats.
const SHORTEST_BEAT: Duration = Duration::from_secs(15);
/// The longest time-out. A longer attempt would delay all later messages.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);
const PAGERDUTY: &str = "https://events.pagerduty.com";
const TELEGRAM: &str = "https://api.telegram.org";
const NTFY: &str = "https://ntfy.sh";

/// The keys that only some types have.
fn keys(kind: NotifierType) -> &'static [&'static str] {
    match kind {
        NotifierType::Slack | NotifierType::Teams => &["url", "url_file"],
        NotifierType::Webhook => {
            &["url", "url_file", "secret", "secret_file", "headers", "body_template", "content_type", "expect"]
        }
        NotifierType::Pagerduty => &["api_url", "routing_key", "routing_key_file"],
        NotifierType::Ntfy => &["api_url", "topic", "topic_file", "token", "token_file"],
        NotifierType::Telegram => &["api_url", "token", "token_file", "chat_id", "message_thread_id"],
        NotifierType::Heartbeat => &["url", "url_file", "interval", "fail_url", "fail_url_file", "expect"],
        NotifierType::Email => &["host", "port", "tls", "hello", "from", "to", "username", "password", "password_file"],
    }
}

pub(super) fn notifiers(
    sections: Vec<(usize, raw::Notifier)>,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Notifier> {
    let (mut notifiers, mut names) = (Vec::new(), BTreeSet::new());
    for (n, section) in sections {
        let path = KeyPath::dotted("notifier").index(n);
        let unique = names.insert(section.name.clone());
        rules.require(unique, &path.key("name"), || format!("{:?} is also the name of another notifier", section.name));
        let name = section.name.clone();
        let mut table =
            Table { path, name, kind: section.kind, rules: &mut *rules, surroundings, warnings: &mut *warnings };
        notifiers.extend(table.notifier(section));
    }
    notifiers
}

/// The `[[notifier]]` being validated.
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
            Some(file) => Some(certificates(&self.path, file, self.rules, self.surroundings)?),
            None => None,
        };
        let (inline, file) = (section.proxy.as_ref(), section.proxy_file.as_ref());
        let proxy = proxy(&self.path, inline, file, self.rules, self.surroundings);
        let (name, timeout, per_minute) = (section.name.clone(), section.timeout.0, section.rate);
        Some(Notifier { name, timeout, per_minute, ca_pem, proxy, channel: self.channel(section)? })
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
                let (id, topic) = (self.text("chat_id", section.chat_id), section.message_thread_id);
                self.require(topic.is_none_or(|topic| topic > 0), "message_thread_id", "must be positive");
                let api_url = self.api(section.api_url, TELEGRAM)?;
                Some(Channel::Telegram { api_url, token: token?, chat: Chat { id: id?, topic } })
            }
            NotifierType::Heartbeat => {
                let url = self.secret_url("url", &section.url, &section.url_file);
                let has_fail = section.fail_url.is_some() || section.fail_url_file.is_some();
                let fail_url =
                    has_fail.then(|| self.secret_url("fail_url", &section.fail_url, &section.fail_url_file)).flatten();
                let interval = section.interval.map_or(Duration::from_secs(60), |span| span.0);
                self.require(interval >= SHORTEST_BEAT, "interval", "must be at least 15s");
                let expect = self.expect(section.expect);
                Some(Channel::Heartbeat(Heartbeat { url: url?, fail_url, interval, expect }))
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
            "applies only with a body_template; without one the body is JSON",
        );
        let content_type = section.content_type.unwrap_or_else(|| "application/json".to_owned());
        self.require(HeaderValue::try_from(&content_type).is_ok(), "content_type", "cannot be sent in a header");
        let expect = self.expect(section.expect);
        Some(Channel::Webhook(Webhook {
            url: url?,
            expect,
            secret,
            headers,
            body_template: section.body_template,
            content_type,
        }))
    }

    fn expect(&mut self, text: Option<String>) -> Option<String> {
        self.require(text.as_ref().is_none_or(|text| !text.is_empty()), "expect", "must not be empty");
        text
    }

    fn email(&mut self, section: raw::Notifier) -> Option<Channel> {
        let tls = section.tls.unwrap_or_default();
        let host = self.text("host", section.host);
        if let Some(host) = host.as_deref().filter(|host| tls == MailTls::None && !is_loopback(host)) {
            self.unencrypted(host, section.username.is_some());
        }
        if let Some(hello) = &section.hello {
            self.require(is_greeting(hello), "hello", "must be a name such as \"ntp.example.net\"");
        }
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
        Some(Channel::Email(Email { host: host?, port, tls, from: from?, to, login, hello: section.hello }))
    }

    /// Warns about unencrypted mail to another host.
    fn unencrypted(&mut self, host: &str, has_login: bool) {
        let is_public = bare(host).parse().is_ok_and(|address| !is_private(address));
        let why = "none is for a server on this machine or on the local network: alerts could be read in transit";
        self.require(!is_public, "tls", why);
        let name = &self.name;
        let what = if has_login { "the password and all alerts" } else { "all alerts" };
        self.warnings
            .push(format!("notifier {name}: tls = \"none\": {what} can be read and changed in transit to {host}"));
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || bare(host).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of a URL without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whether a name can be sent in a greeting: labels of letters, digits and hyphens, or an address in brackets.
fn is_greeting(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match literal {
        Some(literal) => literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<IpAddr>().is_ok(),
        None => name.len() <= 253 && name.split('.').all(is_label),
    }
}
