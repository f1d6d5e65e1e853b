//! Limits of the raw samples of other vantages on a hub: their size, and how long they are kept.

use std::time::Duration;

use rusqlite::Connection;

/// Samples are kept at least this long, whatever their size, because rollups are computed from them with a delay.
const SHORTEST: Duration = Duration::from_secs(900);
/// Below this fraction of the size limit, samples are again kept as long as configured.
const ROOMY: f64 = 0.9;

/// Limits of raw samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawLimits {
    pub kept_for: Duration,
    /// Limit of their size; the oldest samples are deleted first.
    pub max_bytes: u64,
}

/// The samples of other vantages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawGauge {
    /// Size of the packed samples in bytes; those in the journal are not counted.
    pub bytes: u64,
    /// Number of samples that were deleted because the size limit was exceeded.
    pub dropped: u64,
}

pub(crate) fn gauge(conn: &Connection) -> rusqlite::Result<RawGauge> {
    conn.prepare_cached("SELECT bytes, dropped FROM fleet_raw")?.query_row([], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(RawGauge { bytes: number(0)?, dropped: number(1)? })
    })
}

pub(crate) fn count_dropped(conn: &Connection, samples: usize) -> rusqlite::Result<()> {
    if samples > 0 {
        conn.prepare_cached("UPDATE fleet_raw SET dropped = dropped + ?1")?.execute([samples as i64])?;
    }
    Ok(())
}

/// How long samples are kept from now on: less than the age of the oldest sample while the size limit is exceeded.
pub(crate) fn kept_for(
    conn: &Connection,
    now_ns: i64,
    limits: &RawLimits,
    before: Duration,
) -> rusqlite::Result<Duration> {
    let part = gauge(conn)?.bytes as f64 / limits.max_bytes.max(1) as f64;
    if part < ROOMY {
        return Ok(limits.kept_for);
    }
    if part <= 1.0 {
        return Ok(before.min(limits.kept_for));
    }
    let oldest: Option<i64> = conn
        .prepare_cached(
            "SELECT min((SELECT min(first_ns) FROM block WHERE series_id = series.id)) FROM series WHERE vantage <> ''",
        )?
        .query_row([], |row| row.get(0))?;
    let age_ns = oldest.map_or(0, |oldest_ns| now_ns.saturating_sub(oldest_ns).max(0));
    let age = Duration::from_nanos(age_ns.cast_unsigned()).min(limits.kept_for);
    Ok(age.div_f64(part).mul_f64(ROOMY).max(SHORTEST))
}
