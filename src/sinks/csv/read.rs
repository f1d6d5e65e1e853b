//! Reading recorded samples back, ours and other people's: any order of columns, unknown ones ignored, and of ours only
//! [`REQUIRED`] needed. A bad row is an error with its place and reason, and the rows after it are read.
//!
//! What a file does not say is assumed so: address none; kiss and rejected without a reason are `kiss` without a code
//! and a failed origin test; poll interval 64 s; precision 2⁻²⁰ s; root distance from its parts; the monotonic clock
//! ran with the wall clock. Requests of a burst and configured tags are not in a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use csv::{Reader, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;

use super::columns::{COLUMNS, REQUIRED};
use super::record::restored;
use crate::clock::Stamp;
use crate::ntp::{Check, Leap, RefId};
use crate::sample::{Measure, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// NTP cannot express more than 68 years; neither offsets nor delays can be larger.
const MAX_SECONDS: f64 = 4_294_967_296.0;
const DEFAULT_POLL_S: f64 = 64.0;
const DEFAULT_PRECISION_LOG2: i8 = -20;
const NTP_PORT: u16 = 123;

/// What is wrong with a file or a row of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {column}{}{reason}", if .column.is_empty() { "" } else { ": " })]
pub struct RowError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// The column; empty when the row as a whole is meant.
    pub column: String,
    /// What is wrong, in words.
    pub reason: String,
}

/// The samples of a file, in its order.
pub struct Rows<R> {
    file: String,
    reader: Reader<R>,
    /// Where each of [`COLUMNS`] is in a row.
    places: [Option<usize>; COLUMNS.len()],
    servers: HashMap<String, Arc<ServerIdent>>,
    record: StringRecord,
    ended: bool,
}

/// Opens a file; one whose name ends in `.gz` is uncompressed on the way.
///
/// # Errors
/// When it cannot be opened, or lacks a column that is needed.
pub fn read_file(path: &Path) -> Result<Rows<Box<dyn Read + Send>>, RowError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|why| whole(&name, 0, &why.to_string()))?;
    let source: Box<dyn Read + Send> = if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("gz")) {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    read_from(&name, source)
}

/// Reads rows from wherever; `name` is what errors call it. The first line must name the columns.
///
/// # Errors
/// When a column that is needed is missing, or the first line cannot be read.
pub fn read_from<R: Read>(name: &str, source: R) -> Result<Rows<R>, RowError> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(source);
    let header = reader.headers().map_err(|why| whole(name, 1, &why.to_string()))?;
    let place = |column: &str| header.iter().position(|cell| cell.trim() == column);
    if let Some(missing) = REQUIRED.into_iter().find(|column| place(column).is_none()) {
        let reason = "this column is needed and missing".to_owned();
        return Err(RowError { file: name.to_owned(), line: 1, column: missing.to_owned(), reason });
    }
    let places = COLUMNS.map(place);
    let (servers, record) = (HashMap::new(), StringRecord::new());
    Ok(Rows { file: name.to_owned(), reader, places, servers, record, ended: false })
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Sample, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.reader.read_record(&mut self.record) {
            Ok(true) => Some(self.sample()),
            Ok(false) => None,
            Err(why) => {
                // Behind a failure of the source nothing can be read; behind a row that is no text, the next row can.
                self.ended = why.is_io_error();
                let line = why.position().map_or(0, csv::Position::line);
                Some(Err(whole(&self.file, line, &why.to_string())))
            }
        }
    }
}

impl<R: Read> Rows<R> {
    fn sample(&mut self) -> Result<Sample, RowError> {
        let row = Row { record: &self.record, places: &self.places };
        row.sample(&mut self.servers).map_err(|(column, reason)| RowError {
            file: self.file.clone(),
            line: self.record.position().map_or(0, csv::Position::line),
            column: column.to_owned(),
            reason,
        })
    }
}

/// The column at fault and the reason.
type Fault = (&'static str, String);

/// One row, by column.
struct Row<'a> {
    record: &'a StringRecord,
    places: &'a [Option<usize>; COLUMNS.len()],
}

impl<'a> Row<'a> {
    fn sample(&self, servers: &mut HashMap<String, Arc<ServerIdent>>) -> Result<Sample, Fault> {
        let outcome = self.outcome()?;
        let answered = matches!(outcome, Outcome::Sample | Outcome::Unsynchronised);
        let reply = if answered { self.reply(outcome == Outcome::Sample)? } else { None };
        let measure = if outcome == Outcome::Sample { Some(self.measure(reply)?) } else { None };
        Ok(Sample {
            at: self.stamp()?,
            server: self.server(servers)?,
            address: self.parsed("address", address)?,
            reply,
            measure,
            poll_s: self.seconds("poll_s", 0.0)?.unwrap_or(DEFAULT_POLL_S),
            timestamping: self.parsed("timestamping", Timestamping::parse)?,
            sent: 1,
            lost: u16::from(!answered),
            evidence: None,
            outcome,
        })
    }

