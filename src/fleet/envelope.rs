//! The message that carries samples: Protocol Buffers, whose fields are never renumbered. Readers of other releases
//! skip fields that they do not know; a message with an unknown value of an enumeration is rejected.
//!
//! A message carries consecutive samples of one vantage. `incarnation` is random and new at each start of an agent.
//! Together with the number of a sample it identifies the sample permanently, so a repeated message changes nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use prost::Message;

use crate::store::Received;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// The version of the format. A reader refuses greater ones.
const VERSION: u32 = 1;
/// Largest message that an agent sends, in bytes. The stream and [`decode`] accept up to 128 KiB.
pub const MAX_BYTES: usize = 96 << 10;
/// Largest number of samples in one message.
pub const MAX_SAMPLES: usize = 500;
/// Largest number of server names in one message.
const MAX_SERVERS: usize = MAX_SAMPLES;
/// Longest server name, and longest reason of an outcome, in bytes.
const MAX_TEXT: usize = 512;
/// Largest sequence number and count, which SQLite can store.
const MAX_SEQUENCE: u64 = i64::MAX as u64 / 2;

/// Longest time that a sample may state, in seconds; no field of NTP reaches it. Sums of greater numbers could overflow.
const MAX_S: f64 = 1e10;

/// The message as it is on the wire.
#[derive(Clone, PartialEq, Message)]
pub struct Envelope {
    #[prost(uint32, tag = "1")]
    pub v: u32,
    /// The vantage that measured. A hub takes the name from the subject and refuses a message in which they differ.
    #[prost(string, tag = "2")]
    pub vantage: String,
    /// 32 hexadecimal digits.
    #[prost(string, tag = "3")]
    pub incarnation: String,
    /// The number of the first sample; the others follow it without a gap.
    #[prost(uint64, tag = "4")]
    pub first_seq: u64,
    #[prost(sint64, tag = "5")]
    pub base_ns: i64,
    #[prost(sint64, tag = "6")]
    pub base_mono_ns: i64,
    /// How many samples directly before `first_seq` the agent dropped because its journal was full or they were too
    /// old.
    #[prost(uint64, tag = "7")]
    pub lost_before: u64,
    #[prost(message, repeated, tag = "8")]
    pub servers: Vec<Server>,
    #[prost(message, repeated, tag = "9")]
    pub samples: Vec<Row>,
}

/// A series: the configured name of a server and the address that was polled.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Server {
    #[prost(string, tag = "1")]
    pub name: String,
    /// `192.0.2.1:123`; empty when no address was known.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// One poll. Times are differences to the base of the message.
#[derive(Clone, PartialEq, Message)]
pub struct Row {
    /// Index in `servers`.
    #[prost(uint32, tag = "1")]
    pub server: u32,
    #[prost(sint64, tag = "2")]
    pub wall_ns: i64,
    #[prost(sint64, tag = "3")]
    pub mono_ns: i64,
    /// The absolute value, not a difference.
    #[prost(sfixed64, tag = "4")]
    pub raw_ns: i64,
    #[prost(sint64, tag = "5")]
    pub boot_ns: i64,
    /// The label of the outcome; empty for `sample`, the most frequent one.
    #[prost(string, tag = "6")]
    pub outcome: String,
    #[prost(string, tag = "7")]
    pub reason: String,
    #[prost(double, tag = "8")]
    pub poll_s: f64,
    #[prost(uint32, tag = "9")]
    pub sent: u32,
    #[prost(uint32, tag = "10")]
    pub lost: u32,
    #[prost(message, optional, tag = "11")]
    pub measure: Option<Numbers>,
    #[prost(message, optional, tag = "12")]
    pub reply: Option<Header>,
    /// 1 kernel, 2 kernel-rx, 3 userland; 0 if no timestamp was taken.
    #[prost(uint32, tag = "13")]
    pub timestamping: u32,
    /// 0 none, 1 NTS.
    #[prost(uint32, tag = "14")]
    pub authentication: u32,
    /// 0 basic, 1 interleaved.
    #[prost(uint32, tag = "15")]
    pub mode: u32,
}

