//! Files that other programs remove, replace or overwrite while the store is open.

use std::fs;

use ntp_monitor::store::Writer;

use super::*;

/// A store with samples, to which the writer has a connection.
struct Harmed {
    dir: tempfile::TempDir,
    store: Store,
    writer: Writer,
    written: i64,
}

impl Harmed {
    fn new() -> Self {
        Self::at(options)
    }

    fn at(options: impl Fn(&Path) -> Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(options(dir.path()), &log()).unwrap();
        let writer = store.writer(encoder());
        let mut harmed = Self { dir, store, writer, written: 0 };
        harmed.write(100);
        harmed
    }

    fn path(&self) -> PathBuf {
        options(self.dir.path()).path
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.path().into_os_string();
        name.push(end);
        name.into()
    }

    fn write(&mut self, count: i64) {
        self.writer.write(&series_of("a", T0 + self.written * 16 * SECOND, count)).unwrap();
        self.written += count;
    }

    /// Makes a checkpoint, as the writer does each minute, and begins another log.
    fn checkpoint(&mut self) {
        for n in 0..60 {
            self.writer.tick(stamp(T0 + n)).unwrap();
        }
        self.write(1);
    }

    /// Checks the files as at the end of the service, without patience; returns what happened.
    #[track_caller]
    fn repaired(&mut self) -> Incident {
        self.writer.settle(Instant::now()).unwrap();
        let mut incidents = self.writer.incidents();
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        incidents.remove(0)
    }

    /// Every sample is in the store at `path`, also for readers of this process, and the writer continues there.
    #[track_caller]
    fn has_all_at(&mut self, path: &Path) {
        self.write(10);
        let reader = Reader::open(path).unwrap();
        assert_eq!((all(&reader, "a").len() as i64, polls(&reader) as i64), (self.written, self.written));
        assert_eq!(reader.outbox_gauge().unwrap(), self.store.handle().outbox_gauge());
        let seen = self.store.handle().read_blocking(|reader| Ok(all(reader, "a").len())).unwrap();
        assert_eq!(seen as i64, self.written);
        assert_eq!(self.writer.incidents(), []);
    }

    /// Files beside the store whose names contain `mark`.
    fn kept(&self, mark: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let is_kept = |path: &PathBuf| {
            let name = path.to_str().unwrap();
            name.contains(mark) && !name.ends_with("-wal") && !name.ends_with("-shm")
        };
        entries.filter(is_kept).collect()
    }
}

#[test]
fn removed_store_is_written_again_with_or_without_its_log() {
    for ends in [&[""][..], &["", "-wal"], &["", "-wal", "-shm"], &["", ".lock"]] {
        let mut harmed = Harmed::new();
        harmed.store.handle().read_blocking(|reader| reader.series()).unwrap();
        for end in ends {
            fs::remove_file(harmed.beside(end)).unwrap();
        }
        let why = harmed.writer.write(&series_of("a", T0, 1)).unwrap_err().to_string();
        assert!(why.contains("was removed by another program"), "{why}");
        let incident = harmed.repaired();
        assert!(incident.what.contains("it was written again, with all its samples"), "{incident:?}");
        assert_eq!(incident.lost, 0);
        harmed.has_all_at(&harmed.path());
        assert_eq!(harmed.kept(".rescue"), [] as [PathBuf; 0]);
    }
}

#[test]
fn empty_file_in_place_of_a_store_is_replaced() {
    let mut harmed = Harmed::new();
    fs::remove_file(harmed.path()).unwrap();
    fs::write(harmed.path(), "").unwrap();
    assert!(harmed.repaired().what.contains("was replaced with an empty file"));
    harmed.has_all_at(&harmed.path());
}

#[test]
fn store_behind_a_link_is_written_again_at_its_target() {
    let mut harmed = Harmed::at(|dir| {
        let link = dir.join("link.db");
        fs::create_dir(dir.join("state")).unwrap();
        std::os::unix::fs::symlink(dir.join("state/ntp-monitor.db"), &link).unwrap();
        Options { path: link, ..options(dir) }
    });
    fs::remove_file(harmed.path()).unwrap();
    harmed.repaired();
    assert!(fs::symlink_metadata(harmed.dir.path().join("link.db")).unwrap().is_symlink());
    harmed.has_all_at(&harmed.path());
}

