//! Servers and tokens that were added on the page of a service that cannot write its configuration file:
//! `servers.d/servers.toml` in the data directory. They are appended to those of the configuration file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::fault::KeyPath;
use super::tree::Tree;

/// The key of the list of servers.
pub(super) const SERVERS: &str = "server";
const TOKENS: &str = "http.tokens";

/// The file of a service with this data directory. It need not exist.
#[must_use]
pub fn additions_of(data_dir: &Path) -> PathBuf {
    data_dir.join("servers.d").join("servers.toml")
}

/// Whether the file can be read. A command of another user ignores a file that only the service may read.
pub(super) fn is_readable(path: &Path, warnings: &mut Vec<String>) -> bool {
    // The owner of the directory could put something else there, such as a pipe without a writer.
    let found = path.metadata().and_then(|file| match file.is_file() {
        true => Ok(access(path, AccessFlags::R_OK)?),
        false => Err(ErrorKind::InvalidInput.into()),
    });
    match found {
        Ok(()) => true,
        Err(why) => {
            if !matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                warnings.push(format!("servers added in {} are ignored: {why}", path.display()));
            }
            false
        }
    }
}

/// Appends the servers and tokens of `added`, from the file `name`, to those of `tree`. Servers are not appended if a
/// variable has replaced those of the file (`is_replaced`).
pub(super) fn append(tree: &mut Tree, added: &Tree, name: &str, is_replaced: bool, warnings: &mut Vec<String>) {
    if !is_replaced {
        tree.append(&KeyPath::dotted(SERVERS), added);
    }
    tree.append(&KeyPath::dotted(TOKENS), added);
    let sections = added.root().as_object().into_iter().flat_map(|sections| sections.keys().map(String::as_str));
    let ignored: Vec<&str> = sections.filter(|key| !matches!(*key, SERVERS | "http")).collect();
    if !ignored.is_empty() {
        let keys = ignored.join(", ");
        warnings.push(format!("{name}: only [[server]] and [[http.tokens]] are read from this file; ignored: {keys}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, load};
    use super::*;

    fn written(dir: &Path, main: &str, added: &str) -> PathBuf {
        let (file, additions) = (dir.join("main.toml"), additions_of(dir));
        std::fs::create_dir_all(additions.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("[monitor]\ndata_dir = {dir:?}\n{main}")).unwrap();
        std::fs::write(&additions, added).unwrap();
        file
    }

    #[test]
    fn servers_and_tokens_of_both_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let token = |name: &str| format!("[[http.tokens]]\nname = \"{name}\"\nsha256 = \"{}\"\n", "a".repeat(64));
        let main = format!("{}[[server]]\naddress = \"a.example\"\n", token("one"));
        let added = format!("{}[[server]]\naddress = \"b.example\"\n", token("two"));
        let loaded = load(Some(&written(dir.path(), &main, &added)), &Environment::new(), &[]).unwrap();
        let names: Vec<_> = loaded.config.servers.iter().map(|server| server.ident.name.to_string()).collect();
        assert_eq!(names, ["a.example", "b.example"]);
        assert_eq!(loaded.config.http.tokens.len(), 2);
        let shown = loaded.config.shown.text();
        assert!(shown.contains("servers.d/servers.toml:5\"") && shown.contains("main.toml:7\""), "{shown}");
    }

    #[test]
    fn fault_names_the_file_of_the_additions_and_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let main = "[[server]]\naddress = \"a.example\"\n";
        let added = "\n[[server]]\naddress = \"b.example\"\npoll_interval = \"1s\"\n";
        let faults = load(Some(&written(dir.path(), main, added)), &Environment::new(), &[]).unwrap_err().to_string();
        assert!(faults.contains("servers.d/servers.toml:4: server[1].poll_interval"), "{faults}");
    }

    #[test]
    fn other_sections_of_the_additions_are_ignored_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let file = written(dir.path(), "[[server]]\naddress = \"a.example\"\n", "[log]\nlevel = \"debug\"\n");
        let loaded = load(Some(&file), &Environment::new(), &[]).unwrap();
        assert!(matches!(&loaded.warnings[..], [only] if only.ends_with("ignored: log")), "{:?}", loaded.warnings);
    }
}
