//! The program. Arguments and exit codes only; everything else is the library's.

fn main() {}
