//! Selects the servers that a rule, a silence or a maintenance window applies to.

use crate::sample::ServerIdent;

/// A list of servers by name or tag. An empty list selects all servers.
///
/// An entry is a configured name, `name@address` for one of its addresses, `key:value` for a tag with that value, or
/// `key` for a tag with any value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(pub Vec<String>);

impl Selector {
    /// Whether the list has entries; an empty list selects all servers.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the list selects this server; `id` is the name that its alerts carry.
    #[must_use]
    pub fn admits(&self, id: &str, ident: &ServerIdent) -> bool {
        self.0.is_empty() || self.0.iter().any(|entry| is_meant(entry, id, ident))
    }
}

fn is_meant(entry: &str, id: &str, ident: &ServerIdent) -> bool {
    if entry == id || *entry == *ident.name {
        return true;
    }
    match entry.split_once(':') {
        Some((key, value)) => ident.tags.get(key).is_some_and(|has| has == value),
        None => ident.tags.contains_key(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_selected_by_name_address_or_tag() {
        let tags = [("site".to_owned(), "ams".to_owned())].into();
        let ident = ServerIdent { vantage: "".into(), name: "192.0.2.1:123".into(), tags };
        let admits = |entries: &[&str]| {
            let selector = Selector(entries.iter().map(|entry| (*entry).to_owned()).collect());
            selector.admits("192.0.2.1:123@192.0.2.1:123", &ident)
        };
        for entries in [&[][..], &["192.0.2.1:123"], &["site:ams"], &["site"], &["x", "192.0.2.1:123@192.0.2.1:123"]] {
            assert!(admits(entries), "{entries:?}");
        }
        for entries in [&["site:fra"][..], &["ams"], &["192.0.2.1"]] {
            assert!(!admits(entries), "{entries:?}");
        }
    }
}
