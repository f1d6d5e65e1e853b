//! Encodes many samples as one value: each field is a column, encoded as differences ([`ints`], [`floats`]), with a
//! checksum over all. Pure: bytes and records, no database. Every record is restored bit for bit.
//!
//! A block holds samples of one series. A page of the journal holds those of many, so its column of series is not
//! empty.

mod columns;
mod floats;
mod ints;

use std::fmt;
use std::ops::RangeInclusive;

use flate2::Crc;

use self::columns::{Columns, Reading};
use self::ints::{put_varint, take, take_varint};
use super::codes;
use super::record::Record;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{CheckRow, Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply};

/// The first byte. Each layout has its own number.
const LAYOUT: u8 = 1;
/// The most records of one value.
pub(super) const MOST_RECORDS: usize = 1 << 16;

// Bits that say which optional parts a record has.
const MEASURE: i64 = 1;
const REPLY: i64 = 2;
const AGE: i64 = 4;
const CHECKS: i64 = 8;
const WAY: i64 = 16;
const REASON: i64 = 32;

/// The bytes are not what [`encode`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes differ from what was written")
    }
}

/// Encodes at most [`MOST_RECORDS`] records.
pub(super) fn encode(records: &[Record]) -> Vec<u8> {
    let mut columns = Columns::default();
    columns.ints(records.iter().map(|r| r.series_id));
    columns.ints(records.iter().map(|r| r.at.wall_ns));
    columns.ints(records.iter().map(|r| r.at.wall_ns.wrapping_sub(r.at.mono_ns)));
    columns.ints(records.iter().map(|r| r.at.raw_ns));
    columns.ints(records.iter().map(|r| r.at.boot_ns));
    columns.ints(records.iter().map(|r| codes::of_outcome(&r.outcome) as i64));
    columns.ints(records.iter().map(parts));
    columns.floats(records.iter().map(|r| r.poll_s));
    columns.ints(records.iter().map(|r| i64::from(r.sent)));
    columns.ints(records.iter().map(|r| i64::from(r.lost)));
    columns.ints(records.iter().map(|r| codes::of_authentication(r.authentication)));
    columns.ints(records.iter().map(|r| codes::of_mode(r.mode)));
    columns.ints(records.iter().filter_map(|r| r.timestamping.map(codes::of_way)));

    let replies = || records.iter().filter_map(|r| r.reply);
    columns.ints(replies().map(|reply| i64::from(reply.stratum)));
    columns.ints(replies().map(|reply| i64::from(reply.leap.bits())));
    columns.ints(replies().map(|reply| i64::from(u32::from_be_bytes(reply.refid.0))));
    columns.ints(replies().map(|reply| i64::from(reply.precision_log2)));
    columns.floats(replies().map(|reply| reply.root_delay_s));
    columns.floats(replies().map(|reply| reply.root_dispersion_s));
    let aged = || records.iter().filter(|r| r.reply.is_some_and(|reply| reply.reference_age_s.is_some()));
    columns.ages(&aged().filter_map(|r| r.reply?.reference_age_s).collect::<Vec<_>>(), aged().map(|r| r.at.wall_ns));

    let measures = || records.iter().filter_map(|r| r.measure);
    columns.floats(measures().map(|m| m.offset_s));
    columns.floats(measures().map(|m| m.delay_s));
    let measured = records.iter().filter_map(|r| Some(expected_distance_s(r.measure?.delay_s, r.reply)));
    columns.near(&measures().map(|m| m.root_distance_s).collect::<Vec<_>>(), measured);

    let checks = || records.iter().filter_map(|r| r.checks.map(CheckRow::to_bits));
    columns.ints(checks().map(|(made, _)| i64::from(made)));
    columns.ints(checks().map(|(_, failed)| i64::from(failed)));
    columns.texts(records.iter().map(|r| r.outcome.reason()).filter(|reason| !reason.is_empty()));
    seal(records.len(), columns)
}

fn seal(count: usize, columns: Columns) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    put_varint(&mut bytes, count as u64);
    columns.finish(&mut bytes);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// Decodes what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Record>, Damaged> {
    decode_if_of(bytes, &(i64::MIN..=i64::MAX))
}

/// As [`decode`], but returns no records if none belongs to one of the series `ids`; that takes a fraction of the time.
pub(super) fn decode_if_of(bytes: &[u8], ids: &RangeInclusive<i64>) -> Result<Vec<Record>, Damaged> {
    let (content, sum) = bytes.split_last_chunk().ok_or(Damaged)?;
    if checksum(content) != *sum {
        return Err(Damaged);
    }
    read(content, ids).ok_or(Damaged)
}

