//! The result of one poll of one server. Data only: this module reads no clock and makes no decisions.
//!
//! The whole program uses the same units and signs: an offset is in seconds and **positive when the server is ahead of
//! this host** (theta in RFC 5905 §8); delays, dispersions and distances are in seconds and never negative.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod outcome;

pub use outcome::Outcome;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Stamp;
use crate::ntp::{Check, CheckRow, Leap, NtpTimestamp, RefId};
use crate::nts;

/// The configured name and tags of a server, shared by all of its samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdent {
    /// The vantage that polls; empty for this one.
    pub vantage: Arc<str>,
    /// The configured `name`, or the configured address when no name was given. Unique within a configuration.
    pub name: Arc<str>,
    /// The configured `tags`.
    pub tags: BTreeMap<String, String>,
}

impl ServerIdent {
    /// An identity without tags, polled from this vantage, for tests.
    #[must_use]
    pub fn named(name: &str) -> Arc<Self> {
        Self::seen_from("", name)
    }

    /// An identity without tags, for `replay`.
    #[must_use]
    pub fn seen_from(vantage: &str, name: &str) -> Arc<Self> {
        Arc::new(Self { vantage: vantage.into(), name: name.into(), tags: BTreeMap::new() })
    }
}

/// Identifies one series of samples. A pool name can resolve to several addresses; each address has its own series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The configured name.
    pub server: Arc<str>,
    /// The vantage that polls; empty for this one. It comes after `server`, so that the series of a server sort
    /// together.
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

/// Consecutive polls, as they are passed between parts of the service.
pub type Batch = Arc<[Arc<Sample>]>;

/// One poll of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When the poll ended, with a reply or a timeout.
    pub at: Stamp,
    /// The server that was polled.
    pub server: Arc<ServerIdent>,
    /// The address that was polled; `None` if the name did not resolve.
    pub address: Option<SocketAddr>,
    /// How the poll ended.
    pub outcome: Outcome,
    /// What the server reports about itself. Present for [`Outcome::Sample`] and [`Outcome::Unsynchronised`].
    pub reply: Option<Reply>,
    /// The measured values. Present only for [`Outcome::Sample`].
    pub measure: Option<Measure>,
    /// The poll interval of this server at the time of the poll, in seconds.
    pub poll_s: f64,
    /// How T1 and T4 were taken. Statistics never mix timestamping methods.
    pub timestamping: Option<Timestamping>,
    /// How the reply was authenticated; without a reply, the requested authentication.
    pub authentication: Authentication,
    /// Which exchange T1 to T4 belong to.
    pub mode: Mode,
    /// Requests sent in this poll (more than one in a burst).
    pub sent: u16,
    /// Requests of this poll without an accepted reply.
    pub lost: u16,
    /// The state of NTS at the end of this poll, for a server with NTS.
    pub nts: Option<Arc<nts::Status>>,
    /// Packet evidence of the reply that was used.
    pub evidence: Option<Arc<Evidence>>,
    /// Packet evidence of the replies that were rejected during this poll, oldest first. The list is bounded.
    pub rejected: Vec<Arc<Evidence>>,
    /// The number of replies rejected during this poll, including those that did not fit into `rejected`.
    pub rejected_count: u32,
}

impl Sample {
    /// A poll that ended before a request was sent: the name did not resolve, or this host has a fault.
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
            nts: None,
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

    /// Offset in seconds, positive when the server is ahead. `None` unless the outcome is [`Outcome::Sample`].
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
    /// Round-trip delay in seconds without the server's processing time (RFC 5905 §8, delta). Never below the
    /// precision.
    pub delay_s: f64,
    /// The largest possible error of the offset if the server is correct, in seconds: `delay/2 + root_delay/2 +
    /// root_dispersion + server precision + local precision + 15 ppm · age`.
    pub root_distance_s: f64,
}

/// What a server reports about itself in an accepted reply.
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
    /// Age of the server's last clock update when it answered, in seconds: T3 less the reference timestamp, from 0 to
    /// 68 years. `None` when the server does not state it, or states a time in the future.
    pub reference_age_s: Option<f64>,
}

