//! What shows which servers depend on each other.

use std::collections::HashMap;

use super::engine::Engine;
use crate::stats::independence::Witness as Source;

impl Engine {
    /// What shows which of these series depend on each other. The only IPv4 and the only IPv6 address of one name are taken
    /// to be one host; a name with more addresses may stand for several.
    pub fn sources(&self, series: impl Iterator<Item = usize>) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        // For each name: the places of its IPv4 and its IPv6 addresses in `sources`.
        let mut names: HashMap<&str, [Vec<usize>; 2]> = HashMap::new();
        for series in series.map(|i| &self.series[i]) {
            if let Some(address) = series.address {
                let family = usize::from(address.ip().to_canonical().is_ipv6());
                names.entry(&series.ident.name).or_default()[family].push(sources.len());
            }
            sources.push(series.source());
        }
        for addresses in names.values() {
            if let [[v4], [v6]] = addresses.each_ref().map(Vec::as_slice) {
                let host = u32::try_from(*v4).ok();
                (sources[*v4].host, sources[*v6].host) = (host, host);
            }
        }
        sources
    }
}
