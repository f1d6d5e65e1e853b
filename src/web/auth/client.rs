//! The address of the client of a request, and the scheme of its URL. Pure.
//!
//! Only X-Forwarded-For and X-Forwarded-Proto are read, and only from a trusted proxy: the usual proxies append to the first
//! and set the second, while they pass a `Forwarded` header of the client on unchanged.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::config::Network;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The peer, unless it is a trusted proxy. Then the last address in X-Forwarded-For that is not a trusted proxy. The
/// client may have written anything before that address.
pub fn address(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address| is_trusted(address, trusted);
    let lines: Vec<&str> = headers.get_all(X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or_default()).collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut client = peer.to_canonical();
    while is_proxy(client) {
        match hops.next().and_then(|hop| parse(hop.trim())) {
            Some(hop) => client = hop,
            None => break,
        }
    }
    client
}

/// The scheme of the URL that the client sees: `https` if the connection `is_tls`, or if a trusted proxy says so.
pub fn scheme(headers: &HeaderMap, peer: IpAddr, trusted: &[Network], is_tls: bool) -> &'static str {
    let said = || headers.get_all(X_FORWARDED_PROTO).last()?.to_str().ok()?.rsplit(',').next();
    let is_https = match is_trusted(peer.to_canonical(), trusted).then(said).flatten() {
        Some(scheme) => scheme.trim().eq_ignore_ascii_case("https"),
        None => is_tls,
    };
    if is_https { "https" } else { "http" }
}

/// The other end of the connection. A program that connects to a Unix socket is on this host, so it counts as 127.0.0.1.
pub fn peer(socket: Option<SocketAddr>) -> IpAddr {
    socket.map_or(Ipv4Addr::LOCALHOST.into(), |socket| socket.ip().to_canonical())
}

/// Whether the address is that of a trusted proxy.
pub fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// An address; some proxies add the port.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|it| it.ip()));
    let address = address.or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>());
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["127.0.0.1", "10.0.0.0/8"].map(|text| Network::parse(text).unwrap());
        let mut headers = HeaderMap::new();
        forwarded.iter().for_each(|line| headers.append(X_FORWARDED_FOR, line.parse().unwrap()));
        address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn forwarded_address_is_used_from_trusted_proxies_only() {
        assert_eq!(address_of("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(address_of("127.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(address_of("::ffff:127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn forwarded_scheme_is_used_from_trusted_proxies_only() {
        let trusted = [Network::parse("127.0.0.1").unwrap()];
        for (peer, said, is_tls, scheme) in [
            ("127.0.0.1", Some("https"), false, "https"),
            ("127.0.0.1", Some("http, HTTPS"), false, "https"),
            ("::ffff:127.0.0.1", Some("http"), true, "http"),
            ("127.0.0.1", None, true, "https"),
            ("192.0.2.1", Some("https"), false, "http"),
            ("192.0.2.1", Some("http"), true, "https"),
        ] {
            let headers = said.map(|said| (X_FORWARDED_PROTO, said.parse().unwrap())).into_iter().collect();
            assert_eq!(super::scheme(&headers, peer.parse().unwrap(), &trusted, is_tls), scheme, "{peer} {said:?}");
        }
    }

    #[test]
    fn forwarded_address_written_by_the_client_is_ignored() {
        assert_eq!(address_of("127.0.0.1", &["203.0.113.9, 198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        assert_eq!(address_of("127.0.0.1", &["203.0.113.9", "198.51.100.1:5"]), "198.51.100.1");
        assert_eq!(address_of("127.0.0.1", &["10.2.2.2"]), "10.2.2.2");
        for unusable in [&[][..], &["unknown"], &["203.0.113.9, unknown"], &[""], &["203.0.113.9,"]] {
            assert_eq!(address_of("127.0.0.1", unusable), "127.0.0.1", "{unusable:?}");
        }
    }
}