/// The measured values, in seconds.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Numbers {
    #[prost(double, tag = "1")]
    pub offset_s: f64,
    #[prost(double, tag = "2")]
    pub delay_s: f64,
    #[prost(double, tag = "3")]
    pub root_distance_s: f64,
}

/// The header fields of the server's reply.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Header {
    #[prost(uint32, tag = "1")]
    pub stratum: u32,
    #[prost(uint32, tag = "2")]
    pub leap: u32,
    #[prost(fixed32, tag = "3")]
    pub refid: u32,
    #[prost(sint32, tag = "4")]
    pub precision_log2: i32,
    #[prost(double, tag = "5")]
    pub root_delay_s: f64,
    #[prost(double, tag = "6")]
    pub root_dispersion_s: f64,
    #[prost(double, optional, tag = "7")]
    pub reference_age_s: Option<f64>,
}

/// Why a message is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Junk {
    #[error("is not a message of ntp-monitor")]
    Malformed,
    #[error("has version {0} of the format, and this release reads up to {VERSION}; upgrade the hub first")]
    Version(u32),
    #[error("says that it comes from another vantage than its subject")]
    Vantage,
    #[error("has {0} samples, server names or bytes, more than the format allows")]
    TooLarge(usize),
    #[error("has a value that cannot be: {0}")]
    Value(&'static str),
}

/// The fields at the beginning of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    pub vantage: &'a str,
    pub incarnation: &'a str,
    pub first_seq: u64,
    pub lost_before: u64,
}

/// Joins consecutive messages of one incarnation, under the name of `vantage`. `None` if one of them cannot be decoded.
#[must_use]
pub fn join(vantage: &str, lost_before: u64, bodies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut all: Option<Envelope> = None;
    for body in bodies {
        let next = Envelope::decode(*body).ok()?;
        match &mut all {
            None => all = Some(next),
            Some(all) => append(all, next),
        }
    }
    let all = all?;
    Some(Envelope { vantage: vantage.to_owned(), lost_before, ..all }.encode_to_vec())
}

fn append(all: &mut Envelope, next: Envelope) {
    let mut known: HashMap<Server, u32> = all.servers.iter().cloned().zip(0..).collect();
    let servers = &mut all.servers;
    let places: Vec<u32> = next
        .servers
        .into_iter()
        .map(|server| {
            *known.entry(server).or_insert_with_key(|server| {
                servers.push(server.clone());
                servers.len() as u32 - 1
            })
        })
        .collect();
    let (wall_ns, mono_ns) = (next.base_ns.wrapping_sub(all.base_ns), next.base_mono_ns.wrapping_sub(all.base_mono_ns));
    all.samples.extend(next.samples.into_iter().map(|row| Row {
        server: places.get(row.server as usize).copied().unwrap_or(u32::MAX),
        wall_ns: row.wall_ns.wrapping_add(wall_ns),
        mono_ns: row.mono_ns.wrapping_add(mono_ns),
        ..row
    }));
}

/// Encodes consecutive samples.
#[must_use]
pub fn encode<'a>(head: Head<'_>, samples: impl IntoIterator<Item = &'a Sample>) -> Vec<u8> {
    let mut envelope = Envelope {
        v: VERSION,
        vantage: head.vantage.to_owned(),
        incarnation: head.incarnation.to_owned(),
        first_seq: head.first_seq,
        lost_before: head.lost_before,
        ..Envelope::default()
    };
    let mut known = HashMap::new();
    for sample in samples {
        if envelope.samples.is_empty() {
            (envelope.base_ns, envelope.base_mono_ns) = (sample.at.wall_ns, sample.at.mono_ns);
        }
        let servers = &mut envelope.servers;
        let index = *known.entry((Arc::clone(&sample.server.name), sample.address)).or_insert_with(|| {
            let address = sample.address.map(|address| address.to_string()).unwrap_or_default();
            servers.push(Server { name: sample.server.name.to_string(), address });
            servers.len() as u32 - 1
        });
        let row = row(sample, index, envelope.base_ns, envelope.base_mono_ns);
        envelope.samples.push(row);
    }
    envelope.encode_to_vec()
}

