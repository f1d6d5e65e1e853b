//! `leap-seconds.list`, as IERS and NIST publish it.

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::{DAY_S, NTP_TO_UNIX_S};

/// The end of the year 9999, in NTP seconds. A file with a later time is not a list of leap seconds.
const LATEST_NTP_S: i64 = 253_402_300_799 + NTP_TO_UNIX_S;
/// The largest TAI − UTC that is accepted: it grows by less than a second a year.
const LARGEST_OFFSET_S: i32 = 10_000;

/// Why a file is not a usable list.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LeapListError {
    /// A line that is neither a comment nor "seconds offset". The error does not contain its text, because the file may
    /// be the wrong one and hold a secret.
    #[error("line {line} is not \"SECONDS OFFSET\"; is it a leap-seconds.list?")]
    Line {
        /// The line's number, from 1.
        line: usize,
    },
    /// An entry that is not later than the one before it.
    #[error("line {line}: this entry is not later than the one before it")]
    Order {
        /// The line's number, from 1.
        line: usize,
    },
    /// No entries.
    #[error("the file has no entries; is it a leap-seconds.list?")]
    Empty,
    /// No expiry, so that it is unknown how long the list is valid.
    #[error("the file has no expiry line (#@)")]
    NoExpiry,
    /// A hash line that does not match.
    #[error("the hash line (#h) does not match the data: the file was damaged or edited")]
    Hash,
}

/// One leap second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeapSecond {
    /// The Unix time of the midnight before which it is inserted or deleted: the first second with the new offset.
    pub at_unix_s: i64,
    /// +1 when a second is inserted, −1 when one is deleted.
    pub sign: i8,
}

/// A parsed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeapList {
    /// (Unix time, TAI − UTC from then on), oldest first, at least one.
    entries: Vec<(i64, i32)>,
    /// The Unix time after which the list is not valid.
    pub expires_unix_s: i64,
    /// When the list was last changed, Unix time.
    pub updated_unix_s: Option<i64>,
    /// Whether the file had a hash line; when it had, it matched.
    pub hashed: bool,
}

impl LeapList {
    /// Parses the text of the file. Unknown comments are ignored; a hash line that is present must match.
    ///
    /// # Errors
    /// The first error in the file.
    pub fn parse(text: &str) -> Result<Self, LeapListError> {
        let mut parsed = Parsed::default();
        for (index, line) in text.lines().enumerate() {
            parsed.line(index + 1, line.trim())?;
        }
        parsed.finish()
    }

    /// A list that was recorded; `None` if its entries are not in order or there are none.
    #[must_use]
    pub fn of(entries: Vec<(i64, i32)>, expires_unix_s: i64) -> Option<Self> {
        let is_valid = !entries.is_empty() && entries.is_sorted_by(|a, b| a.0 < b.0);
        is_valid.then_some(Self { entries, expires_unix_s, updated_unix_s: None, hashed: false })
    }

    /// Pairs of a Unix time and the TAI − UTC in seconds from then on, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[(i64, i32)] {
        &self.entries
    }

    /// TAI − UTC in seconds at a Unix time; `None` before 1972 and after the expiry.
    #[must_use]
    pub fn tai_offset_s(&self, unix_s: i64) -> Option<i32> {
        let index = self.entries.partition_point(|(at, _)| *at <= unix_s);
        if unix_s > self.expires_unix_s {
            return None;
        }
        index.checked_sub(1).map(|i| self.entries[i].1)
    }

    /// The leap second that takes effect within `within_s` after `unix_s`.
    #[must_use]
    pub fn next_leap(&self, unix_s: i64, within_s: i64) -> Option<LeapSecond> {
        self.leaps().find(|leap| leap.at_unix_s > unix_s && leap.at_unix_s.saturating_sub(unix_s) <= within_s)
    }

    /// Every leap second of the list.
    pub fn leaps(&self) -> impl Iterator<Item = LeapSecond> {
        self.entries.windows(2).map(|w| LeapSecond { at_unix_s: w[1].0, sign: (w[1].1 - w[0].1).signum() as i8 })
    }

    /// Whole days until the list expires, negative afterwards.
    #[must_use]
    pub fn days_left(&self, unix_s: i64) -> i64 {
        self.expires_unix_s.saturating_sub(unix_s).div_euclid(DAY_S)
    }
}

/// The numbers of the file, also as the text that is hashed.
#[derive(Default)]
struct Parsed {
    entries: Vec<(i64, i32)>,
    expires: Option<i64>,
    updated: Option<i64>,
    digits: [String; 2],
    data: String,
    hash: Option<String>,
}

