//! Packets of rejected replies: the last few of each series. A flood of one kind does not displace the other kinds.

use rusqlite::{Connection, Row, params};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{CheckRow, NtpTimestamp};
use ntp_monitor_core::sample::Evidence;

/// Number of rejected replies kept per series.
pub const KEPT_PER_SERIES: usize = 16;

/// Stores a rejected reply, and deletes those beyond the limit: the oldest of the kind that has the most. Replies that
/// are later than this one were stored before the wall clock was set back, so they are the oldest.
pub(super) fn insert(conn: &Connection, series_id: i64, evidence: &Evidence) -> rusqlite::Result<()> {
    let (made, failed) = evidence.checks.to_bits();
    let datagram = evidence.datagram.get(..Evidence::MAX_BYTES).unwrap_or(&evidence.datagram);
    conn.prepare_cached(
        "INSERT INTO evidence (series_id, wall_ns, mono_ns, raw_ns, checks_made, checks_failed, t1, t2, t3, t4, \
         datagram, sender) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        series_id,
        evidence.at.wall_ns,
        evidence.at.mono_ns,
        evidence.at.raw_ns,
        made,
        failed,
        evidence.t1.0.cast_signed(),
        evidence.t2.0.cast_signed(),
        evidence.t3.0.cast_signed(),
        evidence.t4.0.cast_signed(),
        datagram,
        evidence.sender.map(|sender| sender.to_string()),
    ])?;
    conn.prepare_cached(
        // Ordered by their position within their kind: kinds with few replies keep all of them.
        "DELETE FROM evidence WHERE series_id = ?1 AND wall_ns IN (SELECT wall_ns FROM \
         (SELECT wall_ns, row_number() OVER (PARTITION BY checks_failed ORDER BY wall_ns > ?3, wall_ns DESC) AS place \
         FROM evidence WHERE series_id = ?1) ORDER BY place, wall_ns > ?3, wall_ns DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![series_id, KEPT_PER_SERIES as i64, evidence.at.wall_ns])?;
    Ok(())
}

/// The stored replies of a series, oldest first.
pub(super) fn of_series(conn: &Connection, series_id: i64) -> rusqlite::Result<Vec<Evidence>> {
    let mut statement = conn.prepare_cached(
        "SELECT wall_ns, mono_ns, raw_ns, checks_made, checks_failed, t1, t2, t3, t4, datagram, sender FROM evidence \
         WHERE series_id = ?1 ORDER BY wall_ns",
    )?;
    statement.query_map([series_id], decode)?.collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Evidence> {
    let stamp = |column| row.get::<_, i64>(column).map(|ticks| NtpTimestamp(ticks.cast_unsigned()));
    Ok(Evidence {
        at: Stamp::new(row.get(0)?, row.get(1)?, row.get(2)?),
        checks: CheckRow::from_bits(row.get(3)?, row.get(4)?),
        t1: stamp(5)?,
        t2: stamp(6)?,
        t3: stamp(7)?,
        t4: stamp(8)?,
        sender: row.get_ref(10)?.as_str_or_null()?.and_then(|text| text.parse().ok()),
        hop_limit: None,
        datagram: row.get::<_, Vec<u8>>(9)?.into_boxed_slice(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn stored_after(times: impl Iterator<Item = i64>) -> Vec<i64> {
        stored(times.map(|at| (at, 1)))
    }

    /// The times of the replies that are kept, after storing replies with these times and failed checks.
    fn stored(replies: impl Iterator<Item = (i64, u32)>) -> Vec<i64> {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        for (wall_ns, failed) in replies {
            let stamp = NtpTimestamp(0);
            let evidence = Evidence {
                at: Stamp::new(wall_ns, 0, 0),
                checks: CheckRow::from_bits(failed, failed),
                t1: stamp,
                t2: stamp,
                t3: stamp,
                t4: stamp,
                sender: None,
                hop_limit: None,
                datagram: Box::default(),
            };
            insert(&conn, 1, &evidence).unwrap();
        }
        of_series(&conn, 1).unwrap().iter().map(|evidence| evidence.at.wall_ns).collect()
    }

    #[test]
    fn flood_of_one_kind_leaves_the_other_kinds() {
        let kept = stored(std::iter::once((1, 4)).chain((2..=40).map(|at| (at, 1))));
        assert_eq!(kept, std::iter::once(1).chain(26..=40).collect::<Vec<_>>());
    }

    #[test]
    fn newest_sixteen_replies_are_kept() {
        assert_eq!(stored_after(1..=40), (25..=40).collect::<Vec<_>>());
    }

    #[test]
    fn replies_from_a_clock_set_ahead_make_room_first() {
        let before_the_step = 1_000_000..1_000_020;
        assert_eq!(stored_after(before_the_step.clone().chain(1..=5)), {
            (1..=5).chain(1_000_009..1_000_020).collect::<Vec<_>>()
        });
        assert_eq!(stored_after(before_the_step.chain(1..=40)), (25..=40).collect::<Vec<_>>());
    }
}
