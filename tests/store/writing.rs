//! Written data is stored once, and kept as long as configured.

use super::*;

#[test]
fn every_outcome_comes_back_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let batch = every_outcome("a");
    store.writer(None).write(&batch).unwrap();

    let reader = reader(&options);
    let written: Vec<_> =
        batch.iter().map(|s| Sample { rejected: Vec::new(), rejected_count: 0, ..Sample::clone(s) }).collect();
    assert_eq!(all(&reader, "a"), written);
    let checks: Vec<_> = reader.samples("a", None, T0, T0 + DAY, 100).unwrap().iter().map(|s| s.checks).collect();
    assert_eq!(checks.iter().flatten().collect::<Vec<_>>(), [&refused_reply(0).checks]);
    assert_eq!(reader.evidence("a", None).unwrap()[0].1, *refused_reply(T0 + 4 * SECOND));
    assert_eq!(reader.vantage().unwrap().as_deref(), Some("ams-1"));

    let series = reader.series().unwrap();
    assert_eq!(series.iter().map(|s| s.key.address.is_some()).collect::<Vec<_>>(), [false, true]);
    let latest = reader.latest().unwrap();
    assert_eq!(latest.iter().map(|s| s.sample.outcome.label()).collect::<Vec<_>>(), ["dns", "fault"]);
}

#[test]
fn nan_does_not_stop_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let odd = Sample { poll_s: f64::NAN, ..measured("a", T0, f64::NAN) };
    store.writer(None).write(&[Arc::new(odd), Arc::new(measured("a", T0 + SECOND, 0.5))]).unwrap();
    let rollups = reader(&options).rollups("a", None, Grain::Hour, T0, T0 + HOUR).unwrap();
    assert_eq!(
        (rollups[0].1.counts.samples(), rollups[0].1.offset_s.n(), rollups[0].1.offset_s.mean()),
        (2, 1, Some(0.5))
    );
}

#[test]
fn the_same_batch_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let read = || {
        let reader = reader(&options);
        let rollups = Grain::ALL.map(|grain| reader.rollups("a", None, grain, T0, T0 + DAY).unwrap());
        (all(&reader, "a"), rollups, reader.outbox_gauge().unwrap(), reader.evidence("a", None).unwrap())
    };
    store.writer(encoder()).write(&every_outcome("a")).unwrap();
    let once = read();
    assert_eq!((once.0.len(), once.2.lines), (8, 8));

    let mut writer = store.writer(encoder());
    writer.write(&every_outcome("a")).unwrap();
    writer.write(&[every_outcome("a"), every_outcome("a")].concat()).unwrap();
    assert_eq!(read(), once);
    assert_eq!(store.handle().outbox_gauge(), once.2);
}

#[test]
fn only_the_last_refused_replies_of_a_series_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let batch: Vec<_> = (0..40)
        .map(|n| {
            let at = T0 + n * SECOND;
            Arc::new(Sample {
                rejected: vec![refused_reply(at)],
                rejected_count: 1,
                ..poll("a", at, Outcome::Rejected(Check::Origin))
            })
        })
        .collect();
    store.writer(None).write(&batch).unwrap();
    let kept = reader(&options).evidence("a", None).unwrap();
    assert_eq!(kept.len(), EVIDENCE_PER_SERIES);
    assert_eq!(kept.last().unwrap().1.at.wall_ns, T0 + 39 * SECOND);
}

#[test]
fn a_second_service_is_refused_while_readers_are_welcome() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    assert!(matches!(Store::open(options.clone(), &log()), Err(StoreError::InUse { .. })));
    assert!(reader(&options).series().unwrap().is_empty());
    drop(store);
    Store::open(options, &log()).unwrap();
}

#[test]
fn expired_rows_are_deleted_and_others_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        raw_for: Duration::from_secs(3600),
        others: None,
        rollup_5m_for: Duration::from_secs(2 * 3600),
        rollup_1h_for: Duration::from_secs(4 * 3600),
        ..options(dir.path())
    };
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for server in ["a", "b"] {
        writer.write(&series_of(server, T0, 6 * 225)).unwrap();
    }
    let end = T0 + 6 * HOUR;
    catch_up(&mut writer, end);
    // More than one pass: each deletes a bounded number of rows.
    let later = Stamp { mono_ns: stamp(end).mono_ns + 800 * 24 * HOUR, ..stamp(end) };
    for _ in 0..12 {
        writer.tick(later).unwrap();
    }
    let reader = reader(&options);
    for server in ["a", "b"] {
        // A block is deleted when all of its samples are too old; a block holds at most 63.
        let oldest = all(&reader, server).first().unwrap().at.wall_ns;
        assert!((end - HOUR - 62 * 16 * SECOND..=end - HOUR).contains(&oldest), "{}", end - oldest);
        assert_eq!(all(&reader, server).len() as i64, (end - oldest) / (16 * SECOND));
        let oldest = |grain| reader.rollups(server, None, grain, 0, end).unwrap()[0].1.bucket_s * SECOND;
        assert_eq!(oldest(Grain::FiveMinutes), end - 2 * HOUR);
        assert_eq!(oldest(Grain::Hour), end - 4 * HOUR);
    }
}

#[test]
fn outbox_is_bounded_and_dropped_lines_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { outbox_max_bytes: 2000, ..options(dir.path()) };
    let store = Store::open(small.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    for n in 0..20 {
        writer.write(&series_of("a", T0 + n * HOUR, 10)).unwrap();
    }
    writer.tick(ntp_monitor::clock::now()).unwrap();
    let gauge = store.handle().outbox_gauge();
    assert!(gauge.bytes <= 2000 && gauge.rows > 0, "{gauge:?}");
    assert_eq!(gauge.lines + gauge.dropped_lines, 200);
    assert_eq!(reader(&small).outbox_gauge().unwrap(), gauge);
    drop((writer, store));

    let short = Options { outbox_max_age: Duration::ZERO, ..small };
    let store = Store::open(short, &log()).unwrap();
    assert_eq!(store.handle().outbox_gauge(), gauge);
    catch_up(&mut store.writer(None), ntp_monitor::clock::now().wall_ns);
    let gauge = store.handle().outbox_gauge();
    assert_eq!((gauge.rows, gauge.bytes, gauge.oldest_ns, gauge.dropped_lines), (0, 0, None, 200));
}

#[test]
fn each_vantage_has_its_own_series() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let here = measured("a", T0, 0.001);
    let there = Sample { server: ServerIdent::seen_from("fra-1", "a"), ..measured("a", T0, 0.002) };
    store.writer(None).write(&[Arc::new(here.clone()), Arc::new(there.clone())]).unwrap();
    let reader = reader(&options);
    let keys: Vec<_> = reader.series().unwrap().into_iter().map(|series| series.key).collect();
    assert_eq!(keys, [here.key(), there.key()]);
    assert_eq!(all(&reader, "a"), [here], "the default is what is seen from here");
}
