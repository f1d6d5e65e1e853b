//! The analysis of worlds whose truth is known: every fault must be named in time, and no other party blamed.
//!
//! `ATTRIBUTION_SEEDS=50 cargo test --release --test analysis -- --nocapture attribution::confusion` prints the table of
//! docs/ANALYSIS.md.

use ntp_monitor_core::stats::attribution::Attribution;
use ntp_monitor_core::stats::verdict::{Entry, History, Kind, State, When};
use ntp_monitor_core::world::{Fault, World};

const HOUR: f64 = 3600.0;

/// The expected result.
#[derive(Debug, Clone)]
struct Truth {
    state: State,
    /// The servers (by index) that must be blamed, or whose path must be.
    servers: Vec<usize>,
    kind: Option<Kind>,
    /// When it began; an onset during a pause may be dated anywhere within the pause.
    onset_s: (f64, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Result {
    Right,
    Late,
    WrongKind,
    Missed,
    WrongParty,
}

struct Case {
    name: &'static str,
    world: World,
    truth: Option<Truth>,
}

fn run(world: &World) -> Vec<Entry> {
    let mut attribution = Attribution::new();
    let mut history = History::new(1000);
    for sample in world.samples() {
        if attribution.observe(&sample).expect("the world makes proper samples") {
            history.record(attribution.verdict(), When(sample.at.wall_ns));
        }
    }
    history.entries().cloned().collect()
}

fn name(server: usize) -> String {
    format!("ntp{}", server + 1)
}

/// Whether only parties at fault are blamed. The statement that a server does not answer may be true of any server.
fn accuses_only(entry: &Entry, truth: Option<&Truth>) -> bool {
    let at_fault = |server: &str| truth.is_some_and(|t| t.servers.iter().any(|s| name(*s) == server));
    let silent = truth.is_some_and(|t| t.kind == Some(Kind::Unreachable));
    let blamed_at_fault =
        entry.blamed.iter().all(|b| at_fault(&b.server) || (silent && b.kind == Some(Kind::Unreachable)));
    match entry.state {
        State::Consistent | State::Undecidable => true,
        State::Path => {
            truth.is_some_and(|t| t.kind == Some(Kind::Congestion)) || (!entry.blamed.is_empty() && blamed_at_fault)
        }
        State::LocalWrong => truth.is_some_and(|t| t.state == State::LocalWrong) && blamed_at_fault,
        State::ServerWrong => truth.is_some_and(|t| t.state != State::Path) && blamed_at_fault,
    }
}

fn score(world: &World, truth: Option<&Truth>, entries: &[Entry]) -> Result {
    if !entries.iter().all(|e| accuses_only(e, truth)) {
        return Result::WrongParty;
    }
    let Some(truth) = truth else { return Result::Right };
    let wanted = |e: &&Entry| {
        e.state == truth.state
            && (truth.kind == Some(Kind::Congestion)
                || truth.state == State::Undecidable
                || truth.servers.iter().all(|s| e.blamed.iter().any(|b| b.server == name(*s))))
    };
    // The last word on the matter counts: the kind may be refined while a verdict stands.
    let Some(entry) = entries.iter().rev().find(wanted) else { return Result::Missed };
    let kinds: Vec<_> = if truth.state == State::LocalWrong {
        vec![entry.local.kind]
    } else {
        entry
            .blamed
            .iter()
            .filter(|b| truth.servers.is_empty() || truth.servers.iter().any(|s| name(*s) == b.server))
            .map(|b| b.kind)
            .collect()
    };
    if truth.kind.is_some() && kinds.iter().any(|k| *k != truth.kind) {
        return Result::WrongKind;
    }
    let since = (entry.since.0 - world.start_unix_s * 1_000_000_000) as f64 / 1e9;
    let poll_s = world.servers[0].poll_s;
    let (from, until) = (truth.onset_s.0 - 5.0 * poll_s, truth.onset_s.1 + 5.0 * poll_s);
    if (from..=until).contains(&since) { Result::Right } else { Result::Late }
}

fn truth(state: State, servers: &[usize], kind: Kind, onset_s: f64) -> Option<Truth> {
    Some(Truth { state, servers: servers.to_vec(), kind: Some(kind), onset_s: (onset_s, onset_s) })
}

/// The scenarios at one seed. Sizes, signs, intervals and numbers of servers vary with it.
fn cases(seed: u64) -> Vec<Case> {
    let n = [3, 5, 4, 7, 9, 15, 6][(seed % 7) as usize];
    let poll = [64.0, 64.0, 16.0, 64.0, 256.0][(seed % 5) as usize];
    let sign = if seed.is_multiple_of(2) { 1.0 } else { -1.0 };
    let raw = !seed.is_multiple_of(3);
    let at = 150.0 * poll + 17.0 * (seed % 11) as f64;
    let long = at + 260.0 * poll;
    let world = |n: usize, faults: Vec<Fault>| {
        let mut world = World::ordinary(seed, n, poll, long);
        (world.faults, world.has_raw) = (faults, raw);
        world
    };
    let case = |name, world, truth| Case { name, world, truth };
    let mut week = World::ordinary(seed, n, poll, 7.0 * 24.0 * HOUR);
    week.has_raw = raw;
    let pause = (at, at + 40.0 * poll);
    let mut cases = vec![
        case("healthy week", week, None),
        case(
            "local step 60 ms",
            world(n, vec![Fault::LocalStep { at_s: at, size_s: sign * 0.06 }]),
            truth(State::LocalWrong, &[], Kind::Step, at),
        ),
        case(
            "local step 30 ms",
            world(n, vec![Fault::LocalStep { at_s: at, size_s: sign * 0.03 }]),
            truth(State::LocalWrong, &[], Kind::Step, at),
        ),
        case(
            "local drift 25 ppm",
            world(n, vec![Fault::LocalDrift { at_s: at, ppm: sign * 25.0 }]),
            truth(State::LocalWrong, &[], Kind::Frequency, at),
        ),
        case(
            "server step 120 ms",
            world(n, vec![Fault::ServerStep { server: 1, at_s: at, size_s: sign * 0.12 }]),
            truth(State::ServerWrong, &[1], Kind::Step, at),
        ),
        case(
            "server step 30 ms",
            world(n, vec![Fault::ServerStep { server: 1, at_s: at, size_s: sign * 0.03 }]),
            truth(State::ServerWrong, &[1], Kind::Step, at),
        ),
        case(
            "server step 300 ms",
            world(n, vec![Fault::ServerStep { server: 0, at_s: at, size_s: sign * 0.3 }]),
            truth(State::ServerWrong, &[0], Kind::Step, at),
        ),
        case(
            "server drift 8 ppm",
            world(n, vec![Fault::ServerDrift { server: 2, at_s: at, ppm: sign * 8.0 }]),
            truth(State::ServerWrong, &[2], Kind::Frequency, at),
        ),
        case(
            "route change 20 ms",
            world(n, vec![Fault::RouteChange { server: 1, at_s: at, until_s: 1e12, one_way_s: sign * 0.04 }]),
            truth(State::Path, &[1], Kind::Asymmetry, at),
        ),
        case(
            "shared congestion",
            world(n, vec![Fault::Congestion { from_s: at, until_s: at + 60.0 * poll, mean_s: 0.08 }]),
            truth(State::Path, &[], Kind::Congestion, at),
        ),
        case(
            "outage and pause",
            world(
                n,
                vec![
                    Fault::Silence { server: None, from_s: at - 20.0 * poll, until_s: at + 50.0 * poll },
                    Fault::Pause { from_s: pause.0, until_s: pause.1 },
                ],
            ),
            truth(State::Undecidable, &[], Kind::Unreachable, at - 20.0 * poll),
        ),
        case(
            "local step in a pause",
            world(
                n,
                vec![
                    Fault::Pause { from_s: pause.0, until_s: pause.1 },
                    Fault::LocalStep { at_s: at + 20.0 * poll, size_s: sign * 0.06 },
                ],
            ),
            Some(Truth { state: State::LocalWrong, servers: vec![], kind: Some(Kind::Step), onset_s: pause }),
        ),
        case(
            "server disappears",
            world(n.max(4), vec![Fault::Silence { server: Some(1), from_s: at, until_s: 1e12 }]),
            truth(State::Path, &[1], Kind::Unreachable, at),
        ),
        case(
            "two colluders of five",
            world(
                5,
                vec![
                    Fault::ServerStep { server: 1, at_s: at, size_s: sign * 0.2 },
                    Fault::ServerStep { server: 3, at_s: at, size_s: sign * 0.2 },
                ],
            ),
            truth(State::ServerWrong, &[1, 3], Kind::Step, at),
        ),
        case(
            "server step while the local clock drifts",
            world(
                n.max(4),
                vec![
                    Fault::LocalDrift { at_s: at - 30.0 * poll, ppm: sign * 25.0 },
                    Fault::ServerStep { server: 1, at_s: at + 30.0 * poll, size_s: 0.12 },
                ],
            ),
            Some(Truth {
                state: State::LocalWrong,
                servers: vec![1],
                kind: Some(Kind::Frequency),
                onset_s: (at - 30.0 * poll, at + 30.0 * poll),
            }),
        ),
    ];
    let mut wifi = world(n.max(4), vec![Fault::ServerStep { server: 1, at_s: at, size_s: sign * 0.12 }]);
    (wifi.servers[0].queue_s, wifi.servers[0].tail) = (0.006, 0.1);
    cases.push(case("server step beside a noisy path", wifi, truth(State::ServerWrong, &[1], Kind::Step, at)));
    // A longer route from the beginning that becomes the short one: the delay falls.
    let shorter = Fault::RouteChange { server: 1, at_s: 0.0, until_s: at, one_way_s: sign * 0.04 };
    cases.push(case("route shorter by 40 ms", world(n, vec![shorter]), truth(State::Path, &[1], Kind::Asymmetry, at)));
    // At 16 s five polls are 80 s, in which 8 ppm do less than the noise: no estimator can date that.
    let slow = poll.max(64.0);
    let late = 150.0 * slow;
    let mut coarse = World::ordinary(seed, n, slow, late + 260.0 * slow);
    coarse.faults = vec![Fault::ServerDrift { server: 1, at_s: late, ppm: sign * 8.0 }];
    coarse.servers.iter_mut().for_each(|s| s.noise_s = 0.001);
    let drifts = truth(State::ServerWrong, &[1], Kind::Frequency, late);
    cases.push(case("server drift 8 ppm, 1 ms of noise", coarse, drifts));
    let mut coarse = world(n, vec![]);
    coarse.servers.iter_mut().for_each(|s| (s.noise_s, s.queue_s, s.loss) = (0.002, 0.003, 0.05));
    coarse.wander_s = 0.0015;
    cases.push(case("healthy but noisy", coarse, None));
    let early = 24.0 * poll;
    let fault = Fault::ServerStep { server: 1, at_s: early, size_s: sign * 0.12 };
    cases.push(case(
        "server step soon after the start",
        world(n, vec![fault]),
        truth(State::ServerWrong, &[1], Kind::Step, early),
    ));
    let fault = Fault::LocalDrift { at_s: 0.0, ppm: sign * 25.0 };
    cases.push(case(
        "local drift from the start",
        world(n, vec![fault]),
        truth(State::LocalWrong, &[], Kind::Frequency, 0.0),
    ));
    let fault = Fault::ServerDrift { server: 1, at_s: 0.0, ppm: sign * 30.0 };
    cases.push(case(
        "server drift from the start",
        world(n, vec![fault]),
        truth(State::ServerWrong, &[1], Kind::Frequency, 0.0),
    ));
    let mut wrong = world(n, vec![]);
    wrong.servers[0].error_s = sign * 0.5;
    cases.push(case("server wrong from the start", wrong, truth(State::ServerWrong, &[0], Kind::Constant, 0.0)));
    let fault = Fault::LocalStep { at_s: 0.0, size_s: sign * 0.5 };
    cases.push(case(
        "local clock wrong from the start",
        world(n, vec![fault]),
        truth(State::LocalWrong, &[], Kind::Constant, 0.0),
    ));
    let mut mixed = world(n.max(4), vec![Fault::ServerStep { server: 0, at_s: at, size_s: sign * 0.12 }]);
    mixed.servers[1].poll_s = 4.0 * poll;
    mixed.servers[2].poll_s = poll / 4.0;
    cases.push(case("server step, mixed intervals", mixed, truth(State::ServerWrong, &[0], Kind::Step, at)));
    let mut mixed = world(n.max(4), vec![Fault::LocalDrift { at_s: at, ppm: sign * 25.0 }]);
    mixed.servers[1].poll_s = 4.0 * poll;
    mixed.servers[2].poll_s = poll / 4.0;
    cases.push(case("local drift, mixed intervals", mixed, truth(State::LocalWrong, &[], Kind::Frequency, at)));
    let faults = vec![
        Fault::ServerStep { server: 0, at_s: at, size_s: sign * 0.12 },
        Fault::ServerDrift { server: 1, at_s: at + 40.0 * poll, ppm: -sign * 20.0 },
    ];
    let both =
        Some(Truth { state: State::ServerWrong, servers: vec![0, 1], kind: None, onset_s: (at, at + 40.0 * poll) });
    cases.push(case("a step and a drift, two servers", world(n.max(5), faults), both));
    cases.push(smear(seed, n));
    cases.push(half_smears(seed));
    cases.extend(in_its_own_way(seed, poll, sign, raw));
    cases.extend(in_company(seed, poll, sign, raw));
    cases
}

/// Faults together with other faults, losses and rarely polled servers.
fn in_company(seed: u64, poll: f64, sign: f64, raw: bool) -> Vec<Case> {
    let at = 150.0 * poll + 17.0 * (seed % 11) as f64;
    let case = |name, n: usize, faults: Vec<Fault>, truth, shape: &dyn Fn(&mut World)| {
        let mut world = World::ordinary(seed, n, poll, at + 260.0 * poll);
        (world.faults, world.has_raw) = (faults, raw);
        shape(&mut world);
        Case { name, world, truth }
    };
    let plain = |_: &mut World| {};
    let local = |at_s, size_s: f64| Fault::LocalStep { at_s, size_s: sign * size_s };
    let server = |server, size_s: f64| Fault::ServerStep { server, at_s: at, size_s: sign * size_s };
    let later = at + 70.0 * poll;
    let after = Fault::ServerStep { server: 2, at_s: later, size_s: -sign * 0.2 };
    let both = Truth { state: State::LocalWrong, servers: vec![2], kind: Some(Kind::Step), onset_s: (at, later) };
    vec![
        case(
            "local step, rarely asked servers",
            5,
            vec![local(at, 0.08)],
            truth(State::LocalWrong, &[], Kind::Step, at),
            &|world| {
                (world.servers[0].poll_s, world.servers[1].poll_s) = (4.0 * poll, 4.0 * poll);
                world.servers[1].tail = 0.15;
            },
        ),
        case(
            "local step and its repair",
            5,
            vec![local(at, 0.08), local(later, -0.08)],
            truth(State::LocalWrong, &[], Kind::Step, at),
            &plain,
        ),
        case("local step, then a server step", 6, vec![local(at, 0.08), after], Some(both), &plain),
        case(
            "two colluders, wide bounds, 10 % loss",
            5,
            vec![server(1, 0.2), server(3, 0.2)],
            truth(State::ServerWrong, &[1, 3], Kind::Step, at),
            &|world| world.servers.iter_mut().for_each(|s| (s.loss, s.root_dispersion_s) = (0.1, 0.4)),
        ),
        case(
            "three colluders of seven",
            7,
            vec![server(0, 0.2), server(1, 0.2), server(2, 0.2)],
            truth(State::ServerWrong, &[0, 1, 2], Kind::Step, at),
            &plain,
        ),
        case("two against two", 4, vec![server(0, 0.6), server(1, 0.6)], None, &plain),
        case(
            "outage without a pause",
            5,
            vec![Fault::Silence { server: None, from_s: at, until_s: later }],
            truth(State::Undecidable, &[], Kind::Unreachable, at),
            &plain,
        ),
    ]
}

fn smear(seed: u64, n: usize) -> Case {
    let midnight = 1_798_761_600; // 2027-01-01
    let mut world = World::ordinary(seed, n, 64.0, 26.0 * HOUR);
    world.start_unix_s = midnight - 18 * 3600;
    world.faults = vec![Fault::Smear { server: 2, midnight_unix_s: midnight }];
    Case { name: "smearing server", world, truth: truth(State::ServerWrong, &[2], Kind::Smear, 6.0 * HOUR) }
}

/// Two groups of the same size that move apart by less than a millisecond a poll: the group that passes a threshold
/// first is not more wrong than the other.
fn half_smears(seed: u64) -> Case {
    let midnight = 1_798_761_600; // 2027-01-01
    let mut world = World::ordinary(seed, 6, 64.0, 26.0 * HOUR);
    world.start_unix_s = midnight - 18 * 3600;
    world.faults = (0..3).map(|server| Fault::Smear { server, midnight_unix_s: midnight }).collect();
    // They are seen to be apart when the intervals of movements no longer meet.
    let onset_s = (6.0 * HOUR, 7.0 * HOUR);
    let truth = Truth { state: State::Undecidable, servers: vec![0, 1, 2], kind: None, onset_s };
    Case { name: "half of six smear", world, truth: Some(truth) }
}

/// Faults that end, hide or undo themselves in unusual ways.
fn in_its_own_way(seed: u64, poll: f64, sign: f64, raw: bool) -> Vec<Case> {
    let n = [5, 4, 7, 9][(seed % 4) as usize];
    let case = |name, poll: f64, faults: &dyn Fn(f64) -> Vec<Fault>, truth: &dyn Fn(f64) -> Option<Truth>| {
        let at = 150.0 * poll + 17.0 * (seed % 11) as f64;
        let mut world = World::ordinary(seed, n, poll, at + 260.0 * poll);
        (world.faults, world.has_raw) = (faults(at), raw);
        Case { name, world, truth: truth(at) }
    };
    let slow = poll.max(64.0);
    let back = 3600.0;
    let mut hour = case(
        "own clock set back by an hour",
        poll,
        &|at| vec![Fault::LocalStep { at_s: at, size_s: -back }],
        // Two times of this host's clock belong to this moment.
        &|at| {
            Some(Truth { state: State::LocalWrong, servers: vec![], kind: Some(Kind::Step), onset_s: (at - back, at) })
        },
    );
    hour.world.has_raw = true;
    vec![
        hour,
        case(
            "server step while it was silent",
            poll,
            &|at| {
                vec![
                    Fault::Silence { server: Some(1), from_s: at - 100.0 * poll, until_s: at + 60.0 * poll },
                    Fault::ServerStep { server: 1, at_s: at, size_s: sign * 0.12 },
                ]
            },
            &|at| {
                let onset_s = (at - 100.0 * poll, at + 60.0 * poll);
                Some(Truth { state: State::ServerWrong, servers: vec![1], kind: Some(Kind::Step), onset_s })
            },
        ),
        case(
            "local drift that ends",
            slow,
            &|at| {
                let drift = |at_s, ppm| Fault::LocalDrift { at_s, ppm };
                vec![drift(at, sign * 30.0), drift(at + 40.0 * slow, -sign * 30.0)]
            },
            &|at| truth(State::LocalWrong, &[], Kind::Frequency, at),
        ),
        case(
            "local step, steered back",
            poll,
            &|at| {
                let back = |k: u32| Fault::LocalStep {
                    at_s: at + f64::from(k) * poll,
                    size_s: -sign * 0.06 * (0.95_f64.powi(k as i32 - 1) - 0.95_f64.powi(k as i32)),
                };
                let set = Fault::LocalStep { at_s: at, size_s: sign * 0.06 };
                std::iter::once(set).chain((1..100).map(back)).collect()
            },
            &|at| Some(Truth { state: State::LocalWrong, servers: vec![], kind: None, onset_s: (at, at) }),
        ),
    ]
}

fn seeds() -> u64 {
    std::env::var("ATTRIBUTION_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

#[test]
fn confusion_faults_are_named_in_time_and_no_other_party() {
    let mut table: Vec<(&str, Vec<Result>)> = Vec::new();
    let verbose = std::env::var_os("ATTRIBUTION_VERBOSE").is_some();
    for seed in 1..=seeds() {
        for case in cases(seed) {
            let entries = run(&case.world);
            let result = score(&case.world, case.truth.as_ref(), &entries);
            if verbose && result != Result::Right {
                println!("{} seed {seed}: {result:?}, truth {:?}", case.name, case.truth);
                for e in &entries {
                    let since = (e.since.0 / 1_000_000_000 - case.world.start_unix_s) as f64;
                    println!(
                        "   {since} {:?} {:?} {:?} {}",
                        e.state,
                        e.local,
                        e.blamed.iter().map(|b| (&b.server, b.kind, b.proven)).collect::<Vec<_>>(),
                        e.sentence
                    );
                }
            }
            match table.iter_mut().find(|row| row.0 == case.name) {
                Some(row) => row.1.push(result),
                None => table.push((case.name, vec![result])),
            }
        }
    }
    println!("seeds 1 to {}", seeds());
    println!("{:42} right  late  kind missed wrong-party", "scenario");
    let mut bad = Vec::new();
    for (name, results) in &table {
        let count = |r: Result| results.iter().filter(|x| **x == r).count();
        let row = [Result::Right, Result::Late, Result::WrongKind, Result::Missed, Result::WrongParty].map(count);
        println!("{name:42} {:5} {:5} {:5} {:6} {:11}", row[0], row[1], row[2], row[3], row[4]);
        if row[0] * 100 < results.len() * 95 || row[4] > 0 {
            bad.push(*name);
        }
    }
    assert!(bad.is_empty(), "not good enough: {bad:?}");
}
