//! Reads recorded samples from files of this program and of others. Columns may be in any order; unknown columns are
//! ignored, and only [`REQUIRED`] must be present. A bad row gives an error with its place and reason, and the rows
//! after it are read. A header may be repeated, also with another order of columns, because users concatenate files.
//!
//! Defaults for missing values: this vantage (empty); no address; `kiss` without a reason has no code, `rejected`
//! without a reason failed the origin check; poll interval 64 s; precision 2⁻²⁰ s; root distance from its parts; a
//! monotonic clock that ran with the wall clock and was never suspended; not authenticated; basic mode. Files contain
//! neither the requests of a burst nor configured tags.

use std::io::{BufRead, Read};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::columns::{COLUMNS, REQUIRED};
use super::limit::Limited;
use super::row::{Row, Servers};
use crate::formats::source::{RowError, Samples, Source};
use crate::sample::Sample;

/// The CSV format, as written by this program or edited by users; see [`read_from`].
#[derive(Debug, Clone, Copy)]
pub struct Csv;

impl Source for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn detects(&self, beginning: &[u8]) -> bool {
        let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(line);
        let mut header = StringRecord::new();
        reader.read_record(&mut header).is_ok() && places_in(&header).is_ok()
    }

    fn open(&self, file: &str, input: Box<dyn BufRead + Send>) -> Result<Box<dyn Samples>, RowError> {
        Ok(Box::new(read_from(file, input)?))
    }
}

/// The samples of a file, in file order.
pub struct Rows<R> {
    file: String,
    reader: Reader<Limited<R>>,
    /// The index of each of [`COLUMNS`] in a row.
    places: [Option<usize>; COLUMNS.len()],
    servers: Servers,
    record: StringRecord,
    ended: bool,
}

/// Reads rows from `source`; errors use `name` for it. The first line must name the columns.
///
/// # Errors
/// When a required column is missing, or the first line cannot be read.
pub fn read_from<R: Read>(name: &str, source: R) -> Result<Rows<R>, RowError> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(Limited::new(source));
    let header = reader.headers().map_err(|why| RowError::whole(name, 1, &why.to_string()))?;
    let places = places_in(header).map_err(|missing| {
        let reason = "this required column is missing; the first line must name the columns".to_owned();
        RowError { file: name.to_owned(), line: 1, column: missing.to_owned(), reason }
    })?;
    let (servers, record) = (Servers::default(), StringRecord::new());
    Ok(Rows { file: name.to_owned(), reader, places, servers, record, ended: false })
}

/// The index of each of [`COLUMNS`] in a header, or the name of a missing column.
fn places_in(header: &StringRecord) -> Result<[Option<usize>; COLUMNS.len()], &'static str> {
    let place = |column: &str| header.iter().position(|cell| cell.trim() == column);
    match REQUIRED.into_iter().find(|column| place(column).is_none()) {
        Some(missing) => Err(missing),
        None => Ok(COLUMNS.map(place)),
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Sample, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        loop {
            match self.reader.read_record(&mut self.record) {
                Ok(true) => {
                    let sample = self.sample();
                    if sample.is_err()
                        && let Ok(places) = places_in(&self.record)
                    {
                        self.places = places;
                        continue;
                    }
                    return Some(sample);
                }
                Ok(false) => return None,
                Err(why) => {
                    // After an I/O error nothing can be read; after a row that is not text, the next row can.
                    self.ended = why.is_io_error();
                    // An I/O error has no position: it is in the row after the last one.
                    let line = why.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
                    return Some(Err(RowError::whole(&self.file, line, &why.to_string())));
                }
            }
        }
    }
}

impl<R: Read + Send> Samples for Rows<R> {
    fn line(&self) -> u64 {
        self.last_line()
    }
}

