//! No answer of a key-exchange server panics the reader, in whatever pieces it arrives, and what it agrees to is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ntp_monitor_core::nts::{FULL_STOCK, Reader};

fuzz_target!(|input: (Vec<u8>, u16)| {
    let (octets, split) = input;
    let whole = Reader::default().push(&octets);
    let (first, second) = octets.split_at(usize::from(split).min(octets.len()));
    let mut reader = Reader::default();
    let pieces = match reader.push(first) {
        Ok(None) => reader.push(second),
        ended => ended,
    };
    assert_eq!(whole, pieces);
    if let Ok(Some(agreement)) = whole {
        assert!((1..=FULL_STOCK).contains(&agreement.cookies.len()) && agreement.port != Some(0));
    }
});
