//! The history of this host's clock: one row per minute with the state that servers, the kernel and a time daemon
//! report. About 60 bytes per row, 30 MB per year; kept as long as hourly rollups.

use rusqlite::{Connection, Row, params};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// The state of this host's clock at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockPoint {
    /// The time in nanoseconds since 1970, by the clock that is described.
    pub wall_ns: i64,
    /// `CLOCK_REALTIME − CLOCK_MONOTONIC_RAW` in nanoseconds.
    pub wall_less_raw_ns: i64,
    /// True time minus this clock in seconds, positive when this clock is slow; `None` without a majority.
    pub estimate_s: Option<f64>,
    /// Maximum error of the estimate in seconds, if the majority is right.
    pub bound_s: Option<f64>,
    /// Whether the clock can be used to judge servers, according to its own state.
    pub trusted: bool,
    /// Whether the kernel considers its clock synchronised; `None`, as all kernel values, if it could not be read.
    pub kernel_synchronised: Option<bool>,
    /// The correction that the kernel applies, in ppm, positive when it speeds the clock up.
    pub kernel_frequency_ppm: Option<f64>,
    /// The kernel's maximum error in seconds, whole microseconds.
    pub kernel_max_error_s: Option<f64>,
    /// The kernel's estimated error in seconds, whole microseconds.
    pub kernel_est_error_s: Option<f64>,
    /// The remaining offset according to a time daemon, in seconds, positive when this clock is slow.
    pub daemon_offset_s: Option<f64>,
    /// The error bound according to a time daemon, in seconds.
    pub daemon_bound_s: Option<f64>,
}

impl ClockPoint {
    /// The state in a snapshot, at the moment `at`.
    #[must_use]
    pub fn of(at: Stamp, picture: &Snapshot) -> Self {
        let (verdict, local) = (&picture.verdict.local, &picture.local);
        let (kernel, daemon) = (local.kernel, local.daemon.as_ref());
        Self {
            wall_ns: at.wall_ns,
            wall_less_raw_ns: at.raw_ns,
            estimate_s: verdict.estimate_s,
            bound_s: verdict.bound_s,
            trusted: local.distrust().is_none(),
            kernel_synchronised: kernel.map(|it| it.synchronised),
            kernel_frequency_ppm: kernel.map(|it| it.frequency_ppm),
            kernel_max_error_s: kernel.map(|it| it.max_error_s),
            kernel_est_error_s: kernel.map(|it| it.est_error_s),
            daemon_offset_s: daemon.and_then(|it| it.offset_s),
            daemon_bound_s: daemon.and_then(|it| it.bound_s),
        }
    }

    fn decode(row: &Row<'_>) -> rusqlite::Result<Self> {
        let seconds =
            |index, unit| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(|n| n as f64 / unit));
        Ok(Self {
            wall_ns: row.get(0)?,
            wall_less_raw_ns: row.get(1)?,
            estimate_s: seconds(2, NANO)?,
            bound_s: seconds(3, NANO)?,
            trusted: row.get(4)?,
            kernel_synchronised: row.get(5)?,
            kernel_frequency_ppm: row.get(6)?,
            kernel_max_error_s: seconds(7, MICRO)?,
            kernel_est_error_s: seconds(8, MICRO)?,
            daemon_offset_s: seconds(9, NANO)?,
            daemon_bound_s: seconds(10, NANO)?,
        })
    }
}

const NANO: f64 = 1e9;
const MICRO: f64 = 1e6;

/// Converts seconds to whole units; `None` for values that are not finite.
fn whole(seconds: Option<f64>, unit: f64) -> Option<i64> {
    seconds.filter(|it| it.is_finite()).map(|it| (it * unit).round() as i64)
}

/// Stores a point; replaces one with the same timestamp.
pub(super) fn insert(conn: &Connection, point: &ClockPoint) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO own_clock VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
        .execute(params![
            point.wall_ns,
            point.wall_less_raw_ns,
            whole(point.estimate_s, NANO),
            whole(point.bound_s, NANO),
            point.trusted,
            point.kernel_synchronised,
            point.kernel_frequency_ppm.filter(|it| it.is_finite()),
            whole(point.kernel_max_error_s, MICRO),
            whole(point.kernel_est_error_s, MICRO),
            whole(point.daemon_offset_s, NANO),
            whole(point.daemon_bound_s, NANO),
        ])?;
    Ok(())
}

