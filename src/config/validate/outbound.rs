//! Validates `ca_file` and `proxy`, the keys of every section that sends requests to other hosts.

use std::path::{Path, PathBuf};

use super::secret::Places;
use super::{Rules, Surroundings};
use crate::config::certificate::roots;
use crate::config::fault::KeyPath;
use crate::config::named_file::{CERTIFICATES, FileFault, resolve};
use crate::config::units::Secret;
use crate::outbound::Proxy;
use crate::regular_file;

/// The certificates in the `ca_file` of a table, as PEM.
pub(super) fn certificates(
    table: &KeyPath,
    file: &Path,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<String> {
    pem_file(&table.key("ca_file"), file, rules, surroundings)
}

/// The certificates in the file that the key at `key` names, as PEM.
pub(super) fn pem_file(
    key: &KeyPath,
    file: &Path,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<String> {
    let path = resolve(file, surroundings);
    pem_at(&path).map_err(|fault| rules.refuse_file(key, fault)).ok()
}

/// The certificates of authorities in a file, in PEM.
pub(in crate::config) fn pem_at(path: &Path) -> Result<String, FileFault> {
    let pem = regular_file::read_text(path, CERTIFICATES).map_err(|why| FileFault::of(path, &why, ""))?;
    match roots(&pem) {
        Ok(_) => Ok(pem),
        Err(why) => Err(FileFault::Wrong(format!("{} {why}", path.display()))),
    }
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
