//! Validates `[csv]`, `[store]` and `[log]`.

use std::time::Duration;

use nix::unistd::Group;

use super::Rules;
use crate::config::fault::KeyPath;
use crate::config::model::{Csv, Log, LogFile, Store};
use crate::config::raw;

const SHORTEST_KEEP: Duration = Duration::from_secs(86_400);

pub(super) fn csv(section: raw::Csv, rules: &mut Rules<'_>) -> Csv {
    rules.path(&section.dir, &KeyPath::dotted("csv.dir"));
    if let Some(keep) = section.keep.0 {
        let path = KeyPath::dotted("csv.keep");
        rules.positive(keep, &path);
        rules.require(keep >= SHORTEST_KEEP, &path, || "must be at least 1d: files are deleted by the day".to_owned());
    }
    let group = section.group.and_then(|name| group(&name, rules));
    Csv { dir: section.dir, rotation: section.rotation, compress: section.compress, keep: section.keep.0, group }
}

fn group(name: &str, rules: &mut Rules<'_>) -> Option<u32> {
    let path = KeyPath::dotted("csv.group");
    rules.plain(name, &path);
    let found = name.parse().ok().or_else(|| Some(Group::from_name(name).ok()??.gid.as_raw()));
    rules.require(found.is_some(), &path, || format!("there is no group {name:?} on this machine"));
    found
}

pub(super) fn store(section: raw::Store, rules: &mut Rules<'_>) -> Store {
    rules.path(&section.path, &KeyPath::dotted("store.path"));
    let kept = [
        ("store.raw_for", section.raw_for.0),
        ("store.rollup_5m_for", section.rollup_5m_for.0),
        ("store.rollup_1h_for", section.rollup_1h_for.0),
    ];
    for (key, span) in kept {
        rules.positive(span, &KeyPath::dotted(key));
    }
    Store {
        path: section.path,
        raw_for: section.raw_for.0,
        rollup_5m_for: section.rollup_5m_for.0,
        rollup_1h_for: section.rollup_1h_for.0,
    }
}

pub(super) fn log(section: raw::Log, rules: &mut Rules<'_>) -> Log {
    /// The minimum size; smaller files would be rotated after a few records.
    const SMALLEST: u64 = 64 << 10;
    rules.require(section.rotation.0 >= SMALLEST, &KeyPath::dotted("log.rotation"), || {
        "must be at least 64KiB".to_owned()
    });
    rules.require(section.keep <= 10_000, &KeyPath::dotted("log.keep"), || "must be at most 10000".to_owned());
    if let Some(path) = &section.file {
        rules.path(path, &KeyPath::dotted("log.file"));
    }
    let file = section.file.map(|path| LogFile { path, max_bytes: section.rotation.0, keep: section.keep as usize });
    Log { level: section.level, format: section.format, file }
}
