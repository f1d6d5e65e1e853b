//! The hosts file: addresses by name. Pure.

use std::collections::HashMap;

use crate::config::Family;
use crate::probe::address::Address;

/// The content of a hosts file.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// By name in lower case. Addresses are kept as text, because the interface of a link-local one may appear later.
    addresses: HashMap<Box<str>, Vec<Box<str>>>,
}

impl Hosts {
    /// Parses lines of an address and names; other lines are skipped, as by the system.
    pub(super) fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().filter(|word| Address::parse(word).is_some()) else { continue };
            for name in words {
                let key = name.trim_end_matches('.').to_ascii_lowercase().into();
                hosts.addresses.entry(key).or_default().push(address.into());
            }
        }
        hosts
    }

    /// The addresses of `name` in `family`; empty if the file has none.
    pub(super) fn look_up(&self, name: &str, family: Family) -> Vec<Address> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let listed = self.addresses.get(name.as_str()).into_iter().flatten();
        listed.filter_map(|text| Address::parse(text)?.ok()).filter(|address| family.admits(address.ip)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_have_every_address_of_their_lines() {
        let hosts = Hosts::parse(
            "# comment\n127.0.0.1\tlocalhost\n192.0.2.1 Time.Example.Net time # the old one\n\
             2001:db8::1 time.example.net\nfe80::1%lo near\nnonsense time\n192.0.2.9\n",
        );
        let found = |name: &str, family| -> Vec<String> {
            hosts.look_up(name, family).iter().map(ToString::to_string).collect()
        };
        assert_eq!(found("time.example.net", Family::Any), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(found("TIME.example.net.", Family::V6), ["2001:db8::1"]);
        assert_eq!(found("time", Family::Any), ["192.0.2.1"]);
        assert_eq!(found("near", Family::Any), ["fe80::1%lo"]);
        assert_eq!(found("time", Family::V6), Vec::<String>::new());
        assert_eq!(found("old", Family::Any), Vec::<String>::new());
    }
}
