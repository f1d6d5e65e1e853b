//! The name of this host in the SMTP greeting. Many relays refuse a name without a domain (RFC 5321 §4.1.1.1 requires a
//! fully qualified one, or an address literal).

use std::net::{IpAddr, Ipv4Addr};

use lettre::transport::smtp::extension::ClientId;
use tokio::net::UdpSocket;

const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";

/// The fully qualified name of this host, or the address from which it reaches the server.
pub(super) async fn name(host: &str, port: u16) -> ClientId {
    let found = tokio::task::spawn_blocking(|| {
        let short = nix::unistd::gethostname().ok()?.into_string().ok()?;
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        qualified(&short, &read(HOSTS), &read(RESOLVER))
    });
    match found.await {
        Ok(Some(name)) => ClientId::Domain(name),
        _ => literal(local_address(host, port).await),
    }
}

/// The name with its domain: the host name if it has one, otherwise the name in `hosts`, otherwise the host name with
/// the domain of the resolver.
fn qualified(short: &str, hosts: &str, resolver: &str) -> Option<String> {
    if is_qualified(short) {
        return Some(short.to_owned());
    }
    let listed = hosts.lines().find_map(|line| {
        let names: Vec<&str> = line.split('#').next()?.split_whitespace().skip(1).collect();
        let is_own = names.iter().any(|name| name.eq_ignore_ascii_case(short));
        names.iter().find(|name| is_own && is_qualified(name)).map(|name| (*name).to_owned())
    });
    let with_domain = || {
        let of = |key: &str| {
            resolver.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.split_whitespace().next())
        };
        let domain = of("domain ").or_else(|| of("search "))?.trim_end_matches('.');
        Some(format!("{short}.{domain}")).filter(|name| is_qualified(name))
    };
    listed.or_else(with_domain)
}

/// Whether a name has a domain and contains only characters that a greeting allows. `localhost.localdomain` does not
/// count.
fn is_qualified(name: &str) -> bool {
    let sound = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.contains('.') && !name.starts_with("localhost") && name.len() <= 253 && name.split('.').all(sound)
}

async fn local_address(host: &str, port: u16) -> Option<IpAddr> {
    // Connecting a datagram socket sends nothing; it only chooses the address.
    for address in tokio::net::lookup_host((host, port)).await.ok()? {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let Ok(socket) = UdpSocket::bind(any).await else { continue };
        if socket.connect(address).await.is_ok() {
            return socket.local_addr().ok().map(|local| local.ip());
        }
    }
    None
}

fn literal(address: Option<IpAddr>) -> ClientId {
    match address {
        Some(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Some(IpAddr::V6(address)) => ClientId::Ipv6(address),
        None => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greeting_has_a_name_with_a_domain() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 ntp.example.net ntp # this host\n";
        let name = |short, hosts, resolver| qualified(short, hosts, resolver);
        assert_eq!(name("ams1.example.net", "", "").as_deref(), Some("ams1.example.net"));
        assert_eq!(name("ntp", hosts, "search other.example").as_deref(), Some("ntp.example.net"));
        assert_eq!(name("ntp", "", "nameserver ::1\nsearch lan.example. b\n").as_deref(), Some("ntp.lan.example"));
        assert_eq!(name("ntp", "127.0.0.1 localhost.localdomain ntp", ""), None);
        assert_eq!(name("ntp", "", "search .\n"), None);
        assert_eq!(name("bad_name", "", "search example.net"), None);
    }

    #[tokio::test]
    async fn address_literal_replaces_an_unknown_name() {
        assert_eq!(local_address("127.0.0.1", 25).await, Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(literal(Some(Ipv4Addr::LOCALHOST.into())).to_string(), "[127.0.0.1]");
    }
}