impl Reply {
    /// A reference age above this is unusual: servers set their clock at least once a day (ntpd's MAXAGE), and 36 h leave
    /// room for an outage.
    pub const STALE_REFERENCE_S: f64 = 36.0 * 3600.0;

    /// Whether the server says that its clock was last set long ago.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.reference_age_s.is_some_and(|age_s| age_s > Self::STALE_REFERENCE_S)
    }

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
    /// T4 by the kernel, T1 by this program just before the send call, because the route gives no transmit timestamps.
    KernelRx,
    /// Both by this program.
    Userland,
}

impl Timestamping {
    /// All methods, best first.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::KernelRx, Self::Userland];

    /// The name of the method in data files, metrics and the API.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// To the previous exchange: the server sends its more precise transmit timestamp one reply later (RFC 9769).
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

/// A checked reply: the checks that were made and failed, and the four timestamps.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// When the reply arrived.
    pub at: Stamp,
    /// The checks that were made, with their results.
    pub checks: CheckRow,
    /// T1: the transmit time of this host, kept locally (the packet carries a random cookie in its place).
    pub t1: NtpTimestamp,
    /// T2: the server's receive time, as sent.
    pub t2: NtpTimestamp,
    /// T3: the server's transmit time, as sent.
    pub t3: NtpTimestamp,
    /// T4: the receive time of this host.
    pub t4: NtpTimestamp,
    /// Where the datagram came from; `None` where the engine does not show it.
    pub sender: Option<SocketAddr>,
    /// The remaining hop limit (TTL) of the datagram; `None` if the engine does not report it. Not stored.
    pub hop_limit: Option<u8>,
    /// The first bytes of the datagram as received, at most [`Evidence::MAX_BYTES`].
    pub datagram: Box<[u8]>,
}

impl Evidence {
    /// The number of datagram bytes that are kept: enough for the header and a common MAC.
    pub const MAX_BYTES: usize = 72;

    /// What the first failed check of a reply to a request to `asked` means, for readers who do not know NTP in detail.
    /// `None` if no check failed.
    #[must_use]
    pub fn explain(&self, asked: Option<SocketAddr>) -> Option<Cow<'static, str>> {
        let failed = self.checks.first_failure()?;
        Some(match (failed, self.sender, asked) {
            (Check::Sender, Some(sender), Some(asked)) if sender.ip() == asked.ip() => {
                format!("the answer came from port {}, not from port {}", sender.port(), asked.port()).into()
            }
            (Check::Sender, Some(sender), Some(asked)) => {
                format!("the answer came from {}, not from {}", sender.ip(), asked.ip()).into()
            }
            (Check::Sender, Some(sender), None) => format!("the answer came from {}", sender.ip()).into(),
            _ => failed.explain().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamping_labels_round_trip() {
        for way in Timestamping::ALL {
            assert_eq!(Timestamping::parse(way.label()), Some(way));
        }
    }

    #[test]
    fn evidence_names_the_sender_of_a_strange_reply() {
        let mut checks = CheckRow::default();
        checks.record(Check::Sender, false);
        let [t1, t2, t3, t4] = [NtpTimestamp::ZERO; 4];
        let at = Stamp::new(0, 0, 0);
        let from = |sender: Option<&str>| {
            let sender = sender.map(|text| text.parse().unwrap());
            let evidence = Evidence { at, checks, t1, t2, t3, t4, sender, hop_limit: None, datagram: Box::default() };
            evidence.explain("192.0.2.1:123".parse().ok()).unwrap().into_owned()
        };
        assert_eq!(from(Some("192.0.2.9:123")), "the answer came from 192.0.2.9, not from 192.0.2.1");
        assert_eq!(from(Some("192.0.2.1:456")), "the answer came from port 456, not from port 123");
        assert_eq!(from(None), Check::Sender.explain());
    }

    #[test]
    fn authentication_and_mode_are_read_back_from_their_labels() {
        assert_eq!(Authentication::ALL.map(|kind| Authentication::parse(kind.label())), Authentication::ALL.map(Some));
        assert_eq!(Mode::ALL.map(|mode| Mode::parse(mode.label())), Mode::ALL.map(Some));
        assert_eq!((Authentication::parse("NTS"), Mode::parse("")), (None, None));
    }
}
