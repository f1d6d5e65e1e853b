//! Parses one row into a sample, or returns the faulty cell.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use csv::StringRecord;
use jiff::Timestamp;

use super::columns::{COLUMNS, Column};
use super::record::restored;
use crate::clock::Stamp;
use crate::ntp::{Check, Leap, RefId};
use crate::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// NTP cannot express more than 68 years; neither offsets nor delays can be larger.
const MAX_SECONDS: f64 = 4_294_967_296.0;
const DEFAULT_POLL_S: f64 = 64.0;
const DEFAULT_PRECISION_LOG2: i8 = -20;
const NTP_PORT: u16 = 123;
const TIME_HINT: &str = "; a time is written as 2026-11-22T20:42:42Z";

/// The column at fault and the reason.
pub(super) type Fault = (Column, String);

/// Maximum number of servers in a file; each address of a server counts. The analysis keeps data for each of them.
pub(super) const MOST_SERIES: usize = 100_000;
/// Maximum length of the name of a server or a vantage, in bytes: that of the configuration.
const LONGEST_NAME: usize = 128;

/// The servers found so far, by vantage and name.
#[derive(Debug, Default)]
pub(super) struct Servers {
    by_vantage: HashMap<String, HashMap<String, Server>>,
    series: usize,
}

/// A server, with the addresses found so far.
#[derive(Debug)]
struct Server {
    ident: Arc<ServerIdent>,
    addresses: HashSet<Option<SocketAddr>>,
}

impl Servers {
    /// The server of a row.
    fn find(&mut self, vantage: &str, name: &str, address: Option<SocketAddr>) -> Result<Arc<ServerIdent>, String> {
        let is_full = self.series >= MOST_SERIES;
        let known = self.by_vantage.get_mut(vantage).and_then(|of| of.get_mut(name));
        match known {
            Some(server) if server.addresses.contains(&address) => return Ok(Arc::clone(&server.ident)),
            _ if is_full => return Err(format!("the file has more than {MOST_SERIES} servers or addresses")),
            Some(server) => {
                server.addresses.insert(address);
                self.series += 1;
                return Ok(Arc::clone(&server.ident));
            }
            None => {}
        }
        if vantage.len().max(name.len()) > LONGEST_NAME {
            return Err(format!("the name is longer than {LONGEST_NAME} bytes"));
        }
        let ident = ServerIdent::seen_from(vantage, name);
        let server = Server { ident: Arc::clone(&ident), addresses: HashSet::from([address]) };
        self.by_vantage.entry(vantage.to_owned()).or_default().insert(name.to_owned(), server);
        self.series += 1;
        Ok(ident)
    }
}

/// One row, by column.
pub(super) struct Row<'a> {
    pub(super) record: &'a StringRecord,
    pub(super) places: &'a [Option<usize>; COLUMNS.len()],
}

impl<'a> Row<'a> {
    /// The sample of this row; the names in `servers` are shared.
    pub(super) fn sample(&self, servers: &mut Servers) -> Result<Sample, Fault> {
        let outcome = self.outcome()?;
        let answered = matches!(outcome, Outcome::Sample | Outcome::Unsynchronised(_));
        let reply = if answered { self.reply(outcome == Outcome::Sample)? } else { None };
        let measure = if outcome == Outcome::Sample { Some(self.measure(reply)?) } else { None };
        let at = self.stamp()?;
        let address = self.parsed(Column::Address, address)?;
        Ok(Sample {
            at,
            server: self.server(servers, address)?,
            address,
            reply,
            measure,
            poll_s: self.seconds(Column::PollS, 0.0)?.unwrap_or(DEFAULT_POLL_S),
            timestamping: self.parsed(Column::Timestamping, Timestamping::parse)?,
            authentication: self.parsed(Column::Authentication, Authentication::parse)?.unwrap_or_default(),
            mode: self.parsed(Column::Mode, Mode::parse)?.unwrap_or_default(),
            sent: 1,
            lost: u16::from(!answered),
            evidence: None,
            rejected: Vec::new(),
            nts: None,
            rejected_count: 0,
            outcome,
        })
    }

