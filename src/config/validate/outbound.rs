//! Keys of every section that sends requests to other machines: `ca_file` and `proxy`.

use std::path::{Path, PathBuf};

use super::secret::{FileFault, Places, resolve};
use super::{Rules, Surroundings};
use crate::config::certificate::roots;
use crate::config::fault::KeyPath;
use crate::config::units::Secret;
use crate::outbound::Proxy;

/// The certificates in the `ca_file` of a table, as PEM.
pub(super) fn certificates(
    table: &KeyPath,
    file: &Path,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<String> {
    let path = resolve(file, surroundings);
    let unread = |why| FileFault::Unread(format!("{} cannot be read: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(unread);
    let found = text.and_then(|pem| match roots(&pem) {
        Ok(_) => Ok(pem),
        Err(why) => Err(FileFault::Wrong(format!("{} {why}", path.display()))),
    });
    found.map_err(|fault| rules.refuse_file(&table.key("ca_file"), fault)).ok()
}

/// The proxy that `proxy` or `proxy_file` of a table names, if any.
pub(super) fn proxy(
    table: &KeyPath,
    inline: Option<&Secret>,
    file: Option<&PathBuf>,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Proxy> {
    let places = Places::of(table, "proxy");
    let (text, path) = places.look(inline, file, rules, surroundings)?;
    let variable = |name: &str| surroundings.environment.get(name).cloned();
    match Proxy::parse(&text, variable) {
        Ok(proxy) => proxy,
        Err(why) => {
            rules.require(false, path, || why);
            None
        }
    }
}
