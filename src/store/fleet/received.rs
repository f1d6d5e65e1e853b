//! Records what a hub has received. The samples, their numbers and the position in the stream are written in one
//! transaction, so that a message that arrives twice, late or out of order changes nothing that is already stored.

use std::sync::Arc;

use rusqlite::{Connection, params};

use ntp_monitor_core::sample::Sample;

/// Number of ranges kept for each vantage. Repeated samples of a range that was deleted count as new.
const RANGES: i64 = 4096;
/// Number of records of losses kept for each vantage.
const LOSSES: i64 = 1000;

/// Consecutive samples of one vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    pub vantage: Arc<str>,
    /// Identifies the process that numbered them.
    pub incarnation: Box<str>,
    /// The number of the first sample; the others follow it without a gap.
    pub first_seq: u64,
    /// How many numbers directly before `first_seq` the agent dropped.
    pub lost_before: u64,
    pub samples: Vec<Arc<Sample>>,
}

impl Received {
    /// Some of these samples, the first with this number.
    #[must_use]
    pub fn part(&self, first_seq: u64, lost_before: u64, samples: &[Arc<Sample>]) -> Self {
        let (vantage, incarnation) = (Arc::clone(&self.vantage), self.incarnation.clone());
        Self { vantage, incarnation, first_seq, lost_before, samples: samples.to_vec() }
    }
}

/// Numbers of one incarnation, `first` included and `end` not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seqs {
    pub incarnation: String,
    pub first: u64,
    pub end: u64,
}

/// How far a hub has read the messages of a vantage in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub stream: String,
    pub vantage: String,
    /// When the stream was created, which distinguishes it from a later one of the same name.
    pub created: String,
    pub sequence: u64,
}

/// Messages that a hub has read from a stream.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where to read on; empty when the batch is a part of what was read.
    pub positions: Vec<Position>,
    pub received: Vec<Received>,
    /// Rejected messages: the name of the vantage, and the reason.
    pub refused: Vec<(Box<str>, String)>,
    /// The vantage that this store measures itself; its samples are stored already.
    pub own: Option<Arc<str>>,
}

/// The result of storing a [`Batch`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accepted {
    /// The samples that were not stored before.
    pub samples: Vec<Arc<Sample>>,
    /// Samples that were stored before.
    pub repeated: u64,
    /// Samples that agents dropped, as far as they were not counted before.
    pub lost: u64,
    /// Messages that the store cannot take: the name of the vantage, and the reason. Their samples are not marked as
    /// received, so their agent keeps them.
    pub refused: Vec<(Box<str>, String)>,
}

impl Accepted {
    pub(in crate::store) fn add(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.repeated += other.repeated;
        // A vantage may claim any number; it must not stop the samples of others.
        self.lost = self.lost.saturating_add(other.lost);
        self.refused.extend(other.refused);
    }
}

/// A hub's counters of a vantage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VantageRow {
    pub vantage: String,
    pub received: u64,
    pub repeated: u64,
    pub lost: u64,
    /// Number of rejected messages.
    pub refused: u64,
    /// The time of its latest sample, on the clock of the vantage.
    pub latest_ns: i64,
    /// Why the last rejected message was rejected.
    pub reason: Option<String>,
}

/// Records a batch; returns the new samples, which the caller must store in the same transaction.
pub(in crate::store) fn accept(conn: &Connection, batch: &Batch, now_ns: i64) -> rusqlite::Result<Accepted> {
    let mut all = Accepted::default();
    for received in &batch.received {
        all.add(accept_one(conn, received, now_ns)?);
    }
    for (vantage, reason) in &batch.refused {
        conn.prepare_cached(
            "INSERT INTO fleet_vantage (vantage, refused, reason) VALUES (?1, 1, ?2) ON CONFLICT (vantage) DO UPDATE \
             SET refused = refused + 1, reason = excluded.reason",
        )?
        .execute(params![vantage, reason])?;
    }
    for Position { stream, vantage, created, sequence } in &batch.positions {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO fleet_position (stream, vantage, created, sequence) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![stream, vantage, created, sequence.cast_signed()])?;
    }
    Ok(all)
}

