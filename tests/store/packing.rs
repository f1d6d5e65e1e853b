//! The journal, the blocks, and the rows of earlier releases, which readers combine.

use ntp_monitor::store::upkeep::{self, Depth};

use super::*;

fn sql<T: rusqlite::types::FromSql>(options: &Options, query: &str) -> T {
    rusqlite::Connection::open(&options.path).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

/// The numbers of samples in the journal, in blocks, and in rows of an earlier release.
fn places(options: &Options) -> (i64, i64, i64) {
    sql::<String>(
        options,
        "SELECT (SELECT coalesce(sum(samples), 0) FROM journal) || ' ' || (SELECT coalesce(sum(samples), 0) FROM block) \
         || ' ' || (SELECT count(*) FROM sample)",
    )
    .split(' ')
    .map(|number| number.parse().unwrap())
    .collect::<Vec<i64>>()
    .try_into()
    .map(|[journal, blocks, rows]: [i64; 3]| (journal, blocks, rows))
    .unwrap()
}

/// All data of servers `a` and `b` that a reader sees.
fn seen(options: &Options) -> String {
    let reader = reader(options);
    let rollups = Grain::ALL.map(|grain| {
        let all = reader.rollups("a", None, grain, 0, i64::MAX).unwrap();
        all.iter().map(|(_, r)| (r.bucket_s, r.counts, r.offset_s.n())).collect::<Vec<_>>()
    });
    let counts = reader.counts(T0 + 7 * SECOND, T0 + 999 * SECOND).unwrap();
    let since: Vec<_> = reader.since(T0 + 100 * SECOND).map(|stored| stored.unwrap().sample.at.wall_ns).collect();
    let page = reader.samples("a", None, T0 + 50 * SECOND, T0 + 9999 * SECOND, 7).unwrap();
    let latest = reader.latest().unwrap();
    let fine = reader.history("a", None, T0, T0 + HOUR, None, 10_000).unwrap();
    let back = reader.samples_reach_back("a", T0, T0 + DAY).unwrap();
    let all = (all(&reader, "a"), all(&reader, "b"));
    format!("{all:?} {page:?} {latest:?} {since:?} {counts:?} {rollups:?} {fine:?} {back} {:?}", reader.rates())
}

/// A sample every 16 s, and sometimes another outcome.
fn mixed(server: &str, from: i64, count: i64) -> Vec<Arc<Sample>> {
    let one = |n: i64| {
        let at = T0 + (from + n) * 16 * SECOND;
        match n % 10 {
            3 => poll(server, at, Outcome::Timeout),
            7 => poll(server, at, Outcome::Kiss(KissCode::RATE)),
            _ => measured(server, at, n as f64 * 1e-4),
        }
    };
    (0..count).map(|n| Arc::new(one(n))).collect()
}

#[test]
fn readers_see_the_same_before_and_after_packing() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for n in 0..6 {
        writer.write(&mixed("a", n * 5, 5)).unwrap();
        writer.write(&mixed("b", n * 3, 3)).unwrap();
    }
    assert_eq!(places(&options), (48, 0, 0));
    let before = seen(&options);
    (0..7200).for_each(|_| writer.tick(stamp(T0)).unwrap());
    assert_eq!(places(&options), (0, 48, 0), "a journal that holds little is packed after two hours");
    assert_eq!(seen(&options), before);
    // The earlier blocks, which are incomplete, are extended.
    writer.write(&mixed("a", 30, 70)).unwrap();
    assert_eq!((places(&options), sql::<i64>(&options, "SELECT count(*) FROM block")), ((0, 118, 0), 4));
    assert_eq!(all(&reader(&options), "a").len(), 100);
    assert_eq!(reader(&options).skipped(), [] as [String; 0]);
}

