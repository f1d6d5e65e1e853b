//! An address or a network in CIDR notation.

use std::fmt;
use std::net::IpAddr;

/// All addresses with the same leading bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    /// The prefix length, 1 to 32 or 128.
    length: u32,
}

impl Network {
    /// Parses an address or `ADDRESS/LENGTH`.
    ///
    /// # Errors
    /// What is wrong, and the correct form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!("{text:?} is not an address or a network, such as \"127.0.0.1\", \"10.0.0.0/8\" or \"fd00::/8\"")
        };
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let base = address.parse::<IpAddr>().map_err(|_| malformed())?;
        let bits = bits_of(base);
        let length = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| malformed())?,
            Some(_) => return Err(malformed()),
            None => bits,
        };
        let network = Self { base, length };
        match () {
            () if length > bits => Err(malformed()),
            () if length == 0 => {
                Err(format!("{text:?} contains every address: any client could then claim any address"))
            }
            () if network.first() != base => {
                Err(format!("{text:?} has bits set beyond its prefix length: write {}/{length}", network.first()))
            }
            () => Ok(network),
        }
    }

    /// Whether the network contains the address. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits_of(address) == bits_of(self.base) && Self { base: address, ..*self }.first() == self.base
    }

    /// The first address of the network of this length that contains `base`.
    fn first(&self) -> IpAddr {
        match self.base {
            IpAddr::V4(base) => IpAddr::V4((base.to_bits() & ones(32, self.length) as u32).into()),
            IpAddr::V6(base) => IpAddr::V6((base.to_bits() & ones(128, self.length)).into()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

/// Whether an address can belong to one host: not unspecified ("this network"), broadcast or multicast.
#[must_use]
pub fn is_of_one_host(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] != 0 && !address.is_broadcast() && !address.is_multicast(),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    }
}

fn bits_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A mask of the `length` highest of `bits` bits.
fn ones(bits: u32, length: u32) -> u128 {
    (0..length.min(bits)).fold(0, |mask, n| mask | 1 << (bits - 1 - n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn network_contains_its_addresses_only() {
        assert!(contains("127.0.0.1", "127.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::1") && !contains("2001:db8::/33", "2001:db8:8000::1"));
        assert!(!contains("2001:db8::/32", "32.1.13.184") && !contains("32.0.0.0/8", "2001:db8::"));
    }

    #[test]
    fn unspecified_broadcast_and_multicast_are_no_hosts() {
        for other in ["0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.1.1", "::", "ff02::101", "::ffff:0.0.0.0"] {
            assert!(!is_of_one_host(other.parse().unwrap()), "{other}");
        }
        for host in ["127.0.0.1", "192.0.2.255", "::1", "fe80::1", "2001:db8::1"] {
            assert!(is_of_one_host(host.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn invalid_network_is_refused_with_advice() {
        for (text, part) in [
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("0.0.0.0/0", "every address"),
            ("::/0", "every address"),
            ("10.0.0.0/33", "is not an address"),
            ("10.0.0.0/", "is not an address"),
            ("10.0.0.0/+8", "is not an address"),
            ("proxy.example", "is not an address"),
            ("10.0.0.1:80", "is not an address"),
            ("", "is not an address"),
        ] {
            let why = Network::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
