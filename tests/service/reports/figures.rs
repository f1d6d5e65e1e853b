//! `stats` and `export`.

use super::*;

#[test]
fn stats_of_five_samples_are_exact() {
    let (_dir, path) = small(five());
    let found: Value = serde_json::from_str(&told(&path, &[&["stats", "--json"], &DAY[..]].concat())).unwrap();
    let a = &found["servers"]["a"];
    assert_eq!((a["n"].as_u64(), a["polls"].as_u64(), a["from"].as_str()), (Some(5), Some(6), Some("samples")));
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(close(&a["loss"], 1.0 / 6.0) && close(&a["offset"]["mean"], 3e-3) && close(&a["offset"]["median"], 3e-3));
    assert!(close(&a["offset"]["stddev"], 2.5e-6_f64.sqrt()) && close(&a["offset"]["max"], 5e-3));
    assert!(a["offset"].get("p99").is_none(), "five values have no p99");
    assert_eq!(found["judged_from"], "2026-11-01T00:00:00Z");
    let table = told(&path, &[&["stats"], &DAY[..]].concat());
    assert!(table.contains("16.67 %") && table.contains("+3.00 ms") && table.contains("samples"), "{table}");
}

#[test]
fn stats_and_replay_agree_on_the_same_samples() {
    let (_dir, path) = &a_week();
    let export = tempfile::tempdir().unwrap();
    let file = export.path().join("week.csv.gz");
    told(path, &["export", "-o", file.to_str().unwrap()]);
    let replayed = run(export.path(), &["replay", "--json", file.to_str().unwrap()]);
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let found: Value = serde_json::from_str(&told(path, &[&["stats", "--json"], &WEEK_SPAN[..]].concat())).unwrap();
    assert_eq!(found["verdicts"], replayed["verdicts"]);
    for (name, expected) in replayed["servers"].as_object().unwrap() {
        let mut got = found["servers"][name].clone();
        for key in ["from", "standing"] {
            got.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(&got, expected, "{name}");
    }
    let sentences = |events: &Value| -> Vec<Value> {
        events.as_array().unwrap().iter().map(|event| event["sentence"].clone()).collect()
    };
    assert_eq!(sentences(&found["events"]), sentences(&replayed["events"]));
}

#[test]
fn rollup_figures_agree_with_samples_within_their_accuracy() {
    let (_dir, path) = &a_week();
    let dir = tempfile::tempdir().unwrap();
    let rolled = store(options(dir.path()), week().samples());
    forget_samples(options(dir.path()));
    let both = [path, &rolled].map(|path| {
        let told = told(path, &[&["stats", "--json"], &WEEK_SPAN[..]].concat());
        serde_json::from_str::<Value>(&told).unwrap()
    });
    let [exact, sums] = &both;
    for name in ["ntp1", "ntp2", "ntp3", "ntp4", "ntp5"] {
        let (exact, sums) = (&exact["servers"][name], &sums["servers"][name]);
        assert_eq!((exact["from"].as_str(), sums["from"].as_str()), (Some("samples"), Some("rollups")));
        assert_eq!((&exact["n"], &exact["outcomes"], &exact["loss"]), (&sums["n"], &sums["outcomes"], &sums["loss"]));
        for (part, figure) in [("offset", "p95"), ("offset", "p5"), ("delay", "p50"), ("offset_abs", "p99")] {
            let value = |of: &Value| of[part][figure].as_f64().unwrap();
            assert!((value(exact) - value(sums)).abs() <= 0.0203 * value(exact).abs() + 2e-9, "{name} {part} {figure}");
        }
        assert_eq!((&exact["offset"]["min"], &exact["delay"]["max"]), (&sums["offset"]["min"], &sums["delay"]["max"]));
    }
    assert!(sums["judged_from"].is_null() && sums["verdicts"].as_array().unwrap().is_empty());
    assert!(told(&rolled, &[&["stats"], &WEEK_SPAN[..]].concat()).contains("no verdicts: they need samples"));
    assert!(complaint(&rolled, &["export"]).contains("the store has no samples"));
    // Charts and reports use the remaining rollups.
    let svg = told(&rolled, &[&["plot", "histogram", "--server", "ntp1"], &WEEK_SPAN[..]].concat());
    assert!(svg.contains("n = 9366"), "the sketches of all hours");
    assert!(told(&rolled, &[&["report"], &WEEK_SPAN[..]].concat()).contains("Verdicts and stability need samples"));
}

#[test]
fn export_is_lossless_with_one_line_a_poll() {
    let (_dir, path) = &a_week();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.csv");
    told(path, &["export", "-o", file.to_str().unwrap()]);
    let exported: Vec<Sample> = csv::read_file(&file).unwrap().map(|row| row.unwrap()).collect();
    let kept: Vec<Sample> = week().samples().collect();
    assert_eq!(exported.len(), kept.len());
    let same = |a: &Sample, b: &Sample| {
        (a.at, a.address, &a.outcome, a.measure, a.reply) == (b.at, b.address, &b.outcome, b.measure, b.reply)
    };
    // The store sorts by the wall clock.
    let mut kept = kept;
    kept.sort_by_key(|sample| sample.at.wall_ns);
    assert!(exported.iter().zip(&kept).all(|(a, b)| same(a, b)));

    let lines = told(path, &["export", "--format", "jsonl", "--server", "ntp3", "--since", "9000d"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((first["server"].as_str(), first["vantage"].as_str()), (Some("ntp3"), Some("ams-1")));
    let of_ntp3 = kept.iter().filter(|sample| &*sample.server.name == "ntp3");
    assert_eq!(lines.lines().count(), of_ntp3.clone().count());
    assert_eq!(first["raw_ns"].as_i64(), of_ntp3.clone().next().map(|sample| sample.at.raw_ns));

    let lines = told(path, &["export", "--format", "influx", "--from", "2026-02-26", "--to", "2026-02-27"]);
    assert!(lines.lines().all(|line| line.starts_with("ntp_sample,address=198.18.")), "line protocol");
}

#[test]
fn export_to_a_closed_pipe_is_no_error() {
    let (dir, path) = &a_week();
    let mut child = program(dir.path())
        .args(["export", "--store", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((first.as_str(), text(&output.stderr).as_str()), (ntp_monitor_core::formats::csv::HEADER, ""));
}

#[test]
fn server_without_a_poll_in_the_span_has_no_figures() {
    let polls = (0..60).map(|minute| measured("a", minute, 1e-4, 0.004));
    let (_dir, path) = &small([measured("early", 0, 1e-4, 0.004)].into_iter().chain(polls));
    let span = ["--from", "2026-11-01T00:50:00Z", "--to", "2026-11-01T01:00:00Z"];
    let found: Value = serde_json::from_str(&told(path, &[&["stats", "--json"], &span[..]].concat())).unwrap();
    let names: Vec<_> = found["servers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a"]);
    assert_eq!(found["servers"]["a"]["standing"]["wrong_s"].to_string(), "0.0");
    for command in [&["stats"][..], &["report", "--format", "text"], &["report", "--format", "csv"]] {
        let said = told(path, &[command, &span[..]].concat());
        assert!(!said.contains("early") && !said.contains("verdicts need samples"), "{said}");
    }
}

#[test]
fn export_that_is_interrupted_leaves_no_file() {
    let (dir, path) = &a_week();
    let out = tempfile::tempdir().unwrap();
    let mut child = program(dir.path())
        .args(["export", "--store", path.to_str().unwrap(), "-o"])
        .arg(out.path().join("x.csv"))
        .spawn()
        .unwrap();
    let names = || {
        let entries = std::fs::read_dir(out.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    // The file is created before signals are handled, and written after that.
    let is_begun =
        || names().iter().any(|name| std::fs::metadata(out.path().join(name)).is_ok_and(|meta| meta.len() > 0));
    while !is_begun() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    child.wait().unwrap();
    assert!(names().iter().all(|name| name == "x.csv"), "{:?}", names());
}
