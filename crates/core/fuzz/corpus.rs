//! Replays the seeds of a fuzz target. The tests of both crates include this file.

use std::path::Path;

/// Checks every file in `fuzz/seeds/SUBJECT` of the crate; the name of the file is in the output when a check fails.
pub fn replay(subject: &str, check: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(subject);
    let mut replayed = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let file = entry.unwrap().path();
        println!("{}", file.display());
        check(&std::fs::read(file).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 3, "{subject}: only {replayed} seeds");
}
