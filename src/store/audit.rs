//! The audit log of changes through the API: the latest [`KEPT`] entries.

use rusqlite::{Connection, Row, params};

/// Number of entries kept; the oldest are deleted first.
const KEPT: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The time of the request in nanoseconds since 1970.
    pub at_ns: i64,
    /// The name of the token.
    pub who: String,
    /// The role of the token.
    pub role: String,
    /// The address that sent the request.
    pub peer: String,
    pub action: String,
    /// The object of the action.
    pub target: String,
    pub outcome: String,
}

/// Records an entry and deletes the oldest beyond the limit.
pub(super) fn record(conn: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO audit (at_ns, who, role, peer, action, target, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        entry.at_ns,
        entry.who,
        entry.role,
        entry.peer,
        entry.action,
        entry.target,
        entry.outcome
    ])?;
    conn.prepare_cached("DELETE FROM audit WHERE id <= ?1")?.execute([conn.last_insert_rowid() - KEPT])?;
    Ok(())
}

/// The latest entries, latest first.
pub(super) fn latest(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut statement = conn.prepare_cached(
        "SELECT at_ns, who, role, peer, action, target, outcome FROM audit ORDER BY id DESC LIMIT ?1",
    )?;
    statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], decode)?.collect()
}

fn decode(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        at_ns: row.get(0)?,
        who: row.get(1)?,
        role: row.get(2)?,
        peer: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        outcome: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn latest_entries_come_first_and_oldest_are_deleted() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let entry = |at_ns| AuditEntry {
            at_ns,
            who: "boss".into(),
            role: "admin".into(),
            peer: "192.0.2.1:5".into(),
            action: "PUT /api/v1/config/file".into(),
            target: String::new(),
            outcome: "200 OK".into(),
        };
        let tx = conn.unchecked_transaction().unwrap();
        (0..KEPT + 5).for_each(|n| record(&tx, &entry(n)).unwrap());
        assert_eq!(latest(&tx, 2).unwrap(), [entry(KEPT + 4), entry(KEPT + 3)]);
        let all = latest(&tx, usize::MAX).unwrap();
        assert_eq!((all.len() as i64, all.last().unwrap().at_ns), (KEPT, 5));
    }
}
