//! Validates one datagram that arrived during a query. Pure: takes data, returns a [`Judgement`].
//!
//! Every possible check is made and recorded, even after one has failed, because people read the whole row. The first
//! failed check in the order of [`Check::ALL`] decides the verdict.

use std::net::SocketAddr;

use super::endpoint::same_endpoint;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::interleaved::{Next, Previous};
use ntp_monitor_core::ntp::packet::HEADER_LEN;
use ntp_monitor_core::ntp::{
    Check, CheckRow, Exchange, KissCode, Leap, Mac, Mode, NtpTimestamp, Packet, ParseError, RefId, RootDistance,
    StatusCode,
};
use ntp_monitor_core::nts::{Opened, Ticket};
use ntp_monitor_core::sample::{self, Evidence, Measure, Reply};

/// RFC 5905 §7.2 MAXDISP: a server further from its reference is unfit as a time source.
const MAX_DISPERSION_S: f64 = 16.0;
/// Longest accepted time between receive and transmit in the server; chrony's limit (MAX_SERVER_INTERVAL).
const MAX_SERVER_TIME_S: f64 = 4.0;
/// The coarsest precision that a server may claim: one second. A server that copies the field from our request claims
/// 2^32 s.
const COARSEST_PRECISION_LOG2: i8 = 0;
/// The coarsest server clocks in use tick at 64 Hz; a coarser claimed precision does not increase the tolerance.
const COARSEST_PRECISION_S: f64 = 1.0 / 64.0;
/// The kernel slews the wall and the monotonic clock alike, so during an exchange only a step makes them differ. This
/// much difference is tolerated for the time between reading one clock and the other, in nanoseconds.
const STEP_TOLERANCE_NS: u64 = 1_000_000;
/// Additional tolerance: one 2000th (500 ppm, the kernel's fastest slew) of the exchange.
const STEP_SLEW_DIVISOR: u64 = 2_000;

/// A server's clock counts as set between two exchanges if it moved by more than this, in seconds.
const CONTINUITY_S: f64 = 1e-3;

/// The request that a datagram may answer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The address it was sent to.
    pub address: SocketAddr,
    /// The random value of the transmit field, which a basic reply repeats.
    pub cookie: NtpTimestamp,
    /// The random value of the receive field, which an interleaved reply repeats, and the exchange that it continues.
    /// `None` for a basic request.
    pub interleaved: Option<(NtpTimestamp, Previous)>,
    /// T1, the time at which it left.
    pub t1: NtpTimestamp,
    /// Both clocks when it left.
    pub sent: Stamp,
    /// The reference identifier that the server would use for this host, if known; used to detect loops.
    pub own_refid: Option<RefId>,
    /// The precision of T1 and T4, in seconds.
    pub own_precision_s: f64,
    /// The transmit timestamp of the last rejected reply to this request; a reply that repeats it is a duplicate.
    pub refused_transmit: Option<NtpTimestamp>,
    /// What authenticates the request, if it has NTS.
    pub ticket: Option<&'a Ticket>,
}

impl Request<'_> {
    /// The exchange that a reply belongs to when it is in interleaved mode.
    fn continued_by(&self, packet: &Packet) -> Option<&Previous> {
        let (cookie, previous) = self.interleaved.as_ref()?;
        (packet.origin == *cookie && packet.origin != self.cookie).then_some(previous)
    }

    /// Whether a reply repeats a random value of the request.
    fn is_repeated_by(&self, packet: &Packet) -> bool {
        packet.origin == self.cookie || self.continued_by(packet).is_some()
    }
}

/// A datagram as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub datagram: &'a [u8],
    /// The address that it came from.
    pub sender: SocketAddr,
    /// The remaining hop limit, if the kernel reports it.
    pub hop_limit: Option<u8>,
    /// T4, the time at which it arrived.
    pub t4: NtpTimestamp,
    /// Both clocks when it was read.
    pub received: Stamp,
}

