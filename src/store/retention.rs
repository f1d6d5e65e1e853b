//! Deletes old data in small steps: a pass visits few series and deletes few rows, so that it does not delay a batch.
//!
//! Age is measured by a separate retention clock, because the wall clock is what this program monitors. The retention
//! clock follows the wall clock in both directions, but at most [`CATCH_UP`] times as fast as monotonic time. So a wall
//! clock that is stepped years ahead does not delete the history before an operator can react, and one that starts in
//! 1970 does not stop the deletion for years.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::fleet::raw::{self, RawLimits};
use super::rollup::Grain;
use super::samples::Samples;
use super::{clock, kisses, local_rows, meta, sheets};
use ntp_monitor_core::clock::Stamp;

/// Maximum speed of the retention clock relative to real time; after a month of downtime it catches up within a day.
pub(super) const CATCH_UP: i64 = 30;
/// 2025-01-01, in nanoseconds since 1970. An earlier wall clock was not set yet: this program did not exist then.
const EARLIEST_NS: i64 = 1_735_689_600_000_000_000;
/// Number of series that one pass visits.
const SERIES_PER_PASS: usize = 64;
/// Maximum number of rows that one pass deletes from one table for one series.
const ROWS_PER_SERIES: i64 = 256;
/// Maximum number of blocks of samples that one pass deletes for one series.
const BLOCKS_PER_SERIES: usize = 32;
/// A pass ends after this many deleted rows and samples.
const ROWS_PER_PASS: usize = 4096;
/// Pause after a round through all series that left no expired rows.
const REST_NS: i64 = 600 * 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Horizons {
    pub raw_for: Duration,
    /// Limits of the samples of other vantages; without them `raw_for` applies.
    pub others: Option<RawLimits>,
    pub rollup_5m_for: Duration,
    /// Hourly rollups, the history of this host's clock, events, and series without other data.
    pub rollup_1h_for: Duration,
}

/// The clock by which age is measured.
#[derive(Debug, Default)]
pub(super) struct RetentionClock {
    /// `None` until the wall clock was set.
    at_ns: Option<i64>,
    mono_ns: i64,
}

impl RetentionClock {
    /// Moves towards the wall clock as far as allowed, from the time recorded in the store. Returns the time by which
    /// age is measured, which is never later than the wall clock, because keeping data too long does no harm.
    pub(super) fn advance(&mut self, conn: &Connection, now: Stamp) -> rusqlite::Result<i64> {
        if now.wall_ns >= EARLIEST_NS {
            let before_ns = match self.at_ns {
                Some(at_ns) => at_ns,
                None => recorded(conn, now)?,
            };
            let passed_ns = if self.at_ns.is_some() { now.mono_ns.saturating_sub(self.mono_ns).max(0) } else { 0 };
            let reach_ns = passed_ns.saturating_mul(CATCH_UP);
            let reach = before_ns.saturating_sub(reach_ns)..=before_ns.saturating_add(reach_ns);
            self.at_ns = Some(now.wall_ns.clamp(*reach.start(), *reach.end()));
        }
        self.mono_ns = now.mono_ns;
        Ok(self.at_ns.map_or(now.wall_ns, |at_ns| at_ns.min(now.wall_ns)))
    }

    /// The time to record, from which the next process continues; `None` until it is known.
    pub(super) fn to_record(&self) -> Option<i64> {
        self.at_ns
    }
}

/// The recorded time of the retention clock. Without one it begins at the newest sample before `now`.
fn recorded(conn: &Connection, now: Stamp) -> rusqlite::Result<i64> {
    let is_set = |at_ns: &i64| *at_ns >= EARLIEST_NS;
    if let Some(at_ns) = meta::number(conn, meta::RETENTION_CLOCK_NS)?.filter(is_set) {
        return Ok(at_ns);
    }
    let sql = "SELECT max(last_seen_ns) FROM series WHERE last_seen_ns <= ?1";
    let newest: Option<i64> = conn.query_row(sql, [now.wall_ns], |row| row.get(0))?;
    Ok(newest.filter(is_set).unwrap_or(now.wall_ns))
}

