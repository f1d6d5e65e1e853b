//! Groups of dependent servers: they share a network or an upstream, or one is the upstream of the other.

use std::net::IpAddr;

use super::Vantage;
use super::witness::Witness;
use crate::ntp::RefId;
use crate::stats::independence::{is_local, named_by, network, united};

/// What two servers share. A private address means a host of one group of vantages.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Tie<'a> {
    Network(IpAddr),
    Upstream(RefId, Option<&'a str>),
}

/// The group of each server: the smallest index of a server that it is tied to.
pub(super) fn of(witnesses: &[&Witness], upstreams: &[Option<RefId>]) -> Vec<usize> {
    united(witnesses.iter().zip(upstreams).map(|(witness, upstream)| ties(witness, *upstream)))
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
    fn private_address_ties_servers_of_one_site_only() {
        let at = |address: &str, site: &str| Witness::at(format!("{address}:123").parse().unwrap(), &site.into());
        let all = [at("10.0.0.1", "ams"), at("10.0.0.1", "lon"), at("10.0.0.2", "ams"), at("10.0.0.2", "lon")];
        let up = Some(RefId([10, 0, 0, 1]));
        assert_eq!(of(&all.iter().collect::<Vec<_>>(), &[None, None, up, up]), [0, 1, 0, 1]);
    }

    #[test]
    fn server_that_another_one_follows_is_of_its_group() {
        assert_eq!(groups(&[("198.18.0.1", [198, 18, 7, 7]), ("198.18.7.7", [0; 4])]), [0, 0]);
    }
}
