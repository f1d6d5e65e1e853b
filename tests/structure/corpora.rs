//! The properties of the fuzz targets (fuzz/subjects) hold for every input in fuzz/seeds. An input that a fuzzer found is
//! added there.

use std::path::Path;

#[path = "../../fuzz/subjects/config.rs"]
mod config;
#[path = "../../fuzz/subjects/judge.rs"]
mod judge;
#[path = "../../fuzz/subjects/line.rs"]
mod line;

/// Checks every file of a directory; its name is in the output when a check fails.
fn replay(subject: &str, check: fn(&[u8])) {
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

#[test]
fn configurations_of_the_corpus_are_sound_or_refused() {
    replay("config", config::check);
}

#[test]
fn datagrams_of_the_corpus_are_judged() {
    replay("judge", judge::check);
}

#[test]
fn points_of_the_corpus_are_one_line_each() {
    replay("line", line::check);
}
