//! The key exchange of NTS (RFC 8915 §4): a TLS connection that gives keys, cookies and the details of the server's
//! certificate. Each key exchange has a deadline, and few run at a time.

mod certificate;
mod client;
mod fault;
mod recorder;
mod trust;

pub use client::{Established, Exchange, Target, exchange};
pub use fault::ExchangeFault;
pub use trust::Trust;
