//! Merges the samples of several files into one stream by time, in bounded memory: at most [`READ_AHEAD`] rows of each
//! open file are held, and a file is opened when the stream reaches its first row.
//!
//! Rows keep their order within a file, because the wall clock may have been set back between two polls. Files are merged
//! by the wall clock. A file with at most [`READ_AHEAD`] rows is sorted if it is out of order (polls of different servers
//! may end in any order). In a longer file the analysis rejects rows that come too late, and a note says so. A row more
//! than an hour ahead of both its neighbours is dropped, because all later rows would otherwise count as old.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::sinks::csv;
use ntp_monitor_core::formats::source::{RowError, Samples};
use ntp_monitor_core::sample::{Sample, SeriesKey};

/// Maximum number of rows of a file in memory. A file with at most this many rows can be sorted.
pub const READ_AHEAD: usize = 65_536;
/// Faults of a file that are printed one by one.
const FAULTS_SHOWN: u64 = 20;
/// Maximum number of series (addresses of servers) that are analysed, the same as in the service.
const MOST_SERIES: usize = 10_000;
/// A row that is this far ahead of both its neighbours counts as a row from the future.
const FUTURE_NS: i64 = 3600 * 1_000_000_000;

pub struct Recording<W> {
    paths: Vec<PathBuf>,
    open: Vec<Option<Recorded>>,
    /// The time of the next row of each file, the earliest first.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    series: HashSet<SeriesKey>,
    complaints: Complaints<W>,
}

/// The faults of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Rows and files that could not be read.
    pub unreadable: u64,
    /// Rows from the future.
    pub future: u64,
}

/// Prints faults, but only a limited number of them.
struct Complaints<W> {
    to: W,
    faults: Faults,
    said: u64,
    /// Whether the message about too many servers was printed.
    crowded: bool,
}

impl<W: Write> Complaints<W> {
    fn say(&mut self, what: &dyn std::fmt::Display) {
        self.said += 1;
        // A closed stderr means that the user does not want messages.
        let _ = match self.said {
            said if said <= FAULTS_SHOWN => writeln!(self.to, "ntp-monitor: {what}"),
            said if said == FAULTS_SHOWN + 1 => writeln!(self.to, "ntp-monitor: further faults are only counted"),
            _ => Ok(()),
        };
    }

    fn unreadable(&mut self, why: &RowError) {
        self.faults.unreadable += 1;
        self.say(why);
    }
}

impl<W: Write> Recording<W> {
    /// A stream of the rows of `paths`; faults are passed to `complaints`.
    #[must_use]
    pub fn new(paths: &[PathBuf], complaints: W) -> Self {
        let mut complaints = Complaints { to: complaints, faults: Faults::default(), said: 0, crowded: false };
        let mut heads = BinaryHeap::new();
        for (index, path) in paths.iter().enumerate() {
            match first_ns(path, &mut complaints) {
                Ok(Some(first_ns)) => heads.push(Reverse((first_ns, index))),
                Ok(None) => {}
                Err(why) => complaints.unreadable(&why),
            }
        }
        Self {
            paths: paths.to_vec(),
            open: paths.iter().map(|_| None).collect(),
            heads,
            series: HashSet::new(),
            complaints,
        }
    }

    /// Whether the server of the sample is one of the first [`MOST_SERIES`].
    fn admits(&mut self, sample: &Sample) -> bool {
        let key = sample.key();
        if self.series.contains(&key) {
            return true;
        }
        if self.series.len() < MOST_SERIES {
            return self.series.insert(key);
        }
        self.complaints.faults.unreadable += 1;
        if !std::mem::replace(&mut self.complaints.crowded, true) {
            self.complaints
                .say(&format_args!("more than {MOST_SERIES} servers or addresses: the rows of the others are skipped"));
        }
        false
    }

    /// The faults so far.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.complaints.faults
    }
}

