//! Worlds in which the clock of a vantage, or what it reports, is off by hours and days.

use ntp_monitor_core::world::fleet::What;

use super::kinds::{Case, END, Make, cell, drawn, server, undecidable, vantage};

const HOUR_S: f64 = 3600.0;

pub const KINDS: &[(&str, Make)] = &[
    ("vantage_an_hour_off_for_a_while", |seed| hour_off(seed, true)),
    ("vantage_an_hour_off_for_a_while_in_true_order", |seed| hour_off(seed, false)),
    ("vantage_restarts_an_hour_off", restarted),
    ("liar_reports_days", |seed| days(seed, true)),
    ("liar_reports_days_in_true_order", |seed| days(seed, false)),
];

fn hour_off(seed: u64, by_clock: bool) -> Case {
    let d = drawn(seed);
    let until_s = d.at_s + 1500.0;
    let world = d.world.with(d.at_s, until_s, What::Set(d.v, d.sign * HOUR_S));
    let case = Case::new(world).must(&[vantage(d.v)]).from(d.at_s).loose();
    Case { until_s: Some(until_s), by_clock, ..case }
}

/// After a restart, the clock of a vantage is an hour off until its time daemon sets it.
fn restarted(seed: u64) -> Case {
    let d = drawn(seed);
    let (back_s, until_s) = (d.at_s + 120.0, d.at_s + 1500.0);
    let world = d.world.with(d.at_s, back_s, What::Silent(d.v)).with(d.at_s, END, What::Reboot(d.v));
    let world = world.with(back_s, until_s, What::Set(d.v, d.sign * HOUR_S));
    let case = Case::new(world).must(&[vantage(d.v)]).from(d.at_s).loose();
    Case { until_s: Some(until_s), by_clock: true, ..case }
}

/// A server steps; later a vantage reports every server off by another number of days.
fn days(seed: u64, by_clock: bool) -> Case {
    let d = drawn(seed);
    let mut world = d.world.with(d.at_s, END, What::Server(d.s, d.sign * 0.04, vec![]));
    for s in 0..6 {
        world = world.with(d.at_s + 1000.0, END, What::Lie(d.v, Some(s), d.sign * HOUR_S * (31.0 * s as f64 + 24.0)));
    }
    let cells: Vec<String> = (0..6).map(|s| cell(d.v, s)).collect();
    let case = Case::new(world).must(&[server(d.s)]).must(&[vantage(d.v), undecidable()]).may(&cells);
    Case { by_clock, ..case.from(d.at_s).within(40.0).undecidable_ok().loose() }
}
