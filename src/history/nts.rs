//! Summarises the NTS authentication of a server in a period.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::span::Span;
use crate::store::read::Reader;
use crate::store::{NtsHour, StoreError};
use ntp_monitor_core::nts::{Certificate, FULL_STOCK};
use ntp_monitor_core::sample::{Authentication, Sample};

/// The authentication of a server with NTS in a period. Key exchanges are recorded by the hour, so the hours at both
/// ends of the period count in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NtsSurvey {
    /// Polls whose samples are in the store.
    pub polls: u64,
    /// Polls with an authenticated offset.
    pub authenticated: u64,
    /// The share of these; `null` without samples in the store.
    pub authenticated_ratio: Option<f64>,
    /// Number of key exchanges, including failed ones.
    pub exchanges: u64,
    pub failures: u64,
    /// How long the last key exchange took; it may have been before the period.
    pub exchange_s: Option<f64>,
    /// How long the slowest key exchange of the period took.
    pub longest_exchange_s: Option<f64>,
    /// The fault of the last key exchange; `null` if it succeeded.
    pub fault: Option<String>,
    /// In how many hours of the period key exchange failed for each reason, by label.
    pub faults: BTreeMap<String, u64>,
    /// How often the server could not read a cookie.
    pub naks: u64,
    /// Queries that were answered without NTS.
    pub downgrades: u64,
    /// The smallest stock of cookies after a poll; 8 is a full stock.
    pub fewest_cookies: Option<u64>,
    /// The length of a cookie in octets.
    pub cookie_octets: Option<u64>,
    /// The negotiated algorithm.
    pub aead: Option<String>,
    /// The certificate of the key-exchange server.
    pub certificate: Option<Certificate>,
    /// How often the certificate at the end of an hour differed from that of the hour before, by serial number.
    pub certificate_changes: u64,
    /// Days from the end of the period to the end of the certificate; negative when it has expired.
    pub days_left: Option<f64>,
}

/// The polls of every server that are authenticated, counted from samples.
#[derive(Debug, Default)]
pub(super) struct Authenticated(BTreeMap<Arc<str>, Polls>);

#[derive(Debug, Clone, Copy, Default)]
struct Polls {
    all: u64,
    authenticated: u64,
}

impl Authenticated {
    pub fn add(&mut self, sample: &Sample) {
        let is_authentic = sample.outcome.is_success() && sample.authentication == Authentication::Nts;
        let polls = match self.0.get_mut(&sample.server.name) {
            Some(polls) => polls,
            None => self.0.entry(Arc::clone(&sample.server.name)).or_default(),
        };
        polls.all += 1;
        polls.authenticated += u64::from(is_authentic);
    }
}

/// The authentication of `server` in the part of a period that has passed; `None` if it has no NTS.
pub(super) fn survey(
    reader: &Reader,
    server: &str,
    past: Span,
    authenticated: &Authenticated,
) -> Result<Option<NtsSurvey>, StoreError> {
    let series = reader.nts_hours(server, past.from_ns, past.to_ns)?;
    let polls = authenticated.0.get(server).copied().unwrap_or_default();
    let is_without = series.iter().all(Vec::is_empty) && polls.authenticated == 0;
    Ok((!is_without).then(|| summary(&series, past, polls)))
}

/// Adds up the hours of all addresses. The state is that of the address with the latest hour.
fn summary(series: &[Vec<NtsHour>], past: Span, polls: Polls) -> NtsSurvey {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let within = || series.iter().flatten().filter(|hour| hour.from_ns.saturating_add(HOUR_NS) > past.from_ns);
    let sum = |count: fn(&NtsHour) -> u64| within().map(count).sum();
    let last = series.iter().filter_map(|hours| hours.last()).max_by_key(|hour| hour.from_ns);
    let certificate = last.and_then(|hour| hour.certificate.clone());
    let end = Timestamp::from_nanosecond(i128::from(past.to_ns)).unwrap_or(Timestamp::MAX);
    // An hour without a row had a full stock.
    let fewest =
        within().map(|hour| hour.fewest_cookies).min().or((polls.authenticated > 0).then_some(FULL_STOCK as u64));
    NtsSurvey {
        polls: polls.all,
        authenticated: polls.authenticated,
        authenticated_ratio: (polls.all > 0).then(|| polls.authenticated as f64 / polls.all as f64),
        exchanges: sum(|hour| hour.exchanges),
        failures: sum(|hour| hour.failures),
        exchange_s: last.and_then(|hour| hour.took_s),
        longest_exchange_s: within().filter_map(|hour| hour.longest_s).reduce(f64::max),
        fault: last.and_then(|hour| hour.fault.clone()),
        faults: faults(within()),
        naks: sum(|hour| hour.naks),
        downgrades: sum(|hour| hour.downgrades),
        fewest_cookies: fewest,
        cookie_octets: last.and_then(|hour| hour.cookie_octets),
        aead: last.and_then(|hour| hour.aead.clone()),
        certificate_changes: series.iter().map(|hours| certificate_changes(hours)).sum(),
        days_left: certificate.as_ref().map(|it| it.left_s(end) / 86_400.0),
        certificate,
    }
}

fn faults<'a>(hours: impl Iterator<Item = &'a NtsHour>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for label in hours.flat_map(|hour| &hour.faults) {
        *counts.entry(label.clone()).or_insert(0) += 1;
    }
    counts
}

/// Counts changes between hours. The first hour may be the last one before the period.
fn certificate_changes(hours: &[NtsHour]) -> u64 {
    let serials: Vec<&str> = hours.iter().filter_map(|hour| Some(&*hour.certificate.as_ref()?.serial)).collect();
    serials.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    fn certificate(serial: &str) -> Option<Certificate> {
        let day = |n: i64| Timestamp::from_second(n * 86_400).unwrap();
        Some(Certificate {
            subject: "CN=a".into(),
            issuer: "CN=ca".into(),
            serial: serial.into(),
            not_before: day(0),
            not_after: day(90),
        })
    }

    fn hour(n: i64, failures: u64, faults: &[&str], serial: &str) -> NtsHour {
        NtsHour {
            from_ns: n * HOUR_NS,
            exchanges: failures + 1,
            failures,
            took_s: Some(0.01),
            longest_s: Some(0.01 * n as f64),
            naks: 0,
            downgrades: 0,
            fewest_cookies: 8,
            cookie_octets: Some(100),
            aead: None,
            fault: None,
            faults: faults.iter().map(|label| (*label).to_owned()).collect(),
            certificate: certificate(serial),
        }
    }

    #[test]
    fn survey_counts_faults_and_certificate_changes() {
        let hours = vec![
            hour(1, 9, &["refused"], "01"),
            hour(2, 2, &["timeout", "reset"], "02"),
            hour(3, 1, &["timeout"], "02"),
            hour(4, 0, &[], "03"),
        ];
        let found = summary(&[hours], Span { from_ns: 2 * HOUR_NS, to_ns: 5 * HOUR_NS }, Polls::default());
        assert_eq!((found.exchanges, found.failures, found.fault, found.certificate_changes), (6, 3, None, 2));
        assert_eq!(
            found.faults,
            BTreeMap::from([("reset".to_owned(), 1), ("timeout".to_owned(), 2)]),
            "the hour before the period is not in it"
        );
        assert_eq!(found.longest_exchange_s, Some(0.04));
    }
}
