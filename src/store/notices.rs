//! The queues of notifications: one per notifier, in order of insertion.
//!
//! Age is measured by the retention clock, which does not follow a step of the wall clock. The times of next attempts
//! are wall times, because they must be valid after a restart. An implausibly long wait is ignored, because it means
//! that the clock was set back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::read::Reader;
use ntp_monitor_core::alert::notification::Notification;

/// A notification that waits longer is dropped and counted. Ended ones are kept as long, to detect repeats.
const MAX_AGE_NS: i64 = 7 * 86_400_000_000_000;
/// Maximum queue length of one notifier; beyond it the oldest are dropped and counted.
const MAX_WAITING: i64 = 10_000;
/// Maximum number of rows that one pass ends or deletes, so that no pass takes long.
const CHUNK: i64 = 256;
/// Maximum plausible wait: twice the longest wait of a notifier, which follows a message without an answer.
const PLAUSIBLE_WAIT_NS: i64 = 12 * 3_600_000_000_000;

/// The fill level of the queue of one notifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueGauge {
    /// Number of waiting notifications.
    pub waiting: u64,
    /// When the oldest of them was added, in nanoseconds since 1970.
    pub oldest_ns: Option<i64>,
    /// Number of notifications dropped since the start, because of age or queue length.
    pub expired: u64,
}

/// The fill level of every queue, as of the last commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues(Arc<Mutex<BTreeMap<String, QueueGauge>>>);

impl Queues {
    pub(super) fn get(&self) -> BTreeMap<String, QueueGauge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Must be called after the transaction that counted is committed.
    pub(super) fn set(&self, waiting: Counted, expired: &BTreeMap<String, u64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for gauge in all.values_mut() {
            (gauge.waiting, gauge.oldest_ns) = (0, None);
        }
        for (notifier, count, oldest_ns) in waiting {
            let gauge = all.entry(notifier).or_default();
            (gauge.waiting, gauge.oldest_ns) = (count, Some(oldest_ns));
        }
        for (notifier, count) in expired {
            all.entry(notifier.clone()).or_default().expired += count;
        }
    }
}

/// For each notifier, the number of waiting notifications and the time of the oldest.
pub(super) type Counted = Vec<(String, u64, i64)>;

/// A notification that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub id: i64,
    /// Number of failed attempts.
    pub attempts: u32,
    /// The notification, or why it cannot be parsed.
    pub notification: Result<Notification, String>,
    /// What the receiver already has of it, as the notifier recorded it.
    pub progress: Option<String>,
    /// Receivers that must wait, because an earlier notification of the same rule is still missing there.
    pub behind: BTreeSet<String>,
}

/// Commands about the queues; `id` is the number of a notification.
#[derive(Debug)]
pub enum NoticeCommand {
    Delivered {
        id: i64,
        /// Whether the other notifications of the notifier become due at once, because the receiver can be reached
        /// again.
        others_at_once: bool,
    },
    /// Records a failed attempt.
    Failed {
        id: i64,
        /// The time of the next attempt, in nanoseconds since 1970.
        next_ns: i64,
        why: String,
        /// What the receiver already has; `None` if it has nothing.
        progress: Option<String>,
    },
    /// Records that a notification was dropped.
    GivenUp { id: i64, why: String },
}

/// Adds a notification to the queue of `notifier`, at the wall time `now_ns`. If one with the same key exists, even a
/// delivered one, nothing changes. Must be called in the transaction that records the alert states.
///
/// # Errors
/// When the store cannot be written.
pub fn insert(conn: &Connection, notifier: &str, notification: &Notification, now_ns: i64) -> rusqlite::Result<()> {
    let body =
        serde_json::to_string(notification).map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))?;
    conn.prepare_cached(
        "INSERT INTO notification (notifier, key, body, created_ns, next_ns) VALUES (?1, ?2, ?3, ?4, ?4) \
         ON CONFLICT (notifier, key) DO NOTHING",
    )?
    .execute(params![notifier, notification.key, body, now_ns])?;
    Ok(())
}

pub(super) fn apply(conn: &Connection, command: NoticeCommand, now_ns: i64) -> rusqlite::Result<()> {
    match command {
        NoticeCommand::Delivered { id, others_at_once } => {
            if others_at_once {
                conn.prepare_cached(
                    "UPDATE notification SET next_ns = 0 WHERE ended_ns IS NULL \
                     AND notifier = (SELECT notifier FROM notification WHERE id = ?1)",
                )?
                .execute([id])?;
            }
            end(conn, id, now_ns, "delivered", None)
        }
        NoticeCommand::Failed { id, next_ns, why, progress } => conn
            .prepare_cached(
                "UPDATE notification SET attempts = attempts + 1, next_ns = ?2, last_error = ?3, progress = ?4 \
                 WHERE id = ?1 AND ended_ns IS NULL",
            )?
            .execute(params![id, next_ns, why, progress])
            .map(drop),
        NoticeCommand::GivenUp { id, why } => end(conn, id, now_ns, "given up", Some(&why)),
    }
}

