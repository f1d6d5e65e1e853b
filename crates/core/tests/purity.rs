//! The core must stay pure: it must not depend on a runtime, actor, file or network crate.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crates that the core must not depend on, directly or indirectly.
const FORBIDDEN: [&str; 16] = [
    "actix",
    "actix-rt",
    "actix-web",
    "async-nats",
    "h2",
    "hickory-resolver",
    "hyper",
    "lettre",
    "mio",
    "nix",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "tempfile",
    "tokio",
];

#[test]
fn core_depends_on_no_io_crate() {
    let tree = dependencies_of("ntp-monitor-core");
    assert!(tree.contains("statrs"), "the tree was not read: {tree:?}");
    let found: Vec<&str> = FORBIDDEN.into_iter().filter(|name| tree.contains(*name)).collect();
    assert!(found.is_empty(), "the core depends on {found:?}");
}

/// The names of all normal dependencies of `root`, direct and indirect, without dev-dependencies.
fn dependencies_of(root: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").expect("cargo names itself when it runs tests");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|it| (text(&it["id"]), text(&it["name"]))).collect();
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let wanted = list(&node["deps"]).iter().filter(|dep| normal(dep)).map(|dep| text(&dep["pkg"])).collect();
        needs.insert(text(&node["id"]), wanted);
    }
    let start = names.iter().find(|(_, name)| *name == root).expect("the crate itself is listed").0.clone();
    let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
    while let Some(id) = waiting.pop() {
        if seen.insert(id.clone()) {
            waiting.extend(needs.remove(&id).unwrap_or_default());
        }
    }
    seen.iter().map(|id| names[id].clone()).collect()
}
