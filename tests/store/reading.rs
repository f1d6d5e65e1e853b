//! The data that readers see.

use super::*;

#[test]
fn history_is_raw_while_it_fits_and_rollups_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    store.writer(None).write(&series_of("a", T0, 1350)).unwrap();
    let reader = reader(&options);
    let history = |step, points| reader.history("a", None, T0, T0 + 6 * HOUR, step, points).unwrap();
    assert!(matches!(history(None, 2000), History::Raw(samples) if samples.len() == 1350));
    for (step, points, width, count) in
        [(None, 1000, 300, 72), (Some(Duration::from_secs(900)), 2000, 900, 24), (None, 6, 3600, 6)]
    {
        let History::Rollups { width_s, rollups } = history(step, points) else { panic!("raw for {step:?}") };
        assert_eq!((width_s, rollups.len()), (width, count));
        assert_eq!(rollups.iter().map(|(_, r)| r.counts.polls()).sum::<u64>(), 1350);
    }
    let History::Rollups { rollups, .. } = history(None, 6) else { panic!("raw") };
    let median = rollups[0].1.offset_sketch.as_ref().unwrap().quantile(0.5).unwrap();
    assert!((median - 0.0112).abs() < 0.0112 * 0.02, "{median}");
}

#[test]
fn pages_of_a_server_follow_each_other_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let second =
        |s: &Arc<Sample>| Arc::new(Sample { address: Some("192.0.2.2:123".parse().unwrap()), ..Sample::clone(s) });
    let first = series_of("a", T0, 100);
    let batch: Vec<_> = first.iter().cloned().chain(first.iter().map(second)).collect();
    store.writer(None).write(&batch).unwrap();
    let reader = reader(&options);
    let (mut from, mut read) = (T0, 0);
    loop {
        let page = reader.samples("a", None, from, i64::MAX, 7).unwrap();
        let Some(last) = page.last() else { break };
        from = last.sample.at.wall_ns + 1;
        read += page.len();
    }
    assert_eq!(read, 200);
    let one = reader.samples("a", Some("192.0.2.2:123".parse().unwrap()), T0, i64::MAX, 1000).unwrap();
    assert_eq!(one.len(), 100);
}

#[test]
fn samples_since_an_instant_are_in_order_across_series() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    for (server, from) in [("a", T0), ("b", T0 + SECOND), ("a", T0 + 40 * DAY), ("c", T0 + 40 * DAY + 1)] {
        writer.write(&series_of(server, from, 2500)).unwrap();
    }
    let reader = reader(&options);
    let since: Vec<_> = reader.since(T0 + 16 * SECOND).map(|s| s.unwrap().sample.at.wall_ns).collect();
    assert_eq!(since.len(), 10_000 - 2);
    assert!(since.is_sorted());
    assert_eq!(reader.since(T0 + 99 * DAY).count(), 0);
    assert_eq!(reader.since(i64::MIN).count(), 10_000);
}

#[test]
fn counts_over_a_window_are_exact_at_its_edges() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 1350)).unwrap();
    let lost: Vec<_> = (0..500).map(|n| Arc::new(poll("b", T0 + n * 31 * SECOND, Outcome::Timeout))).collect();
    writer.write(&lost).unwrap();
    let reader = reader(&options);
    for (from, to) in [(T0, T0 + DAY), (T0 + 47 * SECOND, T0 + 3 * HOUR + 311 * SECOND), (T0 + 1, T0 + 200 * SECOND)] {
        let counts = reader.counts(from, to).unwrap();
        let raw = |server| reader.samples(server, None, from, to, usize::MAX).unwrap().len() as u64;
        let found: Vec<_> = counts.iter().map(|c| (c.counts.samples(), c.counts.polls(), c.counts.lost)).collect();
        assert_eq!(found, [(raw("a"), raw("a"), 0), (0, raw("b"), raw("b"))]);
    }
}

