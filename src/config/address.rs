//! The syntax of a server's address. Nothing is resolved here.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use super::model::Host;

/// The port of NTP (RFC 5905 §7.2).
pub const NTP_PORT: u16 = 123;

/// The longest name of an interface.
const MAX_INTERFACE_LEN: usize = 15;

/// Like [`split`], with the NTP port as the default.
///
/// # Errors
/// Errors of [`split`].
pub(super) fn parse(text: &str) -> Result<(Host, u16), String> {
    let (host, port) = split(text)?;
    Ok((host, port.unwrap_or(NTP_PORT)))
}

/// Splits `text` into the server and its port: a name or an IPv4 address, either with `:port`; an IPv6 address, in
/// brackets when a port follows, and with `%` and an interface when it is link-local.
///
/// # Errors
/// The error in the text.
pub fn split(text: &str) -> Result<(Host, Option<u16>), String> {
    if let Some(host) = v6(text) {
        return Ok((host?, None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or("the closing ] is missing")?;
            let host = v6(&without_uri_escape(inside)).ok_or_else(|| format!("{inside:?} is not an IPv6 address"))?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or_else(|| format!("{after:?} after the ] is not a port"))?),
            };
            (host?, port)
        }
        None => match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                return Err(format!(
                    "{text:?} is not an IPv6 address; with a port it is written \"[2001:db8::1]:123\""
                ));
            }
            Some((host, port)) => (name_or_v4(host)?, Some(port)),
            None => (name_or_v4(text)?, None),
        },
    };
    Ok((host, port.map(parse_port).transpose()?))
}

/// An IPv6 address, with or without an interface; `None` for other text. An address with an interface is resolved like
/// a name, because interfaces can appear and disappear.
fn v6(text: &str) -> Option<Result<Host, String>> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(Ok(Host::Address(IpAddr::V6(text.parse().ok()?))));
    };
    let address = address.parse::<Ipv6Addr>().ok()?;
    let is_interface = (1..=MAX_INTERFACE_LEN).contains(&zone.len())
        && zone.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:%[]".contains(&byte));
    let wrong = || format!("{zone:?} is not an interface; a link-local address is written \"fe80::1%eth0\"");
    Some(is_interface.then(|| Host::Name(format!("{address}%{zone}"))).ok_or_else(wrong))
}

/// In brackets, the `%` may be written as in URIs, `%25` (RFC 6874).
fn without_uri_escape(inside: &str) -> Cow<'_, str> {
    match inside.split_once("%25") {
        Some((address, zone)) if !zone.is_empty() => format!("{address}%{zone}").into(),
        _ => inside.into(),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(format!("{text:?} is not a port from 1 to 65535")),
    }
}

fn name_or_v4(text: &str) -> Result<Host, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    // RFC 1123 §2.1, and underscores, which resolvers accept.
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    // An all-numeric name is a mistyped address: "192.0.2.300".
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if name.len() > 253 || numeric || !name.split('.').all(label) {
        return Err(format!("{text:?} is neither an address nor a host name"));
    }
    // A trailing dot makes the name absolute, without the search list.
    Ok(Host::Name(text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_addresses_come_with_and_without_a_port() {
        for (text, host, port) in [
            ("time.example.net", Host::Name("time.example.net".into()), 123),
            ("Time.Example.net.:1123", Host::Name("time.example.net.".into()), 1123),
            ("192.0.2.1", Host::Address("192.0.2.1".parse().unwrap()), 123),
            ("192.0.2.1:65535", Host::Address("192.0.2.1".parse().unwrap()), 65535),
            ("2001:db8::1", Host::Address("2001:db8::1".parse().unwrap()), 123),
            ("[2001:db8::1]", Host::Address("2001:db8::1".parse().unwrap()), 123),
            ("[2001:db8::1]:124", Host::Address("2001:db8::1".parse().unwrap()), 124),
            ("Time.Example.net.:124", Host::Name("time.example.net.".into()), 124),
            ("fe80::1%eth0", Host::Name("fe80::1%eth0".into()), 123),
            ("FE80::01%Eth0.7", Host::Name("fe80::1%Eth0.7".into()), 123),
            ("fe80::1%2", Host::Name("fe80::1%2".into()), 123),
            ("[fe80::1%eth0]:124", Host::Name("fe80::1%eth0".into()), 124),
            ("[fe80::1%25eth0]:124", Host::Name("fe80::1%eth0".into()), 124),
            ("[fe80::1%25]", Host::Name("fe80::1%25".into()), 123),
        ] {
            assert_eq!(parse(text), Ok((host, port)), "{text}");
        }
    }

    #[test]
    fn invalid_address_is_rejected_with_a_reason() {
        for text in [
            "",
            ":123",
            "a b",
            "-a.example",
            "a..b",
            "192.0.2.300",
            "host:0",
            "host:+1",
            "host:65536",
            "host:",
            "[::1",
            "[::1]123",
            "[192.0.2.1]",
            "2001:db8::1:x",
            "fe80::1%",
            "fe80::1%eth0:123",
            "fe80::1%a b",
            "fe80::1%an-interface-name",
            "192.0.2.1%eth0",
            "host%eth0",
            "http://host",
            "h\nost",
        ] {
            assert!(parse(text).is_err_and(|why| !why.is_empty()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*|[\\[\\]:%0-9a-f.]*") {
            let _ = parse(&text);
        }
    }
}