/// The position of the passes in the list of series.
#[derive(Debug, Default)]
pub(super) struct Pruner {
    after_id: i64,
    /// Whether some series of this round may have more expired rows.
    left_some: bool,
    /// The next round does not start before this, on the monotonic clock.
    rest_until_ns: Option<i64>,
    /// How long samples of other vantages are kept in this round: shorter than configured while their size limit is
    /// exceeded.
    others_for: Option<Duration>,
}

/// The result of one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pass {
    /// Number of rows and samples deleted.
    pub deleted: usize,
    /// Number of the deleted samples of other vantages that were younger than configured: their size limit was
    /// exceeded.
    pub dropped: usize,
    /// Whether the end of the list of series was reached.
    pub wrapped: bool,
}

impl Pruner {
    /// Whether a pass is due.
    pub(super) fn is_due(&self, now: Stamp) -> bool {
        self.rest_until_ns.is_none_or(|until| now.mono_ns >= until)
    }

    /// Ends a round, with a pause if nothing is left to delete.
    fn rest(&mut self, now: Stamp) {
        let is_done = !std::mem::take(&mut self.left_some);
        self.rest_until_ns = is_done.then(|| now.mono_ns.saturating_add(REST_NS));
    }

    /// Samples of other vantages that are older than this are deleted. Decided once a round.
    pub(super) fn others_from_ns(&mut self, conn: &Connection, now_ns: i64, keep: &Horizons) -> rusqlite::Result<i64> {
        let Some(limits) = keep.others else { return Ok(before_ns(now_ns, keep.raw_for)) };
        let mut kept_for = self.others_for.unwrap_or(limits.kept_for);
        if self.after_id == 0 {
            kept_for = raw::kept_for(conn, now_ns, &limits, kept_for)?;
            self.others_for = Some(kept_for);
        }
        Ok(before_ns(now_ns, kept_for))
    }

    /// Makes one pass over the next few series.
    pub(super) fn pass(
        &mut self,
        samples: Samples<'_>,
        now: Stamp,
        now_ns: i64,
        keep: &Horizons,
    ) -> rusqlite::Result<Pass> {
        let (conn, raw_from_ns) = (samples.conn, before_ns(now_ns, keep.raw_for));
        let others_from_ns = self.others_from_ns(conn, now_ns, keep)?;
        let is_short = keep.others.is_some_and(|limits| others_from_ns > before_ns(now_ns, limits.kept_for));
        let (mut deleted, mut dropped) = (0, 0);
        if self.after_id == 0 {
            deleted = clock::prune(conn, before_ns(now_ns, keep.rollup_1h_for), ROWS_PER_SERIES)?;
            self.left_some |= deleted >= ROWS_PER_SERIES as usize;
            deleted += local_rows::prune(conn, before_ns(now_ns, keep.rollup_1h_for))?;
            kisses::prune(conn, raw_from_ns)?;
            deleted += samples.prune_journal(raw_from_ns)?;
        }
        let ids = next_series(conn, self.after_id)?;
        for (id, is_ours) in &ids {
            let from_ns = if *is_ours { raw_from_ns } else { others_from_ns };
            let rows = prune_series(conn, *id, now_ns, from_ns, keep)?;
            let (blocks, packed) = samples.prune(*id, from_ns, BLOCKS_PER_SERIES)?;
            deleted += rows + packed;
            dropped += if is_short && !*is_ours { packed } else { 0 };
            self.left_some |= blocks >= BLOCKS_PER_SERIES;
            self.left_some |= rows >= ROWS_PER_SERIES as usize;
            self.after_id = *id;
            if deleted >= ROWS_PER_PASS {
                break;
            }
        }
        raw::count_dropped(conn, dropped)?;
        if deleted >= ROWS_PER_PASS {
            return Ok(Pass { deleted, dropped, wrapped: false });
        }
        let wrapped = ids.len() < SERIES_PER_PASS;
        if wrapped {
            self.after_id = 0;
            self.rest(now);
        }
        Ok(Pass { deleted, dropped, wrapped })
    }
}

