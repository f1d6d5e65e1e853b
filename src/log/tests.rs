//! Tests the drains through a logger: records arrive as logged, and text from the network stays escaped.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use slog::{Drain, debug, error, info, o, warn};

use super::*;
use crate::config::LogFile;

/// Text that tries to forge a line and to control a terminal.
const EVIL: &str = "RATE\n2026-01-01 CRIT forged\r\u{1b}[2J\u{202e}";

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The output of a logger with one drain, until its guard is dropped.
fn written(drain: impl Fn(Box<dyn Write + Send>) -> AnyDrain, log: impl Fn(&Logger, &Logger, &LogControl)) -> String {
    let page = Page::default();
    let (logger, dependencies, guard) = build(vec![drain(Box::new(page.clone()))], LogLevel::Info, 64);
    log(&logger, &dependencies, &guard.control());
    drop(guard);
    page.text()
}

#[test]
fn a_remote_cannot_forge_a_line_for_people() {
    let text = written(formats::plain_term, |logger, _, _| {
        warn!(logger.new(o!("server" => "a")), "refused: {}", EVIL; "said" => EVIL);
    });
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.contains("WARN refused: RATE\\n2026") && text.contains("server: a, said: RATE\\n"), "{text:?}");
    assert!(!text.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
}

#[test]
fn a_remote_cannot_forge_a_json_line() {
    let text = written(formats::json, |logger, _, _| {
        error!(logger.new(o!("server" => "a")), "refused: {}", EVIL; "said" => EVIL, "count" => 3);
    });
    assert_eq!(text.lines().count(), 1, "{text:?}");
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["level"], &line["server"], &line["count"]), (&"error".into(), &"a".into(), &3.into()));
    assert_eq!(line["said"], EVIL);
    assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[test]
fn journal_gets_priorities_and_valid_field_names() {
    type Entry = (u8, String, Vec<(String, String)>);
    struct Entries(Mutex<Sender<Entry>>);
    impl Drain for Entries {
        type Ok = ();
        type Err = slog::Never;
        fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> Result<(), slog::Never> {
            let (priority, message, fields) = journal::entry(record, values);
            self.0.lock().unwrap().send((priority, message, fields)).unwrap();
            Ok(())
        }
    }
    let (entries, read): (_, Receiver<Entry>) = channel();
    let logger = Logger::root(Entries(Mutex::new(entries)), o!("server" => "a"));
    warn!(logger, "refused"; "_priority" => 0, "kiss-code" => EVIL, "message" => 1);
    let (priority, message, fields) = read.recv().unwrap();
    assert_eq!(priority, 4);
    assert!(message.starts_with("refused, server: a") && !message.contains(char::is_control), "{message:?}");
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["SERVER", "F_PRIORITY", "KISS_CODE", "FMESSAGE"]);
    assert_eq!(fields[2].1, EVIL);
}

#[test]
fn the_level_changes_while_the_program_runs() {
    let text = written(formats::plain_term, |logger, _, control| {
        debug!(logger, "before");
        control.set_level(LogLevel::Debug);
        debug!(logger, "between");
        control.set_level(LogLevel::Error);
        warn!(logger, "after");
    });
    assert!(text.contains("between") && !text.contains("before") && !text.contains("after"), "{text}");
}

#[test]
fn dependencies_log_from_warning_on_unless_debugging() {
    let text = written(formats::plain_term, |_, dependencies, control| {
        info!(dependencies, "chatter");
        warn!(dependencies, "trouble");
        control.set_level(LogLevel::Debug);
        debug!(dependencies, "detail");
    });
    assert!(!text.contains("chatter") && text.contains("trouble") && text.contains("detail"), "{text}");
}