fn row(sample: &Sample, server: u32, base_ns: i64, base_mono_ns: i64) -> Row {
    let label = sample.outcome.label();
    Row {
        server,
        wall_ns: sample.at.wall_ns.wrapping_sub(base_ns),
        mono_ns: sample.at.mono_ns.wrapping_sub(base_mono_ns),
        raw_ns: sample.at.raw_ns,
        boot_ns: sample.at.boot_ns,
        outcome: if label == Outcome::Sample.label() { String::new() } else { label.to_owned() },
        reason: cut(&sample.outcome.reason()).to_owned(),
        poll_s: sample.poll_s,
        sent: sample.sent.into(),
        lost: sample.lost.into(),
        measure: sample.measure.map(|Measure { offset_s, delay_s, root_distance_s }| Numbers {
            offset_s,
            delay_s,
            root_distance_s,
        }),
        reply: sample.reply.map(|reply| Header {
            stratum: reply.stratum.into(),
            leap: reply.leap.bits().into(),
            refid: u32::from_be_bytes(reply.refid.0),
            precision_log2: reply.precision_log2.into(),
            root_delay_s: reply.root_delay_s,
            root_dispersion_s: reply.root_dispersion_s,
            reference_age_s: reply.reference_age_s,
        }),
        timestamping: sample.timestamping.map_or(0, |way| match way {
            Timestamping::Kernel => 1,
            Timestamping::KernelRx => 2,
            Timestamping::Userland => 3,
        }),
        authentication: (sample.authentication == Authentication::Nts).into(),
        mode: (sample.mode == Mode::Interleaved).into(),
    }
}

/// The beginning of `text`, at most [`MAX_TEXT`] bytes.
fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Decodes a message that arrived under the subject of `vantage`.
///
/// # Errors
/// Why the whole message is rejected.
pub fn decode(vantage: &str, bytes: &[u8]) -> Result<Received, Junk> {
    if bytes.len() > 128 << 10 {
        return Err(Junk::TooLarge(bytes.len()));
    }
    let envelope = Envelope::decode(bytes).map_err(|_| Junk::Malformed)?;
    match envelope.v {
        0 => return Err(Junk::Malformed),
        1..=VERSION => {}
        newer => return Err(Junk::Version(newer)),
    }
    if envelope.vantage != vantage {
        return Err(Junk::Vantage);
    }
    let most = envelope.samples.len().max(envelope.servers.len());
    if envelope.samples.len() > MAX_SAMPLES || envelope.servers.len() > MAX_SERVERS {
        return Err(Junk::TooLarge(most));
    }
    let is_hex = envelope.incarnation.len() == 32 && envelope.incarnation.bytes().all(|b| b.is_ascii_hexdigit());
    check(is_hex, "the incarnation")?;
    let is_countable = envelope.first_seq <= MAX_SEQUENCE && envelope.lost_before <= envelope.first_seq;
    check(is_countable, "the number of the first sample")?;
    let servers: Vec<_> = envelope.servers.iter().map(|server| series(vantage, server)).collect::<Result<_, _>>()?;
    let base = (envelope.base_ns, envelope.base_mono_ns);
    let samples = envelope.samples.iter().map(|row| sample(row, &servers, base).map(Arc::new));
    Ok(Received {
        vantage: vantage.into(),
        incarnation: envelope.incarnation.to_ascii_lowercase().into(),
        first_seq: envelope.first_seq,
        lost_before: envelope.lost_before,
        samples: samples.collect::<Result<_, _>>()?,
    })
}

fn check(holds: bool, what: &'static str) -> Result<(), Junk> {
    if holds { Ok(()) } else { Err(Junk::Value(what)) }
}