/// The result for one datagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// The reply of a working time server.
    Accepted(Reply, Measure),
    /// A kiss-o'-death that answers this request. Its timestamps were not checked.
    Kiss(KissCode),
    /// The reply of a server that reports its own clock as unsynchronised, with the code that says why.
    Unsynchronised(Reply, Option<StatusCode>),
    /// Anything else, with the first check that failed. The query continues to wait for a reply.
    Rejected(Check),
}

#[derive(Debug, PartialEq)]
pub struct Judgement {
    /// The result of every check that was possible.
    pub row: CheckRow,
    pub verdict: Verdict,
    /// Which exchange the timestamps of the reply belong to.
    pub mode: sample::Mode,
    /// The header, if the datagram is long enough.
    pub packet: Option<Packet>,
    /// The result of NTS, if the request had it and the datagram echoes the cookie. Datagrams without the cookie are
    /// not decrypted, so that a flood of forged ones costs little.
    pub opened: Option<Opened>,
}

impl Judgement {
    /// The evidence to store.
    #[must_use]
    pub fn evidence(&self, request: &Request<'_>, arrival: &Arrival<'_>) -> Evidence {
        let zero = NtpTimestamp::ZERO;
        let nothing = Exchange { t1: request.t1, t2: zero, t3: zero, t4: arrival.t4 };
        let Exchange { t1, t2, t3, t4 } =
            self.packet.as_ref().map_or(nothing, |packet| exchange(request, arrival, packet));
        let kept = arrival.datagram.len().min(Evidence::MAX_BYTES);
        Evidence {
            at: arrival.received,
            checks: self.row,
            t1,
            t2,
            t3,
            t4,
            sender: Some(arrival.sender),
            hop_limit: arrival.hop_limit,
            datagram: arrival.datagram[..kept].into(),
        }
    }

    /// Whether the datagram echoes the cookie. Only the server, or an attacker on the path, can send that.
    #[must_use]
    pub fn answers_request(&self) -> bool {
        self.row.result(Check::Origin) == Some(true)
    }

    /// Whether only the server can have sent the datagram: it echoes the cookie and, if the request had NTS, is
    /// authentic. A forged reply must not make the good one look like a duplicate.
    #[must_use]
    pub fn is_from_server(&self) -> bool {
        let is_authentic = |opened: &Opened| opened.is_authentic == Some(true);
        self.answers_request() && self.opened.as_ref().is_none_or(is_authentic)
    }

    /// Whether the datagram says anything about the server: it comes from the server's address, or echoes the cookie
    /// that was sent there.
    #[must_use]
    pub fn concerns_server(&self) -> bool {
        self.answers_request() || self.row.result(Check::Sender) == Some(true)
    }
}

/// Validates `arrival` as a reply to `request`.
#[must_use]
pub fn judge(request: &Request<'_>, arrival: &Arrival<'_>) -> Judgement {
    let mut row = CheckRow::default();
    row.record(Check::Sender, same_endpoint(arrival.sender, request.address));
    row.record(Check::LocalStep, !clock_was_stepped(request.sent, arrival.received));
    let parsed = Packet::parse(arrival.datagram);
    row.record(Check::Length, parsed.is_ok());
    let Some(packet) = header(arrival.datagram, parsed) else {
        let (verdict, mode) = (verdict_of_failure(&row), sample::Mode::Basic);
        return Judgement { row, verdict, mode, packet: None, opened: None };
    };
    check_identity(&mut row, request, &packet);
    let ticket = request.ticket.filter(|_| request.is_repeated_by(&packet));
    let opened = ticket.map(|ticket| ticket.open(arrival.datagram));
    if let Some(opened) = &opened {
        check_authenticity(&mut row, opened);
    }
    let kiss = kiss_code(&packet);
    row.record(Check::Kiss, kiss.is_none());
    if kiss.is_none() {
        check_claims(&mut row, request, &packet);
        check_times(&mut row, request, arrival, &packet);
    }
    let verdict = match row.first_failure() {
        None => {
            let reply = reply(&packet, current_time(request, &packet));
            Verdict::Accepted(reply, measure(request, arrival, &packet, &reply))
        }
        Some(Check::Kiss) => kiss.map_or(Verdict::Rejected(Check::Kiss), Verdict::Kiss),
        Some(Check::Synchronised) => {
            let reply = reply(&packet, current_time(request, &packet));
            Verdict::Unsynchronised(reply, StatusCode::from_refid(packet.refid, packet.stratum))
        }
        Some(check) => Verdict::Rejected(check),
    };
    let mode = match request.continued_by(&packet) {
        Some(_) => sample::Mode::Interleaved,
        None => sample::Mode::Basic,
    };
    Judgement { row, verdict, mode, packet: Some(packet), opened }
}

