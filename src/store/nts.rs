//! Hourly records of the authentication of each series, for reports. Stored samples say which polls were authenticated;
//! key exchanges, certificates and cookies are not stored with samples, so they are stored here.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use ntp_monitor_core::nts::{Certificate, FULL_STOCK, Status};
use ntp_monitor_core::sample::{Sample, SeriesKey};

const HOUR_NS: i64 = 3_600_000_000_000;
const HOUR_S: i64 = 3600;

/// An hour of one series with key exchanges, NAKs, plain replies or missing cookies.
#[derive(Debug, Clone, PartialEq)]
pub struct NtsHour {
    /// The start of the hour in nanoseconds since 1970.
    pub from_ns: i64,
    /// Number of key exchanges, including failed ones.
    pub exchanges: u64,
    pub failures: u64,
    /// Duration of the last key exchange.
    pub took_s: Option<f64>,
    pub longest_s: Option<f64>,
    /// How often the server could not read a cookie.
    pub naks: u64,
    /// Queries that were answered without NTS.
    pub downgrades: u64,
    /// The smallest stock of cookies at the end of a poll.
    pub fewest_cookies: u64,
    pub cookie_octets: Option<u64>,
    /// The negotiated algorithm.
    pub aead: Option<String>,
    /// The label of the fault of the last key exchange, if it failed.
    pub fault: Option<String>,
    /// The labels of all key-exchange faults that polls of the hour showed.
    pub faults: Vec<String>,
    pub certificate: Option<Certificate>,
}

/// The counters of each series at its last stored poll. They count since the start of a session; the table counts by
/// hour.
#[derive(Debug, Default)]
pub(super) struct NtsCounters {
    known: HashMap<SeriesKey, Counters>,
    /// The counters of a transaction that is not committed yet.
    staged: HashMap<SeriesKey, Counters>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counters {
    exchanges: u64,
    failures: u64,
    naks: u64,
    downgrades: u64,
    hour_s: i64,
    fewest_cookies: usize,
}

impl Counters {
    fn of(status: &Status, hour_s: i64) -> Self {
        let Status { exchanges, failures, naks, downgrades, cookies, .. } = *status;
        Self { exchanges, failures, naks, downgrades, hour_s, fewest_cookies: cookies }
    }

    /// The increase since `before`. A smaller number means that a new session counts from zero.
    fn since(self, before: Self) -> Self {
        let is_new =
            self.exchanges < before.exchanges || self.naks < before.naks || self.downgrades < before.downgrades;
        let before = if is_new { Self::default() } else { before };
        Self {
            exchanges: self.exchanges.saturating_sub(before.exchanges),
            failures: self.failures.saturating_sub(before.failures),
            naks: self.naks.saturating_sub(before.naks),
            downgrades: self.downgrades.saturating_sub(before.downgrades),
            ..self
        }
    }
}

impl NtsCounters {
    /// Stores the increase of the counters since the previous poll; of a poll that is already stored, only the counters
    /// are remembered.
    pub(super) fn note(&mut self, conn: &Connection, id: i64, sample: &Sample, is_new: bool) -> rusqlite::Result<()> {
        let Some(status) = sample.nts.as_deref() else { return Ok(()) };
        let key = sample.key();
        let hour_s = sample.at.wall_ns.div_euclid(HOUR_NS) * HOUR_S;
        let before = self.staged.get(&key).or_else(|| self.known.get(&key)).copied();
        let mut now = Counters::of(status, hour_s);
        let news = now.since(before.unwrap_or_default());
        let fewest = before.filter(|it| it.hour_s == hour_s).map_or(FULL_STOCK, |it| it.fewest_cookies);
        let happened = [news.exchanges, news.failures, news.naks, news.downgrades].iter().any(|count| *count > 0);
        if is_new && (happened || now.fewest_cookies < fewest) {
            add(conn, id, &news, status)?;
        }
        now.fewest_cookies = now.fewest_cookies.min(fewest);
        self.staged.insert(key, now);
        Ok(())
    }

