//! How a server was authenticated in a period.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::span::Span;
use crate::store::read::Reader;
use crate::store::{NtsHour, StoreError};
use ntp_monitor_core::nts::{Certificate, FULL_STOCK};
use ntp_monitor_core::sample::{Authentication, Sample};

/// How a server with NTS was authenticated in a period. Key exchanges are recorded by the hour, so the hours at both ends of
/// the period count whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NtsSurvey {
    /// Polls whose samples are in the store.
    pub polls: u64,
    /// Those among them that brought an authenticated offset.
    pub authenticated: u64,
    /// The share of these; `null` without samples in the store.
    pub authenticated_ratio: Option<f64>,
    /// Key exchanges, failed ones among them.
    pub exchanges: u64,
    pub failures: u64,
    /// How long the last key exchange took; it may have been before the period.
    pub exchange_s: Option<f64>,
    /// How long the slowest one of the period took.
    pub longest_exchange_s: Option<f64>,
    /// The fault of the last key exchange; `null` if it succeeded.
    pub fault: Option<String>,
    /// How often the server could not read a cookie.
    pub naks: u64,
    /// Queries that were answered without NTS.
    pub downgrades: u64,
    /// The smallest stock of cookies after a poll; 8 is a full one.
    pub fewest_cookies: Option<u64>,
    /// The length of a cookie in octets.
    pub cookie_octets: Option<u64>,
    /// The negotiated algorithm.
    pub aead: Option<String>,
    /// The certificate of the key-exchange server.
    pub certificate: Option<Certificate>,
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

/// How `server` was authenticated in the part of a period that has passed; `None` if it has no NTS.
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

/// Adds up the hours of all addresses. The state is that of the address with the latest news.
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
        naks: sum(|hour| hour.naks),
        downgrades: sum(|hour| hour.downgrades),
        fewest_cookies: fewest,
        cookie_octets: last.and_then(|hour| hour.cookie_octets),
        aead: last.and_then(|hour| hour.aead.clone()),
        days_left: certificate.as_ref().map(|it| it.left_s(end) / 86_400.0),
        certificate,
    }
}