#[test]
fn journal_is_packed_when_it_fills_a_block_for_each_series() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for n in 0..31 {
        writer.write(&[series_of("a", T0 + n * HOUR, 1), series_of("b", T0 + n * HOUR, 1)].concat()).unwrap();
    }
    assert_eq!(places(&options), (62, 0, 0));
    writer.write(&series_of("a", T0 + 40 * HOUR, 2)).unwrap();
    assert_eq!(places(&options), (0, 64, 0));
    // The successor of a killed writer counts the samples in the journal.
    writer.write(&series_of("a", T0 + 50 * HOUR, 20)).unwrap();
    let mut successor = store.writer(None);
    successor.write(&series_of("a", T0 + 60 * HOUR, 11)).unwrap();
    assert_eq!(places(&options), (31, 64, 0));
    successor.write(&series_of("a", T0 + 70 * HOUR, 1)).unwrap();
    assert_eq!(places(&options), (0, 96, 0));
}

#[test]
fn many_series_are_packed_in_steps_that_readers_do_not_notice() {
    let names: Vec<String> =
        ["a", "b"].map(str::to_owned).into_iter().chain((0..1200).map(|n| format!("s{n}"))).collect();
    let batch = |n: i64| names.iter().flat_map(|name| series_of(name, T0 + n * HOUR, 1)).collect::<Vec<_>>();
    // The process is killed after this many steps.
    for steps in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path());
        let store = Store::open(options.clone(), &log()).unwrap();
        let mut writer = store.writer(None);
        (0..32).for_each(|n| writer.write(&batch(n)).unwrap());
        assert_eq!(places(&options).0, 32 * names.len() as i64, "not in the transaction of a batch");
        let before = seen(&options);
        for step in 0..steps {
            writer.tick(stamp(T0)).unwrap();
            assert!(seen(&options) == before, "{step} of {steps}");
        }
        assert_eq!(places(&options).0 == 0, steps == 3, "{steps}");
        let mut next = store.writer(None);
        next.write(&[batch(31), batch(3)].concat()).unwrap();
        (0..7200).for_each(|_| next.tick(stamp(T0)).unwrap());
        assert_eq!(places(&options), (0, 32 * names.len() as i64, 0), "nothing is stored twice");
        assert!(seen(&options) == before);
        assert_eq!(reader(&options).since(T0).count(), 32 * names.len());
    }
}

#[test]
fn samples_of_a_clock_set_back_go_between_those_that_exist() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 320)).unwrap();
    let between: Vec<_> = series_of("a", T0 + 8 * SECOND, 320);
    let early: Vec<_> = series_of("a", T0 - HOUR, 40);
    for batch in [&between[..], &early[..], &between[40..90], &early[..3]] {
        writer.write(batch).unwrap();
    }
    let stored: Vec<i64> = all(&reader(&options), "a").iter().map(|sample| sample.at.wall_ns).collect();
    let mut wanted: Vec<i64> = series_of("a", T0, 320).iter().map(|sample| sample.at.wall_ns).collect();
    wanted.extend(between.iter().chain(&early).map(|sample| sample.at.wall_ns));
    wanted.sort_unstable();
    assert_eq!(stored, wanted);
    let overlaps = "SELECT count(*) FROM block a JOIN block b ON a.series_id = b.series_id AND a.id <> b.id \
                    AND a.first_ns BETWEEN b.first_ns AND b.last_ns";
    assert_eq!(sql::<i64>(&options, overlaps), 0, "blocks do not overlap");
    assert!(sql::<i64>(&options, "SELECT max(samples) FROM block") < 64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_in_any_order_are_stored_once_and_read_by_time(
        batches in prop::collection::vec((0..400_i64, 1..70_i64, 1..20_i64, any::<bool>()), 1..12),
        window in (0..400_i64, 0..400_i64),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path());
        let store = Store::open(options.clone(), &log()).unwrap();
        let mut writer = store.writer(None);
        let mut wanted = std::collections::BTreeSet::new();
        for (from, count, step, is_new_writer) in batches {
            if is_new_writer {
                writer = store.writer(None);
            }
            let at = |n: i64| T0 + (from + n * step) * SECOND;
            let batch: Vec<_> = (0..count).map(|n| Arc::new(measured("a", at(n), 1e-3))).collect();
            wanted.extend(batch.iter().map(|sample| sample.at.wall_ns));
            writer.write(&batch).unwrap();
        }
        let reader = reader(&options);
        let walls = |samples: Vec<ntp_monitor::store::StoredSample>| {
            samples.iter().map(|stored| stored.sample.at.wall_ns).collect::<Vec<_>>()
        };
        let found = walls(reader.samples("a", None, i64::MIN, i64::MAX, usize::MAX).unwrap());
        prop_assert_eq!(&found, &wanted.iter().copied().collect::<Vec<_>>());
        let (from, to) = (T0 + window.0 * SECOND, T0 + window.1.max(window.0) * SECOND);
        let part = walls(reader.samples("a", None, from, to, 10).unwrap());
        prop_assert_eq!(part, wanted.range(from..to).copied().take(10).collect::<Vec<_>>());
        let since: Vec<_> = reader.since(from).map(|stored| stored.unwrap().sample.at.wall_ns).collect();
        prop_assert_eq!(since, wanted.range(from..).copied().collect::<Vec<_>>());
        prop_assert_eq!(polls(&reader), wanted.len() as u64);
    }
}

