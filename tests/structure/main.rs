//! The structure of the sources and of the dependency tree.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed unwrap is a failed test

mod architecture;
mod corpora;
mod tls_stack;