#[test]
fn store_put_back_within_two_seconds_is_used_as_it_is() {
    let mut harmed = Harmed::new();
    let away = harmed.dir.path().join("away");
    fs::rename(harmed.path(), &away).unwrap();
    assert!(harmed.writer.write(&series_of("a", T0, 1)).is_err());
    fs::rename(&away, harmed.path()).unwrap();
    harmed.has_all_at(&harmed.path());
}

#[test]
fn another_file_in_its_place_is_unchanged_and_ends_the_service() {
    let strangers: [fn(&Path); 2] = [
        |path| fs::write(path, "these are my notes".repeat(99)).unwrap(),
        |path| drop(Store::open(Options { path: path.to_owned(), ..options(path) }, &log()).unwrap()),
    ];
    for stranger in strangers {
        let mut harmed = Harmed::new();
        let other = harmed.dir.path().join("other.db");
        stranger(&other);
        let before = fs::read(&other).unwrap();
        fs::rename(&other, harmed.path()).unwrap();
        let incident = harmed.repaired();
        let kept = harmed.kept(".displaced-");
        assert!(kept.len() == 1 && incident.what.contains(kept[0].to_str().unwrap()), "{kept:?} {incident:?}");
        assert_eq!(harmed.store.handle().replaced().borrow().as_ref(), Some(&incident.what));
        harmed.has_all_at(&kept[0]);
        harmed.store.settle().unwrap();
        assert_eq!(fs::read(harmed.path()).unwrap(), before);
        assert!(!harmed.beside("-wal").exists(), "the log of the old file must not be applied to the new one");
    }
}

#[test]
fn truncated_store_is_written_again_with_every_sample() {
    for length in [0, 5000] {
        let mut harmed = Harmed::new();
        fs::OpenOptions::new().write(true).open(harmed.path()).unwrap().set_len(length).unwrap();
        let incident = harmed.repaired();
        assert!(incident.what.contains("was truncated by another program"), "{incident:?}");
        assert_eq!((incident.lost, harmed.kept(".damaged-").len()), (0, 1));
        harmed.has_all_at(&harmed.path());
    }
}

#[test]
fn store_compacted_by_another_program_keeps_every_sample() {
    let mut harmed = Harmed::new();
    harmed.write(9000);
    harmed.checkpoint();
    let other = rusqlite::Connection::open(harmed.path()).unwrap();
    other.execute_batch("DELETE FROM block WHERE id % 2 = 0; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let left: i64 = other
        .query_row("SELECT (SELECT total(samples) FROM block) + (SELECT total(samples) FROM journal)", [], |row| {
            row.get::<_, f64>(0).map(|samples| samples as i64)
        })
        .unwrap();
    drop(other);
    assert_eq!(harmed.repaired().lost, 0);
    assert!(left > 4000);
    assert_eq!(all(&reader(&options(harmed.dir.path())), "a").len() as i64, left);
}

#[test]
fn lost_store_is_begun_with_the_samples_in_memory() {
    let mut harmed = Harmed::new();
    harmed.write(9000);
    harmed.checkpoint();
    fs::OpenOptions::new().write(true).open(harmed.path()).unwrap().set_len(20_000).unwrap();
    let incident = harmed.repaired();
    assert!(incident.what.contains("a new store was begun"), "{incident:?}");
    let stored = all(&reader(&options(harmed.dir.path())), "a").len();
    assert_eq!((stored, incident.lost), (4096, harmed.written as usize - 4096));
    harmed.written = 4096;
    let damaged = harmed.kept(".damaged-");
    assert!(damaged.len() == 1 && incident.what.contains(damaged[0].to_str().unwrap()), "{damaged:?}");
    drop(harmed.writer);
    assert!(harmed.store.begin().unwrap().is_some(), "an unclean shutdown is detected later");
}

#[test]
fn overwritten_store_is_moved_aside() {
    let mut harmed = Harmed::new();
    harmed.write(9000);
    harmed.checkpoint();
    let length = fs::metadata(harmed.path()).unwrap().len() as usize;
    fs::write(harmed.path(), vec![0x5a; length + 4096]).unwrap();
    let incident = harmed.repaired();
    assert!(incident.what.contains("was overwritten"), "{incident:?}");
    assert_eq!(incident.lost, harmed.written as usize - 4096);
}

#[test]
fn harmed_log_is_begun_again() {
    let remove: fn(&Path) = |path| fs::remove_file(path).unwrap();
    let replace: fn(&Path) = |path| {
        fs::copy(path, path.with_extension("copy")).unwrap();
        fs::rename(path.with_extension("copy"), path).unwrap();
    };
    let empty: fn(&Path) = |path| fs::write(path, "").unwrap();
    for (end, harm) in [("-wal", remove), ("-wal", replace), ("-shm", remove), ("-shm", replace), ("-wal", empty)] {
        let mut harmed = Harmed::new();
        harmed.checkpoint();
        harmed.write(500);
        harmed.store.handle().read_blocking(|reader| reader.series()).unwrap();
        harm(&harmed.beside(end));
        let incident = harmed.repaired();
        assert!(incident.what.contains(harmed.beside(end).to_str().unwrap()), "{incident:?}");
        assert_eq!(incident.lost, 0, "{incident:?}");
        harmed.has_all_at(&harmed.path());
    }
}

#[test]
fn samples_are_counted_as_lost_if_the_store_cannot_be_rewritten() {
    let mut harmed = Harmed::new();
    let state = harmed.dir.path().join("state");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "in the way").unwrap();
    let why = harmed.writer.settle(Instant::now()).unwrap_err().to_string();
    assert!(why.contains("state"), "{why}");
    assert_eq!(harmed.writer.incidents()[0].lost, 100);
}

