//! One poll of one server, as everything downstream sees it. Data only: no clock is read and nothing is decided here.
//!
//! Signs and units hold everywhere in this program: an offset is in seconds and **positive when the server is ahead of
//! this host** (theta of RFC 5905 §8); delays, dispersions and distances are in seconds and not negative.

mod outcome;

pub use outcome::Outcome;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Stamp;
use crate::ntp::{CheckRow, Leap, NtpTimestamp, RefId};

/// Who a sample is about: the configured name and tags, shared by all samples of that server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdent {
    /// Which vantage point asks; empty for this one.
    pub vantage: Arc<str>,
    /// The configured `name`, or the configured address when no name was given. Unique within a configuration.
    pub name: Arc<str>,
    /// The configured `tags`.
    pub tags: BTreeMap<String, String>,
}

impl ServerIdent {
    /// An identity without tags, asked from here, as tests make them.
    #[must_use]
    pub fn named(name: &str) -> Arc<Self> {
        Self::seen_from("", name)
    }

    /// An identity without tags, as `replay` makes them.
    #[must_use]
    pub fn seen_from(vantage: &str, name: &str) -> Arc<Self> {
        Arc::new(Self { vantage: vantage.into(), name: name.into(), tags: BTreeMap::new() })
    }
}

/// What identifies one series of samples: pool rotation gives a name new addresses, and each keeps its own history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The configured name.
    pub server: Arc<str>,
    /// Which vantage point asks; empty for this one. Behind `server`, so that the series of a server are neighbours.
    pub vantage: Arc<str>,
    /// The address polled; `None` for polls that ended before an address was known.
    pub address: Option<SocketAddr>,
}

impl SeriesKey {
    /// The series of `server` at `address` as it is seen from here.
    #[must_use]
    pub fn here(server: &Arc<str>, address: Option<SocketAddr>) -> Self {
        Self { server: Arc::clone(server), vantage: Arc::default(), address }
    }
}

/// One poll of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When the poll ended: the reply was received, or was given up on.
    pub at: Stamp,
    /// Which server was asked.
    pub server: Arc<ServerIdent>,
    /// Where it was asked; `None` when its name did not resolve.
    pub address: Option<SocketAddr>,
    /// How the poll ended.
    pub outcome: Outcome,
    /// What the server says of itself. Present for [`Outcome::Sample`] and [`Outcome::Unsynchronised`].
    pub reply: Option<Reply>,
    /// What was measured. Present for [`Outcome::Sample`] and for nothing else.
    pub measure: Option<Measure>,
    /// The interval at which this server was being polled, in seconds.
    pub poll_s: f64,
    /// How T1 and T4 were taken. Statistics never mix ways.
    pub timestamping: Option<Timestamping>,
    /// How the reply was authenticated; what was asked for when none came.
    pub authentication: Authentication,
    /// Which exchange T1 to T4 belong to.
    pub mode: Mode,
    /// Requests sent in this poll (more than one in a burst).
    pub sent: u16,
    /// Requests of this poll that no accepted reply answered.
    pub lost: u16,
    /// Packet evidence of the reply that was used.
    pub evidence: Option<Arc<Evidence>>,
    /// Packet evidence of replies that were refused on the way, oldest first; bounded.
    pub rejected: Vec<Arc<Evidence>>,
    /// How many replies were refused on the way, also those beyond the bound of `rejected`.
    pub rejected_count: u32,
}

impl Sample {
    /// A poll that ended before anybody could be asked: the name did not resolve, or the fault is ours.
    #[must_use]
    pub fn unasked(at: Stamp, server: Arc<ServerIdent>, outcome: Outcome, poll_s: f64) -> Self {
        Self {
            at,
            server,
            address: None,
            outcome,
            reply: None,
            measure: None,
            poll_s,
            timestamping: None,
            authentication: Authentication::None,
            mode: Mode::Basic,
            sent: 0,
            lost: 0,
            evidence: None,
            rejected: Vec::new(),
            rejected_count: 0,
        }
    }

    /// The series that this sample belongs to.
    #[must_use]
    pub fn key(&self) -> SeriesKey {
        let ServerIdent { vantage, name, .. } = &*self.server;
        SeriesKey { server: Arc::clone(name), vantage: Arc::clone(vantage), address: self.address }
    }

    /// Offset in seconds, positive when the server is ahead; only a poll that ended in a sample has one.
    #[must_use]
    pub fn offset_s(&self) -> Option<f64> {
        self.measure.map(|m| m.offset_s)
    }

