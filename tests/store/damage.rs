//! Files that are not stores, full disks, missing directories, locks of other programs, and kills.

use super::*;

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    drop(Store::open(options.clone(), &log()).unwrap());
    let conn = rusqlite::Connection::open(&options.path).unwrap();
    conn.pragma_update(None, "user_version", 1000).unwrap();
    drop(conn);
    let before = std::fs::read(&options.path).unwrap();
    let refusal = Store::open(options.clone(), &log()).unwrap_err();
    assert!(matches!(refusal, StoreError::Newer { found: 1000, .. }), "{refusal}");
    assert!(matches!(Reader::open(&options.path), Err(StoreError::Newer { .. })));
    assert_eq!(std::fs::read(&options.path).unwrap(), before);
}

#[test]
fn a_file_that_is_not_a_store_is_refused_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let text = Options { path: dir.path().join("notes.txt"), ..options(dir.path()) };
    std::fs::write(&text.path, "these are my notes, and they are longer than one hundred bytes: ".repeat(9)).unwrap();
    let foreign = Options { path: dir.path().join("other.db"), ..options(dir.path()) };
    rusqlite::Connection::open(&foreign.path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    for options in [text, foreign] {
        let before = std::fs::read(&options.path).unwrap();
        let refusal = Store::open(options.clone(), &log()).unwrap_err();
        assert!(matches!(refusal, StoreError::NotAStore(_)), "{refusal}");
        assert_eq!(std::fs::read(&options.path).unwrap(), before);
    }
}

#[test]
fn a_path_that_cannot_be_reached_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let options = Options { path: dir.path().join("file/below/a.db"), ..options(dir.path()) };
    let refusal = Store::open(options, &log()).unwrap_err().to_string();
    assert!(refusal.contains("file/below") && refusal.contains("Not a directory"), "{refusal}");
    let missing = Reader::open(&dir.path().join("none.db")).unwrap_err().to_string();
    assert!(missing.contains("none.db"), "{missing}");
}

#[test]
fn full_disk_loses_nothing_and_writing_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let full = Options { max_pages: Some(60), ..options(dir.path()) };
    let store = Store::open(full.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let mut written = 0;
    let (refused, why) = loop {
        let batch = series_of("a", T0 + written * 16 * SECOND, 100);
        match writer.write(&batch) {
            Ok(()) => written += 100,
            Err(why) => break (batch, why.to_string()),
        }
    };
    assert!(written > 0 && why.contains("no space left"), "{why}");
    // The same writer with a full disk: still refused, and the store is intact.
    assert!(writer.write(&refused).is_err());
    let before = reader(&full);
    assert_eq!((all(&before, "a").len() as i64, polls(&before) as i64), (written, written));
    assert_eq!(before.outbox_gauge().unwrap().lines as i64, written);
    assert_eq!(store.handle().outbox_gauge(), before.outbox_gauge().unwrap());

    let ids = before.outbox_oldest(usize::MAX, usize::MAX).unwrap().iter().map(|row| row.id).collect();
    let (reply, _answer) = tokio::sync::oneshot::channel();
    writer.command(Command::OutboxDone { ids, reply });
    writer.write(&refused).unwrap();
    let after = reader(&full);
    assert_eq!((all(&after, "a").len() as i64, polls(&after) as i64), (written + 100, written + 100));
    assert_eq!(after.outbox_gauge().unwrap().lines, 100);
}

#[test]
fn writer_recovers_when_its_directory_returns() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    let (here, away) = (dir.path().join("state"), dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let why = writer.write(&every_outcome("a")).unwrap_err().to_string();
    assert!(why.contains("state/ntp-monitor.db was removed"), "{why}");
    // Nothing is created in its place meanwhile, not even at the end, because the directory could then not be put back.
    let why = writer.settle(Instant::now()).unwrap_err().to_string();
    assert!(why.contains("cannot open the store") && !here.exists(), "{why}");
    std::fs::rename(&away, &here).unwrap();
    writer.write(&every_outcome("a")).unwrap();
    assert_eq!(all(&reader(&options), "a").len(), 8);
}

#[test]
fn store_locked_by_another_program_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 1)).unwrap();
    let other = rusqlite::Connection::open(&options.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let why = writer.write(&series_of("a", T0 + HOUR, 1)).unwrap_err().to_string();
    assert!(why.contains("another process holds it locked"), "{why}");
    other.execute_batch("ROLLBACK").unwrap();
    writer.write(&series_of("a", T0 + HOUR, 1)).unwrap();
    assert_eq!(all(&reader(&options), "a").len(), 2);
}

const CHILD: &str = "NTP_MONITOR_TEST_STORE";

/// Not a separate test: the process that the next test kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let dir = PathBuf::from(path);
    let store = Store::open(options(&dir), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let already = all(&reader(&options(&dir)), "a").len() as i64;
    for n in already / 20.. {
        writer.write(&series_of("a", T0 + n * 20 * 16 * SECOND, 20)).unwrap();
        eprintln!("committed {}", (n + 1) * 20);
    }
}

/// Ends the process also when the test fails.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn committed_samples_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    for round in 0..8 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["damage::child_that_writes_until_it_is_killed", "--exact", "--nocapture"]).env(CHILD, dir.path());
        let mut child = Killed(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        let mut counts = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
        let committed: usize = counts.nth(2 + 5 * round).expect("the child writes");
        drop(child);

        let reader = reader(&options);
        let rows = all(&reader, "a").len();
        assert!(rows >= committed && rows.is_multiple_of(20), "{rows} rows, {committed} committed");
        assert_eq!(polls(&reader), rows as u64);
        assert_eq!(reader.outbox_gauge().unwrap().lines, rows as u64);
    }
}
