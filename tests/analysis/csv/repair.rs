//! Rows that are in the store but not in the files.

use super::*;

fn missing(tail: &Tail, stored: &[Arc<Sample>]) -> Vec<Arc<Sample>> {
    stored.iter().filter(|sample| tail.lacks(sample)).cloned().collect()
}

#[test]
fn rows_lost_by_a_kill_are_found_missing_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(tail_keys(dir.path(), Duration::from_secs(60)).unwrap(), None);
    // Twenty servers with a sample each second for twenty minutes, across midnight; the longer window needs a second
    // part of the file.
    let all: Vec<_> = (-300..900_i64)
        .flat_map(|s| (0..20).map(move |n| timeout_at(MIDNIGHT_NS + s * SECOND_NS + n, &format!("s{n}"))))
        .collect();
    let lost = |n: usize| n >= all.len() - 100 && n.is_multiple_of(3);
    let written: Vec<_> = all.iter().enumerate().filter(|(n, _)| !lost(*n)).map(|(_, s)| Arc::clone(s)).collect();
    let mut first = writer(config(dir.path()));
    first.write(&written).unwrap();
    for window_s in [30, 700] {
        let tail = tail_keys(dir.path(), Duration::from_secs(window_s)).unwrap().unwrap();
        let found = missing(&tail, &all);
        let expected: Vec<_> = all.iter().enumerate().filter(|(n, _)| lost(*n)).map(|(_, s)| Arc::clone(s)).collect();
        assert_eq!(found, expected);
    }
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    first.write(&missing(&tail, &all)).unwrap();
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(missing(&tail, &all), []);
}

/// Hours of samples that reached the store alone: more than the queue of the output holds.
#[test]
fn rows_of_hours_are_written_before_newer_ones_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::<FakeStore>::default();
    writer(config(dir.path())).write(&store.take(0..100)).unwrap();
    store.take(100..80_000);
    let tail = tail_keys(dir.path(), Duration::from_secs(60)).unwrap().unwrap();
    let catch_up = CatchUp::default();
    catch_up.begin(dir.path(), tail, MIDNIGHT_NS + 79_999 * SECOND_NS);
    let new = store.take(80_000..80_003);

    // The first thread dies halfway.
    let restarted = || writer(config(dir.path())).with_journal(store.journal()).catching_up(catch_up.clone());
    store.is_away.store(true, Ordering::SeqCst);
    let why = restarted().tick(Stamp::new(MIDNIGHT_NS, 1, 0)).unwrap_err().to_string();
    assert!(why.contains("an earlier process") && why.contains("it is away"), "{why}");
    store.is_away.store(false, Ordering::SeqCst);
    let _ = restarted().tick(Stamp::new(MIDNIGHT_NS, 1, 0));
    restarted().settle(std::time::Instant::now()).unwrap();
    let mut last = restarted();
    while last.write(&new).is_err() {}
    let rows = stamps(&dir.path().join("samples-2026-11-22.csv"));
    assert_eq!(rows, (0..80_003).map(|n| MIDNIGHT_NS + n * SECOND_NS).collect::<Vec<_>>());
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = writer(config(elsewhere.path())).with_journal(store.journal()).catching_up(catch_up);
    other.write(&new).unwrap();
    assert_eq!(stamps(&elsewhere.path().join("samples-2026-11-22.csv")).len(), 3);
}

// Files that another program removes, replaces or changes.

/// The samples of a fake store, and whether it can be read.
#[derive(Default)]
struct FakeStore {
    samples: Mutex<Vec<Arc<Sample>>>,
    is_away: AtomicBool,
}

impl FakeStore {
    fn journal(self: &Arc<Self>) -> Journal {
        let store = Arc::clone(self);
        Arc::new(move |span, about| {
            if store.is_away.load(Ordering::SeqCst) {
                return Err("it is away".to_owned());
            }
            let samples = store.samples.lock().unwrap();
            let within = samples.iter().filter(|sample| span.contains(&sample.at.wall_ns));
            Ok(within.take(about).cloned().collect())
        })
    }

    /// Keeps samples of each second in `seconds` after midnight, and returns them.
    fn take(&self, seconds: std::ops::Range<i64>) -> Vec<Arc<Sample>> {
        let new: Vec<_> = seconds.map(|n| timeout_at(MIDNIGHT_NS + n * SECOND_NS, "a")).collect();
        self.samples.lock().unwrap().extend(new.iter().cloned());
        new
    }
}

/// A writer with a fake store.
struct Damaged {
    dir: tempfile::TempDir,
    store: Arc<FakeStore>,
    writer: CsvWriter,
}

