//! The identity of a server across vantages, which may call it by different names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sample::Sample;
use crate::stats::independence::is_local;

/// One server as the whole fleet knows it. Vantages see the same server if they poll the same address and port, under
/// any name; a name with several addresses is several witnesses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Witness {
    /// An address that means the same everywhere.
    Public(SocketAddr),
    /// A private, shared, link-local or loopback address: the same server only within one group of vantages.
    Private {
        /// The address, with the port.
        address: SocketAddr,
        /// The group of vantages within which the address is unique.
        group: Arc<str>,
    },
    /// A server whose address was not recorded, known by its configured name.
    Named(Arc<str>),
}

impl Witness {
    /// The witness at `address`, as a vantage of `group` sees it.
    #[must_use]
    pub fn at(address: SocketAddr, group: &Arc<str>) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if is_local(address.ip()) { Self::Private { address, group: Arc::clone(group) } } else { Self::Public(address) }
    }

    /// The witness of a sample. Without an address, it is known by the name of the server.
    #[must_use]
    pub fn of(sample: &Sample, group: &Arc<str>) -> Self {
        match sample.address {
            Some(address) => Self::at(address, group),
            None => Self::Named(Arc::clone(&sample.server.name)),
        }
    }

    /// The address, where it is known.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Public(address) | Self::Private { address, .. } => Some(*address),
            Self::Named(_) => None,
        }
    }
}

/// The most vantages whose groups are kept.
const MOST_VANTAGES: usize = 1000;

/// The group of each vantage within which its private addresses are unique. Vantages beyond 1000 are in no group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageGroups(BTreeMap<Arc<str>, Arc<str>>);

impl VantageGroups {
    /// Puts `vantage` into `group`, or into none; whether that is new.
    pub fn set(&mut self, vantage: &str, group: Option<&str>) -> bool {
        if self.0.get(vantage).map(|known| &**known) == group {
            return false;
        }
        match group {
            Some(group) if self.0.len() < MOST_VANTAGES || self.0.contains_key(vantage) => {
                self.0.insert(vantage.into(), group.into());
                true
            }
            Some(_) => false,
            None => self.0.remove(vantage).is_some(),
        }
    }

    /// The group of `vantage`: itself, unless it was put into one.
    #[must_use]
    pub fn of(&self, vantage: &Arc<str>) -> Arc<str> {
        Arc::clone(self.0.get(vantage).unwrap_or(vantage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, group: &str) -> Witness {
        Witness::at(address.parse().unwrap(), &group.into())
    }

    #[test]
    fn public_address_is_one_witness_everywhere() {
        assert_eq!(at("192.0.2.1:123", "ams"), at("192.0.2.1:123", "lon"));
        assert_eq!(at("[::ffff:192.0.2.1]:123", "ams"), at("192.0.2.1:123", "ams"));
        assert_ne!(at("192.0.2.1:123", "ams"), at("192.0.2.1:1123", "ams"));
    }

    #[test]
    fn vantage_is_a_group_of_its_own_until_it_joins_one() {
        let mut groups = VantageGroups::default();
        assert_eq!(&*groups.of(&"ams".into()), "ams");
        assert!(groups.set("ams", Some("site")) && !groups.set("ams", Some("site")));
        assert_eq!(&*groups.of(&"ams".into()), "site");
        assert!(groups.set("ams", None) && !groups.set("ams", None));
        assert_eq!(&*groups.of(&"ams".into()), "ams");
        for n in 0..2 * MOST_VANTAGES {
            groups.set(&n.to_string(), Some("site"));
        }
        assert_eq!(groups.0.len(), MOST_VANTAGES);
        assert!(groups.set("0", Some("other")), "a known one may move");
    }

    #[test]
    fn private_address_is_one_witness_within_its_group_only() {
        for address in
            ["10.0.0.1:123", "127.0.0.1:123", "169.254.1.1:123", "100.64.3.3:123", "[fe80::1]:123", "[fd00::1]:123"]
        {
            assert_eq!(at(address, "ams"), at(address, "ams"), "{address}");
            assert_ne!(at(address, "ams"), at(address, "lon"), "{address}");
        }
    }
}