    /// How long ago the server's clock was last set, as the server states it; see [`Reply::reference_age_s`].
    #[must_use]
    pub fn reference_age_s(&self) -> Option<f64> {
        self.reply.and_then(|reply| reply.reference_age_s)
    }
}

/// The numbers of one accepted exchange.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// Clock offset in seconds, positive when the server is ahead of this host (RFC 5905 §8, theta).
    pub offset_s: f64,
    /// Round-trip delay in seconds without the server's processing time (RFC 5905 §8, delta), at least the precision.
    pub delay_s: f64,
    /// The bound within which the server's claim holds, in seconds: `delay/2 + root_delay/2 + root_dispersion +
    /// server precision + own precision + 15 ppm · age`.
    pub root_distance_s: f64,
}

/// What a server says of itself in an accepted reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reply {
    /// Stratum as sent: 1 primary, 2–15 secondary, 16 unsynchronised.
    pub stratum: u8,
    /// The leap indicator.
    pub leap: Leap,
    /// The reference identifier.
    pub refid: RefId,
    /// Precision as sent: log2 seconds.
    pub precision_log2: i8,
    /// Round-trip delay to the reference clock in seconds.
    pub root_delay_s: f64,
    /// Dispersion to the reference clock in seconds.
    pub root_dispersion_s: f64,
    /// How long before it answered the server's clock was last set, in seconds: T3 less the reference timestamp, from 0
    /// to 68 years. `None` when the server does not say, or names a time that has not come yet.
    pub reference_age_s: Option<f64>,
}

impl Reply {
    /// The precision in seconds.
    #[must_use]
    pub fn precision_s(&self) -> f64 {
        f64::from(self.precision_log2).exp2()
    }
}

/// How T1 and T4 of an exchange were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timestamping {
    /// Both by the kernel, at the interface.
    Kernel,
    /// T4 by the kernel, T1 just before the send call: the route gives no transmit stamps.
    KernelRx,
    /// Both by this program.
    Userland,
}

impl Timestamping {
    /// Every way, best first.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::KernelRx, Self::Userland];

    /// The way as data files, metrics and the API name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::KernelRx => "kernel-rx",
            Self::Userland => "userland",
        }
    }

    /// The inverse of [`Timestamping::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.label() == label)
    }
}

/// How a reply proved that it comes from the server that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Authentication {
    /// Not at all: it echoes the random transmit field of the request, no more.
    #[default]
    None,
    /// By Network Time Security (RFC 8915).
    Nts,
}

impl Authentication {
    /// Every kind, weakest first.
    pub const ALL: [Self; 2] = [Self::None, Self::Nts];

    /// The kind as data files and the API name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Nts => "nts",
        }
    }

    /// The inverse of [`Authentication::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

/// Which exchange the four timestamps belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Mode {
    /// All to the request and reply of this poll.
    #[default]
    Basic,
    /// To the exchange before: the server sends its more precise transmit timestamp one reply later (RFC 9769).
    Interleaved,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Basic, Self::Interleaved];

    /// The mode as data files and the API name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Interleaved => "interleaved",
        }
    }

    /// The inverse of [`Mode::label`].
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.label() == label)
    }
}

/// A judged reply: which tests were made, which failed, and the four timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// When the reply arrived.
    pub at: Stamp,
    /// Every test with its result.
    pub checks: CheckRow,
    /// T1: our transmit time, kept locally (the packet carried a random cookie instead).
    pub t1: NtpTimestamp,
    /// T2: the server's receive time, as sent.
    pub t2: NtpTimestamp,
    /// T3: the server's transmit time, as sent.
    pub t3: NtpTimestamp,
    /// T4: our receive time.
    pub t4: NtpTimestamp,
    /// The first bytes of the datagram as received, at most [`Evidence::MAX_BYTES`].
    pub datagram: Box<[u8]>,
}

impl Evidence {
    /// How much of a datagram is kept: the header and a usual MAC.
    pub const MAX_BYTES: usize = 72;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_timestamping_survives_the_way_through_its_label() {
        for way in Timestamping::ALL {
            assert_eq!(Timestamping::parse(way.label()), Some(way));
        }
    }

    #[test]
    fn authentication_and_mode_are_read_back_from_their_labels() {
        assert_eq!(Authentication::ALL.map(|kind| Authentication::parse(kind.label())), Authentication::ALL.map(Some));
        assert_eq!(Mode::ALL.map(|mode| Mode::parse(mode.label())), Mode::ALL.map(Some));
        assert_eq!((Authentication::parse("NTS"), Mode::parse("")), (None, None));
    }
}
