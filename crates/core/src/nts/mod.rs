//! Network Time Security (RFC 8915) as data: the records of the key exchange, the extension fields of requests and
//! replies, and the stock of cookies.
//!
//! The ciphers are those of the `aes-siv` crate. Random numbers, clocks, TLS and sockets belong to the callers. `Debug`
//! shows no key and no cookie.

mod aead;
mod certificate;
mod cookie;
mod field;
pub mod record;
mod status;
mod stock;
mod ticket;

pub use aead::{Aead, Key, Keys};
pub use certificate::{Certificate, Expiry};
pub use cookie::Cookie;
pub use field::{Field, FieldFault, fields};
pub use record::{Agreement, Reader, RecordFault};
pub use status::{KeyFault, LastExchange, Status};
pub use stock::{Due, Policy, Stock};
pub use ticket::{Opened, Ticket, UniqueId};

/// The number of cookies that a key exchange gives and that a client keeps (RFC 8915 §4.1.6, §5.7).
pub const FULL_STOCK: usize = 8;