/// Changes the store to the form of schema 9: every sample is a row.
fn unpack_to_rows(options: &Options) {
    let samples = all(&reader(options), "a").into_iter().chain(all(&reader(options), "b"));
    let samples: Vec<Sample> = samples.collect();
    let mut conn = rusqlite::Connection::open(&options.path).unwrap();
    let tx = conn.transaction().unwrap();
    for sample in &samples {
        let (measure, reply) = (sample.measure, sample.reply);
        let code = Outcome::LABELS.iter().position(|label| *label == sample.outcome.label()).unwrap() as i64;
        let reason = sample.outcome.reason().into_owned();
        tx.execute(
            "INSERT INTO sample SELECT id, ?2, ?3, ?4, ?5, nullif(?6, ''), ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16, ?17, ?18, ?19, NULL, NULL, ?20, ?21, ?22, ?23 FROM series WHERE server = ?1",
            rusqlite::params![
                &*sample.server.name,
                sample.at.wall_ns,
                sample.at.mono_ns,
                sample.at.raw_ns,
                code,
                reason,
                sample.timestamping.map(|_| 0),
                sample.poll_s,
                sample.sent,
                sample.lost,
                measure.map(|m| m.offset_s),
                measure.map(|m| m.delay_s),
                measure.map(|m| m.root_distance_s),
                reply.map(|r| r.stratum),
                reply.map(|r| r.leap.bits()),
                reply.map(|r| u32::from_be_bytes(r.refid.0)),
                reply.map(|r| r.precision_log2),
                reply.map(|r| r.root_delay_s),
                reply.map(|r| r.root_dispersion_s),
                sample.at.boot_ns,
                i64::from(sample.authentication == Authentication::Nts),
                i64::from(sample.mode == Mode::Interleaved),
                sample.reference_age_s(),
            ],
        )
        .unwrap();
    }
    tx.execute_batch("DELETE FROM block; DELETE FROM journal").unwrap();
    tx.commit().unwrap();
}

/// A store with the rows of an earlier release, and the result of [`seen`] for it.
fn with_rows(dir: &Path, count: i64) -> (Options, String) {
    let options = options(dir);
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&mixed("a", 0, count)).unwrap();
    writer.write(&mixed("b", 0, count / 2)).unwrap();
    drop((writer, store));
    let before = seen(&options);
    unpack_to_rows(&options);
    assert_eq!(places(&options), (0, 0, count + count / 2));
    (options, before)
}

