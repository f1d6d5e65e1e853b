//! The structure of the sources and of the dependency tree.

mod architecture;
mod corpora;
mod tls_stack;
