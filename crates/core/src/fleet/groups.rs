//! Groups of dependent servers: they share a network or an upstream, or one is the upstream of the other.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Vantage;
use super::witness::Witness;
use crate::ntp::RefId;

/// What two servers share.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Tie {
    Network(IpAddr),
    Upstream([u8; 4]),
}

/// The group of each server: the smallest index of a server that it is tied to.
pub(super) fn of(witnesses: &[&Witness], upstreams: &[Option<RefId>]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..witnesses.len()).collect();
    let mut first: HashMap<Tie, usize> = HashMap::new();
    for (server, witness) in witnesses.iter().enumerate() {
        let address = witness.address().map(|address| address.ip());
        // Servers in a private network usually have sources of their own.
        let network = matches!(witness, Witness::Public(_)).then_some(address).flatten();
        let network = network.map(|ip| Tie::Network(network_of(ip)));
        // A server that another server names as its upstream is tied to it.
        let served = address.and_then(|ip| match ip {
            IpAddr::V4(v4) if !v4.is_loopback() => Some(Tie::Upstream(v4.octets())),
            _ => None,
        });
        let upstream = upstreams[server].map(|refid| Tie::Upstream(refid.0));
        for tie in [network, served, upstream].into_iter().flatten() {
            let other = *first.entry(tie).or_insert(server);
            let (a, b) = (root(&mut parent, other), root(&mut parent, server));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..witnesses.len()).map(|server| root(&mut parent, server)).collect()
}

/// The upstream that most vantages report for each server; none at stratum 1.
pub(super) fn upstreams(vantages: &[Vantage], servers: usize) -> Vec<Option<RefId>> {
    let mut votes: Vec<Vec<(Option<RefId>, usize)>> = vec![Vec::new(); servers];
    for (server, cell) in vantages.iter().flat_map(|vantage| &vantage.cells) {
        let Some(last) = cell.last() else { continue };
        let is_upstream = (2..16).contains(&last.stratum) && last.refid.0 != [0; 4] && last.refid.0[0] != 127;
        let upstream = is_upstream.then_some(last.refid);
        match votes[*server].iter_mut().find(|(known, _)| *known == upstream) {
            Some((_, count)) => *count += 1,
            None => votes[*server].push((upstream, 1)),
        }
    }
    let most =
        |votes: Vec<(Option<RefId>, usize)>| votes.into_iter().max_by_key(|(_, count)| *count).and_then(|it| it.0);
    votes.into_iter().map(most).collect()
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 80 << 80).into()),
    }
}

fn root(parent: &mut [usize], mut server: usize) -> usize {
    while parent[server] != server {
        parent[server] = parent[parent[server]];
        server = parent[server];
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(address: &str) -> Witness {
        Witness::at(format!("{address}:123").parse().unwrap(), &"site".into())
    }

    fn groups(servers: &[(&str, [u8; 4])]) -> Vec<usize> {
        let witnesses: Vec<_> = servers.iter().map(|(address, _)| witness(address)).collect();
        let upstreams: Vec<_> =
            servers.iter().map(|(_, refid)| Some(RefId(*refid)).filter(|id| id.0 != [0; 4])).collect();
        of(&witnesses.iter().collect::<Vec<_>>(), &upstreams)
    }

    #[test]
    fn servers_of_one_upstream_or_network_are_one_group() {
        let (a, b, none) = ([9, 9, 9, 9], [8, 8, 8, 8], [0; 4]);
        assert_eq!(groups(&[("198.18.0.1", a), ("198.18.1.1", b), ("198.18.2.1", a)]), [0, 1, 0]);
        assert_eq!(groups(&[("198.18.0.1", none), ("198.18.0.200", none), ("198.18.2.1", none)]), [0, 0, 2]);
        assert_eq!(groups(&[("10.0.0.1", none), ("10.0.0.2", none)]), [0, 1]);
    }

    #[test]
    fn server_that_another_one_follows_is_of_its_group() {
        assert_eq!(groups(&[("198.18.0.1", [198, 18, 7, 7]), ("198.18.7.7", [0; 4])]), [0, 0]);
    }
}
