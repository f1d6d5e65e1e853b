//! The files of the days: written, rotated, compressed and deleted.

use super::*;

/// Ticks a second apart, until nothing has changed in the directory for two minutes.
fn keep_house(writer: &mut CsvWriter, dir: &Path, wall_ns: i64) {
    let (mut mono_ns, mut quiet, mut before) = (wall_ns - MIDNIGHT_NS, 0, Vec::new());
    while quiet < 120 {
        writer.tick(Stamp::new(wall_ns, mono_ns, 0)).unwrap();
        mono_ns += SECOND_NS;
        let now = names(dir);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

#[test]
fn batch_that_spans_midnight_goes_to_two_files_with_headers() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a"), timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS - 2, "late"), timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-22.csv"]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv")), [MIDNIGHT_NS - 1, MIDNIGHT_NS - 2]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-22.csv")), [MIDNIGHT_NS, MIDNIGHT_NS + 1]);
    let text = fs::read_to_string(dir.path().join("samples-2026-11-22.csv")).unwrap();
    assert_eq!(text.matches(HEADER).count(), 1);
}

#[test]
fn truncated_last_line_is_removed_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    writer(config(dir.path())).write(&[timeout_at(MIDNIGHT_NS, "a"), timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    let whole = fs::read(&path).unwrap();
    for torn in [whole.len() - 1, whole.len() - 30, HEADER.len() - 3, 0] {
        fs::write(&path, &whole[..torn]).unwrap();
        let mut writer = writer(config(dir.path()));
        let left = if torn > HEADER.len() { stamps(&path) } else { Vec::new() };
        writer.write(&[timeout_at(MIDNIGHT_NS + 2, "a")]).unwrap();
        assert_eq!(stamps(&path), [left, vec![MIDNIGHT_NS + 2]].concat());
    }
}

/// At a reload, an incomplete line may be one that is just being written.
#[test]
fn check_of_a_directory_changes_nothing_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    fs::write(&path, format!("{HEADER}half a li")).unwrap();
    fs::write(dir.path().join("samples-2026-11-21.csv"), HEADER).unwrap();
    fs::write(dir.path().join("samples-2026-11-21.csv.gz.part"), "half an archive").unwrap();
    let before = names(dir.path());
    CsvWriter::examine(dir.path()).unwrap();
    assert_eq!(names(dir.path()), before);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEADER}half a li"));
    for unusable in [&path, Path::new("/proc/self")] {
        let why = CsvWriter::examine(unusable).unwrap_err().to_string();
        assert!(why.contains(unusable.to_str().unwrap()), "{why}");
    }
}

#[test]
fn a_file_with_other_columns_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = "time,server\nx,y\n";
    fs::write(dir.path().join("samples-2026-11-22.csv"), foreign).unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("samples-2026-11-22.csv")).unwrap(), foreign);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-22.2.csv")), [MIDNIGHT_NS, MIDNIGHT_NS + 1]);
}

#[test]
fn file_without_the_newest_columns_is_read_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("samples-2026-11-22.csv");
    let mut row = Vec::new();
    append_record(&mut row, "v", &timeout_at(MIDNIGHT_NS, "a"));
    let older = |line: &str| line.trim_end().split(',').take(19).collect::<Vec<_>>().join(",") + "\n";
    let content = older(HEADER) + &older(std::str::from_utf8(&row).unwrap());
    fs::write(&file, &content).unwrap();
    let read = |path: &Path| read_file(path).unwrap().map(Result::unwrap).next().unwrap();
    let here = timeout_at(MIDNIGHT_NS, "a");
    assert_eq!(read(&file), Sample { server: ServerIdent::seen_from("v", "a"), ..Sample::clone(&here) });

    let late = timeout_at(MIDNIGHT_NS + 1, "a");
    writer(config(dir.path())).write(std::slice::from_ref(&late)).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), content);
    let back = read(&dir.path().join("samples-2026-11-22.2.csv"));
    assert_eq!(back, Sample { server: ServerIdent::seen_from("ams-1", "a"), ..Sample::clone(&late) });
}