fn read(mut rest: &[u8], ids: &RangeInclusive<i64>) -> Option<Vec<Record>> {
    if take(&mut rest, 1)? != [LAYOUT] {
        return None;
    }
    let count = usize::try_from(take_varint(&mut rest)?).ok().filter(|count| *count <= MOST_RECORDS)?;
    let mut columns = Reading::begin(&mut rest)?;
    let series = columns.ints(count)?;
    if !series.iter().any(|id| ids.contains(id)) {
        return Some(Vec::new());
    }
    let walls = columns.ints(count)?;
    let starts = columns.ints(count)?;
    let (raws, boots) = (columns.ints(count)?, columns.ints(count)?);
    let (outcomes, parts) = (columns.ints(count)?, columns.ints(count)?);
    let polls = columns.floats(count)?;
    let (sent, lost) = (columns.ints(count)?, columns.ints(count)?);
    let (authentications, modes) = (columns.ints(count)?, columns.ints(count)?);
    let with = |part: i64| parts.iter().filter(|has| **has & part != 0).count();
    let mut ways = columns.ints(with(WAY))?.into_iter();
    let mut replies = read_replies(&mut columns, &parts, &walls)?.into_iter();
    let mut measures = read_measures(&mut columns, &parts, replies.as_slice())?.into_iter();
    let made = columns.ints(with(CHECKS))?;
    let mut checks = made.into_iter().zip(columns.ints(with(CHECKS))?);
    let mut texts = columns.texts(with(REASON))?.into_iter();
    let mut records = Vec::with_capacity(count);
    for n in 0..count {
        let has = |part: i64| parts[n] & part != 0;
        let reason = if has(REASON) { texts.next()? } else { String::new() };
        let label = *Outcome::LABELS.get(usize::try_from(outcomes[n]).ok()?)?;
        records.push(Record {
            series_id: series[n],
            at: Stamp {
                wall_ns: walls[n],
                mono_ns: walls[n].wrapping_sub(starts[n]),
                raw_ns: raws[n],
                boot_ns: boots[n],
            },
            outcome: Outcome::parse(label, &reason)?,
            reply: if has(REPLY) { Some(replies.next()?) } else { None },
            measure: if has(MEASURE) { Some(measures.next()?) } else { None },
            poll_s: polls[n],
            timestamping: if has(WAY) { Some(codes::way(ways.next()?)?) } else { None },
            authentication: codes::authentication(authentications[n])?,
            mode: codes::mode(modes[n])?,
            sent: u16::try_from(sent[n]).ok()?,
            lost: u16::try_from(lost[n]).ok()?,
            checks: if has(CHECKS) { Some(check_row(checks.next()?)?) } else { None },
        });
    }
    Some(records)
}

fn check_row((made, failed): (i64, i64)) -> Option<CheckRow> {
    Some(CheckRow::from_bits(u32::try_from(made).ok()?, u32::try_from(failed).ok()?))
}

fn read_replies(columns: &mut Reading<'_, '_>, parts: &[i64], walls: &[i64]) -> Option<Vec<Reply>> {
    let with: Vec<usize> = (0..parts.len()).filter(|n| parts[*n] & REPLY != 0).collect();
    let count = with.len();
    let (stratum, leap) = (columns.ints(count)?, columns.ints(count)?);
    let (refid, precision) = (columns.ints(count)?, columns.ints(count)?);
    let (root_delay_s, root_dispersion_s) = (columns.floats(count)?, columns.floats(count)?);
    let aged = with.iter().filter(|n| parts[**n] & AGE != 0).map(|n| walls[*n]);
    let mut ages = columns.ages(&aged.collect::<Vec<_>>())?.into_iter();
    let one = |(k, n): (usize, &usize)| {
        Some(Reply {
            stratum: u8::try_from(stratum[k]).ok()?,
            leap: Leap::from_bits(u8::try_from(leap[k]).ok()?),
            refid: RefId(u32::try_from(refid[k]).ok()?.to_be_bytes()),
            precision_log2: i8::try_from(precision[k]).ok()?,
            root_delay_s: root_delay_s[k],
            root_dispersion_s: root_dispersion_s[k],
            reference_age_s: if parts[*n] & AGE != 0 { Some(ages.next()?) } else { None },
        })
    };
    with.iter().enumerate().map(one).collect()
}

fn read_measures(columns: &mut Reading<'_, '_>, parts: &[i64], replies: &[Reply]) -> Option<Vec<Measure>> {
    let mut replies = replies.iter();
    let mut of_measures = Vec::new();
    for has in parts {
        let reply = if has & REPLY != 0 { Some(*replies.next()?) } else { None };
        if has & MEASURE != 0 {
            of_measures.push(reply);
        }
    }
    let offsets = columns.floats(of_measures.len())?;
    let delays = columns.floats(of_measures.len())?;
    let expected = delays.iter().zip(of_measures).map(|(delay_s, reply)| expected_distance_s(*delay_s, reply));
    let distances = columns.near(&expected.collect::<Vec<_>>())?;
    let all = offsets.into_iter().zip(delays).zip(distances);
    Some(all.map(|((offset_s, delay_s), root_distance_s)| Measure { offset_s, delay_s, root_distance_s }).collect())
}

fn parts(record: &Record) -> i64 {
    let age = record.reply.and_then(|reply| reply.reference_age_s);
    [
        (record.measure.is_some(), MEASURE),
        (record.reply.is_some(), REPLY),
        (age.is_some(), AGE),
        (record.checks.is_some(), CHECKS),
        (record.timestamping.is_some(), WAY),
        (!record.outcome.reason().is_empty(), REASON),
    ]
    .into_iter()
    .filter_map(|(is_there, part)| is_there.then_some(part))
    .sum()
}

/// The root distance without the parts that only this host knows: its own precision and the time that the server took.
/// The difference from the measured root distance is nearly the same in all samples.
fn expected_distance_s(delay_s: f64, reply: Option<Reply>) -> f64 {
    let claimed_s = reply.map_or(0.0, |reply| {
        let precision_s = f64::from_bits((1023 + i64::from(reply.precision_log2)).cast_unsigned() << 52);
        reply.root_delay_s / 2.0 + reply.root_dispersion_s + precision_s
    });
    let expected_s = delay_s / 2.0 + claimed_s + 15e-6 * delay_s;
    // The bits of a NaN that was computed depend on the processor.
    if expected_s.is_finite() { expected_s } else { 0.0 }
}

#[cfg(test)]
mod tests;