#[test]
fn rows_of_an_earlier_release_are_read_and_moved_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (options, before) = with_rows(dir.path(), 10_000);
    assert_eq!(seen(&options), before, "read before they are moved");
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    // The same samples again: they are not stored twice.
    writer.write(&mixed("a", 0, 300)).unwrap();
    assert_eq!(places(&options), (0, 0, 15_000));
    let mut left = Vec::new();
    while places(&options).2 > 0 {
        writer.tick(stamp(T0 + DAY)).unwrap();
        left.push(store.handle().move_gauge().left);
        assert_eq!(all(&reader(&options), "a").len(), 10_000, "at every moment");
        // Simulates a kill: another writer continues.
        writer = store.writer(None);
    }
    assert!(left.len() >= 4 && left.is_sorted_by(|a, b| a >= b), "{left:?}");
    writer.tick(stamp(T0 + DAY)).unwrap();
    assert_eq!((places(&options), store.handle().move_gauge().left), ((0, 15_000, 0), 0));
    assert_eq!(seen(&options), before);
}

#[test]
fn full_disk_while_rows_are_moved_leaves_a_store_that_works() {
    let dir = tempfile::tempdir().unwrap();
    let (options, before) = with_rows(dir.path(), 10_000);
    let pages: u32 = sql(&options, "SELECT page_count FROM pragma_page_count");
    let full = Options { max_pages: Some(pages), ..options.clone() };
    let store = Store::open(full, &log()).unwrap();
    let mut writer = store.writer(None);
    for _ in 0..20 {
        // Some steps may fail; each is all or nothing.
        let _ = writer.tick(stamp(T0 + DAY));
        assert_eq!(all(&reader(&options), "a").len(), 10_000);
    }
    assert_eq!(seen(&options), before);
    writer.write(&series_of("a", T0 + 3 * DAY, 5)).unwrap();
    drop((writer, store));
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    (0..20).for_each(|_| writer.tick(stamp(T0 + DAY)).unwrap());
    assert_eq!(places(&options).2, 0);
    assert_eq!(all(&reader(&options), "a").len(), 10_005);
}

#[test]
fn full_disk_while_packing_keeps_the_samples_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for n in 0..20 {
        writer.write(&(0..50).flat_map(|s| series_of(&format!("s{s}"), T0 + n * HOUR, 1)).collect::<Vec<_>>()).unwrap();
    }
    drop((writer, store));
    let pages: u32 = sql(&options, "SELECT page_count FROM pragma_page_count");
    let store = Store::open(Options { max_pages: Some(pages + 20), ..options.clone() }, &log()).unwrap();
    let mut writer = store.writer(None);
    let (mut sum, mut failed) = (1000, false);
    for n in 20..60 {
        let batch = (0..50).flat_map(|s| series_of(&format!("s{s}"), T0 + n * HOUR, 1)).collect::<Vec<_>>();
        if writer.write(&batch).is_ok() {
            sum += 50;
        }
        failed |= writer.tick(stamp(T0)).is_err();
    }
    let found: Vec<_> = reader(&options).since(0).map(Result::unwrap).collect();
    assert_eq!(found.len(), sum);
    drop((writer, store));
    let mut writer = Store::open(options.clone(), &log()).unwrap().writer(None);
    writer.write(&series_of("s0", T0 + 99 * HOUR, 2000)).unwrap();
    assert_eq!((places(&options).0, reader(&options).since(0).count()), (0, sum + 2000));
    assert!(failed || sum < 3000, "the disk was full");
}