impl<R: Read> Rows<R> {
    fn last_line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    fn sample(&mut self) -> Result<Sample, RowError> {
        let row = Row { record: &self.record, places: &self.places };
        row.sample(&mut self.servers).map_err(|(column, reason)| RowError {
            file: self.file.clone(),
            line: self.last_line(),
            column: column.name().to_owned(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::row::MOST_SERIES;
    use super::*;
    use crate::sample::Outcome;

    const MINIMAL: &str = "leap,server,time,stratum,colour,offset_s,delay_s,outcome,root_dispersion_s,root_delay_s\n";

    fn read(rows: &str) -> Vec<Result<Sample, RowError>> {
        read_from("f.csv", format!("{MINIMAL}{rows}").as_bytes()).unwrap().collect()
    }

    #[test]
    fn a_file_with_the_needed_columns_in_any_order_can_be_read() {
        let rows = read(
            "0,a,2026-11-22T20:42:42Z,2,blue,-0.001,0.02,sample,0.003,0.004\n,b,2026-11-22T21:42:43+01:00,,,,,timeout,,\n",
        );
        let first = rows[0].as_ref().unwrap();
        assert_eq!((first.at.wall_ns, first.offset_s()), (1_795_380_162_000_000_000, Some(-0.001)));
        assert!((first.measure.unwrap().root_distance_s - 0.015).abs() < 1e-12);
        let second = rows[1].as_ref().unwrap();
        assert_eq!((second.at.wall_ns, &second.outcome), (1_795_380_163_000_000_000, &Outcome::Timeout));
    }

    #[test]
    fn every_bad_cell_is_named_with_its_line_and_the_rest_is_read() {
        let good = "0,a,2026-11-22T20:42:42Z,2,,-0.001,0.02,sample,0.003,0.004\n";
        for (bad, column) in [
            ("0,a,2026-11-22T20:42:42Z,2,,NaN,0.02,sample,0,0", "offset_s"),
            ("0,a,2026-11-22T20:42:42Z,2,,inf,0.02,sample,0,0", "offset_s"),
            ("0,a,2026-11-22T20:42:42Z,2,,1e300,0.02,sample,0,0", "offset_s"),
            ("0,a,2026-11-22T20:42:42Z,2,,,0.02,sample,0,0", "offset_s"),
            ("0,a,2026-11-22T20:42:42Z,2,,0,-1,sample,0,0", "delay_s"),
            ("4,a,2026-11-22T20:42:42Z,2,,0,0,sample,0,0", "leap"),
            ("0,a,2026-11-22T20:42:42Z,256,,0,0,sample,0,0", "stratum"),
            ("0,a,yesterday,2,,0,0,sample,0,0", "time"),
            ("0,a,-009999-01-01T00:00:00Z,2,,0,0,sample,0,0", "time"),
            ("0,,2026-11-22T20:42:42Z,2,,0,0,sample,0,0", "server"),
            ("0,a,2026-11-22T20:42:42Z,2,,0,0,fine,0,0", "outcome"),
            ("0", "outcome"),
        ] {
            let rows = read(&format!("{good}{bad}\n{good}"));
            let error = rows[1].as_ref().unwrap_err();
            assert_eq!((error.line, error.column.as_str()), (3, column), "{bad}: {error}");
            assert!(rows[0].is_ok() && rows[2].is_ok());
        }
        let missing = read_from("f.csv", &b"time,server\n"[..]).err().unwrap();
        assert_eq!(
            missing.to_string(),
            "f.csv:1: outcome: this required column is missing; the first line must name the columns"
        );
    }

    #[test]
    fn row_without_end_and_series_without_number_are_refused() {
        let good = "0,a,2026-11-22T20:42:42Z,2,,-0.001,0.02,sample,0.003,0.004\n";
        let rows = read(&format!("{good}{}", "x".repeat(10 << 20)));
        assert_eq!((rows.len(), rows[0].is_ok()), (2, true));
        let why = rows[1].as_ref().unwrap_err();
        assert!(why.line >= 3 && why.reason.contains("longer than 65536 bytes"), "{why}");

        let many: String = (0..MOST_SERIES + 5).map(|n| good.replace(",a,", &format!(",a{n},"))).collect();
        let rows = read(&(many + &good.replace(",a,", ",a0,")));
        assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 5);
        assert!(rows.last().unwrap().is_ok());
        let why = rows[MOST_SERIES].as_ref().unwrap_err();
        assert_eq!(why.column, "server");
        assert!(why.reason.contains("more than 100000 servers"), "{why}");
    }

    #[test]
    fn concatenated_files_are_read_by_the_columns_of_each() {
        let rows = read(&format!(
            "0,a,2026-11-22T20:42:42Z,2,,-0.001,0.02,sample,0,0\n{MINIMAL}0,a,2026-11-22T20:43:42Z,2,,-0.002,0.02,sample,0,0\n\
             time,server,outcome,offset_s,delay_s,root_delay_s,root_dispersion_s,stratum,leap\n\
             2026-11-22T20:44:42Z,b,sample,-0.003,0.02,0,0,2,0\n"
        ));
        let offsets: Vec<_> = rows.iter().map(|row| row.as_ref().unwrap().offset_s().unwrap()).collect();
        assert_eq!(offsets, [-0.001, -0.002, -0.003]);
    }

    #[test]
    fn csv_is_known_by_a_first_line_with_the_needed_columns() {
        for line in [MINIMAL, super::super::HEADER, &MINIMAL.replace("time", " \"time\" ").replace(" \"", "\"")] {
            assert!(Csv.detects(format!("{line}0,a\n").as_bytes()), "{line}");
        }
        for other in ["", "time,server\n", "{\"time\": 1}\n", "59000 1.0 192.0.2.1 9614 0.1 0.2 0.3 0.4\n", "\u{0}\n"] {
            assert!(!Csv.detects(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(bytes: Vec<u8>, with_header: bool) {
            let input = if with_header { [MINIMAL.as_bytes(), &bytes].concat() } else { bytes };
            if let Ok(rows) = read_from("f", &input[..]) {
                rows.for_each(drop);
            }
        }

        #[test]
        fn no_cells_make_the_reader_panic(cells in prop::collection::vec("[-+0-9.eE:TZ',a-z\"]{0,12}", 0..40)) {
            let rows = read(&cells.join(","));
            prop_assert!(rows.len() <= 1);
        }
    }
}
