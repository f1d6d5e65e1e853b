//! The fleet's part of the store: the journal of an agent ([`journal`]), the bookkeeping of received samples on a hub
//! ([`received`]) and the limits of their size and age ([`raw`]).

pub(super) mod journal;
pub(super) mod raw;
pub(super) mod received;

pub use journal::{JournalGauge, JournalRow, Packer};
pub use raw::{RawGauge, RawLimits};
pub use received::{Accepted, Batch, Position, Received, Seqs, VantageRow};
