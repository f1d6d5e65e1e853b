//! Rollups are the sums of raw rows.

use super::*;

/// The five-minute rollups as another program sees them, without the pending bucket: buckets and their polls.
fn rollups_on_disk(options: &Options) -> Vec<(i64, i64)> {
    let conn = rusqlite::Connection::open(&options.path).unwrap();
    let mut statement = conn.prepare("SELECT bucket_s, samples FROM rollup_5m ORDER BY bucket_s").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn pending_five_minutes_are_read_and_later_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    store.writer(None).write(&series_of("a", T0, 10)).unwrap();
    assert_eq!(rollups_on_disk(&options), []);
    assert_eq!(polls(&reader(&options)), 10);
    // After a kill, the next writer continues the same bucket and completes it.
    let mut successor = store.writer(None);
    successor.write(&series_of("a", T0 + 160 * SECOND, 2)).unwrap();
    assert_eq!((rollups_on_disk(&options), polls(&reader(&options))), (vec![], 12));
    successor.write(&series_of("a", T0 + 300 * SECOND, 1)).unwrap();
    assert_eq!((rollups_on_disk(&options), polls(&reader(&options))), (vec![(T0 / SECOND, 12)], 13));
}

#[test]
fn clock_set_back_counts_no_sample_twice() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    let at = |bucket: i64, second: i64| T0 + (bucket * 300 + second) * SECOND;
    for (bucket, second) in [(0, 0), (1, 0), (9, 0), (0, 9), (0, 19), (1, 9), (2, 0), (3, 0), (9, 9), (10, 0)] {
        writer.write(&series_of("a", at(bucket, second), 1)).unwrap();
    }
    let bucket_s = |bucket: i64| T0 / SECOND + bucket * 300;
    assert_eq!(rollups_on_disk(&options), [(0, 3), (1, 2), (2, 1), (3, 1), (9, 2)].map(|(b, n)| (bucket_s(b), n)));
    assert_eq!(polls(&reader(&options)), 10);
}

#[test]
fn raw_samples_are_summed_up_before_they_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { raw_for: Duration::from_secs(30), ..options(dir.path()) };
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    writer.write(&series_of("a", T0, 10)).unwrap();
    catch_up(&mut writer, T0 + 145 * SECOND);
    assert_eq!((all(&reader(&options), "a").len(), polls(&reader(&options))), (10, 10), "two are not too old");
    writer.write(&series_of("a", T0 + 160 * SECOND, 3)).unwrap();
    catch_up(&mut writer, T0 + 800 * SECOND);
    assert_eq!((all(&reader(&options), "a").len(), polls(&reader(&options))), (0, 13));
}

fn arbitrary_sample() -> impl Strategy<Value = Sample> {
    let way = prop_oneof![Just(Timestamping::Kernel), Just(Timestamping::Userland)];
    (0..3 * HOUR, -1.0..1.0_f64, way, any::<bool>()).prop_map(|(after, offset_s, way, answered)| {
        if answered {
            Sample { timestamping: Some(way), ..measured("a", T0 + after, offset_s) }
        } else {
            poll("a", T0 + after, Outcome::Timeout)
        }
    })
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * (1.0 + left.abs().max(right.abs()))
}

fn same(left: &Rollup, right: &Rollup) -> bool {
    let sums = |r: &Rollup| {
        [r.offset_s.mean(), r.offset_s.squares(), r.delay_s.mean(), r.delay_s.squares(), Some(r.root_distance_mean_s)]
    };
    let exact = |r: &Rollup| (r.counts, r.offset_s.n(), r.offset_sketch.clone(), r.delay_sketch.clone());
    let extremes = |r: &Rollup| {
        [r.offset_s.min(), r.offset_s.max(), r.delay_s.min(), r.delay_s.max(), Some(r.root_distance_max_s)]
    };
    exact(left) == exact(right)
        && extremes(left) == extremes(right)
        && sums(left).into_iter().zip(sums(right)).all(|(l, r)| close(l.unwrap_or(0.0), r.unwrap_or(0.0)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rollup_equals_the_sum_of_its_samples(
        samples in prop::collection::vec(arbitrary_sample(), 1..80),
        cuts in prop::collection::vec((0..80_usize, 0..80_usize, any::<bool>()), 1..6),
        in_order: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path());
        let store = Store::open(options.clone(), &log()).unwrap();
        let mut samples: Vec<_> = samples.into_iter().map(Arc::new).collect();
        if in_order {
            samples.sort_by_key(|sample| sample.at.wall_ns);
        }
        let mut writer = store.writer(None);
        // Overlapping pieces in any order, some of them written by the successor of a killed writer, and then all
        // samples.
        for (a, b, killed) in cuts {
            if killed {
                writer = store.writer(None);
            }
            let (from, to) = (a.min(b).min(samples.len()), a.max(b).min(samples.len()));
            writer.write(&samples[from..to]).unwrap();
        }
        writer.write(&samples).unwrap();

        let reader = reader(&options);
        for grain in Grain::ALL {
            let mut wanted: BTreeMap<_, Rollup> = BTreeMap::new();
            for sample in all(&reader, "a") {
                let (bucket_s, way) = (grain.bucket_s(sample.at.wall_ns), sample.timestamping);
                wanted.entry((bucket_s, way)).or_insert_with(|| Rollup::empty(grain, bucket_s, way)).add(&sample);
            }
            let found = reader.rollups("a", None, grain, 0, i64::MAX).unwrap();
            prop_assert_eq!(found.len(), wanted.len());
            for (_, rollup) in found {
                prop_assert!(same(&rollup, &wanted[&(rollup.bucket_s, rollup.timestamping)]), "{:?}", rollup);
            }
        }
    }
}
