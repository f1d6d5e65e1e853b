//! Checks the properties of fuzz/subjects for every input in fuzz/seeds. Add inputs that a fuzzer found there.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed unwrap is a failed test

#[path = "../fuzz/corpus.rs"]
mod corpus;
#[path = "../fuzz/subjects/csv.rs"]
mod csv;
#[path = "../fuzz/subjects/expression.rs"]
mod expression;
#[path = "../fuzz/subjects/leap.rs"]
mod leap;
#[path = "../fuzz/subjects/nts_records.rs"]
mod nts_records;
#[path = "../fuzz/subjects/nts_reply.rs"]
mod nts_reply;
#[path = "../fuzz/subjects/packet.rs"]
mod packet;
#[path = "../fuzz/subjects/template.rs"]
mod template;
#[path = "../fuzz/subjects/timestamp.rs"]
mod timestamp;

use corpus::replay;

#[test]
fn packets_of_the_corpus_are_parsed_or_refused() {
    replay("packet", packet::check);
}

#[test]
fn answers_of_key_exchanges_in_the_corpus_are_bounded() {
    replay("nts_records", nts_records::check);
}

#[test]
fn replies_with_nts_in_the_corpus_are_judged() {
    replay("nts_reply", nts_reply::check);
}

#[test]
fn timestamps_of_the_corpus_keep_their_order() {
    replay("timestamp", timestamp::check);
}

#[test]
fn csv_files_of_the_corpus_are_read_as_they_are_written() {
    replay("csv", csv::check);
}

#[test]
fn templates_of_the_corpus_are_bounded() {
    replay("template", template::check);
}

#[test]
fn expressions_of_the_corpus_never_fail_when_evaluated() {
    replay("expression", expression::check);
}

#[test]
fn leap_lists_of_the_corpus_are_consistent() {
    replay("leap", leap::check);
}
