//! Validates `[http]`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{Rules, Surroundings, tls};
use crate::config::fault::KeyPath;
use crate::config::model::{Http, Token as HttpToken};
use crate::config::named_file::{FileFault, read_value, resolve};
use crate::config::{Network, raw};
use crate::outbound::Hidden;

pub(super) fn http(
    section: raw::Http,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Http> {
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
                "{listen} can be reached from other machines: set public_read = true if everyone may read, or add \
                 tokens ([[http.tokens]])"
            )
        });
    }
    let names = names(section.names, rules);
    let trusted_proxies = networks(&section.trusted_proxies, rules);
    let base_path = base_path(&section.base_path);
    rules.require(base_path.is_some(), &KeyPath::dotted("http.base_path"), || {
        format!("{:?} is not a path such as \"/ntp\", of letters, digits and -._~", section.base_path)
    });
    let tls = section.tls.and_then(|section| tls::tls(&section, rules, surroundings, warnings));
    Some(Http {
        listen,
        public_read: section.public_read,
        names,
        trusted_proxies,
        base_path: base_path?,
        tls,
        tokens: tokens(section.tokens, rules, surroundings),
    })
}

/// The path without a trailing slash; `None` if proxies and browsers could write it differently.
#[must_use]
pub fn base_path(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_segment = |segment: &str| {
        let is_plain = segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        is_plain && !matches!(segment, "" | "." | "..")
    };
    let rest = match path.strip_prefix('/') {
        Some(rest) => rest,
        None => return (path.is_empty() && text == "/").then(String::new),
    };
    rest.split('/').all(is_segment).then(|| path.to_owned())
}

/// Host names without port, in lower case.
fn names(names: Vec<String>, rules: &mut Rules<'_>) -> Vec<String> {
    let all = KeyPath::dotted("http.names");
    for (n, name) in names.iter().enumerate() {
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        rules.require(is_name, &all.index(n), || {
            format!("{name:?} is not a host name such as \"monitor.example.net\", without a port")
        });
    }
    names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn networks(texts: &[String], rules: &mut Rules<'_>) -> Vec<Network> {
    let all = KeyPath::dotted("http.trusted_proxies");
    let mut networks = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        match Network::parse(text) {
            Ok(network) => networks.push(network),
            Err(why) => rules.require(false, &all.index(n), || why),
        }
    }
    networks
}

fn tokens(sections: Vec<raw::Token>, rules: &mut Rules<'_>, surroundings: &Surroundings<'_>) -> Vec<HttpToken> {
    let all = KeyPath::dotted("http.tokens");
    let mut tokens: Vec<HttpToken> = Vec::new();
    for (n, section) in sections.into_iter().enumerate() {
        let path = all.index(n);
        rules.plain(&section.name, &path.key("name"));
        let unique = tokens.iter().all(|known| known.name != section.name);
        rules.require(unique, &path.key("name"), || format!("{:?} is also the name of another token", section.name));
        if let Some((sha256, file)) = hash(&section, &path, rules, surroundings) {
            tokens.push(HttpToken { name: section.name, role: section.role, sha256, file });
        }
    }
    tokens
}

/// A token must be too long to guess.
const SHORTEST: usize = 16;

/// The hash of a token, given directly or computed from a file, and the path of that file. The reasons repeat no token.
fn hash(
    section: &raw::Token,
    path: &KeyPath,
    rules: &mut Rules<'_>,
    around: &Surroundings<'_>,
) -> Option<([u8; 32], Option<Arc<Path>>)> {
    let wrong = FileFault::Wrong;
    let found = match (&section.sha256, &section.token_file) {
        (Some(hash), None) => from_hex(hash.0.expose_secret())
            .map(|hash| (hash, None))
            .ok_or_else(|| ("sha256", wrong("must be the 64 hexadecimal digits that sha256sum prints".to_owned()))),
        (None, Some(file)) => match read_value(file, around) {
            Ok(token) => hash_of(&token).map(|hash| (hash, Some(resolve(file, around).into()))).ok_or_else(|| {
                ("token_file", wrong(format!("must contain at least {SHORTEST} characters, on one line")))
            }),
            Err(fault) => Err(("token_file", fault)),
        },
        _ => Err(("sha256", wrong("or token_file must be set, but not both".to_owned()))),
    };
    found.map_err(|(key, fault)| rules.refuse_file(&path.key(key), fault)).ok()
}

/// The hash of the token in a file, if there is one. Blocks.
pub(in crate::config) fn hash_of_file(file: &Path) -> Option<[u8; 32]> {
    hash_of(&Hidden::read(file).ok()?)
}

fn hash_of(token: &Hidden) -> Option<[u8; 32]> {
    let is_token = token.expose().len() >= SHORTEST && !token.expose().chars().any(char::is_control);
    is_token.then(|| Sha256::digest(token.expose().as_bytes()).into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_path_has_plain_segments() {
        for (text, path) in [("/", ""), ("/ntp", "/ntp"), ("/ntp/", "/ntp"), ("/a/b-1.2_~", "/a/b-1.2_~")] {
            assert_eq!(base_path(text).as_deref(), Some(path), "{text}");
        }
        for text in ["", "ntp", "//", "/a//b", "/..", "/./a", "/a b", "/%41", "/a?b", "https://h/a", "//evil.example"] {
            assert_eq!(base_path(text), None, "{text}");
        }
    }
}