#[tokio::test]
async fn outbox_lines_and_events_go_through_the_writer_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(dir.path()), &log()).unwrap();
    let handle = store.handle();
    let queue = SinkQueue::new("store", 64);
    worker::spawn(store.writer(encoder()), &queue, None, handle.writer(), &log(), ()).unwrap();
    every_outcome("a").into_iter().for_each(|sample| assert_eq!(queue.offer(sample), 0));
    handle.append_lines(2, b"x 1\ny 2\n".to_vec()).await.unwrap();
    wait_until(|| handle.outbox_gauge().lines == 10).await;

    let rows = handle.oldest(1, 1).await.unwrap();
    assert_eq!(rows.len(), 1);
    handle.done(handle.oldest(1000, 1 << 20).await.unwrap().iter().map(|row| row.id).collect()).await.unwrap();
    handle.done(vec![rows[0].id]).await.unwrap();
    for n in 0..QUARANTINE_LINES + 5 {
        handle.quarantine(vec![(format!("line {n}").into_bytes(), "bad field".to_owned())]).await.unwrap();
    }
    let gauge = handle.gauge().await.unwrap();
    assert_eq!((gauge.rows, gauge.lines, gauge.bytes, gauge.dropped_lines), (0, 0, 0, 0));
    assert_eq!(gauge.quarantined_lines, QUARANTINE_LINES as u64);
    assert_eq!(handle.read(Reader::outbox_gauge).await.unwrap(), gauge);

    events_are_kept_once(&handle).await;
    let (reply, answer) = tokio::sync::oneshot::channel();
    handle.writer().command(Command::PruneNow { reply });
    answer.await.unwrap().unwrap();
    let ended = handle.writer().drain(Instant::now() + Duration::from_secs(10));
    ended.recv_timeout(Duration::from_secs(20)).unwrap();
}

async fn events_are_kept_once(handle: &ntp_monitor::store::StoreHandle) {
    // Recent, so that it is not pruned.
    let start_ns = ntp_monitor::clock::now().wall_ns - HOUR;
    let event = Event {
        start_ns,
        end_ns: None,
        kind: "step".to_owned(),
        server: Some("a".to_owned()),
        address: None,
        detail: r#"{"gap_s":0.12}"#.to_owned(),
    };
    let id = handle.record_event(event.clone(), None).await.unwrap();
    assert_eq!(handle.record_event(event.clone(), None).await.unwrap(), id);
    let event = Event { end_ns: Some(start_ns + SECOND), ..event };
    assert_eq!(handle.record_event(event.clone(), None).await.unwrap(), id);
    let events = handle.read(move |reader| reader.events(start_ns + 1, i64::MAX, 10)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, event);
    assert!(handle.read(move |reader| reader.events(start_ns + HOUR, i64::MAX, 10)).await.unwrap().is_empty());
}

async fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn readers_see_whole_batches_while_the_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(encoder());
    let writing = std::thread::spawn(move || {
        (0..60).for_each(|n| writer.write(&series_of("a", T0 + n * HOUR, 50)).unwrap());
    });
    let reader = reader(&options);
    loop {
        let over = writing.is_finished();
        let seen = all(&reader, "a").len();
        assert_eq!(seen % 50, 0);
        if over {
            assert_eq!(seen, 3000);
            break;
        }
    }
    writing.join().unwrap();
}

#[test]
fn last_rate_kiss_of_each_address_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let kissed = |server, n: i64, code, poll_s| Sample { poll_s, ..poll(server, T0 + n * SECOND, Outcome::Kiss(code)) };
    let elsewhere = Sample { address: Some("192.0.2.99:123".parse().unwrap()), ..kissed("b", 1, KissCode::DENY, 64.0) };
    let batch = [
        kissed("a", 1, KissCode::RATE, 64.0),
        kissed("renamed", 3, KissCode::RATE, 128.0),
        kissed("a", 2, KissCode::RATE, 32.0),
        measured("a", T0 + 4 * SECOND, 0.1),
        kissed("a", 5, KissCode::DENY, 256.0),
        elsewhere,
    ];
    let address = batch[0].address.unwrap();
    store.writer(None).write(&batch.map(Arc::new)).unwrap();
    assert_eq!(reader(&options).rates().unwrap(), [RateKiss { address, wall_ns: T0 + 3 * SECOND, poll_s: 128.0 }]);
}