fn end(conn: &Connection, id: i64, now_ns: i64, outcome: &str, why: Option<&str>) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE notification SET ended_ns = ?2, outcome = ?3, last_error = coalesce(?4, last_error) \
         WHERE id = ?1 AND ended_ns IS NULL",
    )?
    .execute(params![id, now_ns, outcome, why])
    .map(drop)
}

/// Counts the waiting notifications.
pub(super) fn count(conn: &Connection) -> rusqlite::Result<Counted> {
    conn.prepare_cached(
        "SELECT notifier, count(*), min(created_ns) FROM notification WHERE ended_ns IS NULL GROUP BY notifier",
    )?
    .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get(2)?)))?
    .collect()
}

/// Drops a bounded number of old and excess notifications, and deletes those that ended long ago. `now_ns` is the time
/// of the retention clock. Returns the number of dropped notifications by notifier.
pub(super) fn enforce_bounds(
    conn: &Connection,
    counted: &Counted,
    now_ns: i64,
) -> rusqlite::Result<BTreeMap<String, u64>> {
    let before_ns = now_ns.saturating_sub(MAX_AGE_NS);
    conn.prepare_cached(
        "DELETE FROM notification WHERE id IN (SELECT id FROM notification WHERE ended_ns < ?1 LIMIT ?2)",
    )?
    .execute([before_ns, CHUNK])?;
    let mut dropped = BTreeMap::new();
    for (notifier, waiting, oldest_ns) in counted {
        let surplus = waiting.cast_signed().saturating_sub(MAX_WAITING).clamp(0, CHUNK);
        if surplus > 0 || *oldest_ns < before_ns {
            let count = expire(conn, notifier, surplus, before_ns, now_ns)?;
            dropped.insert(notifier.clone(), count as u64);
        }
    }
    Ok(dropped)
}

fn expire(conn: &Connection, notifier: &str, surplus: i64, before_ns: i64, now_ns: i64) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "UPDATE notification SET ended_ns = ?5, outcome = 'expired' WHERE id IN (\
         SELECT id FROM (SELECT id FROM notification WHERE notifier = ?1 AND ended_ns IS NULL ORDER BY id LIMIT ?2) \
         UNION SELECT id FROM (SELECT id FROM notification WHERE notifier = ?1 AND ended_ns IS NULL \
         AND created_ns < ?3 ORDER BY id LIMIT ?4))",
    )?
    .execute(params![notifier, surplus, before_ns, CHUNK, now_ns])
}

/// The receivers that miss an earlier notification of the same rule and notifier.
fn behind(conn: &Connection, id: i64) -> rusqlite::Result<BTreeSet<String>> {
    conn.prepare_cached(
        "SELECT missing.value FROM notification AS this \
         JOIN notification AS earlier ON earlier.notifier = this.notifier AND earlier.rule = this.rule \
         AND earlier.ended_ns IS NULL AND earlier.id < this.id, json_each(earlier.progress, '$.missing') AS missing \
         WHERE this.id = ?1",
    )?
    .query_map([id], |row| row.get(0))?
    .collect()
}

impl Reader {
    /// The oldest notification for `notifier` that is due at the wall time `now_ns`. Order is kept within a rule;
    /// different rules do not wait for each other. One that only some receivers miss does not delay later ones, which
    /// name those receivers in [`Due::behind`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due_notification(&self, notifier: &str, now_ns: i64) -> Result<Option<Due>, StoreError> {
        self.run("read the queue of notifications", |conn| {
            conn.prepare_cached(
                "SELECT id, attempts, body, progress FROM notification AS due \
                 WHERE notifier = ?1 AND ended_ns IS NULL AND (next_ns <= ?2 OR next_ns > ?3) \
                 AND NOT EXISTS (SELECT 1 FROM notification AS earlier WHERE earlier.notifier = ?1 \
                 AND earlier.ended_ns IS NULL AND earlier.id < due.id AND earlier.rule = due.rule \
                 AND coalesce(json_array_length(earlier.progress, '$.missing'), 0) = 0) \
                 ORDER BY id LIMIT 1",
            )?
            .query_row(params![notifier, now_ns, now_ns.saturating_add(PLAUSIBLE_WAIT_NS)], |row| {
                let notification = serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(|why| why.to_string());
                let (id, behind) = (row.get(0)?, BTreeSet::new());
                Ok(Due { id, attempts: row.get(1)?, notification, progress: row.get(3)?, behind })
            })
            .optional()?
            .map(|due| Ok(Due { behind: behind(conn, due.id)?, ..due }))
            .transpose()
        })
    }

    /// When a notification for `notifier` was last delivered, in nanoseconds since 1970.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_delivery(&self, notifier: &str) -> Result<Option<i64>, StoreError> {
        self.run("read the queue of notifications", |conn| {
            let sql = "SELECT max(ended_ns) FROM notification WHERE notifier = ?1 AND outcome = 'delivered'";
            conn.prepare_cached(sql)?.query_row([notifier], |row| row.get(0))
        })
    }
}

#[cfg(test)]
#[path = "notices_tests.rs"]
mod tests;
