//! Validates `[influxdb]`.

use super::outbound::{certificates, proxy};
use super::secret::Places;
use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::model::Influx;
use crate::config::raw;
use crate::outbound::{Hidden, base_url};

pub(super) fn influx(section: raw::Influx, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<Influx> {
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
    let table = KeyPath::dotted("influxdb");
    let ca_pem = section.ca_file.as_ref().map(|file| certificates(&table, file, rules, surroundings));
    let proxy = proxy(&table, section.proxy.as_ref(), section.proxy_file.as_ref(), rules, surroundings);
    let token = token(&section, rules, surroundings)?;
    Some(Influx {
        url: section.url.trim_end_matches('/').to_owned(),
        org: section.org,
        bucket: section.bucket,
        token,
        batch: section.batch as usize,
        flush_interval: section.flush_interval.0,
        timeout: section.timeout.0,
        ca_pem: ca_pem.flatten(),
        proxy,
        outbox_max_age: section.outbox_max_age.0,
        outbox_max_bytes: section.outbox_max_bytes.0,
    })
}

/// The paths of the API are appended to the URL, so a URL that includes them is rejected.
fn check_url(url: &str) -> Result<(), &'static str> {
    if url.contains("/api/v2") {
        return Err("must end before /api/v2");
    }
    base_url(url).map(drop)
}

/// The token, which is required.
fn token(section: &raw::Influx, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Option<Hidden> {
    let places = Places::of(&KeyPath::dotted("influxdb"), "token");
    if section.token.is_none() && section.token_file.is_none() {
        if rules.sound(&[&places.file]) {
            rules.require(false, &places.inline, || "is missing: set INFLUX_TOKEN, token_file or token".to_owned());
        }
        return None;
    }
    let (secret, path) = places.look(section.token.as_ref(), section.token_file.as_ref(), rules, surroundings)?;
    let text = secret.expose();
    let printable = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    rules.require(printable, path, || "the token must be printable ASCII without spaces, and not empty".to_owned());
    printable.then_some(secret)
}
