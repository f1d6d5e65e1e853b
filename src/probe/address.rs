//! An IP address and the interface on which it is valid: a link-local address can exist on several interfaces (RFC
//! 4007).

use std::ffi::CString;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::net::if_::{if_indextoname, if_nametoindex};

/// An address that a name resolved to, or an address literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub ip: IpAddr,
    /// The index of the interface of a link-local address; 0 for every other address.
    scope_id: u32,
}

/// This host has no interface of this name or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoInterface(pub Box<str>);

impl Address {
    /// Reads an address, with `%` and an interface if it has one: `192.0.2.1`, `fe80::1%eth0`, `fe80::1%2`. `None` if
    /// `text` is a name.
    ///
    /// # Errors
    /// When this host has no such interface at the moment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Result<Self, NoInterface>> {
        let Some((address, zone)) = text.split_once('%') else {
            return Some(Ok(Self::from(text.parse::<IpAddr>().ok()?)));
        };
        let ip = address.parse::<Ipv6Addr>().ok()?;
        let named = if_nametoindex(zone).ok();
        let index = named.or_else(|| zone.parse().ok().filter(|index| interface_name(*index).is_some()));
        Some(index.map(|index| Self::on(ip, index)).ok_or_else(|| NoInterface(zone.into())))
    }

    /// Only link-local addresses depend on the interface.
    fn on(ip: Ipv6Addr, index: u32) -> Self {
        Self { ip: IpAddr::V6(ip), scope_id: if ip.is_unicast_link_local() { index } else { 0 } }
    }

    /// The address with a port.
    #[must_use]
    pub fn at(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(_) => SocketAddr::new(self.ip, port),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, self.scope_id)),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip, scope_id: 0 }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::from(IpAddr::V4(*v4.ip())),
            SocketAddr::V6(v6) => Self::on(*v6.ip(), v6.scope_id()),
        }
    }
}

/// With the name of the interface, if it matters: `fe80::1%eth0`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scope_id, interface_name(self.scope_id)) {
            (0, _) => self.ip.fmt(f),
            (_, Some(name)) => write!(f, "{}%{}", self.ip, name.to_string_lossy()),
            (index, None) => write!(f, "{}%{index}", self.ip),
        }
    }
}

/// The name of an interface. Some kernels return a name for every number, so the name is translated back and compared.
fn interface_name(index: u32) -> Option<CString> {
    if_indextoname(index).ok().filter(|name| if_nametoindex(name.as_c_str()) == Ok(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Address, NoInterface> {
        Address::parse(text).unwrap()
    }

    #[test]
    fn interface_is_given_by_name_or_number() {
        let index = if_nametoindex("lo").unwrap();
        let address = parsed("fe80::1%lo").unwrap();
        assert_eq!(address.at(123), SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 123, 0, index)));
        assert_eq!(parsed(&format!("fe80::1%{index}")), Ok(address));
        assert_eq!(address.to_string(), "fe80::1%lo");
        assert_eq!(Address::from(address.at(123)), address);
    }

    #[test]
    fn interface_that_is_missing_is_named() {
        for zone in ["no-such-if", "4000000000", "99999999999"] {
            assert_eq!(parsed(&format!("fe80::1%{zone}")), Err(NoInterface(zone.into())));
        }
    }

    #[test]
    fn only_link_local_addresses_depend_on_the_interface() {
        assert_eq!(parsed("::1%lo"), parsed("::1"));
        assert_eq!(parsed("192.0.2.1").unwrap().at(1), "192.0.2.1:1".parse().unwrap());
        assert_eq!(Address::parse("time.example.net"), None);
        assert_eq!(Address::parse("192.0.2.1%lo"), None);
    }
}
