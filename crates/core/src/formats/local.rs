//! The local rows: the input of the verdict from the kernel, the time daemon and the list of leap seconds, one row for
//! each change.
//!
//! They are stored beside the samples, as `local-YYYY-MM-DD.csv` and in the store, so that a replay has the same data
//! as the live service. Unknown values are empty cells; columns are found by name, and unknown columns are ignored.

use std::io::Read;
use std::sync::Arc;

use csv::{ReaderBuilder, WriterBuilder};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::csv::{defused, restored};
use super::source::RowError;
use crate::stats::leap::{LeapList, LeapSource};
use crate::stats::local::{DaemonView, KernelState, LocalState};

/// The first line of every file that is written.
pub const HEADER: &str = "time,vantage,kernel_synchronised,kernel_max_error_s,kernel_est_error_s,kernel_frequency_ppm,\
                          kernel_tai_offset_s,kernel_leap,daemon,daemon_synchronised,daemon_stratum,daemon_offset_s,\
                          daemon_bound_s,leap_expires,leap_seconds\n";

/// What was known of this host's clock, without any server, from `time` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocalRow {
    /// Since when, by the clock that is described.
    pub time: Timestamp,
    /// The vantage; empty in the store for this one.
    #[serde(default)]
    pub vantage: String,
    /// Whether the kernel considers its clock synchronised; `null`, as all of the kernel, if it could not be read.
    #[serde(default)]
    pub kernel_synchronised: Option<bool>,
    /// The kernel's maximum error in seconds.
    #[serde(default)]
    pub kernel_max_error_s: Option<f64>,
    /// The kernel's estimated error in seconds.
    #[serde(default)]
    pub kernel_est_error_s: Option<f64>,
    /// The correction that the kernel applies in ppm, positive when it speeds the clock up.
    #[serde(default)]
    pub kernel_frequency_ppm: Option<f64>,
    /// TAI − UTC in seconds as set in the kernel; `null` if it was never set.
    #[serde(default)]
    pub kernel_tai_offset_s: Option<i32>,
    /// The leap second that the kernel will apply: +1 insertion, −1 deletion, 0 none.
    #[serde(default)]
    pub kernel_leap: Option<i8>,
    /// The time daemon; `null`, as all of the daemon, if none runs.
    #[serde(default)]
    pub daemon: Option<String>,
    /// Whether the daemon reports that it is synchronised.
    #[serde(default)]
    pub daemon_synchronised: Option<bool>,
    /// The stratum of the daemon.
    #[serde(default)]
    pub daemon_stratum: Option<u8>,
    /// The remaining offset according to the daemon in seconds, positive when this clock is slow.
    #[serde(default)]
    pub daemon_offset_s: Option<f64>,
    /// The error bound according to the daemon in seconds.
    #[serde(default)]
    pub daemon_bound_s: Option<f64>,
    /// When the list of leap seconds expires; `null` without a list.
    #[serde(default)]
    pub leap_expires: Option<Timestamp>,
    /// The entries of the list: since when TAI − UTC is how many seconds, `2017-01-01T00:00:00Z=37`, separated by blanks.
    #[serde(default)]
    pub leap_seconds: Option<String>,
}

impl LocalRow {
    /// The state at `wall_ns`, in nanoseconds since 1970.
    #[must_use]
    pub fn of(wall_ns: i64, vantage: &str, local: &LocalState, leap: &LeapSource) -> Self {
        let (kernel, daemon, list) = (local.kernel, local.daemon.as_ref(), leap.list.as_deref());
        Self {
            time: Timestamp::from_nanosecond(wall_ns.into()).unwrap_or(Timestamp::UNIX_EPOCH),
            vantage: vantage.to_owned(),
            kernel_synchronised: kernel.map(|it| it.synchronised),
            kernel_max_error_s: kernel.map(|it| it.max_error_s),
            kernel_est_error_s: kernel.map(|it| it.est_error_s),
            kernel_frequency_ppm: kernel.map(|it| it.frequency_ppm),
            kernel_tai_offset_s: kernel.and_then(|it| it.tai_offset_s),
            kernel_leap: kernel.map(|it| it.leap_pending),
            daemon: daemon.map(|it| it.name.clone()),
            daemon_synchronised: daemon.map(|it| it.synchronised),
            daemon_stratum: daemon.and_then(|it| it.stratum),
            daemon_offset_s: daemon.and_then(|it| it.offset_s),
            daemon_bound_s: daemon.and_then(|it| it.bound_s),
            leap_expires: list.and_then(|list| Timestamp::from_second(list.expires_unix_s).ok()),
            leap_seconds: list.map(|list| {
                let entry = |(at, offset): &(i64, i32)| Some(format!("{}={offset}", Timestamp::from_second(*at).ok()?));
                list.entries().iter().filter_map(entry).collect::<Vec<_>>().join(" ")
            }),
        }
    }