/// The number of points in `[from_ns, to_ns)` and the time of the first.
pub(super) fn extent(conn: &Connection, from_ns: i64, to_ns: i64) -> rusqlite::Result<(i64, Option<i64>)> {
    conn.prepare_cached("SELECT count(*), min(wall_ns) FROM own_clock WHERE wall_ns >= ?1 AND wall_ns < ?2")?
        .query_row([from_ns, to_ns], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Calls a function with each point in `[from_ns, to_ns)`, by time, without holding all of them in memory.
pub(super) fn visit(
    conn: &Connection,
    from_ns: i64,
    to_ns: i64,
    mut see: impl FnMut(ClockPoint),
) -> rusqlite::Result<()> {
    let mut statement =
        conn.prepare_cached("SELECT * FROM own_clock WHERE wall_ns >= ?1 AND wall_ns < ?2 ORDER BY wall_ns")?;
    let mut rows = statement.query([from_ns, to_ns])?;
    while let Some(row) = rows.next()? {
        see(ClockPoint::decode(row)?);
    }
    Ok(())
}

/// Deletes the oldest points before `bound_ns`, at most `most`; returns the number.
pub(super) fn prune(conn: &Connection, bound_ns: i64, most: i64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "DELETE FROM own_clock WHERE wall_ns < coalesce((SELECT wall_ns FROM own_clock WHERE wall_ns < ?1 \
         ORDER BY wall_ns LIMIT 1 OFFSET ?2), ?1)",
    )?
    .execute([bound_ns, most])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::stats::local::KernelState;

    fn store() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        conn
    }

    fn stamp(wall_ns: i64) -> Stamp {
        Stamp::new(wall_ns, 5, 1_700_000_000_123_456_789)
    }

    fn all(conn: &Connection) -> Vec<ClockPoint> {
        let mut seen = Vec::new();
        visit(conn, 0, i64::MAX, |point| seen.push(point)).unwrap();
        seen
    }

    #[test]
    fn point_is_read_as_it_was_written() {
        let (conn, mut picture) = (store(), Snapshot::empty(stamp(0)));
        insert(&conn, &ClockPoint::of(stamp(1), &picture)).unwrap();
        picture.local.kernel = Some(KernelState {
            synchronised: false,
            max_error_s: 16.0,
            est_error_s: 0.000_123,
            frequency_ppm: -3.224_990_844_726_562_5,
            tai_offset_s: None,
            leap_pending: 0,
        });
        let known = ClockPoint {
            estimate_s: Some(-0.000_012_345),
            bound_s: Some(0.000_4),
            daemon_offset_s: Some(7e-9),
            daemon_bound_s: Some(f64::INFINITY),
            ..ClockPoint::of(stamp(2), &picture)
        };
        insert(&conn, &known).unwrap();
        insert(&conn, &known).unwrap();
        let read = all(&conn);
        assert_eq!(read[1..], [ClockPoint { daemon_bound_s: None, ..known }]);
        assert!(!known.trusted && known.kernel_synchronised == Some(false));
        assert_eq!(read[0], ClockPoint::of(stamp(1), &Snapshot::empty(stamp(0))));
        assert_eq!((read[0].estimate_s, read[0].kernel_max_error_s), (None, None));
    }

    #[test]
    fn span_excludes_its_end_and_oldest_are_pruned_first() {
        let (conn, picture) = (store(), Snapshot::empty(stamp(0)));
        (0..10).for_each(|n| insert(&conn, &ClockPoint::of(stamp(n), &picture)).unwrap());
        assert_eq!(extent(&conn, 3, 7).unwrap(), (4, Some(3)));
        assert_eq!(extent(&conn, 10, 20).unwrap(), (0, None));
        assert_eq!(prune(&conn, 5, 3).unwrap(), 3);
        assert_eq!(prune(&conn, 5, 3).unwrap(), 2);
        assert_eq!(prune(&conn, 5, 3).unwrap(), 0);
        assert_eq!(all(&conn).first().map(|point| point.wall_ns), Some(5));
    }
}
