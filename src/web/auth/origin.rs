//! The site that a browser's request comes from. Pure.
//!
//! A browser sends the session cookie with requests made by any page, so a change must come from our own page. DNS
//! rebinding (an attacker's name that resolves to this host) must not make another page look like ours, so the
//! service accepts only its own names in `Host`.

use std::net::IpAddr;

use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use crate::config::Http;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request comes from our own page, according to the browser. `scheme` is that of the request. A request
/// without information about its page does not come from ours.
pub(super) fn is_same(headers: &HeaderMap, scheme: &str) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(&ORIGIN).and_then(|origin| origin.split_once("://"));
    let same_host = match (origin, text(&HOST)) {
        (Some((_, authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    };
    match text(&SEC_FETCH_SITE) {
        // The browser has compared the schemes. It knows the scheme even behind a proxy that does not forward it.
        Some(site) => site == "same-origin" && (!headers.contains_key(ORIGIN) || same_host),
        None => same_host && origin.is_some_and(|(of_page, _)| of_page.eq_ignore_ascii_case(scheme)),
    }
}

/// Whether a request was made by a page of another site.
pub(super) fn is_foreign(headers: &HeaderMap, scheme: &str) -> bool {
    (headers.contains_key(ORIGIN) || headers.contains_key(&SEC_FETCH_SITE)) && !is_same(headers, scheme)
}

/// Whether `host` is a name of this service. A service that other machines can reach accepts any name unless its names
/// are configured. Addresses and localhost are always accepted, because no other site can use them.
pub(super) fn is_ours(host: Option<&str>, http: &Http, exposed: bool) -> bool {
    let Some(host) = host else { return true };
    if exposed && http.names.is_empty() {
        return true;
    }
    let name = without_port(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || name == "localhost" || name.ends_with(".localhost") || http.names.iter().any(|known| known == name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_page_is_the_same_site() {
        let host = ("host", "monitor.example:8080");
        let same = |pairs: &[(&'static str, &str)]| is_same(&headers(&[&[host], pairs].concat()), "http");
        assert!(same(&[("origin", "http://monitor.example:8080")]));
        assert!(same(&[("sec-fetch-site", "same-origin")]));
        assert!(!same(&[]), "who says nothing is not believed");
        for site in ["cross-site", "same-site", "none"] {
            assert!(!same(&[("sec-fetch-site", site), ("origin", "http://monitor.example:8080")]), "{site}");
        }
        for origin in [
            "null",
            "https://monitor.example:8080",
            "ftp://monitor.example:8080",
            "http://evil.example",
            "http://monitor.example:81",
            "http://monitor.example:8080.evil",
        ] {
            assert!(!same(&[("origin", origin)]), "{origin}");
        }
        let is_foreign = |pairs: &[(&'static str, &str)]| is_foreign(&headers(pairs), "http");
        assert!(is_foreign(&[host, ("origin", "null")]) && !is_foreign(&[host]));
    }

    #[test]
    fn page_of_the_other_scheme_is_another_site() {
        let page = |origin: &str| headers(&[("host", "monitor.example"), ("origin", origin)]);
        let (plain, secure) = (page("http://monitor.example"), page("https://monitor.example"));
        assert!(is_same(&plain, "http") && is_same(&secure, "https"));
        assert!(is_foreign(&plain, "https") && is_foreign(&secure, "http"));
    }

    #[test]
    fn loopback_accepts_localhost_addresses_and_its_names() {
        let names = vec!["monitor.example".to_owned()];
        let listen = "127.0.0.1:8080".parse().unwrap();
        let http = Http {
            listen,
            public_read: false,
            names,
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            tls: None,
            tokens: Vec::new(),
        };
        for ours in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "::1", "monitor.example.:443"] {
            assert!(is_ours(Some(ours), &http, false), "{ours}");
        }
        for other in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert!(!is_ours(Some(other), &http, false), "{other}");
        }
        let open = Http { names: Vec::new(), ..http.clone() };
        assert!(is_ours(Some("any.example"), &open, true) && !is_ours(Some("any.example"), &http, true));
        assert!(is_ours(None, &http, false), "HTTP/1.0 has no such header");
    }
}