#[test]
fn batch_that_fails_in_part_is_rolled_back_completely() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a")]).unwrap();
    let before = fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap();
    // The second day's file cannot be opened: a directory has its name.
    let blocked = dir.path().join("samples-2026-11-22.csv");
    fs::create_dir(&blocked).unwrap();
    let batch = [timeout_at(MIDNIGHT_NS - 2, "a"), timeout_at(MIDNIGHT_NS, "a")];
    writer.write(&batch).unwrap_err();
    assert_eq!(fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap(), before);
    fs::remove_dir(&blocked).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv")), [MIDNIGHT_NS - 1, MIDNIGHT_NS - 2]);
    assert_eq!(stamps(&blocked), [MIDNIGHT_NS]);
}

#[test]
fn finished_files_are_compressed_and_late_rows_get_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(Csv { compress: true, ..config(dir.path()) });
    writer.write(&[timeout_at(MIDNIGHT_NS - 1, "a"), timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    let before = fs::read(dir.path().join("samples-2026-11-21.csv")).unwrap();

    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 300 * SECOND_NS);
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-22.csv"], "too early to be finished");
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 3600 * SECOND_NS);
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv.gz", "samples-2026-11-22.csv"]);
    let mut unpacked = Vec::new();
    let archive = fs::File::open(dir.path().join("samples-2026-11-21.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(archive).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, before);

    writer.write(&[timeout_at(MIDNIGHT_NS - 5, "late")]).unwrap();
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.2.csv")), [MIDNIGHT_NS - 5]);
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 7200 * SECOND_NS);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.2.csv.gz")), [MIDNIGHT_NS - 5]);
}

#[test]
fn a_crash_while_compressing_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-21.csv");
    let compressing = Csv { compress: true, ..config(dir.path()) };
    let mut first = writer(compressing.clone());
    first.write(&[timeout_at(MIDNIGHT_NS - 1, "a")]).unwrap();
    let plain = fs::read(&path).unwrap();
    first.tick(Stamp::new(MIDNIGHT_NS + DAY_NS, 0, 0)).unwrap();
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv", "samples-2026-11-21.csv.gz.part"]);
    drop(first);

    let mut second = writer(compressing.clone());
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv"]);
    keep_house(&mut second, dir.path(), MIDNIGHT_NS + DAY_NS);
    drop(second);
    // Simulates a crash just before the original is removed.
    fs::write(&path, plain).unwrap();
    drop(writer(compressing));
    assert_eq!(names(dir.path()), ["samples-2026-11-21.csv.gz"]);
    assert_eq!(stamps(&dir.path().join("samples-2026-11-21.csv.gz")), [MIDNIGHT_NS - 1]);
}

#[test]
fn old_files_are_deleted_and_foreign_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("samples-of-mine.csv"), "x").unwrap();
    let mut writer = writer(Csv { keep: Some(Duration::from_secs(2 * 86_400)), ..config(dir.path()) });
    for day in 0..6 {
        writer.write(&[timeout_at(MIDNIGHT_NS + day * DAY_NS, "a")]).unwrap();
    }
    keep_house(&mut writer, dir.path(), MIDNIGHT_NS + 5 * DAY_NS + 3600 * SECOND_NS);
    assert_eq!(
        names(dir.path()),
        ["samples-2026-11-25.csv", "samples-2026-11-26.csv", "samples-2026-11-27.csv", "samples-of-mine.csv"]
    );
}

#[test]
fn file_removed_while_open_is_created_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    let mut writer = writer(config(dir.path()));
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    fs::remove_file(&path).unwrap();
    writer.tick(Stamp::new(MIDNIGHT_NS, 0, 0)).unwrap();
    writer.write(&[timeout_at(MIDNIGHT_NS + 1, "a")]).unwrap();
    assert_eq!(stamps(&path), [MIDNIGHT_NS + 1]);
}

#[test]
fn file_that_changes_while_it_is_compressed_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("samples-2026-11-22.csv");
    let mut writer = writer(Csv { compress: true, ..config(dir.path()) });
    writer.write(&[timeout_at(MIDNIGHT_NS, "a")]).unwrap();
    let later = |n| Stamp::new(MIDNIGHT_NS + 2 * DAY_NS, n * SECOND_NS, 0);
    writer.tick(later(1)).unwrap();
    writer.tick(later(2)).unwrap();
    fs::write(path.with_extension("new"), "edited\n").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let why = writer.tick(later(3)).unwrap_err().to_string();
    assert!(why.contains("changed while it was compressed"), "{why}");
    assert_eq!(names(dir.path()), ["samples-2026-11-22.csv"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "edited\n");
}
