use super::*;
use crate::store::schema;
use ntp_monitor_core::alert::notification::{Instance, Severity, Status};

const DAY: i64 = 86_400_000_000_000;
const NOW: i64 = 20_000 * DAY;
const S: i64 = 1_000_000_000;

fn news(key: &str, alert: &str) -> Notification {
    let instance = Instance {
        server: None,
        value: None,
        labels: BTreeMap::new(),
        summary: String::new(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        ended_at: None,
    };
    Notification {
        key: key.to_owned(),
        status: Status::Firing,
        reminder: false,
        alert: alert.to_owned(),
        severity: Severity::Info,
        summary: String::new(),
        description: String::new(),
        runbook_url: None,
        vantage: String::new(),
        url: None,
        fleet: None,
        alerts: vec![instance],
    }
}

struct Kept {
    reader: Reader,
    conn: Connection,
    _dir: tempfile::TempDir,
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let mut conn = Connection::open(&path).unwrap();
    schema::migrate(&mut conn, 0).unwrap();
    Kept { reader: Reader::open(&path).unwrap(), conn, _dir: dir }
}

impl Kept {
    fn put(&self, key: &str, alert: &str) {
        insert(&self.conn, "chat", &news(key, alert), NOW).unwrap();
    }

    fn due(&self, now_ns: i64) -> Option<(i64, String)> {
        let due = self.reader.due_notification("chat", now_ns).unwrap()?;
        Some((due.id, due.notification.unwrap().key))
    }

    fn apply(&self, command: NoticeCommand) {
        apply(&self.conn, command, NOW).unwrap();
    }

    fn waiting(&self) -> u64 {
        count(&self.conn).unwrap().iter().map(|(_, waiting, _)| waiting).sum()
    }
}

#[test]
fn same_notification_is_queued_once_even_after_delivery() {
    let kept = kept();
    kept.put("k", "a");
    kept.put("k", "a");
    assert_eq!(kept.waiting(), 1);
    let (id, _) = kept.due(NOW).unwrap();
    kept.apply(NoticeCommand::Delivered { id, others_at_once: false });
    kept.put("k", "a");
    assert_eq!((kept.waiting(), kept.due(NOW)), (0, None));
    assert_eq!(kept.reader.last_delivery("chat").unwrap(), Some(NOW));
    insert(&kept.conn, "mail", &news("k", "a"), NOW).unwrap();
    assert_eq!(kept.waiting(), 1, "another notifier has a queue of its own");
}

#[test]
fn order_is_kept_within_a_rule_and_rules_do_not_wait() {
    let kept = kept();
    kept.put("firing", "a");
    kept.put("resolved", "a");
    kept.put("other", "b");
    let (id, key) = kept.due(NOW).unwrap();
    assert_eq!(key, "firing");
    kept.apply(NoticeCommand::Failed { id, next_ns: NOW + 60 * S, why: "away".into(), progress: None });
    assert_eq!(kept.due(NOW).unwrap().1, "other");
    assert_eq!(kept.due(NOW + 60 * S).unwrap().1, "firing");
    kept.apply(NoticeCommand::Delivered { id, others_at_once: false });
    assert_eq!(kept.due(NOW).unwrap().1, "resolved");
}

#[test]
fn receiver_that_misses_one_does_not_delay_the_others() {
    let kept = kept();
    kept.put("firing", "a");
    kept.put("resolved", "a");
    kept.put("other", "b");
    let due = || kept.reader.due_notification("chat", NOW).unwrap().unwrap();
    let id = due().id;
    let failed = |next_ns, missing: &str| {
        let progress = Some(format!(r#"{{"taken":["ops"],"missing":{missing}}}"#));
        kept.apply(NoticeCommand::Failed { id, next_ns, why: "full".into(), progress });
    };
    failed(NOW + S, "[]");
    assert_eq!(due().notification.unwrap().key, "other", "what nobody misses keeps the order");
    failed(NOW + S, r#"["boss"]"#);
    let next = due();
    assert_eq!((next.notification.unwrap().key, next.behind), ("resolved".into(), ["boss".to_owned()].into()));
    failed(NOW, r#"["boss"]"#);
    assert_eq!((due().id, due().behind.len()), (id, 0));
    assert!(due().progress.unwrap().contains("ops"));
}

#[test]
fn recovered_receiver_gets_everything_at_once() {
    let kept = kept();
    kept.put("one", "a");
    kept.put("two", "b");
    let (id, _) = kept.due(NOW).unwrap();
    let other = id + 1;
    kept.apply(NoticeCommand::Failed { id: other, next_ns: NOW + 300 * S, why: "away".into(), progress: None });
    kept.apply(NoticeCommand::Delivered { id, others_at_once: true });
    assert_eq!(kept.due(NOW).unwrap().0, other);
}

#[test]
fn clock_set_back_does_not_delay_a_notification_for_long() {
    let kept = kept();
    kept.put("k", "a");
    let (id, _) = kept.due(NOW).unwrap();
    kept.apply(NoticeCommand::Failed { id, next_ns: NOW + 300 * S, why: "away".into(), progress: None });
    assert_eq!(kept.due(NOW), None);
    assert!(kept.due(NOW - 365 * DAY).is_some());
}

#[test]
fn old_notifications_are_dropped_and_ended_ones_deleted() {
    let kept = kept();
    kept.put("old", "a");
    let (id, _) = kept.due(NOW).unwrap();
    insert(&kept.conn, "chat", &news("new", "b"), NOW + 8 * DAY).unwrap();
    let drop = |now_ns| enforce_bounds(&kept.conn, &count(&kept.conn).unwrap(), now_ns).unwrap();
    assert!(drop(NOW + 6 * DAY).is_empty());
    assert_eq!(drop(NOW + 8 * DAY), [("chat".to_owned(), 1)].into());
    assert_eq!(kept.waiting(), 1);
    assert_ne!(kept.due(NOW + 8 * DAY).unwrap().0, id);
    drop(NOW + 16 * DAY);
    let rows: i64 = kept.conn.query_row("SELECT count(*) FROM notification", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn excess_notifications_are_dropped_oldest_first() {
    let kept = kept();
    kept.conn.execute_batch("BEGIN").unwrap();
    for n in 0..MAX_WAITING + 300 {
        kept.put(&n.to_string(), "a");
    }
    kept.conn.execute_batch("COMMIT").unwrap();
    let drop = || enforce_bounds(&kept.conn, &count(&kept.conn).unwrap(), NOW).unwrap();
    assert_eq!(drop(), [("chat".to_owned(), CHUNK as u64)].into());
    assert_eq!(drop(), [("chat".to_owned(), 300 - CHUNK as u64)].into());
    assert!(drop().is_empty());
    assert_eq!(kept.due(NOW).unwrap().1, "300");
}

#[test]
fn unreadable_notification_is_due_so_that_it_is_dropped() {
    let kept = kept();
    kept.put("k", "a");
    kept.conn.execute("UPDATE notification SET body = 'no json'", []).unwrap();
    let due = kept.reader.due_notification("chat", NOW).unwrap().unwrap();
    assert!(due.notification.is_err());
    kept.apply(NoticeCommand::GivenUp { id: due.id, why: "unreadable".into() });
    assert_eq!(kept.due(NOW), None);
}
