//! Compares the verdicts with the truth of simulated worlds: right, missed and wrong accusations, delays, overlap.
//!
//! `make long` prints the tables of docs/ANALYSIS.md. `VERDICT_KIND=text` runs the kinds whose name contains the text
//! and prints every wrong accusation.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a failed unwrap is a failed test; the table is printed

mod kinds;
mod record;
mod score;
mod yardstick;

use std::fmt::Write;
use std::time::Instant;

use kinds::Kind;
use ntp_monitor_core::stats::attribution::Attribution;
use ntp_monitor_core::world::World;
use score::{Score, score};
use yardstick::{SIGMAS, Yardstick};

fn seeds() -> u64 {
    std::env::var("VERDICT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

fn run(kind: &Kind, verbose: bool) -> (Score, Yardstick) {
    let (mut sum, mut yard) = (Score::default(), Yardstick::default());
    for seed in 1..=seeds() {
        let case = (kind.make)(seed);
        let one = score(&case);
        if verbose {
            println!(
                "{} seed {seed}: delays {:.1?}, overlaps {:.3?}, wrong {:?}, states {:?}",
                kind.name, one.delays, one.overlaps, one.notes, one.states
            );
            println!("    bad events {:?}, bad gaps {:?}", one.bad_events, one.bad_gaps);
            if std::env::var_os("VERDICT_RECORD").is_some() {
                one.record.iter().for_each(|line| println!("    {line}"));
            }
        }
        yard.measure(&case, kind.name.starts_with("healthy"));
        add(&mut sum, one);
    }
    (sum, yard)
}

fn add(sum: &mut Score, one: Score) {
    sum.server_years += one.server_years;
    sum.wrong_inferred += one.wrong_inferred;
    sum.wrong_proven += one.wrong_proven;
    sum.wanted += one.wanted;
    sum.found += one.found;
    sum.delays.extend(one.delays);
    sum.overlaps.extend(one.overlaps);
    sum.calm.extend(one.calm);
    sum.bounds = (sum.bounds.0 + one.bounds.0, sum.bounds.1 + one.bounds.1);
    sum.rates.iter_mut().zip(one.rates).for_each(|(sum, one)| *sum = (sum.0 + one.0, sum.1 + one.1));
    sum.stated.extend(one.stated);
    sum.bad_events.extend(one.bad_events);
    sum.bad_gaps.extend(one.bad_gaps);
}

fn quantile(values: &[f64], q: f64) -> String {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let at = ((values.len().saturating_sub(1)) as f64 * q).round() as usize;
    values.get(at).map_or_else(|| "–".into(), |x| format!("{x:.1}"))
}

/// A row of the table. `yards` are the delays of the yardstick at six sigma, and when as quiet as the verdict.
fn row(name: &str, sum: &Score, yards: &[&[f64]]) -> String {
    let mut text = String::new();
    let overlap = if sum.overlaps.is_empty() {
        "–".into()
    } else {
        let n = sum.overlaps.len() as f64;
        let mean = sum.overlaps.iter().map(|o| o.0).sum::<f64>() / n;
        let worst = sum.overlaps.iter().map(|o| o.0).fold(1.0, f64::min);
        format!("{:.3} / {:.3}, +{:.3}", mean, worst, sum.overlaps.iter().map(|o| o.1).sum::<f64>() / n)
    };
    let _ = write!(
        text,
        "| {name} | {:.2} | {} | {} | {}/{} | {} | {} | {} / {} | {overlap} | {} |",
        sum.server_years,
        sum.wrong_inferred,
        sum.wrong_proven,
        sum.found,
        sum.wanted,
        quantile(&sum.delays, 0.5),
        quantile(&sum.delays, 0.9),
        yards.first().map_or_else(|| "–".into(), |yard| quantile(yard, 0.5)),
        yards.last().map_or_else(|| "–".into(), |yard| quantile(yard, 0.5)),
        if sum.calm.is_empty() { "–".into() } else { format!("{}/{}", calm(sum), sum.calm.len()) },
    );
    text
}

fn calm(sum: &Score) -> usize {
    sum.calm.iter().filter(|calm| **calm).count()
}

/// Wrong accusations per server-year, with the upper 95 % limit of their rate.
fn rates(name: &str, sum: &Score) -> String {
    let rate = |kind: &str, wrong: usize| {
        let (rate, limit) = (wrong as f64 / sum.server_years, upper_limit(wrong) / sum.server_years);
        format!("{kind} {rate:.2} (below {limit:.2})")
    };
    let (inferred, proven) = (rate("inferred", sum.wrong_inferred), rate("proven", sum.wrong_proven));
    let within = 100.0 * sum.bounds.1 as f64 / sum.bounds.0.max(1) as f64;
    let bounds = format!("\"right to within\" held in {within:.3} % of {}", sum.bounds.0);
    format!("{name}: wrong accusations per server-year, with 95 % limit: {inferred}, {proven}; {bounds}")
}

/// The false alarms of the yardstick and of the verdict in healthy worlds.
fn alarms(yardstick: &Yardstick, wrong: usize, quiet: usize) -> String {
    let counts: Vec<String> =
        SIGMAS.iter().zip(yardstick.false_alarms).map(|(sigmas, count)| format!("{sigmas} σ {count}")).collect();
    let (years, sigmas) = (yardstick.healthy_years, SIGMAS[quiet]);
    format!(
        "yardstick, false alarms in {years:.2} healthy server-years: {}; the verdict: {wrong}; as quiet: {sigmas} σ",
        counts.join(", ")
    )
}

/// The mean of a Poisson distribution that yields at most `count` with 5 %.
fn upper_limit(count: usize) -> f64 {
    let at_most = |mean: f64| {
        let (mut term, mut sum) = ((-mean).exp(), 0.0);
        for k in 0..=count {
            sum += term;
            term *= mean / (k + 1) as f64;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 10.0 + 3.0 * count as f64);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if at_most(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

#[test]
fn upper_limits_are_those_of_the_poisson_distribution() {
    assert!((upper_limit(0) - 2.996).abs() < 1e-3 && (upper_limit(3) - 7.754).abs() < 1e-3);
}

/// The least number of statements in a bin of the calibration.
const BIN: usize = 400;

/// The share of inferred statements that were right, by stated confidence.
fn calibration(stated: &[(f64, bool)]) -> String {
    let mut text = String::from("| stated | statements | right |\n|---|---|---|\n");
    let mut stated = stated.to_vec();
    stated.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let bins = (stated.len() / BIN).max(1);
    for within in stated.chunks(stated.len().div_ceil(bins).max(1)) {
        let right = within.iter().filter(|(_, right)| *right).count();
        let mean = within.iter().map(|(c, _)| c).sum::<f64>() / within.len() as f64;
        let (low, high) = (within[0].0, within[within.len() - 1].0);
        let share = right as f64 / within.len() as f64;
        let _ = writeln!(text, "| {mean:.3} ({low:.2} to {high:.2}) | {} | {share:.3} |", within.len());
    }
    text
}

/// Kinds in which nearly every fault must be named and no other party may be.
const CLEAN: &[&str] = &[
    "healthy, Internet, 4 days",
    "healthy, LAN, a day at 16 s",
    "healthy, bursts of loss, 4 days",
    "server step 100 ms",
    "server step 10 ms",
    "server step 100 ms, repaired after 5 h",
    "server step 20 ms, repaired",
    "server step 2 s, repaired after 20 min",
    "server step 30 ms among bursts of loss",
    "route alternates every 40 min",
    "own step 60 ms",
    "own step 8 ms",
    "own drift 10 ppm",
    "leap second missed by this host",
];

/// With one seed, worlds of more polls than this are skipped; `make long` runs them.
const SHORT: f64 = 20_000.0;

fn polls(kind: &Kind) -> f64 {
    let world = (kind.make)(1).world;
    world.servers.iter().map(|server| world.duration_s / server.poll_s).sum()
}

/// The number of threads that run kinds at the same time.
const WORKERS: usize = 2;

/// Prints the time that a sample takes, which is meaningful only in an optimised build.
#[test]
fn sample_of_ten_servers_costs_little() {
    let samples: Vec<_> = World::ordinary(1, 10, 64.0, 64.0 * 4000.0).samples().collect();
    let mut attribution = Attribution::new();
    let begin = Instant::now();
    for sample in &samples {
        attribution.observe(sample).unwrap();
    }
    println!("{:.2} µs a sample of ten servers", begin.elapsed().as_secs_f64() * 1e6 / samples.len() as f64);
}

#[test]
fn verdicts_are_true_in_worlds_of_every_kind() {
    let wanted = std::env::var("VERDICT_KIND").unwrap_or_default();
    let is_short = |kind: &&Kind| !wanted.is_empty() || seeds() > 1 || polls(kind) < SHORT;
    let chosen: Vec<&Kind> = kinds::all().filter(|kind| kind.name.contains(&wanted)).filter(is_short).collect();
    let verbose = !wanted.is_empty();
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let part = |k: usize| chosen.iter().enumerate().skip(k).step_by(WORKERS).collect::<Vec<_>>();
        let threads: Vec<_> = (0..WORKERS)
            .map(|k| (part(k), verbose))
            .map(|(part, verbose)| {
                scope.spawn(move || part.into_iter().map(|(i, kind)| (i, run(kind, verbose))).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a panic of a worker is one of ours")).collect()
    });
    results.sort_by_key(|(i, _)| *i);
    for (i, (sum, _)) in results.iter().filter(|(_, (sum, _))| !sum.bad_events.is_empty() || !sum.bad_gaps.is_empty()) {
        println!("{}: {} bad events, {} bad gaps", chosen[*i].name, sum.bad_events.len(), sum.bad_gaps.len());
    }
    println!("seeds 1 to {}\n", seeds());
    println!(
        "| kind | server-years | wrong, inferred | wrong, proven | named | delay, median | p90 | yardstick: 6 σ / as quiet | overlap | calm |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let (mut sums, mut bad) = ([Score::default(), Score::default()], Vec::new());
    let mut yardstick = Yardstick::default();
    results.iter().for_each(|(_, (_, yard))| yardstick.add(yard.clone()));
    // As quiet as the verdict in the same worlds.
    let healthy = results.iter().filter(|(i, _)| chosen[*i].name.starts_with("healthy"));
    let wrong: usize = healthy.map(|(_, (sum, _))| sum.wrong_inferred + sum.wrong_proven).sum();
    let quiet = yardstick.threshold(wrong as f64 / yardstick.healthy_years);
    for (i, (sum, yard)) in results {
        println!("{}", row(chosen[i].name, &sum, &[&yard.delays[0], &yard.delays[quiet]]));
        // In nine of ten worlds the state changes at most twice for each fault. A server that steps in a burst of loss
        // is reported as unreachable first, which is one more change.
        let is_calm = 10 * calm(&sum) >= 9 * sum.calm.len();
        // One in ten of these steps looks like extra delay that changed its direction.
        let is_found = 20 * sum.found >= 17 * sum.wanted;
        let is_right = is_found && sum.wrong_inferred + sum.wrong_proven == 0 && is_calm;
        bad.extend((CLEAN.contains(&chosen[i].name) && !is_right).then_some(chosen[i].name));
        add(&mut sums[usize::from(chosen[i].held_out)], sum);
    }
    println!("{}", row("**all tuned kinds**", &sums[0], &[]));
    println!("{}\n", row("**all kinds held out**", &sums[1], &[]));
    println!("{}\n{}\n", rates("tuned", &sums[0]), rates("held out", &sums[1]));
    for (k, party) in ["servers", "this host's clock"].iter().enumerate() {
        let (stated, held) = sums.iter().fold((0, 0), |all, sum| (all.0 + sum.rates[k].0, all.1 + sum.rates[k].1));
        println!("the last stated 95 % interval of a drift's rate held the true rate in {held} of {stated}: {party}\n");
        // Two standard deviations of the number of intervals that miss the rate.
        let chance = 2.0 * (0.05 * 0.95 * stated as f64).sqrt();
        let is_narrow = (held as f64) < 0.95 * stated as f64 - chance.max(1.0);
        bad.extend(is_narrow.then_some("intervals of rates"));
    }
    println!("{}\n", alarms(&yardstick, wrong, quiet));
    println!("Tuned:\n\n{}\nHeld out:\n\n{}", calibration(&sums[0].stated), calibration(&sums[1].stated));
    assert!(bad.is_empty(), "not good enough: {bad:?}");
}
