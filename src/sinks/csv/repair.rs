//! Repairs a day whose file another program removed, replaced or changed: compares the rows in its files with those in
//! the store.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::tail::{Key, key, rows_of_day};
use ntp_monitor_core::sample::Sample;

/// Reads samples of a span from the store, by time: about the given number at once, and none only if there are no more.
/// The error says why the store cannot be read now.
pub type Journal = Arc<dyn Fn(Range<i64>, usize) -> Result<Vec<Arc<Sample>>, String> + Send + Sync>;

/// The rows that this process wrote into the files of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) rows: usize,
    oldest_ns: i64,
}

impl Written {
    pub(super) fn nothing() -> Self {
        Self { rows: 0, oldest_ns: i64::MAX }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        self.rows += 1;
        self.oldest_ns = self.oldest_ns.min(sample.at.wall_ns);
    }
}

/// The repair of one day.
#[derive(Debug)]
pub(super) struct Repair {
    pub(super) date: Date,
    /// What happened: a sentence with the path.
    pub(super) what: String,
    written: Written,
    /// The rows that the files have now.
    rows: HashSet<Key>,
    /// The number of rows that this process had written and that the files still have.
    found: usize,
    /// The number of rows that were restored.
    pub(super) returned: Vec<Key>,
    /// The span that is still to be compared, as stamps.
    left: Range<i64>,
}

impl Repair {
    /// Reads which rows the files of `date` still have; `written` are those that this process wrote.
    pub(super) fn begin(dir: &Path, date: Date, what: String, written: Written) -> io::Result<Self> {
        let (rows, complete_from_ns) = match rows_of_day(dir, date) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => (HashSet::new(), i64::MIN),
            read => read?,
        };
        let day = midnight_ns(date)..date.tomorrow().map_or(i64::MAX, midnight_ns);
        let left = day.start.max(complete_from_ns)..day.end;
        // Rows outside of the compared span are assumed to be intact.
        let unread = if left.start > day.start { written.rows } else { 0 };
        let found = rows.iter().filter(|key| key.0 >= written.oldest_ns).count() + unread;
        Ok(Self { date, what, written, rows, found, returned: Vec::new(), left })
    }

    /// The span that is still to be compared; empty at the end.
    pub(super) fn left(&self) -> Range<i64> {
        self.left.clone()
    }

    pub(super) fn has(&self, sample: &Sample) -> bool {
        self.rows.contains(&key(sample))
    }

    /// Records that a sample that arrived meanwhile was written.
    pub(super) fn wrote(&mut self, sample: &Sample) {
        self.rows.insert(key(sample));
    }

    /// Records that those of the `stored` samples that the files lacked were appended. The store has no other samples
    /// up to the last of `stored`.
    pub(super) fn advance(&mut self, stored: &[Arc<Sample>]) {
        for sample in stored {
            let key = key(sample);
            if self.rows.insert(key.clone()) {
                self.found += usize::from(key.0 >= self.written.oldest_ns);
                self.returned.push(key);
            }
        }
        let end = self.left.end;
        self.left.start = stored.last().map_or(end, |last| last.at.wall_ns.saturating_add(1)).min(end);
    }

    /// The number of rows that this process had written and that are neither in the files nor in the store.
    pub(super) fn lost(&self) -> usize {
        self.written.rows.saturating_sub(self.found)
    }

    /// What happened, and the result.
    pub(super) fn conclusion(&self) -> String {
        let returned = self.returned.len();
        match self.lost() {
            0 => format!("{}; {returned} rows were brought back from the store", self.what),
            lost => format!("{}; {returned} rows were brought back from the store, {lost} are not in it", self.what),
        }
    }
}

fn midnight_ns(date: Date) -> i64 {
    let midnight = TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
    let clamped = |ns: i128| ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    midnight.map_or(i64::MAX, |at| clamped(at.as_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_24_hours_also_at_the_ends_of_the_calendar() {
        let date: Date = "2026-11-22".parse().unwrap();
        assert_eq!(midnight_ns(date.tomorrow().unwrap()) - midnight_ns(date), 86_400_000_000_000);
        assert_eq!(ntp_monitor_core::formats::csv::day(midnight_ns(date)), date);
        assert_eq!(midnight_ns(Date::MAX), i64::MAX);
    }
}
