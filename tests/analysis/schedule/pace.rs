//! How often servers are polled and asked questions.

use super::*;

#[actix_rt::test]
async fn a_week_of_polling_keeps_the_interval_within_its_jitter() {
    let world = World::start(vec![server(A)], good);
    world.pass(Duration::from_secs(7 * 86_400)).await;
    // The first polls of a new server come 16 s apart.
    let gaps = gaps(&world.requests(A)).split_off(3);
    let mean = gaps.iter().sum::<i64>() as f64 / gaps.len() as f64 / S as f64;
    // The mean of 9450 uniform jitters of ±4 s is within ±0.1 s, four standard deviations.
    assert!((63.9..64.1).contains(&mean), "{mean}");
    assert!(gaps.iter().all(|gap| (60 * S..=68 * S + S / 100).contains(gap)));
    assert!(gaps.iter().any(|gap| *gap < 62 * S) && gaps.iter().any(|gap| *gap > 66 * S), "no jitter");
}

#[actix_rt::test]
async fn server_is_asked_one_question_a_day_between_its_polls() {
    let asked = Server { sheet: true, ..server(A) };
    let quick = Server { sheet: true, poll_interval: Duration::from_secs(16), ..server(B) };
    let world = World::start(vec![asked, quick], good);
    world.pass(Duration::from_secs(5 * 86_400 + 3600)).await;
    let questions = world.engine.questions.lock().unwrap().clone();
    assert_eq!(questions.len(), 12, "six for each server: {questions:?}");
    let kinds: Vec<_> = questions.iter().step_by(2).map(|(_, question)| *question).collect();
    assert_eq!(kinds, [&Question::ALL[..], &Question::ALL[..]].concat(), "in turn");
    let days = gaps(&questions.iter().step_by(2).map(|(at, _)| *at).collect::<Vec<_>>());
    assert!(days.iter().all(|gap| (86_400 * S..86_600 * S).contains(gap)), "{days:?}");
    for (address, longest) in [(A, 68), (B, 33)] {
        let gaps = gaps(&world.requests(address));
        assert!(gaps.iter().all(|gap| *gap >= 16 * S && *gap <= longest * S + S / 10), "{:?}", gaps.iter().max());
    }
    assert_eq!(world.outcomes(A).len() + 6, world.requests(A).len(), "a question is no poll");
}

#[actix_rt::test]
async fn question_is_not_asked_where_it_is_not_wanted() {
    let sheet = |address| Server { sheet: true, ..server(address) };
    let portable = Server { engine: EngineChoice::Sntp, ..sheet(B) };
    let world = World::start(vec![server(A), portable, sheet(C), sheet(D)], |address, _| {
        let kiss = address == C.parse().unwrap();
        Act::End(if kiss {
            Outcome::Kiss(KissCode::RATE)
        } else if address == D.parse().unwrap() {
            Outcome::Timeout
        } else {
            Outcome::Sample
        })
    });
    world.pass(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(*world.engine.questions.lock().unwrap(), [], "not configured, portable, limited, silent");
}

#[actix_rt::test]
async fn kiss_that_answers_a_question_is_heeded() {
    let asked = Server { sheet: true, ..server(A) };
    let world = World::start(vec![asked], |_, n| {
        // After the four first polls, 16 s apart, comes the question.
        Act::End(if n == 5 { Outcome::Kiss(KissCode::DENY) } else { Outcome::Sample })
    });
    world.pass(Duration::from_secs(3 * 3600)).await;
    let times = world.requests(A);
    assert_eq!(world.engine.questions.lock().unwrap()[0].0, times[4]);
    assert!(times[5] - times[4] >= 3600 * S, "{:?}", gaps(&times));
}

#[actix_rt::test]
async fn request_that_came_too_late_for_its_slot_is_no_poll() {
    let world = World::start(vec![server(A)], |_, n| if n % 2 == 1 { Act::Late } else { Act::End(Outcome::Sample) });
    world.pass(Duration::from_secs(3600)).await;
    let asked = world.requests(A).len();
    assert!(asked > 50, "{asked}");
    assert_eq!(world.outcomes(A), vec![Outcome::Sample; asked / 2]);
}

#[actix_rt::test]
async fn a_week_at_the_floor_never_goes_below_it() {
    let fast = Server { poll_interval: Duration::from_secs(1), ..server(A) };
    let world = World::start(vec![fast], |_, n| Act::End(if n % 3 == 0 { Outcome::Timeout } else { Outcome::Sample }));
    world.pass(Duration::from_secs(7 * 86_400)).await;
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S));
}

#[actix_rt::test]
async fn rate_slows_one_server_down_and_leaves_the_other_alone() {
    let rated: SocketAddr = A.parse().unwrap();
    let kiss = move |address, n| {
        Act::End(if address == rated && n <= 2 { Outcome::Kiss(KissCode::RATE) } else { Outcome::Sample })
    };
    let world = World::start(vec![server(A), server(B)], kiss);
    world.pass(Duration::from_secs(6 * 3600)).await;
    let slow = gaps(&world.requests(A));
    assert!((120 * S..=136 * S + S).contains(&slow[0]), "{slow:?}");
    assert!(slow[1..].iter().all(|gap| *gap >= 240 * S), "{slow:?}");
    assert!(gaps(&world.requests(B)).iter().all(|gap| *gap <= 69 * S));
}

#[actix_rt::test]
async fn denied_server_is_not_polled_for_an_hour_then_longer() {
    let world = World::start(vec![server(A)], |_, _| Act::End(Outcome::Kiss(KissCode::DENY)));
    world.pass(Duration::from_secs(86_400)).await;
    let hours: Vec<i64> = gaps(&world.requests(A)).iter().map(|gap| gap / (3600 * S)).collect();
    assert_eq!(hours, [1, 2, 4, 8]);
}

#[actix_rt::test]
async fn a_burst_counts_its_losses_and_keeps_its_spacing() {
    let burst = Server { samples_per_poll: 4, ..server(A) };
    let world = World::start(vec![burst], |_, n| Act::End(if n % 4 == 0 { Outcome::Sample } else { Outcome::Timeout }));
    world.pass(Duration::from_secs(20)).await;
    let sample = Arc::clone(&world.samples.lock().unwrap()[0]);
    assert_eq!((sample.outcome.clone(), sample.sent, sample.lost), (Outcome::Sample, 4, 3));
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 2 * S));
}

#[actix_rt::test]
async fn polling_is_overdue_only_when_nothing_is_polled() {
    let world = World::start(vec![server(A), server(B)], good);
    let ledger = &world.tools.ledger;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    world.pass(minutes(10)).await;
    let now = world.tools.clock.now();
    assert!(ledger.overdue(now, Duration::from_secs(30)) < Duration::from_secs(5));
    // Simulates that no prober has polled for an hour.
    let later = Stamp { mono_ns: now.mono_ns + 3600 * S, ..now };
    assert!(ledger.overdue(later, minutes(61)) > minutes(58));
    world.set(Vec::new());
    world.pass(minutes(1)).await;
    assert_eq!(ledger.overdue(later, minutes(61)), Duration::ZERO, "there is nothing to poll");
    ledger.set_servers(vec![Arc::new(server(A))]);
    assert_eq!(ledger.overdue(later, minutes(61)), minutes(56), "no prober is left; a name is tried every 5 minutes");
}