#[test]
fn remotely_triggered_logs_are_limited_by_module() {
    let text = written(formats::plain_term, |_, dependencies, _| {
        for _ in 0..20 {
            error!(dependencies, # "server", "malformed request");
        }
        warn!(dependencies, # "client", "connection lost");
    });
    assert_eq!((text.matches("malformed").count(), text.matches("lost").count()), (5, 1), "{text}");
}

#[test]
fn records_dropped_by_a_full_queue_are_counted_and_reported() {
    /// Blocks before each record until the test releases it.
    struct Gate(Mutex<Receiver<()>>, AnyDrain);
    impl Drain for Gate {
        type Ok = ();
        type Err = io::Error;
        fn log(&self, record: &slog::Record<'_>, values: &slog::OwnedKVList) -> io::Result<()> {
            // When the sender is dropped, records are no longer blocked.
            let _ = self.0.lock().unwrap().recv();
            self.1.log(record, values)
        }
    }
    let page = Page::default();
    let (open, gate) = channel();
    let drain = Gate(Mutex::new(gate), formats::plain_term(Box::new(page.clone())));
    let (logger, _, guard) = build(vec![Box::new(drain)], LogLevel::Info, 8);
    for n in 0..100 {
        info!(logger, "record {}", n);
    }
    let dropped = guard.control().dropped();
    // Eight in the queue and at most one being written.
    assert!((91..=92).contains(&dropped), "{dropped}");
    drop(open);
    // There is room once the writer continues; until then this record is dropped too.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while guard.control().dropped() > dropped || !page.text().contains("were dropped") {
        assert!(std::time::Instant::now() < deadline, "{}", page.text());
        info!(logger, "later");
        if page.text().contains("were dropped") {
            break;
        }
        std::thread::yield_now();
    }
    drop(guard);
    assert!(page.text().contains("count: "), "{}", page.text());
}

#[test]
fn file_rotates_at_its_size_and_old_files_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogFile { path: dir.path().join("x.log"), max_bytes: 100, keep: 2 };
    std::fs::write(dir.path().join("x.log.mine"), "not ours").unwrap();
    let mut file = RotatingFile::open(&config, Arc::default()).unwrap();
    let mut finished = std::collections::BTreeSet::new();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while finished.len() < 4 {
        assert!(std::time::Instant::now() < deadline, "{finished:?}");
        file.write_all(&[b'x'; 59]).unwrap();
        file.write_all(b"\n").unwrap();
        file.flush().unwrap();
        let names = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let names: Vec<_> = names.filter(|name| name.ends_with('Z')).collect();
        assert!(names.len() <= 2, "{names:?}");
        finished.extend(names);
    }
    assert!(dir.path().join("x.log.mine").exists());
    let text = std::fs::read_to_string(&config.path).unwrap();
    assert!(text.lines().all(|line| line.len() == 59), "a record is in one file");
}

#[test]
fn moved_log_file_is_reopened_at_a_signal_or_at_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogFile { path: dir.path().join("x.log"), max_bytes: 100, keep: 2 };
    let reopen = Arc::<AtomicBool>::default();
    let mut file = RotatingFile::open(&config, Arc::clone(&reopen)).unwrap();
    let mut log = |line: &str| {
        file.write_all(line.as_bytes()).unwrap();
        file.flush().unwrap();
    };
    let moved = |name: &str| std::fs::rename(&config.path, dir.path().join(name)).unwrap();
    log("one\n");
    moved("x.log.1");
    reopen.store(true, Ordering::Relaxed);
    log("two\n");
    moved("x.log.2");
    log(&"y".repeat(90));
    log(&"z".repeat(90));
    let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!((text("x.log.1").as_str(), text("x.log.2")), ("one\n", format!("two\n{}", "y".repeat(90))));
    assert_eq!(text("x.log"), "z".repeat(90));
}

#[test]
fn a_failed_reopen_is_retried() {
    let dir = tempfile::tempdir().unwrap();
    let [logs, gone] = ["logs", "gone"].map(|name| dir.path().join(name));
    std::fs::create_dir(&logs).unwrap();
    let config = LogFile { path: logs.join("x.log"), max_bytes: 100, keep: 2 };
    let reopen = Arc::<AtomicBool>::default();
    let mut file = RotatingFile::open(&config, Arc::clone(&reopen)).unwrap();
    let mut log = |line: &str| {
        file.write_all(line.as_bytes()).unwrap();
        file.flush().unwrap();
    };
    std::fs::rename(&logs, &gone).unwrap();
    reopen.store(true, Ordering::Relaxed);
    log("one\n");
    std::fs::create_dir(&logs).unwrap();
    log("two\n");
    let text = |dir: &std::path::Path| std::fs::read_to_string(dir.join("x.log")).unwrap();
    assert_eq!((text(&gone), text(&logs)), ("one\n".to_owned(), "two\n".to_owned()));
}

#[test]
fn unwritable_record_is_counted_and_others_are_complete() {
    /// A disk that is full for the first writes.
    struct Disk(Page, u32);
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1 += 1;
            if self.1 <= 2 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }
    let (full, sound) = (Page::default(), Page::default());
    let drains = vec![formats::json(Box::new(Disk(full, 0))), formats::plain_term(Box::new(sound.clone()))];
    let (logger, _, guard) = build(drains, LogLevel::Info, 64);
    let control = guard.control();
    for n in 0..5 {
        info!(logger, "record {}", n);
    }
    drop(guard);
    assert_eq!(control.dropped(), 2);
    assert_eq!(sound.text().lines().count(), 5, "the other output goes on");
}

#[test]
fn auto_follows_where_stderr_leads() {
    assert_eq!(resolve(LogFormat::Auto, true, true), LogFormat::Journald);
    assert_eq!(resolve(LogFormat::Auto, true, false), LogFormat::Term);
    assert_eq!(resolve(LogFormat::Auto, false, false), LogFormat::Json);
    assert_eq!(resolve(LogFormat::Term, false, true), LogFormat::Term);
}

#[test]
fn a_log_file_that_cannot_be_written_is_an_error_with_its_path() {
    let file = LogFile { path: "/nonexistent/x.log".into(), max_bytes: 1 << 20, keep: 1 };
    let config = Log { level: LogLevel::Info, format: LogFormat::Json, file: Some(file) };
    let why = init(&config).err().unwrap().to_string();
    assert!(why.starts_with("log file /nonexistent/x.log: "), "{why}");
}
