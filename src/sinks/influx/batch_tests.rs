//! Tests how rejected requests are taken apart.

use proptest::prelude::*;

use super::*;

fn row(id: i64, lines: &[String]) -> OutboxRow {
    let body = lines.concat().into_bytes();
    OutboxRow { id, created_ns: 0, lines: u32::try_from(lines.len()).unwrap(), body }
}

fn batch(lines: &[String]) -> Batch {
    Batch::new(vec![row(1, lines)], 0)
}

fn because(reason: &str) -> Rejection {
    Rejection { reason: reason.to_owned(), ..Rejection::default() }
}

/// Delivers a batch to a database that rejects requests with a line that is `bad`. Returns the number of requests.
fn deliver(batch: &mut Batch, limit: usize, why: impl Fn(usize) -> Rejection, bad: impl Fn(&str) -> bool) -> usize {
    let mut requests = 0;
    while let Some(body) = batch.next(limit) {
        requests += 1;
        let body = String::from_utf8(body).unwrap();
        match body.lines().filter(|line| bad(line)).count() {
            0 => drop(batch.accept()),
            dropped => batch.reject(&why(dropped)),
        }
    }
    requests
}

proptest! {
    #[test]
    fn each_line_is_either_accepted_or_rejected(
        bad in prop::collection::vec(prop::bool::weighted(0.1), 1..200),
        per_row in 1_usize..40,
        limit in 1_usize..60,
        turn in 0_usize..99,
    ) {
        let lines: Vec<String> =
            bad.iter().enumerate().map(|(n, bad)| format!("m n={n},{}=1\n", if *bad { "bad" } else { "good" })).collect();
        let rows = lines.chunks(per_row).enumerate().map(|(id, lines)| row(id as i64, lines)).collect();
        let mut batch = Batch::new(rows, turn);
        let mut accepted = HashSet::new();
        while let Some(body) = batch.next(limit) {
            let body = String::from_utf8(body).unwrap();
            prop_assert!(body.lines().count() <= limit);
            if body.contains("bad") {
                batch.reject(&because("no"));
            } else {
                batch.accept();
                accepted.extend(body.lines().map(str::to_owned));
            }
        }
        let faults: Vec<usize> = batch.faults.iter().map(|(line, _)| *line).collect();
        // Without any good line in a request, samples decide; then all of its lines are bad in this test or rejected as
        // such.
        let rejected: HashSet<String> =
            faults.iter().map(|line| String::from_utf8(batch.text(*line).to_vec()).unwrap()).collect();
        prop_assert_eq!(rejected.len(), faults.len());
        prop_assert!(accepted.is_disjoint(&rejected));
        prop_assert_eq!(accepted.len() + rejected.len(), lines.len());
        prop_assert!(rejected.iter().filter(|line| line.contains("good")).count() == 0 || accepted.is_empty()
            || bad.iter().filter(|bad| **bad).count() > 16);
    }
}

#[test]
fn few_bad_lines_among_many_need_few_requests() {
    let lines: Vec<String> = (0..5000).map(|n| format!("m {}={n}\n", if n == 4321 { "bad" } else { "good" })).collect();
    let mut batch = batch(&lines);
    let requests = deliver(&mut batch, 5000, |_| because("no"), |line| line.contains("bad"));
    assert!(requests < 40, "{requests}");
    let conclusion = batch.conclude();
    assert_eq!(conclusion.rejected, [(b"m bad=4321".to_vec(), "no".to_owned())]);
    assert_eq!((conclusion.ids, conclusion.held), (vec![1], None));
}

#[test]
fn requests_with_bad_lines_only_are_held_after_a_few_requests() {
    let lines: Vec<String> = (0..50_000).map(|n| format!("m v={n}\n")).collect();
    for (limit, most) in [(50_000, 17), (5000, 60)] {
        let mut batch = batch(&lines);
        let requests = deliver(&mut batch, limit, |_| because("no"), |_| true);
        assert!(requests <= most, "{requests}");
        let conclusion = batch.conclude();
        assert_eq!(conclusion.held, Some((50_000, "no".to_owned())));
        assert!(conclusion.ids.is_empty() && conclusion.rejected.is_empty());
    }
}

#[test]
fn count_of_the_database_settles_a_request() {
    let lines: Vec<String> = (0..5000).map(|n| format!("m v={n}\n")).collect();
    let mut batch = batch(&lines);
    let why = |dropped| Rejection { dropped: Some(dropped), ..because("no") };
    assert_eq!(deliver(&mut batch, 5000, why, |_| true), 1);
}

#[test]
fn lines_with_the_field_in_conflict_are_separated() {
    let lines: Vec<String> = (0..900)
        .map(|n| match n % 3 {
            0 => format!("m,t=1 a=1,v={n}\n"),
            1 => format!("m,t=1 a=1,vv={n}\n"),
            _ => format!("other v={n}\n"),
        })
        .collect();
    let conflict = |line: &str| line.starts_with("m,") && line.contains(",v=");
    let mut batch = batch(&lines);
    let why = |dropped| Rejection {
        dropped: Some(dropped),
        conflict: Some(("m".to_owned(), "v".to_owned())),
        reason: "type conflict".to_owned(),
    };
    assert_eq!(deliver(&mut batch, 5000, why, conflict), 3);
    // Other lines of m were accepted, so these are at fault.
    let conclusion = batch.conclude();
    assert_eq!((conclusion.rejected.len(), conclusion.held), (300, None));
    assert!(conclusion.rejected.iter().all(|(line, _)| conflict(std::str::from_utf8(line).unwrap())));
}

#[test]
fn rows_of_rejected_measurements_are_held_and_others_finished() {
    let rows = vec![row(1, &["m v=1\n".into()]), row(2, &["other v=1\n".into()]), row(3, &["m v=2\n".into()])];
    let mut batch = Batch::new(rows, 0);
    deliver(&mut batch, 5000, |_| because("no"), |line| line.starts_with("m "));
    assert_eq!(batch.finished_rows(), [2]);
    let conclusion = batch.conclude();
    assert_eq!(conclusion, Conclusion { ids: vec![], rejected: vec![], held: Some((2, "no".to_owned())) });
}

#[test]
fn samples_of_the_next_turn_are_other_lines() {
    // Every 16th part begins with a bad line.
    let lines: Vec<String> =
        (0..1600).map(|n| format!("m {}={n}\n", if n % 100 == 0 { "bad" } else { "good" })).collect();
    let accepted = |turn| {
        let mut batch = Batch::new(vec![row(1, &lines)], turn);
        deliver(&mut batch, 5000, |_| because("no"), |line| line.contains("bad"));
        batch.conclude().held.is_none()
    };
    assert!(!accepted(0) && accepted(1));
}

#[test]
fn line_too_large_even_alone_is_rejected() {
    let mut batch = batch(&["m v=1\n".into(), "m v=2\n".into()]);
    batch.next(2);
    batch.too_large();
    batch.next(1);
    batch.too_large();
    batch.next(1);
    batch.accept();
    assert_eq!(batch.conclude().rejected.len(), 1);
}
