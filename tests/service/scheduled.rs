//! Scheduled reports in the running program: created once and sent to each receiver once, despite kills.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::common::monitor::{Home, Monitor, own};
use crate::common::receiver::{Answer, Receiver};
use crate::common::sim::Playground;
use crate::common::smtp::Mail;
use crate::common::stored;
use crate::common::wait::{find, until};
use ntp_monitor::sim::Script;
use ntp_monitor_core::world::World;
use serde_json::{Value, json};

/// Nothing listens there.
const UNUSED_ADDRESS: &str = "127.0.0.1:9";

fn scheduled(home: &Home, server: std::net::SocketAddr) {
    home.configure(&format!("{}[report]\nschedule = \"daily 00:00\"\nkeep = 2\n", own("a", server)));
}

fn reports(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.data().join("reports")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "html")).collect()
}

#[test]
fn missed_report_is_made_once_across_restarts() {
    let home = Home::with("");
    scheduled(&home, UNUSED_ADDRESS.parse().unwrap());
    let mark = home.data().join("reports/last-due");
    let mut monitor = home.start();
    find("the first mark", || std::fs::read_to_string(&mark).ok());
    assert_eq!(monitor.stop(), 0);
    assert_eq!(reports(&home), Vec::<PathBuf>::new(), "nothing is made up for the time before");

    std::fs::write(&mark, "2026-01-01T00:00:00Z\n").unwrap();
    let mut monitor = home.start();
    until("the report that was missed", || reports(&home).len() == 1);
    until("all is done", || !home.data().join("reports/pending.json").exists());
    assert_eq!(monitor.stop(), 0);
    let due = std::fs::read_to_string(&mark).unwrap();
    assert!(due.contains("T00:00:00Z") && due.as_str() > "2026-11", "{due}");

    let mut monitor = home.start();
    monitor.health("a poll", |health| health["ready"] == true);
    assert_eq!(monitor.stop(), 0);
    assert_eq!((reports(&home).len(), std::fs::read_to_string(&mark).unwrap()), (1, due));
}

#[test]
fn invalid_schedule_zone_or_receiver_is_a_fault_with_its_key() {
    let home = Home::with("");
    let wrong = "[report]\nschedule = \"Mondays at 8\"\ntimezone = \"Europe/Nowhere\"\nto = [\"nobody\"]\nkeep = 0\n";
    home.configure(&format!("{}{wrong}", own("a", UNUSED_ADDRESS.parse().unwrap())));
    let (code, said) = home.fails();
    assert_eq!(code, 78);
    for fault in ["report.schedule", "report.timezone", "report.to", "report.keep", "\"Mon 08:00\"", "nobody"] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}

/// A home with an overdue report, which goes to a failing mail server, a webhook and a chat.
fn overdue(server: SocketAddr, mail: &Mail, receiver: &Receiver) -> Home {
    let home = Home::with("");
    home.configure(&format!(
        "{}[report]\nschedule = \"daily 00:00\"\nto = [\"mail\", \"hook\", \"chat\"]\n\
         [[notifier]]\nname = \"mail\"\ntype = \"email\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
         from = \"NTP <ntp@example.net>\"\nto = [\"ops@example.net\"]\n\
         [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n\
         [[notifier]]\nname = \"chat\"\ntype = \"slack\"\nurl = \"{}\"\n",
        own("a", server),
        mail.port,
        receiver.url("/hook"),
        receiver.url("/chat"),
    ));
    std::fs::create_dir_all(home.data().join("reports")).unwrap();
    let mut yesterday = World::ordinary(1, 2, 300.0, 2.0 * stored::DAY_S);
    yesterday.start_unix_s = jiff::Timestamp::now().as_second() - 2 * 86_400;
    stored::store(stored::options(&home.data()), yesterday.samples());
    std::fs::write(home.data().join("reports/last-due"), "2026-01-01T00:00:00Z\n").unwrap();
    home
}

