//! Groups of dependent servers: they share a network or an upstream, or one is the upstream of the other.

use std::collections::HashMap;
use std::net::IpAddr;

use super::cell::Cell;
use super::grid::Readers;
use super::witness::Witness;
use crate::ntp::RefId;
use crate::stats::independence::{is_local, named_by, network, united};

/// What two servers share. A private address means a host of one group of vantages.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Tie<'a> {
    Network(IpAddr),
    Upstream(RefId, Option<&'a str>),
}

/// The group of each server. `readers` are those of each server.
///
/// A vantage could unite servers that others read by inventing servers that are tied to them. So a server that only one
/// vantage reads joins a group of the others, but unites no two of them.
pub(super) fn of(witnesses: &[&Witness], upstreams: &[Option<RefId>], readers: &[Readers]) -> Vec<usize> {
    let ties_of = |server: usize| ties(witnesses[server], upstreams[server]);
    let clusters = united((0..witnesses.len()).map(|server| ties_of(server).map(move |tie| (readers[server], tie))));
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); clusters.len()];
    clusters.iter().enumerate().for_each(|(server, cluster)| members[*cluster].push(server));
    let (several, lone): (Vec<_>, Vec<_>) =
        members.iter().filter(|it| !it.is_empty()).partition(|it| readers[it[0]] == Readers::Several);
    let (mut groups, mut known) = (clusters.clone(), HashMap::new());
    for cluster in several.into_iter().chain(lone) {
        let group = cluster.iter().flat_map(|server| ties_of(*server)).find_map(|tie| known.get(&tie).copied());
        let group = group.unwrap_or(clusters[cluster[0]]);
        for &server in cluster {
            groups[server] = group;
            for tie in ties_of(server) {
                known.entry(tie).or_insert(group);
            }
        }
    }
    groups
}

fn ties(witness: &Witness, upstream: Option<RefId>) -> impl Iterator<Item = Tie<'_>> {
    let address = witness.address().map(|address| address.ip());
    // Servers in a private network usually have sources of their own.
    let public = address.filter(|_| matches!(witness, Witness::Public(_)));
    let upstream_of = |refid: RefId| {
        let site = match witness {
            Witness::Private { group, .. } if is_local(refid.0.into()) => Some(&**group),
            _ => None,
        };
        Tie::Upstream(refid, site)
    };
    // A server that another server names as its upstream is tied to it.
    let served = address.and_then(named_by);
    let upstreams = [served, upstream].into_iter().flatten().map(upstream_of);
    public.map(|ip| Tie::Network(network(ip))).into_iter().chain(upstreams)
}

/// The upstream that most vantages report for each server, by their cells; none at stratum 1, nor if as many report
/// another one.
pub(super) fn upstreams<'a>(cells: impl Iterator<Item = (usize, &'a Cell)>, servers: usize) -> Vec<Option<RefId>> {
    let mut votes: Vec<Vec<(Option<RefId>, usize)>> = vec![Vec::new(); servers];
    for (server, cell) in cells {
        let Some(last) = cell.last() else { continue };
        let is_upstream = (2..16).contains(&last.stratum) && last.refid.0 != [0; 4] && last.refid.0[0] != 127;
        let upstream = is_upstream.then_some(last.refid);
        match votes[server].iter_mut().find(|(known, _)| *known == upstream) {
            Some((_, count)) => *count += 1,
            None => votes[server].push((upstream, 1)),
        }
    }
    let most = |votes: Vec<(Option<RefId>, usize)>| {
        let largest = votes.iter().map(|(_, count)| *count).max()?;
        let mut leading = votes.into_iter().filter(|(_, count)| *count == largest);
        let first = leading.next()?.0;
        first.filter(|_| leading.next().is_none())
    };
    votes.into_iter().map(most).collect()
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
        of(&witnesses.iter().collect::<Vec<_>>(), &upstreams, &vec![Readers::Several; servers.len()])
    }

    #[test]
    fn servers_of_one_upstream_or_network_are_one_group() {
        let (a, b, none) = ([9, 9, 9, 9], [8, 8, 8, 8], [0; 4]);
        assert_eq!(groups(&[("198.18.0.1", a), ("198.18.1.1", b), ("198.18.2.1", a)]), [0, 1, 0]);
        assert_eq!(groups(&[("198.18.0.1", none), ("198.18.0.200", none), ("198.18.2.1", none)]), [0, 0, 2]);
        assert_eq!(groups(&[("10.0.0.1", none), ("10.0.0.2", none)]), [0, 1]);
    }

    #[test]
    fn private_address_ties_servers_of_one_site_only() {
        let at = |address: &str, site: &str| Witness::at(format!("{address}:123").parse().unwrap(), &site.into());
        let all = [at("10.0.0.1", "ams"), at("10.0.0.1", "lon"), at("10.0.0.2", "ams"), at("10.0.0.2", "lon")];
        let up = Some(RefId([10, 0, 0, 1]));
        assert_eq!(of(&all.iter().collect::<Vec<_>>(), &[None, None, up, up], &[Readers::Several; 4]), [0, 1, 0, 1]);
    }

    #[test]
    fn server_that_another_one_follows_is_of_its_group() {
        assert_eq!(groups(&[("198.18.0.1", [198, 18, 7, 7]), ("198.18.7.7", [0; 4])]), [0, 0]);
    }

    #[test]
    fn invented_server_joins_a_group_and_unites_no_two() {
        let all: Vec<_> = ["198.18.0.1", "198.18.1.1", "198.18.0.9", "198.18.7.1"].map(witness).into();
        let upstreams = [[1; 4], [2; 4], [2; 4], [2; 4]].map(|id| Some(RefId(id)));
        let of = |readers: &[Readers]| of(&all.iter().collect::<Vec<_>>(), &upstreams, readers);
        let (eve, several) = (Readers::One(3), Readers::Several);
        assert_eq!(of(&[several; 4]), [0; 4]);
        assert_eq!(of(&[several, several, eve, eve]), [0, 1, 0, 0]);
        assert_eq!(of(&[eve; 4]), [0; 4], "those of one vantage unite");
    }
}
