use rusqlite::Connection;

use super::*;
use crate::store::schema;
use ntp_monitor_core::alert::notification::{Instance, Severity, Status};
use ntp_monitor_core::alert::rule::RuleSummary;

fn store() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, 0).unwrap();
    conn
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(s).unwrap()
}

fn past(ended_at: Option<Timestamp>) -> Past {
    Past {
        alert: "high-offset".to_owned(),
        severity: Severity::Warning,
        server: Some("a".to_owned()),
        value: Some(61.5),
        summary: "a is off".to_owned(),
        started_at: at(100),
        fired_at: at(700),
        ended_at,
        end: None,
        held_by: None,
    }
}

fn notification() -> Notification {
    let instance = Instance {
        server: Some("a".to_owned()),
        value: None,
        labels: [].into(),
        summary: "a is off".to_owned(),
        started_at: at(100),
        ended_at: None,
    };
    Notification {
        key: "high-offset-firing-1".to_owned(),
        status: Status::Firing,
        reminder: false,
        alert: "high-offset".to_owned(),
        severity: Severity::Warning,
        summary: "a is off".to_owned(),
        description: String::new(),
        runbook_url: None,
        vantage: "here".to_owned(),
        url: None,
        fleet: None,
        alerts: vec![instance],
    }
}

fn count(conn: &Connection, table: &str) -> i64 {
    conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn step_recorded_twice_is_stored_once() {
    let conn = store();
    let notifications = vec![("ops".to_owned(), notification()), ("chat".to_owned(), notification())];
    let record = AlertRecord { history: vec![past(None)], notifications, ..AlertRecord::default() };
    let command = AlertCommand::Record(Box::new(record));
    for _ in 0..2 {
        apply(&conn, &command, 5).unwrap();
    }
    assert_eq!((count(&conn, "alert_history"), count(&conn, "notification")), (1, 2));
    let over = AlertRecord { history: vec![past(Some(at(900)))], ..AlertRecord::default() };
    apply(&conn, &AlertCommand::Record(Box::new(over)), 6).unwrap();
    assert_eq!(count(&conn, "alert_history WHERE ended_ns = 900000000000"), 1);
}

#[test]
fn step_is_recorded_completely_or_not_at_all() {
    let mut conn = store();
    conn.execute_batch("DROP TABLE notification").unwrap();
    let memo = Memo { alert: "high-offset".to_owned(), target: "a".to_owned(), saved: Some(saved()) };
    let notifications = vec![("ops".to_owned(), notification())];
    let record = AlertRecord { memos: vec![memo], history: vec![past(None)], notifications };
    let tx = conn.transaction().unwrap();
    assert!(apply(&tx, &AlertCommand::Record(Box::new(record)), 5).is_err());
    drop(tx);
    assert_eq!((count(&conn, "alert_state"), count(&conn, "alert_history")), (0, 0));
}

fn saved() -> Saved {
    Saved {
        alert: "high-offset".to_owned(),
        target: "a".to_owned(),
        started_at: at(100),
        fired_at: at(700),
        ended_at: None,
        told_at: Some(at(730)),
        value: Some(61.5),
        summary: "a is off".to_owned(),
        description: String::new(),
        labels: [].into(),
        rule: RuleSummary::default(),
        held_by: None,
        vantage: String::new(),
    }
}

#[test]
fn silence_can_be_ended_once() {
    let conn = store();
    let silence = Silence {
        id: 0,
        alert: None,
        servers: vec!["a".to_owned()],
        comment: "moving".to_owned(),
        created_by: "me".to_owned(),
        starts_at: at(100),
        ends_at: at(1000),
    };
    let id = apply(&conn, &AlertCommand::AddSilence(Box::new(silence.clone())), 100).unwrap();
    let of = |s: i64| silences(&conn, s * 1_000_000_000).unwrap();
    assert_eq!(of(999), [Silence { id, ..silence.clone() }]);
    assert!(of(1000).is_empty());
    assert_eq!(apply(&conn, &AlertCommand::EndSilence { id, now: at(500) }, 0).unwrap(), id);
    assert_eq!(apply(&conn, &AlertCommand::EndSilence { id, now: at(501) }, 0).unwrap(), 0);
    assert!(of(500).is_empty());
    assert_ne!(apply(&conn, &AlertCommand::AddSilence(Box::new(silence)), 0).unwrap(), id);
}