fn accept_one(conn: &Connection, received: &Received, now_ns: i64) -> rusqlite::Result<Accepted> {
    let (first, count) = (received.first_seq.cast_signed(), received.samples.len() as i64);
    let lost_from = first.saturating_sub(received.lost_before.cast_signed());
    let lost = claim(conn, received, lost_from, first, now_ns)?;
    let lost: i64 = lost.iter().map(|(from, to)| to - from).sum();
    let fresh = claim(conn, received, first, first.saturating_add(count), now_ns)?;
    let pick = |seq: i64| usize::try_from(seq - first).ok().and_then(|nth| received.samples.get(nth)).cloned();
    let samples: Vec<_> = fresh.into_iter().flat_map(|(from, to)| from..to).filter_map(pick).collect();
    let repeated = received.samples.len() as u64 - samples.len() as u64;
    let latest_ns = samples.iter().map(|sample| sample.at.wall_ns).max();
    let first_ns = received.samples.first().map(|sample| sample.at.wall_ns);
    if lost > 0 {
        record_loss(conn, &received.vantage, lost, now_ns, first_ns)?;
    }
    conn.prepare_cached(
        "INSERT INTO fleet_vantage (vantage, received, repeated, lost, latest_ns) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (vantage) DO UPDATE SET received = received + excluded.received, \
         repeated = repeated + excluded.repeated, \
         lost = excluded.lost + min(lost, 9223372036854775807 - excluded.lost), \
         latest_ns = max(latest_ns, excluded.latest_ns)",
    )?
    .execute(params![
        &*received.vantage,
        samples.len() as i64,
        repeated.cast_signed(),
        lost,
        latest_ns.unwrap_or(0)
    ])?;
    Ok(Accepted { samples, repeated, lost: lost.cast_unsigned(), refused: Vec::new() })
}

/// Marks the numbers from `first` to `end` as received or lost; returns the parts that were not marked before.
fn claim(conn: &Connection, of: &Received, first: i64, end: i64, now_ns: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    if first >= end {
        return Ok(Vec::new());
    }
    let mut touching = conn.prepare_cached(
        "SELECT first_seq, end_seq FROM fleet_range WHERE vantage = ?1 AND incarnation = ?2 AND first_seq <= ?4 \
         AND end_seq >= ?3 ORDER BY first_seq",
    )?;
    let bounds = params![&*of.vantage, &*of.incarnation, first, end];
    let known: Vec<(i64, i64)> =
        touching.query_map(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let (mut fresh, mut next) = (Vec::new(), first);
    for (from, to) in &known {
        if *from > next {
            fresh.push((next, *from));
        }
        next = next.max(*to);
    }
    if next < end {
        fresh.push((next, end));
    }
    let start = known.first().map_or(first, |(from, _)| first.min(*from));
    let stop = known.last().map_or(end, |(_, to)| end.max(*to));
    for (from, _) in known.iter().filter(|(from, _)| *from != start) {
        conn.prepare_cached("DELETE FROM fleet_range WHERE vantage = ?1 AND incarnation = ?2 AND first_seq = ?3")?
            .execute(params![&*of.vantage, &*of.incarnation, from])?;
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO fleet_range (vantage, incarnation, first_seq, end_seq, seen_ns) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![&*of.vantage, &*of.incarnation, start, stop, now_ns])?;
    Ok(fresh)
}

fn record_loss(conn: &Connection, vantage: &str, lost: i64, now_ns: i64, before: Option<i64>) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO fleet_loss (vantage, samples, found_ns, before_ns) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![vantage, lost, now_ns, before])?;
    conn.prepare_cached(
        "DELETE FROM fleet_loss WHERE vantage = ?1 AND id NOT IN \
         (SELECT id FROM fleet_loss WHERE vantage = ?1 ORDER BY id DESC LIMIT ?2)",
    )?
    .execute(params![vantage, LOSSES])?;
    Ok(())
}

/// Deletes the ranges last seen before `before_ns`, which no agent repeats any more, and the oldest beyond [`RANGES`].
pub(in crate::store) fn prune(conn: &Connection, before_ns: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM fleet_range WHERE seen_ns < ?1")?.execute([before_ns])?;
    let mut crowded = conn.prepare_cached("SELECT vantage FROM fleet_range GROUP BY vantage HAVING count(*) > ?1")?;
    let crowded: Vec<String> = crowded.query_map([RANGES], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for vantage in crowded {
        conn.prepare_cached(
            "DELETE FROM fleet_range WHERE vantage = ?1 AND seen_ns < \
             (SELECT seen_ns FROM fleet_range WHERE vantage = ?1 ORDER BY seen_ns DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![vantage, RANGES])?;
    }
    Ok(())
}

pub(in crate::store) fn positions(conn: &Connection, stream: &str) -> rusqlite::Result<Vec<Position>> {
    let mut statement = conn
        .prepare_cached("SELECT vantage, created, sequence FROM fleet_position WHERE stream = ?1 ORDER BY vantage")?;
    let decode = |row: &rusqlite::Row<'_>| {
        let sequence = row.get::<_, i64>(2)?.cast_unsigned();
        Ok(Position { stream: stream.to_owned(), vantage: row.get(0)?, created: row.get(1)?, sequence })
    };
    statement.query_map([stream], decode)?.collect()
}

pub(in crate::store) fn ranges(conn: &Connection, vantage: &str, limit: usize) -> rusqlite::Result<Vec<Seqs>> {
    let mut statement = conn.prepare_cached(
        "SELECT incarnation, first_seq, end_seq FROM fleet_range WHERE vantage = ?1 ORDER BY seen_ns DESC LIMIT ?2",
    )?;
    let decode = |row: &rusqlite::Row<'_>| {
        let (first, end) = (row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned());
        Ok(Seqs { incarnation: row.get(0)?, first, end })
    };
    statement.query_map(params![vantage, limit as i64], decode)?.collect()
}