impl Parsed {
    fn line(&mut self, number: usize, line: &str) -> Result<(), LeapListError> {
        let malformed = || LeapListError::Line { line: number };
        if let Some(rest) = line.strip_prefix("#$") {
            let text = rest.trim();
            self.updated = Some(ntp_seconds(text).ok_or_else(malformed)?);
            self.digits[0] = text.into();
        } else if let Some(rest) = line.strip_prefix("#@") {
            let text = rest.trim();
            self.expires = Some(ntp_seconds(text).ok_or_else(malformed)?);
            self.digits[1] = text.into();
        } else if let Some(rest) = line.strip_prefix("#h") {
            self.hash = Some(normal_hash(rest));
        } else if !line.is_empty() && !line.starts_with('#') {
            let mut fields = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(at), Some(offset)) = (fields.next(), fields.next()) else { return Err(malformed()) };
            let entry = (ntp_seconds(at).ok_or_else(malformed)?, tai_offset(offset).ok_or_else(malformed)?);
            if self.entries.last().is_some_and(|last| last.0 >= entry.0) {
                return Err(LeapListError::Order { line: number });
            }
            self.entries.push(entry);
            self.data.push_str(at);
            self.data.push_str(offset);
        }
        Ok(())
    }

    fn finish(self) -> Result<LeapList, LeapListError> {
        if self.entries.is_empty() {
            return Err(LeapListError::Empty);
        }
        let expires_unix_s = self.expires.ok_or(LeapListError::NoExpiry)?;
        if let Some(hash) = &self.hash {
            let digest = Sha1::digest(format!("{}{}{}", self.digits[0], self.digits[1], self.data));
            let computed: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            if *hash != computed {
                return Err(LeapListError::Hash);
            }
        }
        Ok(LeapList {
            entries: self.entries,
            expires_unix_s,
            updated_unix_s: self.updated,
            hashed: self.hash.is_some(),
        })
    }
}

/// Converts NTP seconds, which do not wrap in this file, to Unix time.
fn ntp_seconds(text: &str) -> Option<i64> {
    let seconds = i64::try_from(text.parse::<u64>().ok()?).ok()?;
    (seconds <= LATEST_NTP_S).then_some(seconds - NTP_TO_UNIX_S)
}

fn tai_offset(text: &str) -> Option<i32> {
    text.parse::<i32>().ok().filter(|offset_s| (-LARGEST_OFFSET_S..=LARGEST_OFFSET_S).contains(offset_s))
}

/// Five groups of eight hexadecimal digits. Some published files omit leading zeros of a group.
fn normal_hash(text: &str) -> String {
    text.split_whitespace().map(|group| format!("{:0>8}", group.to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that IERS publishes, as the tz project carries it (public domain).
    const IERS: &str = include_str!("testdata/leap-seconds.list");

    #[test]
    fn the_published_file_parses_and_its_hash_matches() {
        let list = LeapList::parse(IERS).unwrap();
        assert!(list.hashed);
        assert_eq!(list.expires_unix_s, 4_023_129_600 - NTP_TO_UNIX_S);
        assert_eq!(list.leaps().count(), 27);
        assert_eq!(list.tai_offset_s(1_750_000_000), Some(37));
        assert_eq!(list.tai_offset_s(0), None);
        assert_eq!(list.tai_offset_s(list.expires_unix_s + 1), None);
        assert_eq!(list.days_left(list.expires_unix_s - 86_400 * 28), 28);
    }

    #[test]
    fn leap_second_of_2016_is_due_only_before_it() {
        let list = LeapList::parse(IERS).unwrap();
        let midnight = 1_483_228_800;
        assert_eq!(list.next_leap(midnight - 3600, 86_400), Some(LeapSecond { at_unix_s: midnight, sign: 1 }));
        assert_eq!(list.next_leap(midnight, 86_400), None);
    }

    #[test]
    fn an_edited_entry_breaks_the_hash() {
        assert_eq!(
            LeapList::parse(&IERS.replace("3692217600      37", "3692217600      38")),
            Err(LeapListError::Hash)
        );
    }

    #[test]
    fn unusable_files_are_refused_with_their_reason() {
        assert_eq!(LeapList::parse(""), Err(LeapListError::Empty));
        assert_eq!(LeapList::parse("2272060800 10"), Err(LeapListError::NoExpiry));
        assert_eq!(LeapList::parse("<html>"), Err(LeapListError::Line { line: 1 }));
        assert_eq!(LeapList::parse("20 10\n10 11"), Err(LeapListError::Order { line: 2 }));
        for beyond in ["99999999999999999999 1", "9223372036854775807 1", "20 2147483647", "20 -2147483648"] {
            assert_eq!(LeapList::parse(beyond), Err(LeapListError::Line { line: 1 }), "{beyond}");
        }
    }

    #[test]
    fn no_error_repeats_text_of_the_file() {
        for file in ["hunter2", "#$ hunter2", "#@ hunter2", "hunter2 10", "2272060800 hunter2", "#h hunter2\n20 10"] {
            let why = LeapList::parse(file).unwrap_err().to_string();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
