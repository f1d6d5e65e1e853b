//! One batch in delivery: which lines go into the next request, and which of them are rejected. Pure.
//!
//! If a request with many lines is rejected (400) or too large (413), it is halved until the rejected lines are
//! isolated. InfluxDB keeps the good lines of a request that it rejects in part; sending them again has no effect.

use std::ops::Range;

use super::outbox::OutboxRow;

/// If this many lines are rejected and none accepted, the batch is postponed: the bucket is probably at fault (say, a
/// field with another type), and thousands of requests would only repeat the error.
const SUSPICION: usize = 16;

/// Outbox rows, split into lines.
#[derive(Debug)]
pub struct Batch {
    ids: Vec<i64>,
    body: Vec<u8>,
    /// The end of each line in `body`, after its newline.
    ends: Vec<usize>,
    /// Ranges of lines still to send; the last one is next.
    pending: Vec<Range<usize>>,
    faults: Vec<(usize, String)>,
    accepted: usize,
    too_large: Option<usize>,
}

impl Batch {
    /// A batch of the rows, in requests of at most `max_lines`.
    #[must_use]
    pub fn new(rows: Vec<OutboxRow>, max_lines: usize) -> Self {
        let mut batch = Self {
            ids: rows.iter().map(|row| row.id).collect(),
            body: Vec::with_capacity(rows.iter().map(|row| row.body.len() + 1).sum()),
            ends: Vec::new(),
            pending: Vec::new(),
            faults: Vec::new(),
            accepted: 0,
            too_large: None,
        };
        for line in rows.iter().flat_map(|row| row.body.split(|b| *b == b'\n')).filter(|line| !line.is_empty()) {
            batch.body.extend_from_slice(line);
            batch.body.push(b'\n');
            batch.ends.push(batch.body.len());
        }
        let lines = batch.ends.len();
        let step = max_lines.max(1);
        batch.pending.extend((0..lines).step_by(step).rev().map(|start| start..(start + step).min(lines)));
        batch
    }

    /// The body of the next request; `None` when every line has been accepted or rejected.
    #[must_use]
    pub fn next(&self) -> Option<&[u8]> {
        self.pending.last().map(|lines| self.bytes(lines.clone()))
    }

    /// Number of lines in the next request.
    #[must_use]
    pub fn next_lines(&self) -> usize {
        self.pending.last().map_or(0, Range::len)
    }

    /// The last request was accepted. Returns its number of lines.
    pub fn accept(&mut self) -> usize {
        let lines = self.pending.pop().map_or(0, |range| range.len());
        self.accepted += lines;
        lines
    }

    /// The last request was rejected because of its content.
    pub fn refuse(&mut self, reason: &str) {
        let Some(range) = self.pending.pop() else { return };
        if range.len() == 1 {
            self.faults.push((range.start, reason.to_owned()));
            return;
        }
        let middle = range.start + range.len() / 2;
        self.pending.push(middle..range.end);
        self.pending.push(range.start..middle);
    }

    /// The last request was too large: halves it.
    pub fn too_large(&mut self) {
        let lines = self.next_lines();
        self.refuse("too large for the database, even alone");
        self.too_large = Some((lines / 2).max(1));
    }

    /// The maximum number of lines per request, if the database said that a request was too large.
    #[must_use]
    pub fn learned_limit(&self) -> Option<usize> {
        self.too_large
    }

    /// Whether every line so far was rejected, and there are many of them or no others left.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.accepted == 0 && !self.faults.is_empty() && (self.faults.len() >= SUSPICION || self.pending.is_empty())
    }

    /// The rows of this batch.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// The rejected lines, without newline, each with the reason.
    pub fn faults(&self) -> impl Iterator<Item = (&[u8], &str)> {
        self.faults.iter().map(|(line, reason)| {
            let bytes = self.bytes(*line..*line + 1);
            (bytes.strip_suffix(b"\n").unwrap_or(bytes), reason.as_str())
        })
    }

    fn bytes(&self, lines: Range<usize>) -> &[u8] {
        let start = lines.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = lines.end.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.body[start..end]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(id: i64, lines: &[String]) -> OutboxRow {
        let body = lines.concat().into_bytes();
        OutboxRow { id, created_ns: 0, lines: u32::try_from(lines.len()).unwrap(), body }
    }

    proptest! {
        #[test]
        fn each_line_is_either_accepted_or_rejected(
            bad in prop::collection::vec(prop::bool::weighted(0.1), 1..200),
            per_row in 1_usize..40,
            max_lines in 1_usize..60,
            limit in 1_usize..60,
        ) {
            let lines: Vec<String> =
                bad.iter().enumerate().map(|(n, bad)| format!("{}{n}\n", if *bad { "bad" } else { "good" })).collect();
            let rows = lines.chunks(per_row).enumerate().map(|(id, lines)| row(id as i64, lines)).collect();
            let mut batch = Batch::new(rows, max_lines);
            let mut accepted = Vec::new();
            let mut requests = 0;
            while let Some(bytes) = batch.next() {
                requests += 1;
                let sent: Vec<String> = std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
                if sent.len() > limit {
                    batch.too_large();
                } else if sent.iter().any(|line| line.starts_with("bad")) {
                    batch.refuse("no");
                } else {
                    batch.accept();
                    accepted.extend(sent);
                }
            }
            prop_assert!(requests <= 2 * lines.len());
            let faults: Vec<String> =
                batch.faults().map(|(line, _)| String::from_utf8(line.to_vec()).unwrap()).collect();
            prop_assert!(faults.iter().all(|line| line.starts_with("bad")));
            let mut all: Vec<String> = accepted.into_iter().chain(faults).map(|line| line + "\n").collect();
            let mut expected = lines;
            all.sort();
            expected.sort();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn batch_without_a_good_line_is_hopeless_early() {
        let lines: Vec<String> = (0..5000).map(|n| format!("{n}\n")).collect();
        let mut batch = Batch::new(vec![row(1, &lines)], 5000);
        let mut requests = 0;
        while !batch.is_hopeless() {
            assert!(batch.next().is_some());
            batch.refuse("field type conflict");
            requests += 1;
        }
        assert!(requests < 60, "{requests}");
    }
}