    /// The time in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        i64::try_from(self.time.as_nanosecond()).unwrap_or(0)
    }

    /// The recorded statements of the kernel and the daemon.
    #[must_use]
    pub fn state(&self) -> LocalState {
        let kernel = self.kernel_synchronised.map(|synchronised| KernelState {
            synchronised,
            max_error_s: self.kernel_max_error_s.unwrap_or(0.0),
            est_error_s: self.kernel_est_error_s.unwrap_or(0.0),
            frequency_ppm: self.kernel_frequency_ppm.unwrap_or(0.0),
            tai_offset_s: self.kernel_tai_offset_s,
            leap_pending: self.kernel_leap.unwrap_or(0),
        });
        let daemon = self.daemon.as_ref().map(|name| DaemonView {
            name: name.clone(),
            synchronised: self.daemon_synchronised.unwrap_or(false),
            stratum: self.daemon_stratum,
            offset_s: self.daemon_offset_s,
            bound_s: self.daemon_bound_s,
        });
        LocalState { kernel, daemon }
    }

    /// The list of leap seconds; `None` if the row has none or it cannot be parsed.
    #[must_use]
    pub fn leap(&self) -> LeapSource {
        let entry = |text: &str| {
            let (at, offset) = text.split_once('=')?;
            Some((at.parse::<Timestamp>().ok()?.as_second(), offset.parse().ok()?))
        };
        let list = || {
            let entries: Option<Vec<_>> = self.leap_seconds.as_deref()?.split_ascii_whitespace().map(entry).collect();
            LeapList::of(entries?, self.leap_expires?.as_second())
        };
        LeapSource { list: list().map(Arc::new), ..LeapSource::default() }
    }

    /// Whether the input of the verdict differs between this row and `before`. Errors and corrections change with every
    /// reading, so they count only if they decide whether the clock may judge servers.
    #[must_use]
    pub fn differs_from(&self, before: &Self) -> bool {
        let said = |row: &Self| row.state().distrust();
        let firm = |row: &Self| {
            let kernel = (row.kernel_synchronised, row.kernel_tai_offset_s, row.kernel_leap);
            (kernel, row.daemon_synchronised, row.leap_expires)
        };
        firm(self) != firm(before)
            || said(self) != said(before)
            || (&self.daemon, &self.leap_seconds) != (&before.daemon, &before.leap_seconds)
    }

    /// Appends the row to `out` as one line.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let row = Self { vantage: defused(&self.vantage), ..self.clone() };
        let mut writer = WriterBuilder::new().has_headers(false).from_writer(out);
        writer.serialize(&row).expect("writing to memory does not fail");
    }
}

/// Reads rows; errors use `name` for the input. A bad row gives an error, and the rows after it are read.
pub fn read_from<R: Read>(name: &str, source: R) -> impl Iterator<Item = Result<LocalRow, RowError>> + use<R> {
    let name = name.to_owned();
    let reader = ReaderBuilder::new().flexible(true).from_reader(source);
    reader.into_deserialize().map(move |row: Result<LocalRow, csv::Error>| match row {
        Ok(row) => Ok(LocalRow { vantage: restored(&row.vantage).to_owned(), ..row }),
        Err(why) => {
            let line = why.position().map_or(0, csv::Position::line);
            Err(RowError::whole(&name, line, &why.to_string()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "#@ 4023129600\n2272060800 10\n3692217600 37\n";

    fn local() -> LocalState {
        let kernel = KernelState {
            synchronised: true,
            max_error_s: 0.012_345,
            est_error_s: 1e-6,
            frequency_ppm: -3.224_990_844_726_562_5,
            tai_offset_s: Some(37),
            leap_pending: -1,
        };
        let daemon = DaemonView {
            name: "chronyd".into(),
            synchronised: true,
            stratum: Some(3),
            offset_s: Some(-2e-7),
            bound_s: None,
        };
        LocalState { kernel: Some(kernel), daemon: Some(daemon) }
    }

    fn leap() -> LeapSource {
        LeapSource { list: Some(Arc::new(LeapList::parse(LIST).unwrap())), ..LeapSource::default() }
    }

    #[test]
    fn row_is_read_as_it_was_written() {
        let rows = [
            LocalRow::of(1_800_000_000_123_456_789, "=ams, \"1\"", &local(), &leap()),
            LocalRow::of(1_800_000_001_000_000_000, "", &LocalState::default(), &LeapSource::default()),
        ];
        let mut text = HEADER.as_bytes().to_vec();
        rows.iter().for_each(|row| row.append_to(&mut text));
        let read: Vec<LocalRow> = read_from("a", &*text).map(Result::unwrap).collect();
        assert_eq!(read, rows);
        assert_eq!((read[0].state(), read[1].state()), (local(), LocalState::default()));
        let list = read[0].leap().list.unwrap();
        assert_eq!((list.entries(), list.expires_unix_s), (leap().list.unwrap().entries(), 1_814_140_800));
    }

    #[test]
    fn columns_may_be_in_any_order_and_a_bad_row_is_named() {
        let text = "daemon,other,time\nntpd,x,2026-01-01T00:00:00Z\nntpd,x,yesterday\n,,2026-01-02T00:00:00Z\n";
        let read: Vec<_> = read_from("a", text.as_bytes()).collect();
        assert_eq!(read[0].as_ref().unwrap().daemon.as_deref(), Some("ntpd"));
        assert!(read[1].as_ref().unwrap_err().to_string().starts_with("a:3: "), "{:?}", read[1]);
        assert_eq!(read[2].as_ref().unwrap().daemon, None);
    }

    #[test]
    fn only_changes_that_the_verdict_uses_are_recorded() {
        let of = |local: &LocalState| LocalRow::of(1, "", local, &leap());
        let (known, mut other) = (of(&local()), local());
        let kernel = other.kernel.as_mut().unwrap();
        (kernel.max_error_s, kernel.frequency_ppm) = (0.5, 12.0);
        assert!(!of(&other).differs_from(&known), "a new reading of the same clock");
        other.kernel.as_mut().unwrap().frequency_ppm = 499.0;
        assert!(of(&other).differs_from(&known), "a correction at its limit");
        assert!(of(&LocalState { daemon: None, ..local() }).differs_from(&known));
        assert!(LocalRow::of(1, "", &local(), &LeapSource::default()).differs_from(&known));
    }
}
