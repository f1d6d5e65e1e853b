//! Compares the imports of the sources with the table in ARCHITECTURE.md, and rejects import loops between files. A
//! room is a top-level module of a crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Module = Vec<String>;

/// One crate's modules, each with its file and the modules of the same crate that it imports.
struct House {
    imports: BTreeMap<Module, BTreeSet<Module>>,
}

impl House {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(root, root, &mut files);
        let known: BTreeSet<Module> = files.keys().cloned().collect();
        let imports = files
            .iter()
            .map(|(module, path)| {
                let source = fs::read_to_string(path).expect("a source file can be read");
                (module.clone(), imports_of(module, &source, &known))
            })
            .collect();
        Self { imports }
    }

    /// Every import between two rooms, with one file that has it.
    fn arrows(&self) -> BTreeMap<(String, String), String> {
        let mut arrows = BTreeMap::new();
        for (from, targets) in &self.imports {
            for to in targets {
                if let (Some(a), Some(b)) = (from.first(), to.first())
                    && a != b
                {
                    arrows.entry((a.clone(), b.clone())).or_insert_with(|| from.join("::"));
                }
            }
        }
        arrows
    }

    /// The files that import themselves through other files.
    fn loops(&self) -> Vec<String> {
        let reaches_itself = |start: &Module| {
            let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
            while let Some(module) = waiting.pop() {
                for next in &self.imports[module] {
                    if next == start {
                        return true;
                    }
                    if seen.insert(next) {
                        waiting.push(next);
                    }
                }
            }
            false
        };
        self.imports.keys().filter(|module| reaches_itself(module)).map(|module| module.join("::")).collect()
    }
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(root, &path, files);
            }
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_test = name.ends_with("_tests") || name == "testing" || name == "tests";
        if path.extension().is_none_or(|kind| kind != "rs") || is_test || name == "main" {
            continue;
        }
        let inside = path.strip_prefix(root).expect("it is inside").with_extension("");
        let mut module: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        files.insert(module, path);
    }
}

/// The modules that a file imports by `use` and by paths in its code, without tests and comments. A `pub use`
/// re-exports a child and does not count.
fn imports_of(module: &Module, source: &str, known: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut paths = Vec::new();
    for statement in code.split(';') {
        match statement.rsplit_once("use ") {
            Some((before, tree))
                if tree.starts_with("crate") || tree.starts_with("super") || tree.starts_with("self") =>
            {
                let is_shown = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
                if !is_shown {
                    expand(String::new(), tree.trim(), &mut paths);
                }
                inline_paths(before, &mut paths);
            }
            _ => inline_paths(statement, &mut paths),
        }
    }
    paths.iter().filter_map(|path| resolve(module, path, known)).filter(|found| found != module).collect()
}

/// Splits `a::{b, c::{d}}` into `a::b` and `a::c::d`.
fn expand(before: String, tree: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        return paths.push(format!("{before}{}", tree.split(" as ").next().unwrap_or_default().trim()));
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start) = (0, 0);
    let parts = inner.char_indices().filter(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        *c == ',' && depth == 0
    });
    let ends: Vec<usize> = parts.map(|(at, _)| at).chain([inner.len()]).collect();
    for end in ends {
        let part = inner[start..end].trim();
        if !part.is_empty() {
            expand(format!("{before}{}", head.trim()), part, paths);
        }
        start = end + 1;
    }
}

fn inline_paths(code: &str, paths: &mut Vec<String>) {
    for root in ["crate::", "super::"] {
        let mut rest = code;
        while let Some(at) = rest.find(root) {
            let is_whole = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let path: String =
                rest[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            rest = &rest[at + root.len()..];
            if is_whole {
                paths.push(path);
            }
        }
    }
}

/// The module of a path: its longest prefix that is a file.
fn resolve(module: &Module, path: &str, known: &BTreeSet<Module>) -> Option<Module> {
    let mut segments = path.split("::").map(str::trim).peekable();
    let mut full = match segments.next()? {
        "crate" => Vec::new(),
        "super" => {
            let mut parent = module[..module.len().checked_sub(1)?].to_vec();
            while segments.next_if_eq(&"super").is_some() {
                parent.pop();
            }
            parent
        }
        _ => module.clone(),
    };
    full.extend(segments.filter(|segment| *segment != "self").map(str::to_owned));
    (1..=full.len()).rev().map(|n| full[..n].to_vec()).find(|prefix| known.contains(prefix))
}

/// A crate: the rooms that its table in ARCHITECTURE.md has, each with the rooms it may import, and its sources.
struct Crate {
    table: BTreeMap<String, BTreeSet<String>>,
    house: House,
}

/// The service and the core. Both may have a room of the same name.
fn crates() -> [Crate; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = include_str!("../../ARCHITECTURE.md");
    let (core, service) = page.split_once("| room of the service |").expect("the page has two tables");
    [(service, "src"), (core, "crates/core/src")]
        .map(|(page, sources)| Crate { table: allowed(page), house: House::read(&root.join(sources)) })
}

/// The rooms of a table, each with the rooms it may import; "every room" is a `*`.
fn allowed(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let mut table = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [rooms, _, imports, ..] = cells[..] else { continue };
        let imports = if imports.contains("every room") { ["*".to_owned()].into() } else { names(imports) };
        names(rooms).into_iter().for_each(|room| drop(table.insert(room, imports.clone())));
    }
    table
}

#[test]
fn rooms_import_only_the_allowed_ones() {
    let mut faults = Vec::new();
    for Crate { table, house } in crates() {
        for ((from, to), file) in house.arrows() {
            match table.get(&from) {
                None => faults.push(format!("{from} is not in the table ({file})")),
                Some(may) if may.contains("*") || may.contains(&to) => {}
                Some(_) => faults.push(format!("{file} imports {to}, and the table does not let {from} do that")),
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_allows_no_loop_and_nothing_unused() {
    let mut faults = Vec::new();
    for Crate { table, house } in crates() {
        let arrows = house.arrows();
        for (room, may) in &table {
            for other in may.iter().filter(|other| *other != "*") {
                if table.get(other).is_some_and(|back| back.contains(room)) {
                    faults.push(format!("{room} and {other} may import each other"));
                }
                if !arrows.contains_key(&(room.clone(), other.clone())) {
                    faults.push(format!("{room} does not import {other} any more"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_files_import_each_other_in_a_loop() {
    let loops: Vec<String> = crates().iter().flat_map(|it| it.house.loops()).collect();
    assert!(loops.is_empty(), "these files are in a loop of imports: {loops:#?}");
}