impl Damaged {
    fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), Arc::<FakeStore>::default());
        let writer = writer(config(dir.path())).with_journal(store.journal());
        Self { dir, store, writer }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("samples-2026-11-22.csv")
    }

    fn write(&mut self, seconds: std::ops::Range<i64>) {
        let batch = self.store.take(seconds);
        self.write_batch(&batch);
    }

    /// Writes like the thread of the output: a batch that must wait for a repair is written later.
    fn write_batch(&mut self, batch: &[Arc<Sample>]) {
        while let Err(why) = self.writer.write(batch) {
            assert!(why.to_string().contains("being brought back"), "{why}");
        }
    }

    /// A tick at noon, by which time the day is not over.
    fn tick(&mut self) -> Result<(), String> {
        let now = Stamp::new(MIDNIGHT_NS + DAY_NS / 2, 1, 0);
        self.writer.tick(now).map_err(|why| why.to_string())
    }

    /// The seconds of the rows in the file, in its order.
    fn seconds(&self) -> Vec<i64> {
        stamps(&self.path()).into_iter().map(|wall_ns| (wall_ns - MIDNIGHT_NS) / SECOND_NS).collect()
    }

    #[track_caller]
    fn has(&mut self, seconds: std::ops::Range<i64>, incident: &str, lost: usize) {
        assert_eq!(self.seconds(), seconds.collect::<Vec<_>>());
        let incidents = self.writer.incidents();
        let [Incident { what, lost: said }] = incidents.as_slice() else { panic!("{incidents:?}") };
        assert!(what.contains(incident) && what.contains(self.path().to_str().unwrap()), "{what}");
        assert_eq!(*said, lost, "{what}");
    }
}

/// A change of a file by another program.
type Damage = fn(&Path);

#[test]
fn damaged_file_gets_its_rows_back_in_order_and_once() {
    let damages: [(&str, Damage); 5] = [
        ("was removed", |path| fs::remove_file(path).unwrap()),
        ("was removed", |path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("was truncated", |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(700).unwrap()),
        ("was replaced", |path| {
            let some =
                fs::read_to_string(path).unwrap().lines().take(6).map(|line| format!("{line}\n")).collect::<String>();
            fs::write(path.with_extension("new"), some).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        // Like an editor that writes in place and does not end the last line.
        ("was changed", |path| fs::write(path, [fs::read(path).unwrap(), b"2026,x".to_vec()].concat()).unwrap()),
    ];
    for (incident, damage) in damages {
        let mut csv = Damaged::new();
        csv.write(0..10_000);
        // The store is ahead of the files: these rows come from the queue later.
        let queued = csv.store.take(10_000..10_010);
        damage(&csv.path());
        csv.write_batch(&queued);
        csv.write(10_010..10_020);
        csv.has(0..10_020, incident, 0);
        csv.tick().unwrap();
        csv.write(20_000..20_001);
        assert!(csv.writer.incidents().is_empty());
    }
}

#[test]
fn rows_missing_in_the_store_are_counted_as_lost() {
    let mut csv = Damaged::new();
    csv.write(0..100);
    csv.store.samples.lock().unwrap().drain(..30);
    fs::remove_file(csv.path()).unwrap();
    csv.tick().unwrap();
    csv.has(30..100, "30 are not in it", 30);
    fs::remove_file(csv.path()).unwrap();
    csv.tick().unwrap();
    csv.has(30..100, "70 rows were brought back", 0);
}

#[test]
fn writing_continues_while_a_repair_waits_for_the_store() {
    let mut csv = Damaged::new();
    csv.write(0..5);
    fs::remove_file(csv.path()).unwrap();
    csv.store.is_away.store(true, Ordering::SeqCst);
    let why = csv.tick().unwrap_err();
    assert!(why.contains("was removed") && why.contains("it is away"), "{why}");
    csv.write(5..8);
    assert_eq!(csv.seconds(), [5, 6, 7]);
    csv.store.is_away.store(false, Ordering::SeqCst);
    csv.tick().unwrap();
    assert_eq!(csv.seconds(), [5, 6, 7, 0, 1, 2, 3, 4]);
    assert_eq!(csv.writer.incidents()[0].lost, 0);

    fs::remove_file(csv.path()).unwrap();
    csv.store.is_away.store(true, Ordering::SeqCst);
    let why = csv.writer.settle(std::time::Instant::now()).unwrap_err().to_string();
    assert!(why.contains("it is away"), "{why}");
    assert_eq!(csv.writer.incidents()[0].lost, 8);
}

#[test]
fn file_of_a_day_that_is_over_may_be_moved_away() {
    let mut csv = Damaged::new();
    csv.write(0..5);
    csv.writer.tick(Stamp::new(MIDNIGHT_NS + DAY_NS + DAY_NS / 2, 1, 0)).unwrap();
    fs::rename(csv.path(), csv.dir.path().join("archived.csv")).unwrap();
    csv.writer.tick(Stamp::new(MIDNIGHT_NS + DAY_NS + DAY_NS / 2, 2, 0)).unwrap();
    assert_eq!(names(csv.dir.path()), ["archived.csv"]);
    assert!(csv.writer.incidents().is_empty());
}
