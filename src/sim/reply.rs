//! The datagrams of a scripted server. They are written byte by byte, without the parser under test, so that they can
//! have any error.

use std::net::IpAddr;

use rand::{Rng, RngExt};

use super::request::{HEADER_BYTES, Request, TRANSMIT};
use ntp_monitor_core::ntp::{KissCode, Leap, NtpTimestamp, RefId};

/// The mode of a server's reply.
const MODE_SERVER: u8 = 4;

/// The server's description of itself in every reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    pub leap: Leap,
    /// The stratum as sent.
    pub stratum: u8,
    pub refid: RefId,
    /// Precision in log2 seconds.
    pub precision_log2: i8,
    /// Round-trip delay to the reference in seconds, below 65 536.
    pub root_delay_s: f64,
    /// Dispersion to the reference in seconds, below 65 536.
    pub root_dispersion_s: f64,
    /// How long before the request its clock was last set, in whole seconds; `None` for a clock that was never set.
    pub reference_age_s: Option<u32>,
}

/// A healthy primary server.
impl Default for Header {
    fn default() -> Self {
        Self {
            leap: Leap::None,
            stratum: 1,
            refid: RefId(*b"SIM\0"),
            precision_log2: -20,
            root_delay_s: 0.0,
            root_dispersion_s: 0.000_1,
            reference_age_s: Some(8),
        }
    }
}

/// The kind of a reply datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    Good,
    /// A correct reply, except that the origin field does not match the request.
    WrongOrigin,
    /// A correct reply, sent from another port.
    OtherPort,
    /// A correct reply, sent from the polled port of this loopback address.
    OtherAddress(IpAddr),
    /// The first octets of a correct reply, of this number.
    Short(usize),
    /// A correct reply followed by this number of random octets.
    Long(usize),
    /// This number of random octets.
    Garbage(usize),
    /// A reply without receive and transmit time.
    ZeroTimestamps,
    /// A kiss-o'-death that answers the request.
    Kiss(KissCode),
    /// A kiss-o'-death with a wrong origin field, as forged by an attacker who cannot see the requests.
    ForgedKiss(KissCode),
    /// A reply that ends with four zero octets (crypto-NAK), which mean that authentication failed.
    CryptoNak,
    /// A reply that was transmitted a second before its request was received.
    TransmitBeforeReceive,
    /// A reply whose receive time is half a second too early, as if the server had taken that long to answer.
    ReceiveTooEarly,
    /// A reply whose reference time is an hour after its transmit time.
    ReferenceInFuture,
    /// A reply with this mode instead of 4.
    Mode(u8),
    /// A reply with this protocol version instead of the request's.
    Version(u8),
}

/// A datagram before its transmit time is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub datagram: Vec<u8>,
    /// Nanoseconds to add to the transmit time; `None` leaves the field as it is.
    pub transmit_shift_ns: Option<i64>,
}

/// Where a datagram is sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The address and port that were queried.
    Queried,
    /// Another port of the queried address.
    OtherPort,
    /// The queried port of another address, as a server with several addresses does.
    OtherAddress(IpAddr),
}

const SECOND_NS: i64 = 1_000_000_000;

impl ReplyKind {
    /// Where the datagram is sent from.
    pub(super) fn sender(self) -> Sender {
        match self {
            Self::OtherPort => Sender::OtherPort,
            Self::OtherAddress(ip) => Sender::OtherAddress(ip),
            _ => Sender::Queried,
        }
    }

    /// Writes the datagram for a request that the server received at `received`, by its own clock.
    pub(super) fn draft(self, header: &Header, request: &Request, received: NtpTimestamp, rng: &mut impl Rng) -> Draft {
        let mut datagram = proper(header, request, received);
        let mut transmit_shift_ns = Some(0);
        match self {
            Self::Good | Self::OtherPort | Self::OtherAddress(_) => {}
            Self::WrongOrigin => write_wrong_origin(&mut datagram, request),
            Self::Short(length) => datagram.truncate(length),
            Self::Long(extra) => datagram.extend(noise(extra, rng)),
            Self::Garbage(length) => datagram = noise(length, rng).collect(),
            Self::ZeroTimestamps => datagram[32..48].fill(0),
            Self::Kiss(code) | Self::ForgedKiss(code) => write_kiss(&mut datagram, code),
            Self::CryptoNak => datagram.extend([0; 4]),
            Self::TransmitBeforeReceive => transmit_shift_ns = Some(-SECOND_NS),
            Self::ReceiveTooEarly => put_timestamp(&mut datagram, 32, NtpTimestamp(received.0.wrapping_sub(1 << 31))),
            Self::ReferenceInFuture => put_timestamp(&mut datagram, 16, moved(received, 3600)),
            Self::Mode(mode) => datagram[0] = datagram[0] & !0b111 | mode & 0b111,
            Self::Version(version) => datagram[0] = datagram[0] & !0b11_1000 | (version & 0b111) << 3,
        }
        if matches!(self, Self::ForgedKiss(_)) {
            write_wrong_origin(&mut datagram, request);
        }
        let is_stamped = !matches!(self, Self::ZeroTimestamps | Self::Garbage(_)) && datagram.len() >= TRANSMIT.end;
        Draft { datagram, transmit_shift_ns: transmit_shift_ns.filter(|_| is_stamped) }
    }
}

fn proper(header: &Header, request: &Request, received: NtpTimestamp) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[0] = header.leap.bits() << 6 | request.version << 3 | MODE_SERVER;
    bytes[1] = header.stratum;
    bytes[2] = request.poll;
    bytes[3] = header.precision_log2.to_be_bytes()[0];
    bytes[4..8].copy_from_slice(&short_format(header.root_delay_s));
    bytes[8..12].copy_from_slice(&short_format(header.root_dispersion_s));
    bytes[12..16].copy_from_slice(&header.refid.0);
    if let Some(age_s) = header.reference_age_s {
        put_timestamp(&mut bytes, 16, moved(received, -i64::from(age_s)));
    }
    bytes[24..32].copy_from_slice(&request.transmit);
    put_timestamp(&mut bytes, 32, received);
    put_timestamp(&mut bytes, TRANSMIT.start, received);
    bytes
}

fn write_kiss(datagram: &mut [u8], code: KissCode) {
    datagram[0] |= 0b1100_0000;
    datagram[1] = 0;
    let text = code.to_string();
    datagram[12..16].fill(0);
    datagram[12..12 + text.len()].copy_from_slice(text.as_bytes());
}

fn write_wrong_origin(datagram: &mut [u8], request: &Request) {
    let origin = u64::from_be_bytes(request.transmit) ^ 0x5555_5555_5555_5555;
    datagram[24..32].copy_from_slice(&origin.to_be_bytes());
}

fn put_timestamp(datagram: &mut [u8], at: usize, time: NtpTimestamp) {
    datagram[at..at + 8].copy_from_slice(&time.0.to_be_bytes());
}

fn moved(time: NtpTimestamp, by_s: i64) -> NtpTimestamp {
    NtpTimestamp(time.0.wrapping_add_signed(by_s << 32))
}

/// The 16.16 format of RFC 5905 §6, clamped to its range.
fn short_format(seconds: f64) -> [u8; 4] {
    ((seconds * 65_536.0).round().clamp(0.0, f64::from(u32::MAX)) as u32).to_be_bytes()
}

fn noise(length: usize, rng: &mut impl Rng) -> impl Iterator<Item = u8> {
    (0..length).map(|_| rng.random())
}