impl<W: Write> Iterator for Recording<W> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        loop {
            let Reverse((_, index)) = self.heads.pop()?;
            let source = match &mut self.open[index] {
                Some(source) => source,
                closed => match Recorded::open(&self.paths[index], &mut self.complaints) {
                    Ok(source) => {
                        let source = closed.insert(source);
                        // Sorting may have changed which row is first.
                        if let Some(head_ns) = source.head_ns() {
                            self.heads.push(Reverse((head_ns, index)));
                        }
                        continue;
                    }
                    Err(why) => {
                        self.complaints.unreadable(&why);
                        continue;
                    }
                },
            };
            let sample = source.next(&mut self.complaints);
            match source.head_ns() {
                Some(head_ns) => self.heads.push(Reverse((head_ns, index))),
                None => self.open[index] = None,
            }
            if let Some(sample) = sample
                && self.admits(&sample)
            {
                return Some(sample);
            }
        }
    }
}

/// The time of the first readable row, or the reason why no row can be read.
fn first_ns<W: Write>(path: &Path, complaints: &mut Complaints<W>) -> Result<Option<i64>, RowError> {
    if let Some(sample) = csv::read_file(path)?.find_map(Result::ok) {
        return Ok(Some(sample.at.wall_ns));
    }
    csv::read_file(path)?.filter_map(Result::err).for_each(|why| complaints.unreadable(&why));
    Ok(None)
}

struct Recorded {
    path: PathBuf,
    rows: Box<dyn Samples>,
    ahead: VecDeque<(u64, Sample)>,
    /// The time of the row before the first of `ahead`.
    last_ns: Option<i64>,
    ended: bool,
    /// Whether the note about the order was printed.
    noted: bool,
}

impl Recorded {
    fn open<W: Write>(path: &Path, complaints: &mut Complaints<W>) -> Result<Self, RowError> {
        let rows = csv::read_file(path)?;
        let (ahead, path) = (VecDeque::new(), path.to_owned());
        let mut source = Self { path, rows, ahead, last_ns: None, ended: false, noted: false };
        source.fill(READ_AHEAD, complaints);
        if source.ended {
            source.sort(complaints);
        }
        source.skip_future(complaints);
        Ok(source)
    }

    fn fill<W: Write>(&mut self, upto: usize, complaints: &mut Complaints<W>) {
        while !self.ended && self.ahead.len() < upto {
            match self.rows.next() {
                Some(Ok(sample)) => self.ahead.push_back((self.rows.line(), sample)),
                Some(Err(why)) => complaints.unreadable(&why),
                None => self.ended = true,
            }
        }
    }

    /// Sorts a whole file if it is out of order.
    fn sort<W: Write>(&mut self, complaints: &mut Complaints<W>) {
        let mut future = Vec::new();
        let mut latest_behind_ns = i64::MIN;
        for at in (0..self.ahead.len()).rev() {
            let before = at.checked_sub(1).and_then(|before| self.ahead.get(before));
            let row = &self.ahead[at].1;
            // In an unsorted file most rows are ahead of some others; a row from the future is ahead of all that
            // follow.
            let is_ahead = row.at.wall_ns.saturating_sub(latest_behind_ns) > FUTURE_NS;
            if is_ahead && is_future(before.map(|row| row.1.at.wall_ns), row, self.ahead.get(at + 1)) {
                future.push(at);
            } else {
                latest_behind_ns = latest_behind_ns.max(row.at.wall_ns);
            }
        }
        for at in future {
            if let Some((line, _)) = self.ahead.remove(at) {
                self.complain_future(line, complaints);
            }
        }
        let rows = self.ahead.make_contiguous();
        if is_disordered(rows) {
            rows.sort_by_key(|(_, sample)| sample.at.wall_ns);
            let _ = writeln!(
                complaints.to,
                "ntp-monitor: {}: rows were not in order of time and were sorted",
                self.path.display()
            );
        }
    }