/// The header, which can also be checked if the trailer is malformed.
fn header(datagram: &[u8], parsed: Result<Packet, ParseError>) -> Option<Packet> {
    parsed.ok().or_else(|| datagram.first_chunk::<HEADER_LEN>().map(Packet::from_header))
}

/// The verdict on a datagram without a header, of which the sender or the length check has failed.
fn verdict_of_failure(row: &CheckRow) -> Verdict {
    Verdict::Rejected(row.first_failure().unwrap_or(Check::Length))
}

/// Checks whether the datagram is a server's reply to this request.
fn check_identity(row: &mut CheckRow, request: &Request<'_>, packet: &Packet) {
    // Version 3 has the same header, and servers that support only version 3 reply with it.
    row.record(Check::Version, matches!(packet.version, 3 | 4));
    row.record(Check::Mode, packet.mode == Mode::Server);
    row.record(Check::Origin, request.is_repeated_by(packet));
    let duplicate = !packet.transmit.is_zero() && request.refused_transmit == Some(packet.transmit);
    row.record(Check::Duplicate, !duplicate);
    // Requests have no MAC, so the MAC of a reply cannot be verified; a crypto-NAK means that the server refused.
    row.record(Check::Authentication, packet.trailer.mac != Mac::CryptoNak);
}

/// Checks whether the server of the key exchange wrote the reply, and in answer to this request.
fn check_authenticity(row: &mut CheckRow, opened: &Opened) {
    let parses = opened.parses == Some(true);
    row.record(Check::ExtensionFields, parses);
    if parses || opened.is_nts {
        row.record(Check::Downgrade, opened.is_nts);
    }
    if !opened.is_nts {
        return;
    }
    row.record(Check::UniqueIdentifier, opened.repeats_id == Some(true));
    row.record(Check::Nak, !opened.is_nak);
    if !opened.is_nak {
        row.record(Check::Authenticator, opened.is_authentic == Some(true));
    }
    if opened.is_authentic == Some(true) {
        row.record(Check::Cookie, !opened.cookies.is_empty());
    }
}

/// Checks whether the server's description of itself makes it usable as a time source.
fn check_claims(row: &mut CheckRow, request: &Request<'_>, packet: &Packet) {
    let synchronised = packet.leap != Leap::Unknown && (1..=15).contains(&packet.stratum);
    row.record(Check::Synchronised, synchronised);
    let to_reference_s = packet.root_delay.seconds() / 2.0 + packet.root_dispersion.seconds();
    row.record(Check::RootDistance, to_reference_s < MAX_DISPERSION_S);
    row.record(Check::Precision, packet.precision_log2 <= COARSEST_PRECISION_LOG2);
    if let Some(own) = request.own_refid {
        // At stratum 1 the identifier is text, even if it equals an address.
        row.record(Check::Loop, packet.stratum < 2 || packet.refid != own);
    }
}

