//! CSV files with the columns of [`ntp_monitor_core::formats::csv::COLUMNS`], one per UTC day:
//! `samples-YYYY-MM-DD.csv`.
//!
//! `files` names and lists the files, `append` appends to one or leaves it as it was, `local` writes and reads the
//! files of local rows, `compress` compresses finished files piece by piece, `writer` is the output itself, `tail`
//! finds what a killed process had not written yet, `catch_up` writes that, and `repair` restores what another program
//! removed.

mod append;
mod catch_up;
mod compress;
mod files;
mod group;
mod local;
mod open;
mod repair;
mod tail;
mod writer;

pub use catch_up::CatchUp;
pub use local::{append_local, is_local, local_files, read_local};
pub use open::read_file;
pub use repair::Journal;
pub use tail::{Tail, tail_keys};
pub use writer::CsvWriter;
