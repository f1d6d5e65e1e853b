//! The properties of the fuzz targets (fuzz/subjects) hold for every input in fuzz/seeds. An input that a fuzzer found is
//! added there.

#[path = "../../fuzz/subjects/config.rs"]
mod config;
#[path = "../../crates/core/fuzz/corpus.rs"]
mod corpus;
#[path = "../../fuzz/subjects/judge.rs"]
mod judge;
#[path = "../../fuzz/subjects/line.rs"]
mod line;

use corpus::replay;

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
