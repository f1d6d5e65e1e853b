//! Encodes a sample as a row of the `sample` table, and decodes it. A row contains everything that a CSV line does.

use std::net::SocketAddr;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{CheckRow, Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// The columns that [`decode`] reads, in its order, for a SELECT on `sample`.
pub(super) const COLUMNS: &str = "sample.wall_ns, mono_ns, raw_ns, outcome, reason, timestamping, poll_s, sent, lost, \
     offset_s, delay_s, root_distance_s, stratum, leap, refid, precision_log2, root_delay_s, root_dispersion_s, \
     checks_made, checks_failed, boot_ns, authentication, mode, reference_age_s";

const INSERT: &str = "INSERT INTO sample (series_id, wall_ns, mono_ns, raw_ns, outcome, reason, timestamping, poll_s, \
     sent, lost, offset_s, delay_s, root_distance_s, stratum, leap, refid, precision_log2, root_delay_s, \
     root_dispersion_s, checks_made, checks_failed, boot_ns, authentication, mode, reference_age_s) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
     ?23, ?24, ?25) \
     ON CONFLICT (series_id, wall_ns) DO NOTHING";

/// A sample read from the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSample {
    /// The sample. Its identity has no tags, because they belong to the configuration, and it has no packet evidence,
    /// because that of rejected replies is stored separately.
    pub sample: Sample,
    /// The checks of the accepted reply, or of the last rejected one.
    pub checks: Option<CheckRow>,
}

/// The code of an outcome: its index in [`Outcome::LABELS`], to which labels are only ever appended.
pub(super) fn outcome_index(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Sample => 0,
        Outcome::Timeout => 1,
        Outcome::Refused => 2,
        Outcome::Kiss(_) => 3,
        Outcome::Rejected(_) => 4,
        Outcome::Unsynchronised(_) => 5,
        Outcome::Dns(_) => 6,
        Outcome::Fault(_) => 7,
    }
}

/// The code of a kind of timestamping.
pub(super) fn way_code(way: Timestamping) -> i64 {
    match way {
        Timestamping::Kernel => 0,
        Timestamping::KernelRx => 1,
        Timestamping::Userland => 2,
    }
}

/// The inverse of [`way_code`].
pub(super) fn way_of(code: i64) -> Option<Timestamping> {
    Timestamping::ALL.into_iter().find(|way| way_code(*way) == code)
}

/// The code of a kind of authentication.
fn authentication_code(kind: Authentication) -> i64 {
    match kind {
        Authentication::None => 0,
        Authentication::Nts => 1,
    }
}

/// The code of a mode.
fn mode_code(mode: Mode) -> i64 {
    match mode {
        Mode::Basic => 0,
        Mode::Interleaved => 1,
    }
}

/// Inserts `sample`; returns whether it was new. The same sample twice is one row.
pub(super) fn insert(conn: &Connection, series_id: i64, sample: &Sample) -> rusqlite::Result<bool> {
    let reason = sample.outcome.reason();
    let reply = sample.reply.as_ref();
    let checks = sample.evidence.as_ref().or(sample.rejected.last()).map(|evidence| evidence.checks.to_bits());
    let changed = conn.prepare_cached(INSERT)?.execute(params![
        series_id,
        sample.at.wall_ns,
        sample.at.mono_ns,
        sample.at.raw_ns,
        outcome_index(&sample.outcome) as i64,
        (!reason.is_empty()).then_some(reason),
        sample.timestamping.map(way_code),
        // SQLite converts NaN to NULL, and a rejected row would be retried forever.
        if sample.poll_s.is_finite() { sample.poll_s } else { 0.0 },
        sample.sent,
        sample.lost,
        sample.measure.map(|m| m.offset_s),
        sample.measure.map(|m| m.delay_s),
        sample.measure.map(|m| m.root_distance_s),
        reply.map(|r| r.stratum),
        reply.map(|r| r.leap.bits()),
        reply.map(|r| u32::from_be_bytes(r.refid.0)),
        reply.map(|r| r.precision_log2),
        reply.map(|r| r.root_delay_s),
        reply.map(|r| r.root_dispersion_s),
        checks.map(|(made, _)| made),
        checks.map(|(_, failed)| failed),
        sample.at.boot_ns,
        authentication_code(sample.authentication),
        mode_code(sample.mode),
        sample.reference_age_s(),
    ])?;
    Ok(changed > 0)
}