    /// The cell of a column; empty when the column or the cell is missing.
    fn cell(&self, column: &'static str) -> &'a str {
        let index = COLUMNS.iter().position(|name| *name == column);
        let place = index.and_then(|index| self.places[index]);
        place.and_then(|place| self.record.get(place)).unwrap_or("")
    }

    /// The cell read by `parse`; `None` when it is empty.
    fn parsed<T>(&self, column: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        match self.cell(column).trim() {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or_else(|| (column, format!("{} cannot be read", quoted(text)))),
        }
    }

    /// A finite number of seconds from `min` to what NTP can express; `None` when the cell is empty.
    fn seconds(&self, column: &'static str, min: f64) -> Result<Option<f64>, Fault> {
        let value = self.parsed(column, |text| text.parse::<f64>().ok())?;
        match value {
            Some(value) if !(min..=MAX_SECONDS).contains(&value) => {
                Err((column, format!("{} is not a possible time in seconds", quoted(self.cell(column)))))
            }
            value => Ok(value),
        }
    }

    fn needed<T>(column: &'static str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| (column, "empty, but the outcome needs it".to_owned()))
    }

    fn outcome(&self) -> Result<Outcome, Fault> {
        let (label, reason) = (self.cell("outcome").trim(), restored(self.cell("reason")));
        if label == "rejected" && reason.is_empty() {
            return Ok(Outcome::Rejected(Check::Origin));
        }
        Outcome::parse(label, reason).ok_or_else(|| {
            let known = Outcome::LABELS.contains(&label);
            let (column, text) = if known { ("reason", reason) } else { ("outcome", label) };
            (column, format!("{} is not known", quoted(text)))
        })
    }

    fn measure(&self, reply: Option<Reply>) -> Result<Measure, Fault> {
        let offset_s = Self::needed("offset_s", self.seconds("offset_s", -MAX_SECONDS)?)?;
        let delay_s = Self::needed("delay_s", self.seconds("delay_s", 0.0)?)?;
        let of_parts = || delay_s / 2.0 + reply.map_or(0.0, |r| r.root_delay_s / 2.0 + r.root_dispersion_s);
        let root_distance_s = self.seconds("root_distance_s", 0.0)?.unwrap_or_else(of_parts);
        Ok(Measure { offset_s, delay_s, root_distance_s })
    }

    /// What the server said of itself; for an unsynchronised one it may be missing altogether.
    fn reply(&self, needed: bool) -> Result<Option<Reply>, Fault> {
        if !needed && self.cell("stratum").trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(Reply {
            stratum: Self::needed("stratum", self.parsed("stratum", |text| text.parse().ok())?)?,
            leap: Self::needed("leap", self.parsed("leap", leap)?)?,
            refid: self.parsed("refid", |text| RefId::parse(restored(text)))?.unwrap_or(RefId([0; 4])),
            precision_log2: self.parsed("precision_s", precision_log2)?.unwrap_or(DEFAULT_PRECISION_LOG2),
            root_delay_s: Self::needed("root_delay_s", self.seconds("root_delay_s", 0.0)?)?,
            root_dispersion_s: Self::needed("root_dispersion_s", self.seconds("root_dispersion_s", 0.0)?)?,
        }))
    }

    fn stamp(&self) -> Result<Stamp, Fault> {
        let wall_ns = self.parsed("time", wall_ns)?.ok_or_else(|| ("time", "empty".to_owned()))?;
        let mono_ns = self.parsed("mono_s", nanos)?.unwrap_or(wall_ns);
        let raw_ns = self.parsed("raw_s", nanos)?.unwrap_or(0);
        Ok(Stamp { wall_ns, mono_ns, raw_ns })
    }

    fn server(&self, servers: &mut HashMap<String, Arc<ServerIdent>>) -> Result<Arc<ServerIdent>, Fault> {
        let name = restored(self.cell("server"));
        if name.is_empty() {
            return Err(("server", "empty".to_owned()));
        }
        if let Some(known) = servers.get(name) {
            return Ok(Arc::clone(known));
        }
        let ident = ServerIdent::named(name);
        servers.insert(name.to_owned(), Arc::clone(&ident));
        Ok(ident)
    }
}

fn whole(file: &str, line: u64, reason: &str) -> RowError {
    RowError { file: file.to_owned(), line, column: String::new(), reason: reason.to_owned() }
}

/// A cell in a message: in quotes, without control characters, not at any length.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, NTP_PORT)))
}

fn leap(text: &str) -> Option<Leap> {
    text.parse().ok().filter(|bits| *bits <= 3).map(Leap::from_bits)
}

fn precision_log2(text: &str) -> Option<i8> {
    let log2 = text.parse::<f64>().ok()?.log2().round();
    (log2 >= f64::from(i8::MIN) && log2 <= f64::from(i8::MAX)).then_some(log2 as i8)
}

fn wall_ns(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// Seconds as nanoseconds, exactly when written without an exponent.
fn nanos(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exact = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if exact {
        let ns: i128 = format!("{whole}{fraction:0<9.9}").parse().ok()?;
        return i64::try_from(sign * ns).ok();
    }
    let ns = text.parse::<f64>().ok()? * 1e9;
    (ns.abs() < i64::MAX as f64).then_some(ns as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        assert_eq!(missing.to_string(), "f.csv:1: outcome: this column is needed and missing");
    }

    #[test]
    fn seconds_of_our_own_come_back_to_the_nanosecond() {
        for (text, ns) in
            [("0.000000001", 1), ("-0.000000001", -1), ("1795380162.123456789", 1_795_380_162_123_456_789)]
        {
            assert_eq!(nanos(text), Some(ns));
        }
        assert_eq!(nanos("1e1"), Some(10_000_000_000));
        for bad in ["", "-", ".", "1.x", "NaN", "99999999999999999999"] {
            assert_eq!(nanos(bad), None, "{bad}");
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
