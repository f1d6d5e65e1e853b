//! The portable engine, based on `rsntp`, for hosts and sandboxes without kernel timestamps.
//!
//! Its limits:
//! - T1 and T4 are taken in userland (label `userland`), so they are late when the process is busy; with many
//!   concurrent queries they are biased by hundreds of microseconds.
//! - `rsntp` does not expose the four timestamps, nor the server's root delay, root dispersion and precision. Their
//!   checks are omitted from the row, and the root distance assumes [`ASSUMED_DISPERSION_S`].
//! - `rsntp` gives up at the first bad datagram, and accepts a kiss-o'-death before it checks the origin timestamp, so
//!   an attacker who guesses the port can end a query. The kernel engine has neither weakness.
//! - It works only while this host's clock is between 1970 and 2104.
//! - Its request contains the time of this host's clock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rsntp::{
    AsyncSntpClient, Config, KissCode as RsntpKiss, LeapIndicator, ProtocolError, ReferenceIdentifier,
    SynchronizationError, SynchronizationResult,
};

use super::endpoint::any_local;
use super::fault::outcome_of;
use super::judge::clock_was_stepped;
use super::precision::{own_precision_s, uninterrupted_stamp};
use super::{ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Check, CheckRow, KissCode, Leap, NtpTimestamp, RefId, RootDistance, StatusCode};
use ntp_monitor_core::sample::{Evidence, Measure, Outcome, Reply, Timestamping};

/// RFC 5905 §7.2 MAXDIST: NTP clients do not select a server beyond this. The real value is unknown, so the assumed one
/// must be an upper bound for every usable server.
const ASSUMED_DISPERSION_S: f64 = 1.0;
/// A typical precision of a computer's clock; insignificant next to the assumed dispersion.
const ASSUMED_PRECISION_LOG2: i8 = -20;
/// Unix time at which NTP era 1 begins (2036-02-07 06:28:16 UTC); `rsntp` converts a missing timestamp to it.
const ERA_1_UNIX_S: f64 = 2_085_978_496.0;

/// Unix time of the middle of NTP era 1 (2104-02-26 09:42:24 UTC), where the timestamps of `rsntp` end.
const MIDDLE_OF_ERA_1_UNIX_S: i64 = 4_233_462_144;

/// Measures with `rsntp`. Keeps no state between queries; cheap to clone.
#[derive(Debug, Clone)]
pub struct SntpEngine {
    own_precision_s: f64,
}

impl Default for SntpEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl SntpEngine {
    /// Creates the engine and measures the precision of this host's clock.
    #[must_use]
    pub fn new() -> Self {
        Self { own_precision_s: own_precision_s() }
    }
}

impl ProbeEngine for SntpEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let own_precision_s = self.own_precision_s;
        Box::pin(async move {
            let needs =
                query.ticket.as_ref().map(|_| "NTS").or(query.question.map(|_| "the questions of a protocol sheet"));
            if let Some(what) = needs {
                let why = format!("the portable engine does not support {what}: use engine = \"kernel\"");
                return ProbeReport::failed(crate::clock::now(), Outcome::Fault(why.into()));
            }
            let config =
                Config::default().bind_address(any_local(query.address)).timeout(query.timeout).connect_ip(true);
            let sent = uninterrupted_stamp();
            if query.is_late(sent) {
                return ProbeReport::late(sent);
            }
            if let Some(fault) = unfit_clock(sent) {
                return ProbeReport::failed(sent, fault);
            }
            let result = AsyncSntpClient::with_config(config).synchronize(query.address).await;
            let received = uninterrupted_stamp();
            match result {
                Ok(answer) => {
                    let own_ip = local_ip_towards(query.address);
                    Answer::new(&answer, sent, received, own_precision_s, own_ip).into_report()
                }
                Err(error) => refused(&error, sent, received),
            }
        })
    }
}

/// The fault if `rsntp` cannot be used with this host's clock. Its timestamps end in the middle of era 1: after that it
/// does not recognise the echo of its own request, and from 2172 it panics.
fn unfit_clock(now: Stamp) -> Option<Outcome> {
    let unix_s = now.wall_ns.div_euclid(1_000_000_000);
    (!(0..MIDDLE_OF_ERA_1_UNIX_S).contains(&unix_s)).then(|| {
        let why = "the portable engine works from 1970 to 2104, and this host's clock is outside: set it, or use the \
                   kernel engine";
        Outcome::Fault(why.into())
    })
}

