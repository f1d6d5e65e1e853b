//! Letting go of what is old, a little at a time: a pass touches few series and deletes few rows, so that no pass keeps
//! a batch waiting.
//!
//! Age is told by the wall clock, and the wall clock is what this program suspects. So retention has a clock of its
//! own, which follows the wall clock but runs forward at most [`CATCH_UP`] times as fast as monotonic time: a clock
//! that is stepped years ahead does not take the history with it before a person can react.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::rollup::Grain;
use super::{clock, meta};
use ntp_monitor_core::clock::Stamp;

/// How much faster than time itself retention may move on: after a month of rest it has caught up within a day.
pub(super) const CATCH_UP: i64 = 30;
/// Series that one pass looks at.
const SERIES_PER_PASS: usize = 64;
/// Rows of one table that are deleted of one series in one pass.
const ROWS_PER_SERIES: i64 = 256;
/// A pass ends after this many deleted rows.
const ROWS_PER_PASS: usize = 4096;
/// After a round through all series that left nothing old behind, the next begins so much later.
const REST_NS: i64 = 600 * 1_000_000_000;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizons {
    /// Raw samples.
    pub raw_for: Duration,
    /// Five-minute rollups.
    pub rollup_5m_for: Duration,
    /// Hourly rollups, the own clock, events, and series of which nothing else is left.
    pub rollup_1h_for: Duration,
}

/// The time by which age is told.
#[derive(Debug, Default)]
pub(super) struct RetentionClock {
    at_ns: Option<i64>,
    mono_ns: i64,
}

impl RetentionClock {
    /// Moves on to `now` as far as is allowed, from where the store says that it was, and returns where it is.
    pub(super) fn advance(&mut self, conn: &Connection, now: Stamp) -> rusqlite::Result<i64> {
        let before_ns = match self.at_ns {
            Some(at_ns) => at_ns,
            None => {
                self.mono_ns = now.mono_ns;
                meta::number(conn, meta::RETENTION_CLOCK_NS)?.unwrap_or(now.wall_ns)
            }
        };
        let passed_ns = now.mono_ns.saturating_sub(self.mono_ns).max(0);
        let limit_ns = before_ns.saturating_add(passed_ns.saturating_mul(CATCH_UP));
        // Backwards it follows at once: keeping too much harms nobody.
        let at_ns = now.wall_ns.min(limit_ns);
        *self = Self { at_ns: Some(at_ns), mono_ns: now.mono_ns };
        Ok(at_ns)
    }
}

/// Where the passes have come to in the list of series.
#[derive(Debug, Default)]
pub(super) struct Pruner {
    after_id: i64,
    /// Some series of this round may have more rows that are too old.
    left_some: bool,
    /// The next round does not begin before, on the monotonic clock.
    rest_until_ns: Option<i64>,
}

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pass {
    /// Rows deleted.
    pub deleted: usize,
    /// Whether the end of the list of series was reached.
    pub wrapped: bool,
}

impl Pruner {
    /// Whether a pass is due: not while it rests.
    pub(super) fn is_due(&self, now: Stamp) -> bool {
        self.rest_until_ns.is_none_or(|until| now.mono_ns >= until)
    }

    /// Notes how a round ended.
    fn rest(&mut self, now: Stamp) {
        let is_done = !std::mem::take(&mut self.left_some);
        self.rest_until_ns = is_done.then(|| now.mono_ns.saturating_add(REST_NS));
    }

    /// One pass over the next few series.
    pub(super) fn pass(
        &mut self,
        conn: &Connection,
        now: Stamp,
        now_ns: i64,
        keep: &Horizons,
    ) -> rusqlite::Result<Pass> {
        let mut deleted = 0;
        if self.after_id == 0 {
            deleted = clock::prune(conn, before_ns(now_ns, keep.rollup_1h_for), ROWS_PER_SERIES)?;
            self.left_some |= deleted >= ROWS_PER_SERIES as usize;
        }
        let ids = next_series(conn, self.after_id)?;
        for id in &ids {
            let rows = prune_series(conn, *id, now_ns, keep)?;
            deleted += rows;
            self.left_some |= rows >= ROWS_PER_SERIES as usize;
            self.after_id = *id;
            if deleted >= ROWS_PER_PASS {
                return Ok(Pass { deleted, wrapped: false });
            }
        }
        let wrapped = ids.len() < SERIES_PER_PASS;
        if wrapped {
            self.after_id = 0;
            self.rest(now);
        }
        Ok(Pass { deleted, wrapped })
    }
}

