//! Servers and tokens that were added on the page of a service whose configuration file is not its own to write:
//! `servers.d/servers.toml` in the data directory. They are appended to those of the configuration file.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Map, Value, ValueKind};
use nix::unistd::{AccessFlags, access};

use super::fault::{KeyPath, Step};

/// The arrays that may be in the file.
const ARRAYS: [&str; 2] = ["server", "http.tokens"];

/// The file of a service with this data directory. It need not exist.
#[must_use]
pub fn additions_of(data_dir: &Path) -> PathBuf {
    data_dir.join("servers.d").join("servers.toml")
}

/// What was found in the file.
pub(super) struct Additions {
    pub tables: Map<String, Value>,
    /// Where its keys are.
    pub lines: HashMap<KeyPath, usize>,
    /// The file.
    pub name: String,
}

/// Whether the file can be read. One that only the service may read is left out by the commands of others.
pub(super) fn is_readable(path: &Path, warnings: &mut Vec<String>) -> bool {
    // Anyone who owns the directory could put something else there, such as a pipe without a writer.
    let found = path.metadata().and_then(|file| match file.is_file() {
        true => Ok(access(path, AccessFlags::R_OK)?),
        false => Err(ErrorKind::InvalidInput.into()),
    });
    match found {
        Ok(()) => true,
        Err(why) => {
            if !matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                warnings.push(format!("servers that were added in {} are left out: {why}", path.display()));
            }
            false
        }
    }
}

impl Additions {
    /// Appends the servers to `servers`, the tokens to those in `root`, and their lines to `lines`.
    pub(super) fn append(
        mut self,
        servers: &mut Option<Value>,
        root: &mut Value,
        lines: &mut HashMap<KeyPath, usize>,
        warnings: &mut Vec<String>,
    ) {
        let mut tables = std::mem::take(&mut self.tables);
        if let Some(more) = tables.remove(ARRAYS[0]) {
            let at = extend(servers.get_or_insert_with(nothing), more);
            self.shift(ARRAYS[0], at, lines);
        }
        if let Some(http) = tables.get_mut("http").and_then(table)
            && let Some(more) = http.remove("tokens")
            && let Some(root) = table(root)
            && let Some(http) =
                table(root.entry("http".to_owned()).or_insert_with(|| Value::new(None, Map::<String, Value>::new())))
        {
            let at = extend(http.entry("tokens".to_owned()).or_insert_with(nothing), more);
            self.shift(ARRAYS[1], at, lines);
        }
        let ignored: Vec<&str> = tables.keys().map(String::as_str).filter(|key| *key != "http").collect();
        if !ignored.is_empty() {
            let (name, keys) = (&self.name, ignored.join(", "));
            warnings.push(format!("{name}: only [[server]] and [[http.tokens]] count there; ignored: {keys}"));
        }
    }

    /// The lines of an array whose elements come behind `at` others.
    fn shift(&self, array: &str, at: usize, lines: &mut HashMap<KeyPath, usize>) {
        let array = KeyPath::dotted(array);
        for (path, line) in self.lines.iter().filter(|(path, _)| path.starts_with(&array)) {
            let mut path = path.clone();
            if let Some(Step::Index(index)) = path.0.get_mut(array.0.len()) {
                *index += at;
                lines.insert(path, *line);
            }
        }
    }
}

fn nothing() -> Value {
    Value::new(None, Vec::<Value>::new())
}

fn table(value: &mut Value) -> Option<&mut Map<String, Value>> {
    match &mut value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

/// Appends one array to another, and returns how many elements that had. What is no array is left for the faults.
fn extend(array: &mut Value, more: Value) -> usize {
    match (&mut array.kind, more.kind) {
        (ValueKind::Array(array), ValueKind::Array(more)) => {
            let at = array.len();
            array.extend(more);
            at
        }
        _ => 0,
    }
}

/// The name of the file that a value with this origin, which is of a file, comes from, if it is another one than
/// `main`.
pub(super) fn other_file(origin: &str, main: &str) -> Option<Arc<str>> {
    let name = origin.get(1..).filter(|name| *name != main)?;
    Some(name.into())
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
        let shown = &loaded.config.shown;
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