#[test]
fn store_replaced_before_the_first_batch_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let other = dir.path().join("other.db");
    let mut writer = {
        let other = Store::open(Options { path: other.clone(), ..options.clone() }, &log()).unwrap();
        other.writer(encoder()).write(&series_of("b", T0, 5)).unwrap();
        store.writer(encoder())
    };
    fs::rename(&other, &options.path).unwrap();
    writer.write(&series_of("a", T0, 5)).unwrap();
    assert!(writer.incidents()[0].what.contains("was replaced"));
    let reader = reader(&options);
    assert_eq!((all(&reader, "a").len(), all(&reader, "b").len()), (5, 5));
    assert_eq!(reader.outbox_gauge().unwrap(), store.handle().outbox_gauge());
}

#[test]
fn store_removed_between_two_writers_gets_the_samples_in_memory() {
    let mut harmed = Harmed::new();
    harmed.writer = harmed.store.writer(encoder());
    fs::remove_file(harmed.path()).unwrap();
    let incident = harmed.repaired();
    assert!(incident.what.contains("no connection to it was open"), "{incident:?}");
    assert_eq!(incident.lost, 0);
    harmed.has_all_at(&harmed.path());
}

// Other writers

#[test]
fn gauges_are_counted_again_after_another_connection_wrote() {
    let mut harmed = Harmed::new();
    let reader = reader(&options(harmed.dir.path()));
    let ids: Vec<i64> = reader.outbox_oldest(usize::MAX, usize::MAX).unwrap().iter().map(|row| row.id).collect();
    let other = rusqlite::Connection::open(harmed.path()).unwrap();
    other.execute("DELETE FROM outbox", []).unwrap();
    other.execute("INSERT INTO outbox (created_ns, lines, bytes, body) VALUES (1, 7, 3, x'616263')", []).unwrap();
    let done = |harmed: &mut Harmed, ids: &[i64]| {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        harmed.writer.command(Command::OutboxDone { ids: ids.to_vec(), reply });
        answer.try_recv().unwrap().unwrap();
    };
    done(&mut harmed, &ids);
    let gauge = |harmed: &Harmed| harmed.store.handle().outbox_gauge();
    assert_eq!((gauge(&harmed).rows, gauge(&harmed).lines, gauge(&harmed).bytes), (1, 7, 3));
    // The series has another number now.
    other.execute("DELETE FROM outbox", []).unwrap();
    other.execute_batch("DELETE FROM block; DELETE FROM journal; UPDATE series SET id = id + 1000").unwrap();
    harmed.write(10);
    assert_eq!(all(&reader, "a").len(), 10);
    assert_eq!(gauge(&harmed), reader.outbox_gauge().unwrap());
}

#[test]
fn second_store_is_refused_after_the_lock_file_was_removed() {
    let mut harmed = Harmed::new();
    fs::remove_file(harmed.beside(".lock")).unwrap();
    let refused = Store::open(options(harmed.dir.path()), &log()).unwrap_err().to_string();
    assert!(refused.contains(&format!("in use by another running ntp-monitor (process {})", std::process::id())));
    harmed.writer.tick(stamp(T0)).unwrap();
    assert!(harmed.writer.incidents()[0].what.contains("ntp-monitor.db.lock was removed"));
    assert!(matches!(Store::open(options(harmed.dir.path()), &log()), Err(StoreError::InUse { .. })));
    harmed.has_all_at(&harmed.path());
}
