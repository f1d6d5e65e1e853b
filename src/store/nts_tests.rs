use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::store::schema;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::nts::{Aead, KeyFault, LastExchange};
use ntp_monitor_core::sample::{Outcome, ServerIdent};

fn store() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, 0).unwrap();
    conn
}

/// A poll at this minute since 1970, with these counters: key exchanges, failed ones, NAKs, plain replies, cookies.
fn poll(minute: i64, [exchanges, failures, naks, downgrades, cookies]: [u64; 5]) -> Sample {
    let at = Stamp::new(minute * 60_000_000_000, 0, 0);
    let fault = (failures > 0).then(|| KeyFault { label: "refused", text: "".into() });
    let took = Duration::from_millis(10 * exchanges);
    let certificate = Certificate {
        subject: "CN=a".into(),
        issuer: "CN=b".into(),
        serial: "7".into(),
        not_before: jiff::Timestamp::UNIX_EPOCH,
        not_after: jiff::Timestamp::from_second(1_000_000).unwrap(),
    };
    let status = Status {
        key_server: "a:4460".into(),
        asked: ([192, 0, 2, 1], 123).into(),
        aead: Some(Aead::AesSivCmac256),
        cookies: cookies as usize,
        cookie_len: Some(100),
        last: Some(LastExchange { at, took, fault, chain: [certificate].into() }),
        exchanges,
        failures,
        failures_in_row: 0,
        naks,
        downgrades,
    };
    let sample = Sample::unasked(at, ServerIdent::named("a"), Outcome::Timeout, 64.0);
    Sample { nts: Some(Arc::new(status)), ..sample }
}

fn note(counters: &mut NtsCounters, conn: &Connection, sample: &Sample) {
    counters.note(conn, 1, sample, true).unwrap();
    counters.settle(true);
}

fn counts(conn: &Connection) -> Vec<[u64; 5]> {
    let row = |it: NtsHour| [it.exchanges, it.failures, it.naks, it.downgrades, it.fewest_cookies];
    of_series(conn, 1, 0, i64::MAX).unwrap().into_iter().map(row).collect()
}

#[test]
fn hours_have_what_happened_in_them_and_quiet_ones_no_row() {
    let (conn, mut counters) = (store(), NtsCounters::default());
    for sample in [
        poll(1, [1, 0, 0, 0, 8]),
        poll(2, [1, 0, 0, 0, 6]),
        poll(3, [1, 0, 0, 0, 8]),
        // The second hour is quiet.
        poll(61, [1, 0, 0, 0, 8]),
        poll(121, [3, 1, 1, 2, 8]),
        poll(122, [3, 1, 1, 2, 8]),
    ] {
        note(&mut counters, &conn, &sample);
    }
    assert_eq!(counts(&conn), [[1, 0, 0, 0, 6], [2, 1, 1, 2, 8]]);
    let last = of_series(&conn, 1, 0, i64::MAX).unwrap().pop().unwrap();
    assert_eq!(
        (last.took_s, last.fault.as_deref(), last.aead.as_deref()),
        (Some(0.03), Some("refused"), Some("AES-SIV-CMAC-256"))
    );
    assert_eq!(&*last.certificate.unwrap().issuer, "CN=b");
}

#[test]
fn hour_keeps_every_fault_that_was_gone_before_its_end() {
    let (conn, mut counters) = (store(), NtsCounters::default());
    let failing = |minute, failures, label| {
        let mut sample = poll(minute, [failures + 1, failures, 0, 0, 8]);
        let mut status = sample.nts.as_deref().unwrap().clone();
        status.last.as_mut().unwrap().fault = Some(KeyFault { label, text: "".into() });
        sample.nts = Some(Arc::new(status));
        sample
    };
    note(&mut counters, &conn, &poll(0, [1, 0, 0, 0, 8]));
    for (minute, label) in [(1, "timeout"), (2, "refused"), (3, "timeout")] {
        note(&mut counters, &conn, &failing(minute, minute as u64, label));
    }
    note(&mut counters, &conn, &poll(4, [5, 0, 0, 0, 8]));
    let hour = of_series(&conn, 1, 0, i64::MAX).unwrap().remove(0);
    assert_eq!((hour.failures, hour.fault, hour.faults), (3, None, vec!["timeout".to_owned(), "refused".to_owned()]));
}

#[test]
fn counters_of_a_new_session_start_from_zero() {
    let (conn, mut counters) = (store(), NtsCounters::default());
    note(&mut counters, &conn, &poll(1, [5, 0, 3, 0, 8]));
    note(&mut counters, &conn, &poll(2, [1, 0, 0, 0, 8]));
    assert_eq!(counts(&conn), [[6, 0, 3, 0, 8]]);
}

#[test]
fn failed_transaction_counts_nothing_and_a_repeated_poll_once() {
    let (conn, mut counters) = (store(), NtsCounters::default());
    let sample = poll(1, [1, 0, 0, 0, 8]);
    conn.execute_batch("BEGIN").unwrap();
    counters.note(&conn, 1, &sample, true).unwrap();
    conn.execute_batch("ROLLBACK").unwrap();
    counters.settle(false);
    assert_eq!(counts(&conn), [[0; 5]; 0]);
    note(&mut counters, &conn, &sample);
    counters.note(&conn, 1, &sample, false).unwrap();
    counters.settle(true);
    assert_eq!(counts(&conn), [[1, 0, 0, 0, 8]]);
}

#[test]
fn span_has_its_hours_and_the_state_before_it() {
    let (conn, mut counters) = (store(), NtsCounters::default());
    (0..5).for_each(|hour| note(&mut counters, &conn, &poll(hour * 60, [hour as u64 + 1, 0, 0, 0, 8])));
    let hours = |from: i64, to: i64| {
        let found = of_series(&conn, 1, from * 60_000_000_000, to * 60_000_000_000).unwrap();
        found.into_iter().map(|it| it.from_ns / HOUR_NS).collect::<Vec<_>>()
    };
    assert_eq!(hours(150, 200), [1, 2, 3]);
    assert_eq!(hours(0, 60), [0]);
    assert_eq!(hours(600, 700), [4]);
}