/// The instant `age` before now.
pub(super) fn before_ns(now_ns: i64, age: Duration) -> i64 {
    now_ns.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX))
}

/// The next series, each with whether this host measures it itself.
fn next_series(conn: &Connection, after_id: i64) -> rusqlite::Result<Vec<(i64, bool)>> {
    let mut statement =
        conn.prepare_cached("SELECT id, vantage = '' FROM series WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    statement.query_map([after_id, SERIES_PER_PASS as i64], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn prune_series(conn: &Connection, id: i64, now_ns: i64, raw_from_ns: i64, keep: &Horizons) -> rusqlite::Result<usize> {
    // A rollup is deleted when its end has expired, not its start.
    let bucket = |grain: Grain, kept| grain.bucket_s(before_ns(now_ns, kept));
    Ok(delete_oldest(conn, "sample", "wall_ns", id, raw_from_ns)?
        + delete_oldest(conn, "rollup_5m", "bucket_s", id, bucket(Grain::FiveMinutes, keep.rollup_5m_for))?
        + delete_oldest(conn, "rollup_1h", "bucket_s", id, bucket(Grain::Hour, keep.rollup_1h_for))?
        + delete_oldest(conn, "nts_hour", "hour_s", id, bucket(Grain::Hour, keep.rollup_1h_for))?)
}

/// Deletes the oldest rows of one series before `bound`, a bounded number.
fn delete_oldest(conn: &Connection, table: &str, column: &str, id: i64, bound: i64) -> rusqlite::Result<usize> {
    let sql = format!(
        "DELETE FROM {table} WHERE series_id = ?1 AND {column} < coalesce((SELECT {column} FROM {table} \
         WHERE series_id = ?1 AND {column} < ?2 ORDER BY {column} LIMIT 1 OFFSET ?3), ?2)"
    );
    conn.prepare_cached(&sql)?.execute(params![id, bound, ROWS_PER_SERIES])
}

/// Deletes expired events and series without other data. Returns whether a series was deleted.
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
    // A series is kept a day longer than its last rows, so that no row remains without it.
    let gone_ns = before_ns.saturating_sub(86_400_000_000_000);
    conn.prepare_cached("DELETE FROM evidence WHERE series_id IN (SELECT id FROM series WHERE last_seen_ns < ?1)")?
        .execute([gone_ns])?;
    sheets::prune(conn, gone_ns)?;
    let series = conn
        .prepare_cached(
            "DELETE FROM series WHERE last_seen_ns < ?1 AND NOT EXISTS (SELECT 1 FROM sample WHERE series_id = id) \
             AND NOT EXISTS (SELECT 1 FROM block WHERE series_id = series.id) \
             AND NOT EXISTS (SELECT 1 FROM journal WHERE first_ns < ?1) \
             AND NOT EXISTS (SELECT 1 FROM rollup_5m WHERE series_id = id) \
             AND NOT EXISTS (SELECT 1 FROM rollup_1h WHERE series_id = id) \
             AND NOT EXISTS (SELECT 1 FROM nts_hour WHERE series_id = id)",
        )?
        .execute([gone_ns])?;
    Ok(series > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    const DAY: i64 = 86_400_000_000_000;
    const NOW: i64 = EARLIEST_NS + 700 * DAY;

    fn store() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn
    }

    fn samples(conn: &Connection) -> Samples<'_> {
        Samples::new(conn, Box::leak(Box::default()))
    }

    fn stamp(wall_ns: i64, mono_ns: i64) -> Stamp {
        Stamp::new(wall_ns, mono_ns, 0)
    }

    #[test]
    fn retention_does_not_follow_a_wall_clock_stepped_ahead() {
        let conn = store();
        let mut clock = RetentionClock::default();
        assert_eq!(clock.advance(&conn, stamp(NOW, 5)).unwrap(), NOW);
        let hour = DAY / 24;
        assert_eq!(clock.advance(&conn, stamp(NOW + 9999 * DAY, 5 + hour)).unwrap(), NOW + CATCH_UP * hour);
        assert_eq!(clock.advance(&conn, stamp(NOW + hour, 5 + 2 * hour)).unwrap(), NOW + hour);
        assert_eq!(clock.advance(&conn, stamp(NOW + 9999 * DAY, 5 + 2 * hour)).unwrap(), NOW + hour);
    }

    #[test]
    fn retention_goes_on_after_a_tick_in_1970() {
        let conn = store();
        let mut clock = RetentionClock::default();
        clock.advance(&conn, stamp(NOW, 5)).unwrap();
        assert_eq!(clock.advance(&conn, stamp(3, 5 + DAY)).unwrap(), 3, "nothing is old in 1970");
        let later = NOW + DAY + 1;
        assert_eq!(
            clock.advance(&conn, stamp(later, 5 + DAY + 1_000_000_000)).unwrap(),
            NOW + CATCH_UP * 1_000_000_000
        );
        assert_eq!(clock.advance(&conn, stamp(later, 5 + 2 * DAY)).unwrap(), later);
    }

    #[test]
    fn retention_goes_on_after_a_start_in_1970() {
        let conn = store();
        let mut clock = RetentionClock::default();
        assert_eq!(clock.advance(&conn, stamp(3, 5)).unwrap(), 3);
        assert_eq!(clock.to_record(), None);
        assert_eq!(clock.advance(&conn, stamp(NOW, 6)).unwrap(), NOW);
    }

    #[test]
    fn retention_goes_on_after_a_short_step_back() {
        let conn = store();
        let mut clock = RetentionClock::default();
        clock.advance(&conn, stamp(NOW, 5)).unwrap();
        let minute = DAY / 1440;
        assert_eq!(clock.advance(&conn, stamp(NOW - 300 * DAY, 5 + minute)).unwrap(), NOW - 300 * DAY);
        assert_eq!(clock.advance(&conn, stamp(NOW + 2 * minute, 5 + 2 * minute)).unwrap(), NOW);
    }

    #[test]
    fn finished_round_is_followed_by_a_pause() {
        let conn = store();
        conn.execute_batch("INSERT INTO series VALUES (1, '', 'a', '', 0, 0)").unwrap();
        for n in 0..300 {
            let sql = "INSERT INTO sample (series_id, wall_ns, mono_ns, raw_ns, outcome, poll_s, sent, lost) \
                       VALUES (1, ?1, 0, 0, 1, 16.0, 1, 1)";
            conn.execute(sql, [n]).unwrap();
        }
        let day = Duration::from_secs(86_400);
        let keep = Horizons { raw_for: day, others: None, rollup_5m_for: day, rollup_1h_for: day };
        let (mut pruner, now) = (Pruner::default(), stamp(9 * DAY, 5));
        assert!(pruner.is_due(now));
        assert_eq!(
            pruner.pass(samples(&conn), now, 9 * DAY, &keep).unwrap(),
            Pass { deleted: 256, wrapped: true, ..Pass::default() }
        );
        assert!(pruner.is_due(now), "there is more");
        assert_eq!(
            pruner.pass(samples(&conn), now, 9 * DAY, &keep).unwrap(),
            Pass { deleted: 44, wrapped: true, ..Pass::default() }
        );
        assert!(!pruner.is_due(stamp(9 * DAY, 5)) && pruner.is_due(stamp(9 * DAY, 5 + REST_NS)));
    }

    #[test]
    fn clock_history_is_pruned_like_hourly_rollups() {
        let conn = store();
        for n in 0..300 {
            let sql = "INSERT INTO own_clock (wall_ns, wall_less_raw_ns, trusted) VALUES (?1, 0, 1)";
            conn.execute(sql, [DAY + n]).unwrap();
        }
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let keep = Horizons { raw_for: days(1), others: None, rollup_5m_for: days(2), rollup_1h_for: days(9) };
        let (mut pruner, now) = (Pruner::default(), stamp(10 * DAY, 5));
        assert_eq!(
            pruner.pass(samples(&conn), now, 10 * DAY, &keep).unwrap(),
            Pass { wrapped: true, ..Pass::default() }
        );
        assert_eq!(pruner.pass(samples(&conn), now, 10 * DAY + 299, &keep).unwrap().deleted, 256);
        assert!(pruner.is_due(now), "there is more");
        assert_eq!(pruner.pass(samples(&conn), now, 10 * DAY + 299, &keep).unwrap().deleted, 43);
        assert!(!pruner.is_due(now));
    }

    #[test]
    fn restart_continues_from_the_stored_clock() {
        let conn = store();
        meta::set(&conn, meta::RETENTION_CLOCK_NS, NOW).unwrap();
        assert_eq!(RetentionClock::default().advance(&conn, stamp(NOW + 9999 * DAY, 77)).unwrap(), NOW);
    }

    #[test]
    fn stored_clock_of_1970_is_replaced_by_the_newest_sample() {
        let conn = store();
        meta::set(&conn, meta::RETENTION_CLOCK_NS, DAY).unwrap();
        conn.execute("INSERT INTO series VALUES (1, '', 'a', '', 0, ?1)", [NOW - 3 * DAY]).unwrap();
        conn.execute("INSERT INTO series VALUES (2, '', 'b', '', 0, ?1)", [NOW + 9 * DAY]).unwrap();
        assert_eq!(RetentionClock::default().advance(&conn, stamp(NOW, 77)).unwrap(), NOW - 3 * DAY);
    }

    const HOUR_NS: i64 = 3_600_000_000_000;

    /// A store with a block of an own series and two of others in each of 40 hours.
    fn hub() -> Connection {
        let conn = store();
        for (id, vantage) in [(1, ""), (2, "ams"), (3, "ber")] {
            let sql = "INSERT INTO series VALUES (?1, ?2, 'a', '', 0, ?3)";
            conn.execute(sql, params![id, vantage, 40 * HOUR_NS]).unwrap();
            for hour in 0..40 {
                let sql = "INSERT INTO block (series_id, first_ns, last_ns, samples, data) VALUES (?1, ?2, ?2, 32, ?3)";
                conn.execute(sql, params![id, hour * HOUR_NS, vec![0_u8; 936]]).unwrap();
            }
        }
        conn
    }

    /// The oldest remaining hour of each series after some rounds with these limits at the end of the 40 hours.
    fn oldest_after(conn: &Connection, hours: u64, max_bytes: u64) -> Vec<i64> {
        let limits = RawLimits { kept_for: Duration::from_secs(hours * 3600), max_bytes };
        let year = Duration::from_secs(366 * 86_400);
        let keep = Horizons { raw_for: year, others: Some(limits), rollup_5m_for: year, rollup_1h_for: year };
        let mut pruner = Pruner::default();
        for _ in 0..20 {
            pruner.pass(samples(conn), stamp(0, 0), 40 * HOUR_NS, &keep).unwrap();
        }
        let oldest = |id| {
            let sql = "SELECT min(first_ns) FROM block WHERE series_id = ?1";
            conn.query_row(sql, [id], |row| row.get::<_, i64>(0)).unwrap() / HOUR_NS
        };
        (1..=3).map(oldest).collect()
    }

    #[test]
    fn samples_of_other_vantages_have_an_age_of_their_own() {
        let conn = hub();
        assert_eq!(raw::gauge(&conn).unwrap().bytes, 80_000);
        assert_eq!(oldest_after(&conn, 30, 1 << 30), [0, 10, 10]);
        assert_eq!(raw::gauge(&conn).unwrap(), raw::RawGauge { bytes: 60_000, dropped: 0 });
    }

    #[test]
    fn oldest_samples_of_other_vantages_make_room_and_are_counted() {
        let conn = hub();
        let oldest = oldest_after(&conn, 48, 50_000);
        assert!(oldest[0] == 0 && oldest[1] == oldest[2] && (15..25).contains(&oldest[1]), "{oldest:?}");
        let left = raw::gauge(&conn).unwrap();
        assert!(left.bytes <= 50_000 && left.bytes > 35_000, "{left:?}");
        assert_eq!(left.dropped, (80_000 - left.bytes) / 1000 * 32);
    }
}
