#![no_main]

#[path = "../mutate.rs"]
mod mutate;
#[path = "../subjects/leap.rs"]
mod subject;

libfuzzer_sys::fuzz_target!(|input: &[u8]| subject::check(input));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mutate::words(subject::FRAGMENTS, data, size, max, seed)
});