    /// Ends a transaction.
    pub(super) fn settle(&mut self, is_committed: bool) {
        let staged = std::mem::take(&mut self.staged);
        if is_committed {
            self.known.extend(staged);
        }
    }
}

fn add(conn: &Connection, id: i64, news: &Counters, status: &Status) -> rusqlite::Result<()> {
    let certificate = status.certificate().map(serde_json::to_string).transpose();
    let certificate = certificate.map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))?;
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let fault = status.fault().map(|fault| fault.label);
    let took_s = status.last.as_ref().map(|last| last.took.as_secs_f64());
    conn.prepare_cached(
        "INSERT INTO nts_hour VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         ON CONFLICT DO UPDATE SET exchanges = exchanges + excluded.exchanges, failures = failures + excluded.failures, \
         took_s = excluded.took_s, longest_s = coalesce(max(longest_s, excluded.longest_s), excluded.longest_s), \
         naks = naks + excluded.naks, downgrades = downgrades + excluded.downgrades, \
         fewest_cookies = min(fewest_cookies, excluded.fewest_cookies), \
         cookie_octets = coalesce(excluded.cookie_octets, cookie_octets), aead = excluded.aead, \
         fault = excluded.fault, certificate = excluded.certificate, \
         faults = CASE WHEN excluded.faults IS NULL OR instr(' ' || faults || ' ', ' ' || excluded.faults || ' ') THEN faults \
         ELSE coalesce(faults || ' ', '') || excluded.faults END",
    )?
    .execute(params![
        id,
        news.hour_s,
        count(news.exchanges),
        count(news.failures),
        took_s,
        count(news.naks),
        count(news.downgrades),
        count(news.fewest_cookies as u64),
        status.cookie_len.map(|len| count(len as u64)),
        status.aead.map(|aead| aead.label()),
        fault,
        certificate,
        fault.filter(|_| news.failures > 0),
    ])
    .map(drop)
}

/// The hours of a series that overlap a span, by time, preceded by the last one before it, which gives the initial
/// state.
pub(super) fn of_series(conn: &Connection, id: i64, from_ns: i64, to_ns: i64) -> rusqlite::Result<Vec<NtsHour>> {
    let (from_s, to_s) = (from_ns.div_euclid(HOUR_NS) * HOUR_S, to_ns.div_euclid(1_000_000_000));
    conn.prepare_cached(
        "SELECT hour_s, exchanges, failures, took_s, longest_s, naks, downgrades, fewest_cookies, cookie_octets, aead, \
         fault, certificate, faults FROM nts_hour WHERE series_id = ?1 AND hour_s < ?3 AND hour_s >= \
         coalesce((SELECT max(hour_s) FROM nts_hour WHERE series_id = ?1 AND hour_s < ?2), ?2) ORDER BY hour_s",
    )?
    .query_map(params![id, from_s, to_s], decode)?
    .collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<NtsHour> {
    let count = |column| row.get::<_, i64>(column).map(|n| n.unsigned_abs());
    let certificate = row.get_ref(11)?.as_str_or_null()?;
    let faults = row.get_ref(12)?.as_str_or_null()?.unwrap_or_default();
    Ok(NtsHour {
        from_ns: row.get::<_, i64>(0)?.saturating_mul(1_000_000_000),
        exchanges: count(1)?,
        failures: count(2)?,
        took_s: row.get(3)?,
        longest_s: row.get(4)?,
        naks: count(5)?,
        downgrades: count(6)?,
        fewest_cookies: count(7)?,
        cookie_octets: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
        aead: row.get(9)?,
        fault: row.get(10)?,
        faults: faults.split_whitespace().map(str::to_owned).collect(),
        // A certificate that cannot be parsed counts as unknown.
        certificate: certificate.and_then(|text| serde_json::from_str(text).ok()),
    })
}

#[cfg(test)]
#[path = "nts_tests.rs"]
mod tests;