/// The local address used towards `peer`. Connecting a datagram socket sends nothing.
fn local_ip_towards(peer: SocketAddr) -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(any_local(peer)).ok()?;
    socket.connect(peer).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// The parts of a reply that `rsntp` exposes, between two readings of this host's clocks.
#[derive(Debug, Clone, Copy)]
struct Answer {
    offset_s: f64,
    raw_delay_s: f64,
    stratum: u8,
    leap: Leap,
    refid: RefId,
    sent: Stamp,
    received: Stamp,
    own_precision_s: f64,
    own_ip: Option<IpAddr>,
}

impl Answer {
    fn new(
        answer: &SynchronizationResult,
        sent: Stamp,
        received: Stamp,
        own_precision_s: f64,
        own_ip: Option<IpAddr>,
    ) -> Self {
        Self {
            offset_s: answer.clock_offset().as_secs_f64(),
            raw_delay_s: answer.round_trip_delay().as_secs_f64(),
            stratum: answer.stratum(),
            leap: leap_of(answer.leap_indicator()),
            refid: refid_of(answer.reference_identifier()),
            sent,
            received,
            own_precision_s,
            own_ip,
        }
    }

    fn into_report(self) -> ProbeReport {
        let row = self.checks();
        let evidence = Arc::new(evidence(row, self.sent, self.received));
        let mut report = ProbeReport::failed(self.received, Outcome::Sample);
        report.timestamping = Some(Timestamping::Userland);
        match row.first_failure() {
            None => {
                let reply = self.reply();
                (report.measure, report.reply) = (Some(self.measure(&reply)), Some(reply));
                report.accepted = Some(evidence);
            }
            Some(Check::Synchronised) => {
                report.outcome = Outcome::Unsynchronised(StatusCode::from_refid(self.refid, self.stratum));
                (report.reply, report.accepted) = (Some(self.reply()), Some(evidence));
            }
            Some(check) => {
                report.outcome = Outcome::Rejected(check);
                report.refuse(evidence);
            }
        }
        report
    }

    /// The checks that `rsntp` has made (otherwise it returns an error), and those that its result allows.
    fn checks(&self) -> CheckRow {
        let mut row = CheckRow::default();
        for made in [Check::Sender, Check::Length, Check::Version, Check::Origin, Check::Kiss] {
            row.record(made, true);
        }
        let synchronised = self.leap != Leap::Unknown && (1..=15).contains(&self.stratum);
        row.record(Check::Synchronised, synchronised);
        let took_s = self.received.since(self.sent).as_secs_f64();
        // If T2 and T3 are both missing, the server's time is the start of era 1 in the middle of the exchange.
        let server_s = (self.sent.wall_s() + self.received.wall_s()) / 2.0 + self.offset_s;
        row.record(Check::ZeroTimestamp, (server_s - ERA_1_UNIX_S).abs() > took_s.max(1.0));
        // The delay cannot exceed the whole exchange, unless the server's T3 is before its T2 or T2 is missing.
        row.record(Check::ServerTime, self.raw_delay_s <= took_s + self.own_precision_s);
        // This also fails if only T3 is missing.
        row.record(Check::Delay, self.raw_delay_s >= -self.own_precision_s);
        if let Some(IpAddr::V4(own)) = self.own_ip {
            row.record(Check::Loop, self.stratum < 2 || self.refid != RefId(own.octets()));
        }
        row.record(Check::LocalStep, !clock_was_stepped(self.sent, self.received));
        row
    }

    fn reply(&self) -> Reply {
        Reply {
            stratum: self.stratum,
            leap: self.leap,
            refid: self.refid,
            precision_log2: ASSUMED_PRECISION_LOG2,
            root_delay_s: 0.0,
            root_dispersion_s: ASSUMED_DISPERSION_S,
            reference_age_s: None,
        }
    }

    fn measure(&self, reply: &Reply) -> Measure {
        let delay_s = self.raw_delay_s.max(self.own_precision_s);
        let age_s = self.received.since(self.sent).as_secs_f64();
        let distance = RootDistance::new(
            delay_s,
            reply.root_delay_s,
            reply.root_dispersion_s,
            reply.precision_s(),
            self.own_precision_s,
            age_s,
        );
        Measure { offset_s: self.offset_s, delay_s, root_distance_s: distance.total_s() }
    }
}

