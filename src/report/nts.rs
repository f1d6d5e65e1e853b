//! How a server was authenticated, as the cells of a table for people and of CSV.

use crate::history::nts::NtsSurvey;
use ntp_monitor_core::text::percent::percent;
use ntp_monitor_core::text::units::{NOTHING, seconds};

/// The titles of [`cells`].
pub const COLUMNS: [&str; 11] = [
    "authenticated polls",
    "key exchanges",
    "failed",
    "took",
    "algorithm",
    "fewest cookies",
    "NAKs",
    "plain replies",
    "certificate",
    "signed by",
    "days left",
];

/// One server with NTS, in the order of [`COLUMNS`].
#[must_use]
pub fn cells(found: &NtsSurvey) -> [String; 11] {
    let text = |value: Option<&str>| value.unwrap_or(NOTHING).to_owned();
    let certificate = found.certificate.as_ref();
    let failed = match &found.fault {
        Some(fault) => format!("{} ({fault})", found.failures),
        None => found.failures.to_string(),
    };
    [
        found.authenticated_ratio.map_or_else(|| NOTHING.to_owned(), percent),
        found.exchanges.to_string(),
        failed,
        found.exchange_s.map_or_else(|| NOTHING.to_owned(), seconds),
        text(found.aead.as_deref()),
        found.fewest_cookies.map_or_else(|| NOTHING.to_owned(), |count| count.to_string()),
        found.naks.to_string(),
        found.downgrades.to_string(),
        text(certificate.map(|it| &*it.subject)),
        text(certificate.map(|it| &*it.issuer)),
        found.days_left.map_or_else(|| NOTHING.to_owned(), |days| format!("{days:.1}")),
    ]
}

/// The titles of [`csv_cells`].
pub const CSV_COLUMNS: [&str; 14] = [
    "nts_authenticated_ratio",
    "nts_exchanges",
    "nts_failures",
    "nts_fault",
    "nts_exchange_s",
    "nts_aead",
    "nts_fewest_cookies",
    "nts_naks",
    "nts_downgrades",
    "nts_subject",
    "nts_issuer",
    "nts_serial",
    "nts_not_after",
    "nts_days_left",
];

/// One server with NTS, in the order of [`CSV_COLUMNS`]; what is unknown is empty.
#[must_use]
pub fn csv_cells(found: &NtsSurvey) -> [String; 14] {
    let shown = |value: Option<String>| value.unwrap_or_default();
    let certificate = found.certificate.as_ref();
    [
        shown(found.authenticated_ratio.map(|ratio| ratio.to_string())),
        found.exchanges.to_string(),
        found.failures.to_string(),
        shown(found.fault.clone()),
        shown(found.exchange_s.map(|seconds| seconds.to_string())),
        shown(found.aead.clone()),
        shown(found.fewest_cookies.map(|count| count.to_string())),
        found.naks.to_string(),
        found.downgrades.to_string(),
        shown(certificate.map(|it| it.subject.to_string())),
        shown(certificate.map(|it| it.issuer.to_string())),
        shown(certificate.map(|it| it.serial.to_string())),
        shown(certificate.map(|it| it.not_after.to_string())),
        shown(found.days_left.map(|days| format!("{days:.2}"))),
    ]
}
