//! The saved protocol sheets, from which the next process continues.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::series;
use ntp_monitor_core::sample::SeriesKey;
use ntp_monitor_core::sheet::Kept;

/// Replaces the sheets of these series; `now_ns` is when they were last seen, for a series that is new.
pub(super) fn keep(conn: &Connection, sheets: &[(SeriesKey, Kept)], now_ns: i64) -> rusqlite::Result<()> {
    for (key, kept) in sheets {
        let state =
            serde_json::to_string(kept).map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))?;
        let id = series::id_of_key(conn, key, now_ns)?;
        conn.prepare_cached("INSERT OR REPLACE INTO sheet (series_id, state) VALUES (?1, ?2)")?
            .execute(params![id, state])?;
    }
    Ok(())
}

/// All sheets. A sheet that cannot be parsed starts empty.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<(SeriesKey, Kept)>> {
    let mut select =
        conn.prepare_cached("SELECT vantage, server, address, state FROM sheet JOIN series ON series.id = series_id")?;
    let decode = |row: &Row<'_>| {
        let text = |column| row.get::<_, String>(column).map(Arc::<str>::from);
        let address = row.get_ref(2)?.as_str()?.parse().ok();
        let key = SeriesKey { vantage: text(0)?, server: text(1)?, address };
        Ok((key, serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default()))
    };
    select.query_map([], decode)?.collect()
}

/// Deletes the sheets of series that were last seen before `before_ns`.
pub(super) fn prune(conn: &Connection, before_ns: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM sheet WHERE series_id IN (SELECT id FROM series WHERE last_seen_ns < ?1)")?
        .execute([before_ns])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use ntp_monitor_core::sheet::{Sheet, Trait, Value};

    #[test]
    fn sheets_are_read_back_and_go_with_their_series() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, 0).unwrap();
        let key = |address: &str| SeriesKey::here(&"a".into(), address.parse().ok());
        let kept = |limit| Kept {
            sheet: Sheet { values: [(Trait::HopLimit, Value::HopLimit(limit))].into(), ..Sheet::default() },
            ..Kept::default()
        };
        let [one, two] = [key("192.0.2.1:123"), key("[2001:db8::1]:123")];
        keep(&conn, &[(one.clone(), kept(1)), (two.clone(), kept(2))], 50).unwrap();
        keep(&conn, &[(one.clone(), kept(3))], 100).unwrap();
        let by_key = |conn: &Connection| {
            let mut all = all(conn).unwrap();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        assert_eq!(by_key(&conn), [(one.clone(), kept(3)), (two, kept(2))]);
        conn.execute("UPDATE sheet SET state = '{' WHERE series_id = 1", []).unwrap();
        assert_eq!(by_key(&conn)[0], (one.clone(), Kept::default()), "a damaged sheet starts empty");
        prune(&conn, 60).unwrap();
        assert_eq!(by_key(&conn).len(), 1, "the series that was seen later keeps its sheet");
        assert_eq!(by_key(&conn)[0].0, one);
    }
}