    /// The cell of a column; empty when the column or the cell is missing.
    fn cell(&self, column: Column) -> &'a str {
        let place = self.places[column.index()];
        place.and_then(|place| self.record.get(place)).unwrap_or("")
    }

    /// The cell read by `parse`; `None` when it is empty.
    fn parsed<T>(&self, column: Column, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        match self.cell(column).trim() {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or_else(|| (column, format!("{} cannot be read", quoted(text)))),
        }
    }

    /// A finite number of seconds from `min` to what NTP can express; `None` when the cell is empty.
    fn seconds(&self, column: Column, min: f64) -> Result<Option<f64>, Fault> {
        let value = self.parsed(column, |text| text.parse::<f64>().ok())?;
        match value {
            Some(value) if !(min..=MAX_SECONDS).contains(&value) => {
                Err((column, format!("{} is not a possible time in seconds", quoted(self.cell(column)))))
            }
            value => Ok(value),
        }
    }

    fn needed<T>(column: Column, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| (column, "empty, but the outcome needs it".to_owned()))
    }

    fn outcome(&self) -> Result<Outcome, Fault> {
        let (label, reason) = (self.cell(Column::Outcome).trim(), restored(self.cell(Column::Reason)));
        if label == "rejected" && reason.is_empty() {
            return Ok(Outcome::Rejected(Check::Origin));
        }
        Outcome::parse(label, reason).ok_or_else(|| {
            let known = Outcome::LABELS.contains(&label);
            let (column, text) = if known { (Column::Reason, reason) } else { (Column::Outcome, label) };
            (column, format!("{} is not known", quoted(text)))
        })
    }

    fn measure(&self, reply: Option<Reply>) -> Result<Measure, Fault> {
        let offset_s = Self::needed(Column::OffsetS, self.seconds(Column::OffsetS, -MAX_SECONDS)?)?;
        let delay_s = Self::needed(Column::DelayS, self.seconds(Column::DelayS, 0.0)?)?;
        let of_parts = || delay_s / 2.0 + reply.map_or(0.0, |r| r.root_delay_s / 2.0 + r.root_dispersion_s);
        let root_distance_s = self.seconds(Column::RootDistanceS, 0.0)?.unwrap_or_else(of_parts);
        Ok(Measure { offset_s, delay_s, root_distance_s })
    }

    /// The server's statements about itself; an unsynchronised server may have none.
    fn reply(&self, needed: bool) -> Result<Option<Reply>, Fault> {
        if !needed && self.cell(Column::Stratum).trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(Reply {
            stratum: Self::needed(Column::Stratum, self.parsed(Column::Stratum, |text| text.parse().ok())?)?,
            leap: Self::needed(Column::Leap, self.parsed(Column::Leap, leap)?)?,
            refid: self.parsed(Column::Refid, |text| RefId::parse(restored(text)))?.unwrap_or(RefId([0; 4])),
            precision_log2: self.parsed(Column::PrecisionS, precision_log2)?.unwrap_or(DEFAULT_PRECISION_LOG2),
            root_delay_s: Self::needed(Column::RootDelayS, self.seconds(Column::RootDelayS, 0.0)?)?,
            root_dispersion_s: Self::needed(Column::RootDispersionS, self.seconds(Column::RootDispersionS, 0.0)?)?,
            reference_age_s: self.seconds(Column::ReferenceAgeS, 0.0)?,
        }))
    }

    fn stamp(&self) -> Result<Stamp, Fault> {
        let wall_ns = self.parsed(Column::Time, wall_ns).map_err(|(column, why)| (column, why + TIME_HINT))?;
        let wall_ns = wall_ns.ok_or_else(|| (Column::Time, "empty".to_owned()))?;
        let mono_ns = self.parsed(Column::MonoS, nanos)?.unwrap_or(wall_ns);
        let raw_ns = self.parsed(Column::RawS, nanos)?.unwrap_or(0);
        let boot_ns = self.parsed(Column::BootS, nanos)?.unwrap_or(0);
        Ok(Stamp { wall_ns, mono_ns, raw_ns, boot_ns })
    }

    fn server(&self, servers: &mut Servers, address: Option<SocketAddr>) -> Result<Arc<ServerIdent>, Fault> {
        let name = restored(self.cell(Column::Server)).trim();
        if name.is_empty() {
            return Err((Column::Server, "empty".to_owned()));
        }
        let vantage = restored(self.cell(Column::Vantage)).trim();
        servers.find(vantage, name, address).map_err(|why| (Column::Server, why))
    }
}

/// A cell for an error message: in quotes, without control characters, truncated.
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
    use super::*;

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
}
