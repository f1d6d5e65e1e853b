//! Estimates how many servers are independent: five servers with the same upstream count as one.
//!
//! Two servers belong together if they have the same address, the same public network (/24, /48), or, at stratum 2 and
//! above, the same reference identifier (the same upstream); if one names the IPv4 address of the other as its reference
//! identifier (RFC 5905 §7.3); or if they are the only IPv4 and the only IPv6 address of one name. A shared private
//! network does not count, because all servers of a site are in it. Packets do not show a shared operator or a shared
//! source further up, so the count is an upper bound.

use serde::{Deserialize, Serialize};

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use crate::ntp::RefId;

/// The data of one server that is used to find shared sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The address; `None` if it is not known.
    pub address: Option<IpAddr>,
    /// The stratum; `None` before the first answer.
    pub stratum: Option<u8>,
    /// The reference identifier; `None` before the first answer.
    pub refid: Option<RefId>,
    /// Equal for addresses that are known to belong to one host; `None` if nothing is known.
    pub host: Option<u32>,
}

/// Groups of servers that are not independent of each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Independence {
    /// The number of independent groups.
    pub count: usize,
    /// The number of servers.
    pub of: usize,
    /// The size of the largest group of servers that share an upstream, network or address.
    pub largest: usize,
    /// What the largest group shares.
    pub shared: Option<Tie>,
}

/// What two servers that are not independent share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tie {
    /// The same address.
    Address(IpAddr),
    /// The same /24 or /48, given by its first address.
    Network(IpAddr),
    /// The same host, in both address families.
    Host(u32),
    /// The same reference identifier at stratum 2 or above, or the server that it names.
    Upstream(RefId),
}

impl Independence {
    /// Counts the independent witnesses among `servers`. O(n).
    #[must_use]
    pub fn of(servers: &[Witness]) -> Self {
        let mut seen: HashMap<Tie, (usize, usize)> = HashMap::new();
        for (i, server) in servers.iter().enumerate() {
            for tie in ties(server) {
                seen.entry(tie).or_insert((i, 0)).1 += 1;
            }
        }
        let count = Self::groups(servers).iter().enumerate().filter(|(i, group)| i == *group).count();
        // For groups of equal size, prefer upstream to network and network to address.
        let best = seen
            .iter()
            .filter(|(_, (_, n))| *n > 1)
            .max_by_key(|(tie, (first, n))| (*n, rank(tie), usize::MAX - first));
        let (largest, shared) = best.map_or((servers.len().min(1), None), |(tie, (_, n))| (*n, Some(*tie)));
        Self { count, of: servers.len(), largest, shared }
    }

    /// The part of a vote that each of `servers` has: those that belong together share one.
    #[must_use]
    pub fn votes(servers: &[Witness]) -> Vec<f64> {
        let roots = Self::groups(servers);
        let mut sizes = vec![0.0; servers.len()];
        roots.iter().for_each(|r| sizes[*r] += 1.0);
        roots.iter().map(|r| 1.0 / sizes[*r]).collect()
    }

    /// The group of each of `servers`: those that belong together have the same number, that of the first.
    #[must_use]
    pub fn groups(servers: &[Witness]) -> Vec<usize> {
        united(servers.iter().map(ties))
    }

    /// A sentence if servers are not independent: "4 of your 5 servers share one upstream (192.0.2.1)".
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let (largest, of) = (self.largest, self.of);
        Some(match self.shared? {
            Tie::Upstream(refid) => format!("{largest} of your {of} servers share one upstream ({refid})"),
            Tie::Network(net) => format!("{largest} of your {of} servers are in one network ({})", network_text(net)),
            Tie::Address(address) => format!("{largest} of your {of} servers are the same address ({address})"),
            Tie::Host(_) => format!("{largest} of your {of} servers are addresses of one host"),
        })
    }
}

/// For each member the first one of its group: members with a common tie are of one group.
pub(crate) fn united<T: Eq + Hash>(members: impl IntoIterator<Item = impl IntoIterator<Item = T>>) -> Vec<usize> {
    let (mut parent, mut first) = (Vec::new(), HashMap::new());
    for (member, ties) in members.into_iter().enumerate() {
        parent.push(member);
        for tie in ties {
            let other = *first.entry(tie).or_insert(member);
            let (a, b) = (root(&mut parent, other), root(&mut parent, member));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..parent.len()).map(|member| root(&mut parent, member)).collect()
}

fn ties(server: &Witness) -> impl Iterator<Item = Tie> {
    let upstream = server.refid.filter(|r| r.0 != [0; 4] && server.stratum.is_some_and(|s| (2..16).contains(&s)));
    // Loopback addresses do not show who runs a server.
    let address = server.address.map(|a| a.to_canonical()).filter(|a| !a.is_loopback());
    let public = address.filter(|a| !is_local(*a));
    let served = address.and_then(named_by);
    [
        address.map(Tie::Address),
        public.map(|a| Tie::Network(network(a))),
        upstream.map(Tie::Upstream),
        served.map(Tie::Upstream),
        server.host.map(Tie::Host),
    ]
    .into_iter()
    .flatten()
}

/// The reference identifier by which the clients of a server name it (RFC 5905 §7.3), for IPv4.
pub(crate) fn named_by(address: IpAddr) -> Option<RefId> {
    match address {
        IpAddr::V4(v4) if !v4.is_loopback() => Some(RefId(v4.octets())),
        _ => None,
    }
}

/// Whether an address can mean different hosts at different places: private, shared, link-local or loopback. Servers at
/// such addresses are neighbours and may still be independent.
pub(crate) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local(),
    }
}

