//! Alert states, history and silences. Notifications are queued in the transaction that records the states, so that
//! neither can be lost or repeated without the other.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::notices::insert as insert_notification;
use super::read::Reader;
use ntp_monitor_core::alert::notification::Notification;
use ntp_monitor_core::alert::silence::Silence;
use ntp_monitor_core::alert::status::{Memo, Past, Saved};

/// Maximum number of silences that have not ended.
pub const MOST_SILENCES: i64 = 1000;
/// How long a silence is kept after its end, in nanoseconds.
const KEPT_NS: i64 = 30 * 86_400_000_000_000;

/// The result of one evaluation of the alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertRecord {
    /// Alert states; of two for the same alert the later one is stored.
    pub memos: Vec<Memo>,
    /// New or updated entries of the history.
    pub history: Vec<Past>,
    /// Notifications, each with its notifier.
    pub notifications: Vec<(String, Notification)>,
}

#[derive(Debug)]
pub enum AlertCommand {
    Record(Box<AlertRecord>),
    /// Stores a silence; its number is assigned here.
    AddSilence(Box<Silence>),
    /// Ends a silence at this wall time.
    EndSilence {
        id: i64,
        now: Timestamp,
    },
}

/// Executes a command. Returns the number of the silence that it changed, otherwise 0.
pub(super) fn apply(conn: &Connection, command: &AlertCommand, now_ns: i64) -> rusqlite::Result<i64> {
    match command {
        AlertCommand::Record(record) => apply_record(conn, record, now_ns).map(|()| 0),
        AlertCommand::AddSilence(silence) => add_silence(conn, silence, now_ns),
        AlertCommand::EndSilence { id, now } => end_silence(conn, *id, *now),
    }
}

fn apply_record(conn: &Connection, record: &AlertRecord, now_ns: i64) -> rusqlite::Result<()> {
    for memo in &record.memos {
        match &memo.saved {
            Some(saved) => {
                conn.prepare_cached("INSERT OR REPLACE INTO alert_state (alert, target, body) VALUES (?1, ?2, ?3)")?
                    .execute(params![memo.alert, memo.target, json(saved)?])?;
            }
            None => {
                conn.prepare_cached("DELETE FROM alert_state WHERE alert = ?1 AND target = ?2")?
                    .execute(params![memo.alert, memo.target])?;
            }
        }
    }
    for past in &record.history {
        conn.prepare_cached(
            "INSERT INTO alert_history (alert, target, started_ns, ended_ns, body) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (alert, target, started_ns) DO UPDATE SET ended_ns = excluded.ended_ns, body = excluded.body",
        )?
        .execute(params![
            past.alert,
            past.server.as_deref().unwrap_or_default(),
            nanoseconds(past.started_at),
            past.ended_at.map(nanoseconds),
            json(past)?
        ])?;
    }
    record.notifications.iter().try_for_each(|(notifier, it)| insert_notification(conn, notifier, it, now_ns))
}

fn add_silence(conn: &Connection, silence: &Silence, now_ns: i64) -> rusqlite::Result<i64> {
    conn.prepare_cached("DELETE FROM silence WHERE ends_ns < ?1")?.execute([now_ns.saturating_sub(KEPT_NS)])?;
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM silence WHERE ends_ns > ?1")?
        .query_row([now_ns], |row| row.get(0))?;
    if count >= MOST_SILENCES {
        return Ok(0);
    }
    conn.prepare_cached("INSERT INTO silence (ends_ns, body) VALUES (?1, ?2) RETURNING id")?
        .query_row(params![nanoseconds(silence.ends_at), json(silence)?], |row| row.get(0))
}

fn end_silence(conn: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<i64> {
    let Some(silence) = silences(conn, nanoseconds(now))?.into_iter().find(|silence| silence.id == id) else {
        return Ok(0);
    };
    let ended = Silence { ends_at: now, starts_at: silence.starts_at.min(now), ..silence };
    conn.prepare_cached("UPDATE silence SET ends_ns = ?2, body = ?3 WHERE id = ?1")?.execute(params![
        id,
        nanoseconds(now),
        json(&ended)?
    ])?;
    Ok(id)
}

/// The silences that end after `now_ns`.
fn silences(conn: &Connection, now_ns: i64) -> rusqlite::Result<Vec<Silence>> {
    let mut statement = conn.prepare_cached("SELECT body, id FROM silence WHERE ends_ns > ?1 ORDER BY id")?;
    let read = |row: &Row<'_>| Ok(Silence { id: row.get(1)?, ..decode(row)? });
    statement.query_map([now_ns], read)?.collect()
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))
}

/// Parses the first column from JSON.
fn decode<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    let text = row.get_ref(0)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|why| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(why)))
}

/// Nanoseconds since 1970, clamped to 64 bits.
fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX })
}

impl Reader {
    /// The saved alert states. States that cannot be parsed (from a later release) are skipped and counted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alert_states(&self) -> Result<(Vec<Saved>, usize), StoreError> {
        self.run("read the states of alerts", |conn| {
            let mut statement = conn.prepare_cached("SELECT body FROM alert_state ORDER BY alert, target")?;
            let (mut states, mut unreadable) = (Vec::new(), 0);
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                match decode(row) {
                    Ok(saved) => states.push(saved),
                    Err(_) => unreadable += 1,
                }
            }
            Ok((states, unreadable))
        })
    }

    /// Alerts that fired and overlap `[from_ns, to_ns)`, the latest `limit` of them, latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alert_history(
        &self,
        from_ns: i64,
        to_ns: i64,
        server: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Past>, StoreError> {
        self.run("read the history of alerts", |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT body FROM alert_history WHERE started_ns < ?2 AND (ended_ns IS NULL OR ended_ns >= ?1) \
                 AND (?3 IS NULL OR target = ?3) ORDER BY started_ns DESC, id DESC LIMIT ?4",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            statement.query_map(params![from_ns, to_ns, server, limit], decode)?.collect()
        })
    }

    /// Silences that end after the wall time `now_ns`, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn silences(&self, now_ns: i64) -> Result<Vec<Silence>, StoreError> {
        self.run("read the silences", |conn| silences(conn, now_ns))
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