pub(in crate::store) fn vantages(conn: &Connection) -> rusqlite::Result<Vec<VantageRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT vantage, received, repeated, lost, refused, latest_ns, reason FROM fleet_vantage ORDER BY vantage",
    )?;
    let count = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let decode = |row: &rusqlite::Row<'_>| {
        Ok(VantageRow {
            vantage: row.get(0)?,
            received: count(row, 1)?,
            repeated: count(row, 2)?,
            lost: count(row, 3)?,
            refused: count(row, 4)?,
            latest_ns: row.get(5)?,
            reason: row.get(6)?,
        })
    };
    statement.query_map([], decode)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};

    fn store() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn
    }

    fn samples(first_seq: u64, count: u64, lost_before: u64) -> Received {
        let sample = |n: u64| {
            let at = Stamp::new(n.cast_signed(), 0, 0);
            Arc::new(Sample::unasked(at, ServerIdent::seen_from("ams", "a"), Outcome::Timeout, 1.0))
        };
        let samples = (first_seq..first_seq + count).map(sample).collect();
        Received { vantage: "ams".into(), incarnation: "i".into(), first_seq, lost_before, samples }
    }

    fn batch(received: Vec<Received>, sequence: u64) -> Batch {
        let position = Position { stream: "s".into(), vantage: "ams".into(), created: "1".into(), sequence };
        Batch { positions: vec![position], received, refused: Vec::new(), own: None }
    }

    fn times(accepted: &Accepted) -> Vec<i64> {
        accepted.samples.iter().map(|sample| sample.at.wall_ns).collect()
    }

    #[test]
    fn repeated_and_reordered_messages_are_stored_once() {
        let conn = store();
        let order = [(10, 5), (0, 5), (3, 9), (10, 5), (20, 2), (0, 22)];
        let mut all = Vec::new();
        for (nth, (first, count)) in order.into_iter().enumerate() {
            let accepted = accept(&conn, &batch(vec![samples(first, count, 0)], nth as u64), 1).unwrap();
            all.extend(times(&accepted));
        }
        all.sort_unstable();
        assert!(all.into_iter().eq(0..22), "each number once");
        let whole = Seqs { incarnation: "i".into(), first: 0, end: 22 };
        assert_eq!(ranges(&conn, "ams", 10).unwrap(), [whole]);
        assert_eq!(vantages(&conn).unwrap()[0].repeated, 26);
        assert_eq!(positions(&conn, "s").unwrap()[0].sequence, 5);
    }

    #[test]
    fn announced_losses_are_counted_to_the_sample_and_once() {
        let conn = store();
        accept(&conn, &batch(vec![samples(0, 4, 0)], 1), 1).unwrap();
        let message = samples(10, 2, 8);
        let first = accept(&conn, &batch(vec![message.clone()], 2), 1).unwrap();
        assert_eq!((first.lost, times(&first)), (6, vec![10, 11]), "4 to 9, of which the hub has 0 to 3");
        let again = accept(&conn, &batch(vec![message], 3), 1).unwrap();
        assert_eq!((again.lost, again.samples.len(), again.repeated), (0, 0, 2));
        assert_eq!(vantages(&conn).unwrap()[0].lost, 6);
    }

    #[test]
    fn absurd_losses_of_one_vantage_do_not_stop_the_others() {
        let conn = store();
        let most = i64::MAX.cast_unsigned() / 2;
        let absurd = |n: u64| Received { incarnation: n.to_string().into(), ..samples(most, 1, most) };
        let mut all: Vec<_> = (0..5).map(absurd).collect();
        all.push(Received { vantage: "ber".into(), ..samples(0, 4, 0) });
        let accepted = accept(&conn, &batch(all, 1), 1).unwrap();
        assert_eq!((accepted.samples.len(), accepted.lost), (9, u64::MAX));
        let known = vantages(&conn).unwrap();
        assert_eq!((known[0].lost, known[0].received), (i64::MAX.cast_unsigned(), 5), "the most that is counted");
        assert_eq!((known[1].lost, known[1].received), (0, 4));
    }

    #[test]
    fn vantage_with_many_gaps_keeps_a_bounded_number_of_ranges() {
        let conn = store();
        for n in 0..RANGES as u64 + 50 {
            accept(&conn, &batch(vec![samples(n * 10, 1, 0)], n), n.cast_signed()).unwrap();
        }
        prune(&conn, 0).unwrap();
        assert!(ranges(&conn, "ams", usize::MAX >> 1).unwrap().len() <= RANGES as usize + 1);
        prune(&conn, i64::MAX).unwrap();
        assert_eq!(ranges(&conn, "ams", 10).unwrap(), []);
    }
}