/// The network whose servers are taken to be neighbours: /24 or /48.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 80 << 80).into()),
    }
}

fn network_text(network: IpAddr) -> String {
    format!("{network}/{}", if network.is_ipv4() { 24 } else { 48 })
}

fn rank(tie: &Tie) -> u8 {
    match tie {
        Tie::Host(_) => 0,
        Tie::Address(_) => 1,
        Tie::Network(_) => 2,
        Tie::Upstream(_) => 3,
    }
}

fn root(parent: &mut [usize], mut member: usize) -> usize {
    while parent[member] != member {
        parent[member] = parent[parent[member]];
        member = parent[member];
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(address: &str, stratum: u8, refid: [u8; 4]) -> Witness {
        Witness {
            address: Some(address.parse().unwrap()),
            stratum: Some(stratum),
            refid: Some(RefId(refid)),
            host: None,
        }
    }

    #[test]
    fn servers_behind_one_upstream_are_one_witness() {
        let up = [10, 9, 8, 7];
        let mut servers: Vec<_> = (1..5).map(|n| witness(&format!("198.51.{n}.1"), 2, up)).collect();
        servers.push(witness("203.0.113.9", 1, *b"GPS\0"));
        let got = Independence::of(&servers);
        assert_eq!((got.count, got.of), (2, 5));
        assert_eq!(got.sentence().unwrap(), "4 of your 5 servers share one upstream (10.9.8.7)");
    }

    #[test]
    fn primary_servers_with_the_same_kind_of_clock_are_independent() {
        let servers = [witness("198.51.100.1", 1, *b"GPS\0"), witness("203.0.113.1", 1, *b"GPS\0")];
        let got = Independence::of(&servers);
        assert_eq!((got.count, got.sentence()), (2, None));
    }

    #[test]
    fn neighbours_in_a_network_are_one_witness_in_both_families() {
        let v4 = [witness("192.0.2.1", 1, *b"PPS\0"), witness("192.0.2.200", 1, *b"GPS\0")];
        assert_eq!(Independence::of(&v4).count, 1);
        assert_eq!(Independence::of(&v4).sentence().unwrap(), "2 of your 2 servers are in one network (192.0.2.0/24)");
        let v6 = [witness("2001:db8:1:2::1", 1, *b"PPS\0"), witness("2001:db8:1:ffff::1", 1, *b"GPS\0")];
        assert_eq!(Independence::of(&v6).count, 1);
        let apart = [witness("2001:db8:1::1", 1, *b"PPS\0"), witness("2001:db8:2::1", 1, *b"GPS\0")];
        assert_eq!(Independence::of(&apart).count, 2);
    }

    #[test]
    fn private_network_is_no_tie_but_an_upstream_in_it_is() {
        for [a, b] in [["192.168.3.1", "192.168.3.2"], ["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]] {
            let apart = [witness(a, 1, *b"PPS\0"), witness(b, 1, *b"GPS\0")];
            assert_eq!((Independence::of(&apart).count, Independence::votes(&apart)), (2, vec![1.0, 1.0]));
            let shared = [witness(a, 2, [10, 0, 0, 9]), witness(b, 2, [10, 0, 0, 9])];
            assert_eq!((Independence::of(&shared).count, Independence::votes(&shared)), (1, vec![0.5, 0.5]));
        }
    }

    #[test]
    fn server_that_follows_another_one_is_no_second_witness() {
        let servers = [
            witness("10.0.0.1", 1, *b"GPS\0"),
            witness("10.0.0.2", 2, [10, 0, 0, 1]),
            witness("10.0.0.3", 2, [10, 0, 0, 1]),
            witness("198.51.100.1", 1, *b"PPS\0"),
            witness("::ffff:203.0.113.1", 2, [198, 51, 100, 1]),
        ];
        assert_eq!(Independence::groups(&servers), [0, 0, 0, 3, 3]);
        assert_eq!(Independence::of(&servers).sentence().unwrap(), "3 of your 5 servers share one upstream (10.0.0.1)");
    }

    #[test]
    fn ties_are_transitive() {
        let servers = [
            witness("192.0.2.1", 2, [1, 1, 1, 1]),
            witness("192.0.2.2", 2, [2, 2, 2, 2]),
            witness("198.51.100.1", 2, [2, 2, 2, 2]),
        ];
        assert_eq!(Independence::of(&servers).count, 1);
    }

    #[test]
    fn servers_of_which_nothing_is_known_are_independent() {
        let unknown = Witness { address: None, stratum: None, refid: None, host: None };
        assert_eq!(Independence::of(&[unknown; 3]).count, 3);
        assert_eq!(Independence::of(&[]), Independence { count: 0, of: 0, largest: 0, shared: None });
    }
}
