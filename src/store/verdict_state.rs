//! The saved state of the verdict, from which the next process continues: one compressed value.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, OptionalExtension};

use super::meta;

const KEY: &str = "verdict_state";

/// Number of bytes that are passed to the compressor at a time.
const PIECE: usize = 64 << 10;

/// A state that is compressed while it is written, so that it is never in memory as a whole.
#[derive(Debug)]
pub struct PackedState {
    packer: DeflateEncoder<Vec<u8>>,
    piece: Vec<u8>,
}

impl Default for PackedState {
    fn default() -> Self {
        Self { packer: DeflateEncoder::new(Vec::new(), Compression::fast()), piece: Vec::with_capacity(PIECE) }
    }
}

impl Extend<u8> for PackedState {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.piece.extend(bytes);
        if self.piece.len() >= PIECE {
            self.pack();
        }
    }
}

impl PackedState {
    fn pack(&mut self) {
        self.packer.write_all(&self.piece).expect("memory can be written");
        self.piece.clear();
    }

    fn finish(mut self) -> Vec<u8> {
        self.pack();
        self.packer.finish().expect("memory can be written")
    }
}

/// Replaces the saved state.
pub(super) fn keep(conn: &Connection, state: PackedState) -> rusqlite::Result<()> {
    meta::set(conn, KEY, state.finish())
}

/// The saved state. An empty one means that it cannot be decompressed.
pub(super) fn read(conn: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let packed: Option<Vec<u8>> = select.query_row([KEY], |row| row.get(0)).optional()?;
    Ok(packed.map(|packed| unpack(&packed).unwrap_or_default()))
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
        for octet in [7, 8] {
            let mut state = PackedState::default();
            (0..3).for_each(|_| state.extend(vec![octet; PIECE / 2 + 1]));
            keep(&conn, state).unwrap();
        }
        assert_eq!(read(&conn).unwrap(), Some(vec![8; 3 * (PIECE / 2 + 1)]));
        meta::set(&conn, KEY, vec![255_u8; 40]).unwrap();
        assert_eq!(read(&conn).unwrap(), Some(Vec::new()));
    }
}