/// Decodes a row of [`COLUMNS`] for the series of `server` at `address`.
pub(super) fn decode(
    row: &Row<'_>,
    server: &Arc<ServerIdent>,
    address: Option<SocketAddr>,
) -> rusqlite::Result<StoredSample> {
    let checks = match (row.get::<_, Option<u32>>(18)?, row.get::<_, Option<u32>>(19)?) {
        (Some(made), Some(failed)) => Some(CheckRow::from_bits(made, failed)),
        _ => None,
    };
    let sample = Sample {
        at: Stamp { wall_ns: row.get(0)?, mono_ns: row.get(1)?, raw_ns: row.get(2)?, boot_ns: row.get(20)? },
        server: Arc::clone(server),
        address,
        outcome: decode_outcome(row)?,
        reply: decode_reply(row)?,
        measure: decode_measure(row)?,
        poll_s: row.get(6)?,
        timestamping: row.get::<_, Option<i64>>(5)?.and_then(way_of),
        authentication: if row.get::<_, i64>(21)? == 1 { Authentication::Nts } else { Authentication::None },
        mode: if row.get::<_, i64>(22)? == 1 { Mode::Interleaved } else { Mode::Basic },
        sent: row.get(7)?,
        lost: row.get(8)?,
        evidence: None,
        rejected: Vec::new(),
        nts: None,
        rejected_count: 0,
    };
    Ok(StoredSample { sample, checks })
}

fn decode_outcome(row: &Row<'_>) -> rusqlite::Result<Outcome> {
    let code: usize = row.get::<_, u8>(3)?.into();
    let reason = row.get_ref(4)?.as_str_or_null()?.unwrap_or_default();
    let label = Outcome::LABELS.get(code).copied().unwrap_or_default();
    Outcome::parse(label, reason).ok_or_else(|| {
        let why = format!("outcome {code} with the reason {reason:?} is unknown");
        rusqlite::Error::FromSqlConversionFailure(3, Type::Integer, why.into())
    })
}

fn decode_measure(row: &Row<'_>) -> rusqlite::Result<Option<Measure>> {
    let parts = (row.get(9)?, row.get(10)?, row.get(11)?);
    Ok(match parts {
        (Some(offset_s), Some(delay_s), Some(root_distance_s)) => Some(Measure { offset_s, delay_s, root_distance_s }),
        _ => None,
    })
}

fn decode_reply(row: &Row<'_>) -> rusqlite::Result<Option<Reply>> {
    let Some(stratum) = row.get(12)? else { return Ok(None) };
    Ok(Some(Reply {
        stratum,
        leap: Leap::from_bits(row.get(13)?),
        refid: RefId(row.get::<_, u32>(14)?.to_be_bytes()),
        precision_log2: row.get(15)?,
        root_delay_s: row.get::<_, Option<f64>>(16)?.unwrap_or(f64::NAN),
        root_dispersion_s: row.get::<_, Option<f64>>(17)?.unwrap_or(f64::NAN),
        reference_age_s: row.get(23)?,
    }))
}

/// The stored form of an address; empty if there is none.
pub(super) fn address_text(address: Option<SocketAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::ntp::{Check, KissCode};

    #[test]
    fn codes_on_disk_are_stable() {
        let outcomes = [
            Outcome::Sample,
            Outcome::Timeout,
            Outcome::Refused,
            Outcome::Kiss(KissCode::RATE),
            Outcome::Rejected(Check::Origin),
            Outcome::Unsynchronised(None),
            Outcome::Dns("".into()),
            Outcome::Fault("".into()),
        ];
        for (code, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome_index(outcome), code);
            assert_eq!(Outcome::LABELS[code], outcome.label());
        }
        assert_eq!(Timestamping::ALL.map(way_code), [0, 1, 2]);
        assert!(Timestamping::ALL.into_iter().all(|way| way_of(way_code(way)) == Some(way)));
        assert_eq!((Authentication::ALL.map(authentication_code), Mode::ALL.map(mode_code)), ([0, 1], [0, 1]));
    }
}