fn reason(health: &Value) -> Option<Value> {
    health["reasons"].as_array()?.iter().find(|reason| reason["about"] == "report").cloned()
}

fn pending(home: &Home) -> bool {
    home.data().join("reports/pending.json").exists()
}

fn metric(monitor: &mut Monitor, name: &str) -> String {
    let text = crate::common::http::Client::of(monitor.http()).ask(reqwest::Method::GET, "/metrics", &[], None).text;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn scheduled_report_reaches_each_receiver_once() {
    let Some(mail) = Mail::start(&json!({ "trouble": ["busy", "drop"] })) else { return };
    let receiver = Receiver::start(|_| Answer::Status(200, "", "ok".to_owned()));
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = overdue(server.address(), &mail, &receiver);

    // In two runs the mail is not accepted; the other receivers get the report in the first run.
    for _ in 0..2 {
        let mut monitor = home.start();
        let (code, health) = monitor.health("a reason", |health| reason(health).is_some());
        let said = reason(&health).unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(code == 200 && said.starts_with("cannot be delivered since 20") && said.contains("mail: "), "{said}");
        let under_way = monitor.get("/api/v1/reports").1["under_way"].clone();
        assert_eq!((&under_way["missing"], &under_way["attempts"]), (&json!(["mail"]), &json!(1)), "{under_way}");
        assert!(under_way["next_attempt"].is_string(), "{under_way}");
        assert_eq!(metric(&mut monitor, "ntp_monitor_scheduled_report_failing"), "1.0");
        monitor.kill();
        assert!(pending(&home));
    }
    let mut monitor = home.start();
    until("everybody has it", || mail.taken().len() == 1 && !pending(&home));
    let healthy = |health: &Value| reason(health).is_none() && health["reports"]["sent"] == 1;
    monitor.health("no reason any more", healthy);
    until("nothing is under way", || monitor.get("/api/v1/reports").1["under_way"].is_null());
    assert_eq!(metric(&mut monitor, "ntp_monitor_scheduled_report_failing"), "0.0");
    monitor.kill();
    let mut monitor = home.start();
    monitor.health("a poll", |health| health["ready"] == true);
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());

    assert_eq!((mail.taken().len(), receiver.count()), (1, 2), "each got one, and no life sent another");
    let taken = mail.first()["mail"].as_str().unwrap().to_owned();
    for part in ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "Content-ID: <"]
    {
        assert!(taken.contains(part), "{part} in {taken}");
    }
    let seen = receiver.seen();
    let hook = seen.iter().find(|request| request.line() == "POST /hook").unwrap();
    let body = hook.json();
    assert_eq!(body["status"], "report");
    assert!(body["title"].as_str().unwrap().starts_with("Time report of here"), "{body}");
    assert!(!body["summary"].as_str().unwrap().is_empty() && !body["text"].as_str().unwrap().is_empty());
    assert!(hook.header("Idempotency-Key").unwrap().starts_with("report/here/20"));
    let chat = seen.iter().find(|request| request.line() == "POST /chat").unwrap().json();
    assert!(chat["text"].as_str().unwrap().contains("Saved as /"), "{chat}");
    assert_eq!(reports(&home).len(), 1);
}

#[test]
fn notifier_without_report_support_is_refused() {
    let home = Home::with("");
    home.configure(&format!(
        "{}[report]\nschedule = \"daily 00:00\"\nto = [\"pager\", \"dead-man\", \"hook\"]\n\
         [[notifier]]\nname = \"pager\"\ntype = \"pagerduty\"\nrouting_key = \"k\"\n\
         [[notifier]]\nname = \"dead-man\"\ntype = \"heartbeat\"\nurl = \"https://example.net/\"\n\
         [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://example.net/\"\n\
         body_template = \"{{{{ summary }}}}\"\n",
        own("a", UNUSED_ADDRESS.parse().unwrap())
    ));
    let (code, said) = home.fails();
    assert_eq!(code, 78);
    for fault in ["report.to[0]", "report.to[1]", "report.to[2]", "cannot send reports", "has a body_template"] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}