/// Checks whether the four timestamps are possible for one exchange.
fn check_times(row: &mut CheckRow, request: &Request<'_>, arrival: &Arrival<'_>, packet: &Packet) {
    let present = !packet.receive.is_zero() && !packet.transmit.is_zero();
    row.record(Check::ZeroTimestamp, present);
    if !present {
        return;
    }
    let exchange = exchange(request, arrival, packet);
    row.record(Check::ServerTime, (0.0..=MAX_SERVER_TIME_S).contains(&exchange.server_time_s()));
    if !packet.reference.is_zero() {
        let is_past = current_time(request, packet).ticks_since(packet.reference) >= 0;
        row.record(Check::ReferenceTime, is_past);
    }
    let tolerance_s = request.own_precision_s + precision_s(packet).min(COARSEST_PRECISION_S);
    if let Some(previous) = request.continued_by(packet) {
        let next = Next { t1: request.t1, t2: packet.receive, t3: packet.transmit, t4: arrival.t4 };
        row.record(Check::LocalStep, !clock_was_stepped(previous.sent, arrival.received));
        row.record(Check::Interleaved, previous.is_continued_by(&next, tolerance_s + CONTINUITY_S));
    }
    row.record(Check::Delay, exchange.raw_delay_s() >= -tolerance_s);
}

fn kiss_code(packet: &Packet) -> Option<KissCode> {
    (packet.stratum == 0).then(|| KissCode::from_refid(packet.refid)).flatten()
}

/// The exchange that the timestamps of a reply belong to: this one, or in interleaved mode the previous one.
fn exchange(request: &Request<'_>, arrival: &Arrival<'_>, packet: &Packet) -> Exchange {
    match request.continued_by(packet) {
        None => Exchange { t1: request.t1, t2: packet.receive, t3: packet.transmit, t4: arrival.t4 },
        Some(previous) => Exchange { t1: previous.t1, t2: previous.t2, t3: packet.transmit, t4: previous.t4 },
    }
}

/// When the server wrote the reply, by its clock. In interleaved mode the transmit timestamp is that of the previous
/// reply.
fn current_time(request: &Request<'_>, packet: &Packet) -> NtpTimestamp {
    if request.continued_by(packet).is_some() { packet.receive } else { packet.transmit }
}

fn precision_s(packet: &Packet) -> f64 {
    f64::from(packet.precision_log2).exp2()
}

/// The server's description of itself at `now`, by its clock.
fn reply(packet: &Packet, now: NtpTimestamp) -> Reply {
    Reply {
        stratum: packet.stratum,
        leap: packet.leap,
        refid: packet.refid,
        precision_log2: packet.precision_log2,
        root_delay_s: packet.root_delay.seconds(),
        root_dispersion_s: packet.root_dispersion.seconds(),
        reference_age_s: reference_age_s(packet, now),
    }
}

/// See [`Reply::reference_age_s`]. A server that was never set sends zero as its reference timestamp.
fn reference_age_s(packet: &Packet, now: NtpTimestamp) -> Option<f64> {
    let is_stated = !packet.reference.is_zero() && !now.is_zero();
    let age_s = is_stated.then(|| now.seconds_since(packet.reference))?;
    (age_s >= 0.0).then_some(age_s)
}

fn measure(request: &Request<'_>, arrival: &Arrival<'_>, packet: &Packet, reply: &Reply) -> Measure {
    let exchange = exchange(request, arrival, packet);
    let delay_s = exchange.delay_s(request.own_precision_s);
    let distance = RootDistance::new(
        delay_s,
        reply.root_delay_s,
        reply.root_dispersion_s,
        reply.precision_s(),
        request.own_precision_s,
        arrival.t4.seconds_since(exchange.t1),
    );
    Measure { offset_s: exchange.offset_s(), delay_s, root_distance_s: distance.total_s() }
}

/// Whether the wall clock was stepped relative to the monotonic clock between `from` and `to`.
#[must_use]
pub fn clock_was_stepped(from: Stamp, to: Stamp) -> bool {
    let wall_ns = to.wall_ns.saturating_sub(from.wall_ns);
    let mono_ns = to.mono_ns.saturating_sub(from.mono_ns);
    let allowed_ns = STEP_TOLERANCE_NS + mono_ns.unsigned_abs() / STEP_SLEW_DIVISOR;
    wall_ns.saturating_sub(mono_ns).unsigned_abs() > allowed_ns
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
