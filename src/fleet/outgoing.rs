//! Turns rows of the journal into messages: consecutive rows are joined, and dropped samples are reported. Pure.

use super::envelope::{self, Head, MAX_SAMPLES};
use crate::store::JournalRow;

/// Largest number of bytes of rows that are joined into one message.
const JOIN_BYTES: usize = 80 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The last row of the journal that it carries.
    pub last_id: i64,
    /// Identifies the content, so that the server drops a message that is repeated within two minutes.
    pub message_id: String,
    pub samples: u64,
    pub body: Vec<u8>,
}

/// Rows that are joined into one message.
#[derive(Default)]
struct Group<'a> {
    lost: u64,
    rows: Vec<&'a JournalRow>,
    samples: u64,
    bytes: usize,
    /// The number of the sample after the last row, within its incarnation.
    end: u64,
    last: Option<&'a JournalRow>,
}

impl<'a> Group<'a> {
    fn admits(&self, row: &JournalRow) -> bool {
        let follows = self.last.is_some_and(|last| last.incarnation == row.incarnation && self.end == row.first_seq);
        let fits = self.samples + row.samples <= MAX_SAMPLES as u64 && self.bytes + row.body.len() <= JOIN_BYTES;
        // A message can only report samples that were dropped before its own.
        let is_in_order = self.rows.is_empty() || !row.body.is_empty();
        follows && is_in_order && (fits || row.body.is_empty())
    }

    fn add(&mut self, row: &'a JournalRow) {
        self.end = row.first_seq + row.samples;
        self.last = Some(row);
        if row.body.is_empty() {
            self.lost += row.samples;
        } else {
            self.rows.push(row);
            self.samples += row.samples;
            self.bytes += row.body.len();
        }
    }

    fn message(&self, vantage: &str) -> Option<Outgoing> {
        let last = self.last?;
        let first_seq = self.end - self.samples;
        let bodies: Vec<&[u8]> = self.rows.iter().map(|row| row.body.as_slice()).collect();
        let joined = if bodies.is_empty() { None } else { envelope::join(vantage, self.lost, &bodies) };
        // Rows that cannot be decoded count as lost, or they would be tried again and again.
        let unread = if joined.is_none() { self.samples } else { 0 };
        let head = Head {
            vantage,
            incarnation: &last.incarnation,
            first_seq: first_seq + unread,
            lost_before: self.lost + unread,
        };
        let body = joined.unwrap_or_else(|| envelope::encode(head, []));
        let samples = self.samples - unread;
        let message_id = format!("{}-{first_seq}-{samples}-{}", last.incarnation, head.lost_before);
        Some(Outgoing { last_id: last.id, message_id, samples, body })
    }
}

/// The messages of consecutive rows.
#[must_use]
pub fn messages(vantage: &str, rows: &[JournalRow]) -> Vec<Outgoing> {
    let (mut all, mut group) = (Vec::new(), Group::default());
    for row in rows {
        if group.last.is_some() && !group.admits(row) {
            all.extend(group.message(vantage));
            group = Group::default();
        }
        group.add(row);
    }
    all.extend(group.message(vantage));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};

    const ONE: &str = "00000000000000000000000000000001";
    const TWO: &str = "00000000000000000000000000000002";

    fn row(id: i64, incarnation: &str, first_seq: u64, samples: u64) -> JournalRow {
        let sample =
            |n: u64| Sample::unasked(Stamp::new(n.cast_signed(), 0, 0), ServerIdent::named("a"), Outcome::Timeout, 1.0);
        let all: Vec<_> = (first_seq..first_seq + samples).map(sample).collect();
        let head = Head { vantage: "old-name", incarnation, first_seq, lost_before: 0 };
        JournalRow { id, incarnation: incarnation.into(), first_seq, samples, body: envelope::encode(head, &all) }
    }

    fn dropped(row: JournalRow) -> JournalRow {
        JournalRow { body: Vec::new(), ..row }
    }

    /// First number, dropped before it, samples, last row.
    fn sent(rows: &[JournalRow]) -> Vec<(u64, u64, usize, i64)> {
        let decode = |message: &Outgoing| {
            let received = envelope::decode("ams", &message.body).unwrap();
            let times: Vec<_> = received.samples.iter().map(|sample| sample.at.wall_ns.cast_unsigned()).collect();
            assert!(times.into_iter().eq(received.first_seq..received.first_seq + message.samples));
            (received.first_seq, received.lost_before, received.samples.len(), message.last_id)
        };
        messages("ams", rows).iter().map(decode).collect()
    }

    #[test]
    fn neighbours_are_joined_up_to_the_limit() {
        let rows: Vec<_> = (0..70).map(|n| row(n, ONE, n.cast_unsigned() * 10, 10)).collect();
        assert_eq!(sent(&rows), [(0, 0, 500, 49), (500, 0, 200, 69)]);
    }

    #[test]
    fn incarnations_and_gaps_are_not_joined() {
        let rows = [row(1, ONE, 0, 2), row(2, ONE, 5, 1), row(3, TWO, 6, 1)];
        assert_eq!(sent(&rows), [(0, 0, 2, 1), (5, 0, 1, 2), (6, 0, 1, 3)]);
    }

    #[test]
    fn dropped_samples_are_announced_before_the_next_or_alone() {
        let rows =
            [dropped(row(1, ONE, 0, 4)), dropped(row(2, ONE, 4, 3)), row(3, ONE, 7, 2), dropped(row(4, TWO, 0, 9))];
        assert_eq!(sent(&rows), [(7, 7, 2, 3), (9, 9, 0, 4)]);
    }

    #[test]
    fn damaged_row_counts_as_lost() {
        let damaged = JournalRow { body: vec![0xff], ..row(2, TWO, 3, 4) };
        assert_eq!(sent(&[damaged]), [(7, 4, 0, 2)]);
    }
}