fn harm(options: &Options, statement: &str) {
    rusqlite::Connection::open(&options.path).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn damaged_block_is_named_and_skipped_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 320)).unwrap();
    writer.write(&series_of("b", T0, 3)).unwrap();
    harm(&options, "UPDATE block SET data = zeroblob(length(data)) WHERE id = 3; UPDATE journal SET data = x'01'");
    let reader = reader(&options);
    assert_eq!((all(&reader, "a").len(), all(&reader, "b").len(), reader.since(0).count()), (288, 0, 288));
    let skipped = reader.skipped();
    let block = "block 3 is damaged and was skipped: 32 samples of a at 192.0.2.1:123 from 2026-01-01T00:17:04Z to";
    assert!(skipped.iter().any(|what| what.starts_with(block)), "{skipped:?}");
    assert!(skipped.iter().any(|what| what.starts_with("journal page") && what.contains("3 samples from 2026-01-01")));
    let checked = upkeep::check(&options.path, Depth::Full, |_| ()).unwrap();
    assert_eq!((checked.samples, checked.faults.len()), (288, 2), "{:?}", checked.faults);

    // Readers of the service notify its writer, which reports it.
    store.handle().read_blocking(|reader| Ok(all(reader, "a").len())).unwrap();
    writer.tick(stamp(T0)).unwrap();
    assert!(writer.incidents().iter().any(|incident| incident.what.starts_with(block)));
    // Writing continues, also at the same instants, and a damaged block is deleted with other expired data.
    writer.write(&series_of("a", T0 + 64 * 16 * SECOND, 64)).unwrap();
    writer.write(&series_of("b", T0 + DAY, 40)).unwrap();
    assert_eq!(all(&reader, "a").len(), 320);
    catch_up(&mut writer, T0 + 30 * DAY);
    for _ in 0..9 {
        writer.tick(Stamp { mono_ns: stamp(T0).mono_ns + 800 * DAY, ..stamp(T0 + 30 * DAY) }).unwrap();
    }
    assert_eq!(places(&options), (0, 0, 0));
}

#[test]
fn space_of_deleted_samples_is_reused_or_freed() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let options = Options { raw_for: hour, rollup_5m_for: hour, ..options(dir.path()) };
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    // Different texts take the most space.
    let failed = |n: i64| {
        let why = (0..12).map(|k| format!("{:x}", (n + 1) * (7919 + k) % 1_000_003)).collect::<String>();
        Arc::new(poll("a", T0 + n * SECOND, Outcome::Fault(why.into())))
    };
    (0..25).for_each(|n| writer.write(&(n * 4000..(n + 1) * 4000).map(failed).collect::<Vec<_>>()).unwrap());
    let pages = || sql::<i64>(&options, "SELECT page_count FROM pragma_page_count");
    let before = pages();
    catch_up(&mut writer, T0 + 30 * DAY);
    for n in 0..500 {
        writer.tick(Stamp { mono_ns: stamp(T0).mono_ns + (800 + n) * DAY, ..stamp(T0 + 30 * DAY) }).unwrap();
    }
    assert_eq!(places(&options), (0, 0, 0));
    assert!(before > 1500 && pages() <= 1024 + 200, "{before} pages before, {} after", pages());
}

const CHILD: &str = "NTP_MONITOR_TEST_PACKING";

/// Not a separate test: the process that the next test kills.
#[test]
fn child_that_packs_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let options = options(&PathBuf::from(path));
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    let already = all(&reader(&options), "a").len() as i64;
    // Nearly every batch is packed, and every tick moves rows of an earlier release.
    for n in already / 40.. {
        writer.write(&mixed("a", n * 40, 40)).unwrap();
        eprintln!("committed {}", (n + 1) * 40);
        writer.tick(stamp(T0)).unwrap();
    }
}

#[test]
fn kill_while_packing_loses_and_duplicates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = with_rows(dir.path(), 4000);
    for round in 0..8 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["packing::child_that_packs_until_it_is_killed", "--exact", "--nocapture"]).env(CHILD, dir.path());
        let mut child = damage::Killed(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
        let mut counts = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
        let committed: i64 = counts.nth(1 + 3 * round).expect("the child writes");
        drop(child);

        let found = all(&reader(&options), "a");
        assert!(found.len() as i64 >= committed && found.len().is_multiple_of(40), "{} of {committed}", found.len());
        let walls: Vec<_> = found.iter().map(|sample| sample.at.wall_ns).collect();
        assert!(walls.is_sorted_by(|a, b| a < b), "each once");
        assert_eq!(all(&reader(&options), "b").len(), 2000);
        assert_eq!(upkeep::check(&options.path, Depth::Full, |_| ()).unwrap().faults, [] as [String; 0]);
    }
}
