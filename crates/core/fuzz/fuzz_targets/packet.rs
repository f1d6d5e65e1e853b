#![no_main]

#[path = "../subjects/packet.rs"]
mod subject;

libfuzzer_sys::fuzz_target!(|input: &[u8]| subject::check(input));
