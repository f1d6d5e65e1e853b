//! The order in which the addresses of a name are tried: that of `getaddrinfo` (RFC 6724 §6), which prefers addresses
//! that this host can reach. Addresses of equal rank are shuffled, so that many monitors of one pool do not all poll
//! the same member.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rand::seq::SliceRandom;

use crate::probe::address::Address;

/// More addresses than this of one name are ignored.
const MOST: usize = 64;

/// The addresses without duplicates, the preferred ones first.
pub(super) fn by_preference(mut addresses: Vec<Address>) -> Vec<Address> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.shuffle(&mut rand::rng());
    addresses.truncate(MOST);
    addresses.sort_by_cached_key(|address| Rank::of(address.ip, source_of(*address)));
    addresses
}

/// The address from which this host would send; `None` if it has no route. Nothing is sent.
fn source_of(destination: Address) -> Option<IpAddr> {
    let from: SocketAddr = match destination.ip {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(destination.at(123)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Rules 1, 2, 5, 6 and 8 of RFC 6724 §6; the lowest rank is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_unreachable: bool,
    is_other_scope: bool,
    is_other_label: bool,
    precedence: Reverse<u8>,
    scope: u8,
}

impl Rank {
    fn of(destination: IpAddr, source: Option<IpAddr>) -> Self {
        let (precedence, label) = policy(destination);
        Self {
            is_unreachable: source.is_none(),
            is_other_scope: source.is_some_and(|source| scope(source) != scope(destination)),
            is_other_label: source.is_some_and(|source| policy(source).1 != label),
            precedence: Reverse(precedence),
            scope: scope(destination),
        }
    }
}

/// RFC 6724 §3.1 and §3.2.
fn scope(ip: IpAddr) -> u8 {
    const LINK: u8 = 2;
    const GLOBAL: u8 = 14;
    let is_local = match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    };
    if is_local { LINK } else { GLOBAL }
}

/// Precedence and label (RFC 6724 §2.1).
fn policy(ip: IpAddr) -> (u8, u8) {
    let IpAddr::V6(ip) = ip else { return (35, 4) };
    match ip.segments() {
        _ if ip.is_loopback() => (50, 0),
        [0, 0, 0, 0, 0, 0xffff, ..] => (35, 4),
        [0x2002, ..] => (30, 2),
        [0x2001, 0, ..] => (5, 5),
        [first, ..] if first & 0xfe00 == 0xfc00 => (3, 13),
        _ => (40, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether `a` is preferred to `b`, both with the source that this host has for them.
    fn wins(a: (&str, Option<&str>), b: (&str, Option<&str>)) -> bool {
        let rank = |(to, from): (&str, Option<&str>)| Rank::of(ip(to), from.map(ip));
        rank(a) < rank(b)
    }

    #[test]
    fn reachable_family_is_preferred() {
        let (v4, v6) = ("192.0.2.77", "2001:db8:1::1");
        assert!(wins((v6, Some("2001:db8::9")), (v4, None)));
        assert!(wins((v4, Some("192.0.2.1")), (v6, None)));
        assert!(wins((v6, Some("2001:db8::9")), (v4, Some("192.0.2.1"))), "both: IPv6");
    }

    #[test]
    fn private_source_does_not_lead_to_a_global_address() {
        let v4 = ("192.0.2.77", Some("10.0.0.1"));
        assert!(wins(v4, ("2001:db8:1::1", Some("fd00::2"))));
        assert!(wins(v4, ("2001:db8:1::1", Some("fe80::2"))));
        assert!(wins(v4, ("2002:c000:201::1", Some("2002:c000:202::1"))), "6to4 comes last");
    }

    #[test]
    fn equal_addresses_are_spread() {
        let members: Vec<Address> = (1..=8).map(|host| Address::from(IpAddr::from([127, 0, 0, host]))).collect();
        let firsts: std::collections::HashSet<_> = (0..200).map(|_| by_preference(members.clone())[0].ip).collect();
        assert_eq!(firsts.len(), members.len());
        let twice = [members.clone(), members].concat();
        assert_eq!(by_preference(twice).len(), 8);
    }
}