/// The instant so long before now.
pub(super) fn before_ns(now_ns: i64, age: Duration) -> i64 {
    now_ns.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

fn next_series(conn: &Connection, after_id: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = conn.prepare_cached("SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    statement.query_map([after_id, SERIES_PER_PASS as i64], |row| row.get(0))?.collect()
}

fn prune_series(conn: &Connection, id: i64, now_ns: i64, keep: &Horizons) -> rusqlite::Result<usize> {
    // A rollup goes when all of it is old: its end counts, not its start.
    let bucket = |grain: Grain, kept| grain.bucket_s(before_ns(now_ns, kept));
    Ok(delete_oldest(conn, "sample", "wall_ns", id, before_ns(now_ns, keep.raw_for))?
        + delete_oldest(conn, "rollup_5m", "bucket_s", id, bucket(Grain::FiveMinutes, keep.rollup_5m_for))?
        + delete_oldest(conn, "rollup_1h", "bucket_s", id, bucket(Grain::Hour, keep.rollup_1h_for))?)
}

/// Deletes rows of one series from before `bound`, oldest first, a bounded number.
fn delete_oldest(conn: &Connection, table: &str, column: &str, id: i64, bound: i64) -> rusqlite::Result<usize> {
    let sql = format!(
        "DELETE FROM {table} WHERE series_id = ?1 AND {column} < coalesce((SELECT {column} FROM {table} \
         WHERE series_id = ?1 AND {column} < ?2 ORDER BY {column} LIMIT 1 OFFSET ?3), ?2)"
    );
    conn.prepare_cached(&sql)?.execute(params![id, bound, ROWS_PER_SERIES])
}

/// Events that ended, and series that were last seen, before everything else of their time is gone. Returns whether a
/// series was deleted.
pub(super) fn prune_rest(conn: &Connection, now_ns: i64, keep: &Horizons) -> rusqlite::Result<bool> {
    let longest = keep.raw_for.max(keep.rollup_5m_for).max(keep.rollup_1h_for);
    let before_ns = before_ns(now_ns, longest);
    for sql in [
        "DELETE FROM event WHERE end_ns < ?1",
        "DELETE FROM alert_history WHERE ended_ns < ?1",
        "DELETE FROM silence WHERE ends_ns < ?1",
    ] {
        conn.prepare_cached(sql)?.execute([before_ns])?;
    }
    // A series outlives its last rows by a day, so that none of them is left without it.
    let gone_ns = before_ns.saturating_sub(86_400_000_000_000);
    conn.prepare_cached("DELETE FROM evidence WHERE series_id IN (SELECT id FROM series WHERE last_seen_ns < ?1)")?
        .execute([gone_ns])?;
    let series = conn
        .prepare_cached(
            "DELETE FROM series WHERE last_seen_ns < ?1 AND NOT EXISTS (SELECT 1 FROM sample WHERE series_id = id) \
             AND NOT EXISTS (SELECT 1 FROM rollup_5m WHERE series_id = id) \
             AND NOT EXISTS (SELECT 1 FROM rollup_1h WHERE series_id = id)",
        )?
        .execute([gone_ns])?;
    Ok(series > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    const DAY: i64 = 86_400_000_000_000;

    fn stamp(wall_ns: i64, mono_ns: i64) -> Stamp {
        Stamp::new(wall_ns, mono_ns, 0)
    }

    #[test]
    fn a_wall_clock_stepped_ahead_does_not_carry_retention_with_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let mut clock = RetentionClock::default();
        assert_eq!(clock.advance(&conn, stamp(DAY, 5)).unwrap(), DAY);
        let hour = DAY / 24;
        assert_eq!(clock.advance(&conn, stamp(9999 * DAY, 5 + hour)).unwrap(), DAY + CATCH_UP * hour);
        assert_eq!(clock.advance(&conn, stamp(DAY + hour, 5 + 2 * hour)).unwrap(), DAY + hour);
    }

    #[test]
    fn a_round_that_left_nothing_old_is_followed_by_a_rest_and_another_by_a_round() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn.execute_batch("INSERT INTO series VALUES (1, '', 'a', '', 0, 0)").unwrap();
        for n in 0..300 {
            let sql = "INSERT INTO sample (series_id, wall_ns, mono_ns, raw_ns, outcome, poll_s, sent, lost) \
                       VALUES (1, ?1, 0, 0, 1, 16.0, 1, 1)";
            conn.execute(sql, [n]).unwrap();
        }
        let day = Duration::from_secs(86_400);
        let keep = Horizons { raw_for: day, rollup_5m_for: day, rollup_1h_for: day };
        let (mut pruner, now) = (Pruner::default(), stamp(9 * DAY, 5));
        assert!(pruner.is_due(now));
        assert_eq!(pruner.pass(&conn, now, 9 * DAY, &keep).unwrap(), Pass { deleted: 256, wrapped: true });
        assert!(pruner.is_due(now), "there is more");
        assert_eq!(pruner.pass(&conn, now, 9 * DAY, &keep).unwrap(), Pass { deleted: 44, wrapped: true });
        assert!(!pruner.is_due(stamp(9 * DAY, 5)) && pruner.is_due(stamp(9 * DAY, 5 + REST_NS)));
    }

    #[test]
    fn the_own_clock_is_kept_as_long_as_hourly_rollups_and_goes_bit_by_bit() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        for n in 0..300 {
            let sql = "INSERT INTO own_clock (wall_ns, wall_less_raw_ns, trusted) VALUES (?1, 0, 1)";
            conn.execute(sql, [DAY + n]).unwrap();
        }
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let keep = Horizons { raw_for: days(1), rollup_5m_for: days(2), rollup_1h_for: days(9) };
        let (mut pruner, now) = (Pruner::default(), stamp(10 * DAY, 5));
        assert_eq!(pruner.pass(&conn, now, 10 * DAY, &keep).unwrap(), Pass { deleted: 0, wrapped: true });
        assert_eq!(pruner.pass(&conn, now, 10 * DAY + 299, &keep).unwrap().deleted, 256);
        assert!(pruner.is_due(now), "there is more");
        assert_eq!(pruner.pass(&conn, now, 10 * DAY + 299, &keep).unwrap().deleted, 43);
        assert!(!pruner.is_due(now));
    }

    #[test]
    fn a_restart_goes_on_from_the_stored_clock() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        meta::set(&conn, meta::RETENTION_CLOCK_NS, DAY).unwrap();
        assert_eq!(RetentionClock::default().advance(&conn, stamp(9999 * DAY, 77)).unwrap(), DAY);
    }
}
