//! CSV: the columns of [`COLUMNS`], one line for each sample. `record` writes a line, `read` reads lines, `row` parses
//! one.

mod columns;
mod limit;
mod read;
mod record;
mod row;

pub use columns::{COLUMNS, HEADER, REQUIRED};
pub use limit::LONGEST_ROW;
pub use read::{Csv, Rows, read_from};
pub use record::{append_record, day};
pub(super) use record::{defused, restored};
