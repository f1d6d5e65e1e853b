//! How a server was authenticated, as cells of a table and of CSV.

use serde_json::{Value, json};

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
    [
        found.authenticated_ratio.map_or_else(|| NOTHING.to_owned(), percent),
        found.exchanges.to_string(),
        failed(found),
        took(found),
        text(found.aead.as_deref()),
        found.fewest_cookies.map_or_else(|| NOTHING.to_owned(), |count| count.to_string()),
        found.naks.to_string(),
        found.downgrades.to_string(),
        subject(found),
        text(certificate.map(|it| &*it.issuer)),
        found.days_left.map_or_else(|| NOTHING.to_owned(), |days| format!("{days:.1}")),
    ]
}

/// How many key exchanges failed, why, and whether they still fail.
fn failed(found: &NtsSurvey) -> String {
    if found.failures == 0 {
        return "0".to_owned();
    }
    let mut why: Vec<String> = found.faults.keys().cloned().collect();
    why.extend(found.fault.is_none().then(|| "the last one succeeded".to_owned()));
    format!("{} ({})", found.failures, why.join(", "))
}

/// How long the last key exchange took, and the slowest one if that is another.
fn took(found: &NtsSurvey) -> String {
    match (found.exchange_s, found.longest_exchange_s) {
        (None, None) => NOTHING.to_owned(),
        (Some(last), Some(longest)) if longest > last => format!("{}, slowest {}", seconds(last), seconds(longest)),
        (last, longest) => seconds(last.or(longest).unwrap_or_default()),
    }
}

/// The subject of the certificate, and whether the certificate was changed.
fn subject(found: &NtsSurvey) -> String {
    let subject = found.certificate.as_ref().map_or(NOTHING, |it| &*it.subject);
    match found.certificate_changes {
        0 => subject.to_owned(),
        1 => format!("{subject}, changed once"),
        times => format!("{subject}, changed {times} times"),
    }
}

/// The servers with NTS as a table of the HTML page.
#[must_use]
pub fn table(servers: &[(String, [String; 11])]) -> Value {
    let columns: Vec<&str> = ["server"].into_iter().chain(COLUMNS).collect();
    let row = |(name, cells): &(String, [String; 11])| {
        let cells: Vec<&String> = [name].into_iter().chain(cells).collect();
        json!([false, cells])
    };
    json!({
        "title": "Authentication (NTS)",
        "lead": "NTS proves which server answered, not that its clock is right. Days left count from the end of the \
                 period; 8 cookies are a full stock. Key exchanges are counted by whole hours.",
        "columns": columns,
        "rows": servers.iter().map(row).collect::<Value>(),
    })
}

/// The titles of [`csv_cells`].
pub const CSV_COLUMNS: [&str; 17] = [
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
    "nts_faults",
    "nts_longest_exchange_s",
    "nts_certificate_changes",
];

/// One server with NTS, in the order of [`CSV_COLUMNS`]; what is unknown is empty.
#[must_use]
pub fn csv_cells(found: &NtsSurvey) -> [String; 17] {
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
        found.faults.keys().cloned().collect::<Vec<_>>().join(" "),
        shown(found.longest_exchange_s.map(|seconds| seconds.to_string())),
        found.certificate_changes.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn cells_name_reasons_the_slowest_and_changes() {
        let mut found = NtsSurvey {
            polls: 0,
            authenticated: 0,
            authenticated_ratio: None,
            exchanges: 9,
            failures: 3,
            exchange_s: Some(0.012),
            longest_exchange_s: Some(0.35),
            fault: Some("timeout".to_owned()),
            faults: BTreeMap::from([("refused".to_owned(), 1), ("timeout".to_owned(), 1)]),
            naks: 0,
            downgrades: 0,
            fewest_cookies: None,
            cookie_octets: None,
            aead: None,
            certificate: None,
            certificate_changes: 2,
            days_left: None,
        };
        let shown = cells(&found);
        assert_eq!(shown[1..4], ["9", "3 (refused, timeout)", "12.0 ms, slowest 350 ms"]);
        assert!(shown[8].ends_with(", changed 2 times"), "{shown:?}");
        (found.fault, found.longest_exchange_s, found.certificate_changes) = (None, found.exchange_s, 0);
        let shown = cells(&found);
        assert_eq!(shown[2..4], ["3 (refused, timeout, the last one succeeded)", "12.0 ms"]);
        (found.failures, found.faults) = (0, BTreeMap::new());
        assert_eq!(cells(&found)[2], "0");
    }
}
