//! No answer of a key-exchange server panics the reader; it reads the same in one piece and in two, and what it agrees to is
//! bounded.

use ntp_monitor_core::nts::{FULL_STOCK, Reader};

/// The first octet says where the rest is split.
pub fn check(input: &[u8]) {
    let Some((split, octets)) = input.split_first() else { return };
    let whole = Reader::default().push(octets);
    let (first, second) = octets.split_at(usize::from(*split).min(octets.len()));
    let mut reader = Reader::default();
    let pieces = match reader.push(first) {
        Ok(None) => reader.push(second),
        ended => ended,
    };
    assert_eq!(whole, pieces);
    if let Ok(Some(agreement)) = whole {
        assert!((1..=FULL_STOCK).contains(&agreement.cookies.len()) && agreement.port != Some(0));
    }
}