fn series(vantage: &str, server: &Server) -> Result<(Arc<ServerIdent>, Option<SocketAddr>), Junk> {
    let is_plain = (1..=MAX_TEXT).contains(&server.name.len()) && !server.name.chars().any(char::is_control);
    check(is_plain, "the name of a server")?;
    let address = match server.address.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Junk::Value("the address of a server"))?),
    };
    Ok((ServerIdent::seen_from(vantage, &server.name), address))
}

fn sample(row: &Row, servers: &[(Arc<ServerIdent>, Option<SocketAddr>)], base: (i64, i64)) -> Result<Sample, Junk> {
    let (server, address) = servers.get(row.server as usize).ok_or(Junk::Value("the index of a server"))?;
    check(row.reason.len() <= MAX_TEXT, "the reason of an outcome")?;
    let label = if row.outcome.is_empty() { Outcome::Sample.label() } else { &row.outcome };
    let outcome = Outcome::parse(label, &row.reason).ok_or(Junk::Value("an outcome"))?;
    let measure = row.measure.map(measure).transpose()?;
    check(measure.is_some() == outcome.is_success(), "a sample without an offset, or an offset without a sample")?;
    check(row.poll_s.is_finite() && (0.0..1e9).contains(&row.poll_s), "a poll interval")?;
    let (Some(wall_ns), Some(mono_ns)) = (base.0.checked_add(row.wall_ns), base.1.checked_add(row.mono_ns)) else {
        return Err(Junk::Value("a time"));
    };
    let counts = (u16::try_from(row.sent), u16::try_from(row.lost));
    let (Ok(sent), Ok(lost)) = counts else { return Err(Junk::Value("a number of requests")) };
    Ok(Sample {
        at: Stamp { wall_ns, mono_ns, raw_ns: row.raw_ns, boot_ns: row.boot_ns },
        address: *address,
        outcome,
        reply: row.reply.map(reply).transpose()?,
        measure,
        timestamping: match row.timestamping {
            0 => None,
            1 => Some(Timestamping::Kernel),
            2 => Some(Timestamping::KernelRx),
            3 => Some(Timestamping::Userland),
            _ => return Err(Junk::Value("a kind of timestamps")),
        },
        authentication: match row.authentication {
            0 => Authentication::None,
            1 => Authentication::Nts,
            _ => return Err(Junk::Value("a kind of authentication")),
        },
        mode: match row.mode {
            0 => Mode::Basic,
            1 => Mode::Interleaved,
            _ => return Err(Junk::Value("a mode")),
        },
        sent,
        lost,
        ..Sample::unasked(Stamp::default(), Arc::clone(server), Outcome::Timeout, row.poll_s)
    })
}

fn measure(numbers: Numbers) -> Result<Measure, Junk> {
    let Numbers { offset_s, delay_s, root_distance_s } = numbers;
    let is_length = |value: f64| (0.0..=MAX_S).contains(&value);
    let is_sound = is_length(offset_s.abs()) && is_length(delay_s) && is_length(root_distance_s);
    check(is_sound, "an offset, delay or distance")?;
    Ok(Measure { offset_s, delay_s, root_distance_s })
}

fn reply(header: Header) -> Result<Reply, Junk> {
    let is_length = |value: f64| value.is_nan() || (0.0..=MAX_S).contains(&value);
    check(is_length(header.root_delay_s) && is_length(header.root_dispersion_s), "a root delay or dispersion")?;
    check(header.reference_age_s.is_none_or(|age| age.abs() <= MAX_S), "the age of a reference")?;
    let parts = (u8::try_from(header.stratum), u8::try_from(header.leap), i8::try_from(header.precision_log2));
    let (Ok(stratum), Ok(leap @ 0..=3), Ok(precision_log2)) = parts else {
        return Err(Junk::Value("a stratum, leap indicator or precision"));
    };
    Ok(Reply {
        stratum,
        leap: Leap::from_bits(leap),
        refid: RefId(header.refid.to_be_bytes()),
        precision_log2,
        root_delay_s: header.root_delay_s,
        root_dispersion_s: header.root_dispersion_s,
        reference_age_s: header.reference_age_s,
    })
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
