//! One batch in delivery: which lines go into the next request, and which of them are rejected. Pure.
//!
//! InfluxDB keeps the good lines of a request that it rejects in part, and sending them again has no effect. So a
//! rejected request is taken apart to find the bad lines, with few requests even if all lines are bad:
//!
//! - If the database says that it dropped as many lines as the request has, all of them are bad.
//! - If it names a field whose type conflicts, the lines with this field are separated from the others.
//! - Otherwise some lines, spread over the request, are sent alone. If all of them are rejected, so are the others.
//!   Once one is accepted, the request is halved until the bad lines are isolated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::answer::Rejection;
use super::outbox::OutboxRow;

/// Number of lines of a rejected request that are sent alone.
const SAMPLES: usize = 16;

/// Outbox rows, split into lines.
#[derive(Debug)]
pub(super) struct Batch {
    rows: Vec<Row>,
    body: Vec<u8>,
    lines: Vec<Line>,
    /// Lines still to send; the last part is next.
    pending: Vec<Part>,
    /// Rejected lines, with the reason.
    faults: Vec<(usize, Arc<str>)>,
    /// Measurements with at least one accepted line.
    accepted: HashSet<Box<[u8]>>,
    /// Rejected requests whose sampled lines were all rejected.
    hopeless: u32,
    /// Shifts the sampled lines from one attempt to the next.
    turn: usize,
}

#[derive(Debug)]
struct Row {
    /// `None` once it is finished.
    id: Option<i64>,
    /// Number of lines that were not accepted yet.
    open: usize,
}

#[derive(Debug)]
struct Line {
    row: usize,
    start: usize,
    end: usize,
}

/// Lines of one request.
#[derive(Debug)]
struct Part {
    lines: Vec<usize>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not sent yet.
    New,
    /// Separated because of a conflict.
    Separated,
    /// Rejected as a whole; the parts above are samples of it.
    Sampled,
    /// A sample of the part below.
    Sample,
    /// Part of a rejected request that contains good lines.
    Halved,
}

/// The result of a batch when every line was accepted or rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conclusion {
    /// Rows that are finished.
    pub ids: Vec<i64>,
    /// Rejected lines of these rows, without newline, each with the reason.
    pub rejected: Vec<(Vec<u8>, String)>,
    /// Number of rejected lines without an accepted line of the same measurement; they stay in the outbox. With the
    /// last reason.
    pub held: Option<(usize, String)>,
}

