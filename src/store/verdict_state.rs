//! The saved state of the verdict, as the last process left it: one compressed value.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, OptionalExtension};

use super::meta;

const KEY: &str = "verdict_state";

/// Replaces the saved state.
pub(super) fn keep(conn: &Connection, state: &[u8]) -> rusqlite::Result<()> {
    let packed = pack(state).map_err(|why| rusqlite::Error::ToSqlConversionFailure(Box::new(why)))?;
    meta::set(conn, KEY, packed)
}

/// The saved state. Empty if it cannot be unpacked; no state is empty.
pub(super) fn read(conn: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let packed: Option<Vec<u8>> = select.query_row([KEY], |row| row.get(0)).optional()?;
    Ok(packed.map(|packed| unpack(&packed).unwrap_or_default()))
}

fn pack(state: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(state)?;
    packer.finish()
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut state = Vec::new();
    DeflateDecoder::new(packed).read_to_end(&mut state)?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_state_is_read_again_and_a_damaged_one_is_empty() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY)").unwrap();
        assert_eq!(read(&conn).unwrap(), None);
        keep(&conn, &[7; 5000]).unwrap();
        keep(&conn, &[8; 5000]).unwrap();
        assert_eq!(read(&conn).unwrap(), Some(vec![8; 5000]));
        meta::set(&conn, KEY, vec![255_u8; 40]).unwrap();
        assert_eq!(read(&conn).unwrap(), Some(Vec::new()));
    }
}