/// The report of a query for which `rsntp` returned an error.
fn refused(error: &SynchronizationError, sent: Stamp, received: Stamp) -> ProbeReport {
    let protocol = match error {
        SynchronizationError::IOError(io) if io.kind() == std::io::ErrorKind::TimedOut => {
            return ProbeReport::failed(received, Outcome::Timeout);
        }
        SynchronizationError::IOError(io) => return ProbeReport::failed(received, outcome_of(io)),
        SynchronizationError::ProtocolError(protocol) => *protocol,
    };
    let outcome = outcome_of_protocol(protocol);
    let mut report = ProbeReport::failed(received, outcome.clone());
    report.timestamping = Some(Timestamping::Userland);
    if let Outcome::Rejected(check) = outcome {
        let mut row = CheckRow::default();
        row.record(check, false);
        report.refuse(Arc::new(evidence(row, sent, received)));
    }
    report
}

fn outcome_of_protocol(error: ProtocolError) -> Outcome {
    match error {
        ProtocolError::KissODeath(code) => outcome_of_code(code),
        ProtocolError::ServerNotSynchronized => Outcome::Unsynchronised(None),
        ProtocolError::InvalidPacketVersion => Outcome::Rejected(Check::Version),
        ProtocolError::InvalidMode => Outcome::Rejected(Check::Mode),
        ProtocolError::InvalidOriginateTimestamp => Outcome::Rejected(Check::Origin),
        ProtocolError::InvalidTransmitTimestamp => Outcome::Rejected(Check::ZeroTimestamp),
        // The other errors mean that the datagram could not be parsed.
        ProtocolError::PacketIsTooShort
        | ProtocolError::InvalidLeapIndicator
        | ProtocolError::InvalidReferenceIdentifier => Outcome::Rejected(Check::Length),
    }
}

/// The outcome of a stratum 0 reply. `rsntp` does not distinguish DENY and RSTR; both mean stop. It does not show an
/// unknown code.
fn outcome_of_code(code: RsntpKiss) -> Outcome {
    let status = |text| Outcome::Unsynchronised(StatusCode::parse(text));
    match code {
        RsntpKiss::RateExceeded => Outcome::Kiss(KissCode::RATE),
        RsntpKiss::AccessDenied => Outcome::Kiss(KissCode::DENY),
        RsntpKiss::Unknown => Outcome::Unsynchronised(None),
        RsntpKiss::AssociationBelongsToAnycastServer => status("ACST"),
        RsntpKiss::AssociationBelongsToBroadcastServer => status("BCST"),
        RsntpKiss::AssociationBelongsToManycastServer => status("MCST"),
        RsntpKiss::ServerAuthenticationFailed => status("AUTH"),
        RsntpKiss::AutokeySequenceFailed => status("AUTO"),
        RsntpKiss::CryptographicAuthenticationFailed => status("CRYP"),
        RsntpKiss::LostPeer => status("DROP"),
        RsntpKiss::AssociationNotYetSynchronized => status("INIT"),
        RsntpKiss::NoKeyFound => status("NKEY"),
        RsntpKiss::TinkeringWithAssociation => status("RMOT"),
        RsntpKiss::StepChange => status("STEP"),
    }
}

fn leap_of(leap: LeapIndicator) -> Leap {
    match leap {
        LeapIndicator::NoWarning => Leap::None,
        LeapIndicator::LastMinuteHas61Seconds => Leap::Insert,
        LeapIndicator::LastMinuteHas59Seconds => Leap::Delete,
        LeapIndicator::AlarmCondition => Leap::Unknown,
    }
}

fn refid_of(refid: &ReferenceIdentifier) -> RefId {
    match refid {
        ReferenceIdentifier::IpAddress(IpAddr::V4(v4)) => RefId(v4.octets()),
        ReferenceIdentifier::MD5Hash(hash) => RefId(hash.to_be_bytes()),
        ReferenceIdentifier::ASCII(text) => {
            let mut octets = [0; 4];
            octets.iter_mut().zip(text.bytes()).for_each(|(octet, byte)| *octet = byte);
            RefId(octets)
        }
        ReferenceIdentifier::Empty | ReferenceIdentifier::IpAddress(IpAddr::V6(_)) => RefId([0; 4]),
    }
}

/// Evidence without T2, T3 and the datagram, which `rsntp` does not expose.
fn evidence(checks: CheckRow, sent: Stamp, received: Stamp) -> Evidence {
    Evidence {
        at: received,
        checks,
        t1: NtpTimestamp::from_unix_ns(sent.wall_ns),
        t2: NtpTimestamp::ZERO,
        t3: NtpTimestamp::ZERO,
        t4: NtpTimestamp::from_unix_ns(received.wall_ns),
        sender: None,
        hop_limit: None,
        datagram: Box::default(),
    }
}

#[cfg(test)]
#[path = "sntp_tests.rs"]
mod tests;