impl Batch {
    /// A batch of the rows. `turn` counts the attempts for the same rows.
    pub(super) fn new(rows: Vec<OutboxRow>, turn: usize) -> Self {
        let mut batch = Self {
            rows: rows.iter().map(|row| Row { id: Some(row.id), open: 0 }).collect(),
            body: Vec::with_capacity(rows.iter().map(|row| row.body.len() + 1).sum()),
            lines: Vec::new(),
            pending: Vec::new(),
            faults: Vec::new(),
            accepted: HashSet::new(),
            hopeless: 0,
            turn,
        };
        for (n, row) in rows.iter().enumerate() {
            for text in row.body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                let start = batch.body.len();
                batch.body.extend_from_slice(text);
                batch.lines.push(Line { row: n, start, end: batch.body.len() });
                batch.body.push(b'\n');
                batch.rows[n].open += 1;
            }
        }
        batch.push((0..batch.lines.len()).collect(), State::New);
        batch
    }

    /// The body of the next request, of at most `max_lines` lines; `None` when every line was accepted or rejected.
    pub(super) fn next(&mut self, max_lines: usize) -> Option<Vec<u8>> {
        self.join_unsent();
        let part = self.pending.last_mut()?;
        if part.lines.len() > max_lines.max(1) {
            let state = part.state;
            let rest = part.lines.split_off(max_lines.max(1));
            let first = std::mem::replace(&mut part.lines, rest);
            self.push(first, state);
        }
        let lines = &self.pending.last()?.lines;
        Some(lines.iter().flat_map(|line| [self.text(*line), b"\n"].concat()).collect())
    }

    /// Number of lines in the next request.
    pub(super) fn next_lines(&self) -> usize {
        self.pending.last().map_or(0, |part| part.lines.len())
    }

    /// The last request was accepted. Returns its number of lines.
    pub(super) fn accept(&mut self) -> usize {
        let Some(part) = self.pending.pop() else { return 0 };
        for line in &part.lines {
            self.rows[self.lines[*line].row].open -= 1;
            let measurement = measurement(self.text(*line));
            if !self.accepted.contains(measurement) {
                self.accepted.insert(measurement.into());
            }
        }
        if part.state == State::Sample {
            self.stop_sampling();
        }
        part.lines.len()
    }

    /// The last request was rejected because of its content.
    pub(super) fn reject(&mut self, why: &Rejection) {
        let Some(part) = self.pending.pop() else { return };
        let count = part.lines.len();
        if count == 1 || why.dropped.is_some_and(|dropped| dropped >= count) {
            let is_sample = part.state == State::Sample;
            self.fault(part.lines, &why.reason);
            if is_sample {
                self.end_sampling(&why.reason);
            }
            return;
        }
        if let (Some((measurement, field)), State::New) = (&why.conflict, part.state) {
            let (with, without): (Vec<_>, Vec<_>) =
                part.lines.iter().partition(|line| has_field(self.text(**line), measurement, field));
            if !with.is_empty() && !without.is_empty() {
                self.push(with, State::Separated);
                // There may be another conflict in these.
                return self.push(without, State::New);
            }
        }
        if part.state == State::Halved {
            return self.halve(part.lines);
        }
        self.sample(part.lines);
    }

    /// The last request was too large. If it had one line, this line is rejected.
    pub(super) fn too_large(&mut self) {
        if self.next_lines() == 1 {
            let reason = "too large for the database, even alone".to_owned();
            self.reject(&Rejection { reason, ..Rejection::default() });
        }
    }

    /// The rows whose lines were all accepted since the last call.
    pub(super) fn finished_rows(&mut self) -> Vec<i64> {
        self.rows.iter_mut().filter_map(|row| row.id.take_if(|_| row.open == 0)).collect()
    }

    /// The result for the remaining rows. A rejected line is given up if another line of its measurement was accepted,
    /// because then the line is at fault. Otherwise the bucket may be at fault, and the line is held.
    pub(super) fn conclude(self) -> Conclusion {
        let is_held = |line: usize| !self.accepted.contains(measurement(self.text(line)));
        let mut held_in: HashMap<usize, usize> = HashMap::new();
        let mut reason = None;
        for (line, why) in self.faults.iter().filter(|(line, _)| is_held(*line)) {
            *held_in.entry(self.lines[*line].row).or_default() += 1;
            reason = Some(why);
        }
        let left = self.rows.iter().enumerate().filter(|(n, _)| !held_in.contains_key(n));
        let given_up = self.faults.iter().filter(|(line, _)| !held_in.contains_key(&self.lines[*line].row));
        Conclusion {
            ids: left.filter_map(|(_, row)| row.id).collect(),
            rejected: given_up.map(|(line, why)| (self.text(*line).to_vec(), why.to_string())).collect(),
            held: reason.map(|reason| (held_in.values().sum(), reason.to_string())),
        }
    }

    /// Joins parts that an earlier, lower limit has split.
    fn join_unsent(&mut self) {
        let is_new = |part: &Part| part.state == State::New;
        while self.pending.last().is_some_and(is_new)
            && let [.., below, _] = &self.pending[..]
            && is_new(below)
            && let (Some(mut top), Some(below)) = (self.pending.pop(), self.pending.pop())
        {
            top.lines.extend(below.lines);
            self.pending.push(top);
        }
    }

    fn push(&mut self, lines: Vec<usize>, state: State) {
        if !lines.is_empty() {
            self.pending.push(Part { lines, state });
        }
    }

    fn fault(&mut self, lines: Vec<usize>, reason: &str) {
        let reason: Arc<str> = reason.into();
        self.faults.extend(lines.into_iter().map(|line| (line, Arc::clone(&reason))));
    }

    /// Takes some lines, spread over the request, to be sent alone: fewer, the more requests had no good line.
    fn sample(&mut self, mut lines: Vec<usize>) {
        let count = (SAMPLES >> self.hopeless.min(8)).clamp(1, lines.len());
        let stride = lines.len() / count;
        let samples: Vec<usize> = (0..count).rev().map(|n| lines.remove(n * stride + self.turn % stride)).collect();
        self.push(lines, State::Sampled);
        samples.into_iter().for_each(|line| self.push(vec![line], State::Sample));
    }

    /// A sample was accepted: the other samples return to their request, which is halved.
    fn stop_sampling(&mut self) {
        let mut lines = Vec::new();
        while let Some(part) = self.pending.pop_if(|part| part.state == State::Sample) {
            lines.extend(part.lines);
        }
        if let Some(part) = self.pending.pop_if(|part| part.state == State::Sampled) {
            lines.extend(part.lines);
        }
        lines.sort_unstable();
        self.halve(lines);
    }

    /// A sample was rejected: if it was the last one, so are all lines of its request.
    fn end_sampling(&mut self, reason: &str) {
        if self.pending.last().is_none_or(|part| part.state != State::Sample) {
            self.hopeless += 1;
            if let Some(part) = self.pending.pop_if(|part| part.state == State::Sampled) {
                self.fault(part.lines, reason);
            }
        }
    }

    fn halve(&mut self, mut lines: Vec<usize>) {
        let second = lines.split_off(lines.len() / 2);
        self.push(second, State::Halved);
        self.push(lines, State::Halved);
    }

    fn text(&self, line: usize) -> &[u8] {
        &self.body[self.lines[line].start..self.lines[line].end]
    }
}

fn measurement(line: &[u8]) -> &[u8] {
    line.split(|b| matches!(b, b',' | b' ')).next().unwrap_or_default()
}

fn has_field(line: &[u8], of: &str, field: &str) -> bool {
    let name = [field.as_bytes(), b"="].concat();
    measurement(line) == of.as_bytes()
        && line.windows(name.len() + 1).any(|bytes| matches!(bytes[0], b',' | b' ') && bytes[1..] == name)
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