    /// Drops rows from the future at the head, so that the head is the next row to return.
    fn skip_future<W: Write>(&mut self, complaints: &mut Complaints<W>) {
        loop {
            self.fill(2, complaints);
            let Some((line, head)) = self.ahead.front() else { return };
            if !is_future(self.last_ns, head, self.ahead.get(1)) {
                return;
            }
            let line = *line;
            self.ahead.pop_front();
            self.complain_future(line, complaints);
        }
    }

    fn complain_future<W: Write>(&self, line: u64, complaints: &mut Complaints<W>) {
        complaints.faults.future += 1;
        complaints
            .say(&format_args!("{}:{line}: time: from the future: the row after it is older", self.path.display()));
    }

    fn head_ns(&self) -> Option<i64> {
        self.ahead.front().map(|(_, sample)| sample.at.wall_ns)
    }

    fn next<W: Write>(&mut self, complaints: &mut Complaints<W>) -> Option<Sample> {
        let (line, sample) = self.ahead.pop_front()?;
        self.last_ns = Some(sample.at.wall_ns);
        self.skip_future(complaints);
        if !self.noted && self.ahead.front().is_some_and(|(_, next)| is_late(&sample, next)) {
            self.noted = true;
            complaints.say(&format_args!(
                "{}:{}: not in order of time, and too long to be sorted here (more than {READ_AHEAD} rows): rows that \
                 come too late are rejected",
                self.path.display(),
                line + 1
            ));
        }
        Some(sample)
    }
}

/// Whether a row is more than an hour ahead of both its neighbours, which agree with each other.
fn is_future(before_ns: Option<i64>, row: &Sample, after: Option<&(u64, Sample)>) -> bool {
    let Some((_, after)) = after else { return false };
    let after_ns = after.at.wall_ns;
    before_ns.is_none_or(|before_ns| before_ns <= after_ns) && row.at.wall_ns.saturating_sub(after_ns) > FUTURE_NS
}

/// Whether a row comes too late for the analysis, or after a newer row of the same server. Rows of different servers
/// may alternate: sorting by the wall clock would separate rows that were written around a step back.
fn is_disordered(rows: &[(u64, Sample)]) -> bool {
    let mut last = HashMap::new();
    rows.windows(2).any(|pair| is_late(&pair[0].1, &pair[1].1))
        || rows.iter().any(|(_, row)| {
            let before = last.insert((&*row.server.name, row.address), row);
            before.is_some_and(|before| is_unexplained(before, row))
        })
}

/// Whether the second row is older without a clock step back that explains it.
fn is_unexplained(first: &Sample, second: &Sample) -> bool {
    let (a, b) = (first.at, second.at);
    let is_set_back = a.mono_ns != 0 && b.mono_ns > a.mono_ns;
    b.wall_ns < a.wall_ns && !is_set_back
}

/// Whether the second row is so much older that the analysis will reject it. Smaller differences between servers are
/// normal.
fn is_late(first: &Sample, second: &Sample) -> bool {
    const USUAL_NS: i64 = 30 * 1_000_000_000;
    is_unexplained(first, second) && first.at.wall_ns.saturating_sub(second.at.wall_ns) > USUAL_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_servers_beyond_the_limit_are_left_out_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let row = |n: usize| format!("a{n},2026-11-22T20:42:42Z,timeout\n");
        let head = "server,time,outcome,offset_s,delay_s,root_delay_s,root_dispersion_s,stratum,leap\n";
        let rows: String = (0..MOST_SERIES + 7).chain([0]).map(row).collect();
        std::fs::write(&path, head.to_owned() + &rows).unwrap();
        let mut said = Vec::new();
        let mut recording = Recording::new(&[path], &mut said);
        assert_eq!(recording.by_ref().count(), MOST_SERIES + 1);
        assert_eq!(recording.faults().unreadable, 7);
        drop(recording);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.matches("more than 10000 servers or addresses").count(), 1, "{said}");
    }
}
