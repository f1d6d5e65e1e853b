//! `query --watch`: repeats the measurement, and shows what changed since the start.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::measure::{Sessions, Tools, measure_again};
use super::measured::{Measured, claims};
use super::query::{self, QueryArgs};
use super::query_json;
use super::table::Terminal;
use crate::config::Server;
use ntp_monitor_core::conclusion::conclude;
use ntp_monitor_core::sample::{Authentication, Outcome};
use ntp_monitor_core::text::units;

/// Minimum interval for servers on this host.
const ON_THIS_HOST: Duration = Duration::from_secs(1);
/// Number of past polls that are shown.
const SHOWN: usize = 40;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Measures until all servers have asked not to be polled any more, or until it is interrupted. The exit status is that
/// of the last round.
///
/// # Errors
/// I/O errors of the output.
pub async fn run(
    args: &QueryArgs,
    every: Duration,
    tools: &Tools,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<u8> {
    let mut asked = args.measure.clone();
    let (mut past, mut sessions) = (Past::default(), Sessions::default());
    let mut next = Instant::now();
    let mut status = query::EXIT_OK;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    while !asked.targets().is_empty() {
        let results = tokio::select! {
            results = measure_again(&asked, tools, &mut sessions, |_, _| ()) => results,
            _ = &mut interrupted => return Ok(status),
        };
        past.add(&results);
        status = query::exit_status(&results);
        let every = at_least(every, &results);
        show(args, &results, &past, every, terminal, out)?;
        for measured in results.iter().filter(|measured| matches!(measured.outcome(), Outcome::Kiss(_))) {
            asked.forget(&measured.name);
        }
        next = Instant::now().max(next + every);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = &mut interrupted => return Ok(status),
        }
    }
    writeln!(out, "Every server has sent a kiss-o'-death, so none is asked any more.")?;
    Ok(status)
}

/// The minimum interval: remote servers are not polled more often than the service would poll them.
fn at_least(every: Duration, results: &[Measured]) -> Duration {
    let is_here = |measured: &Measured| measured.address.is_none_or(|address| address.ip().is_loopback());
    every.max(if results.iter().all(is_here) { ON_THIS_HOST } else { Server::FLOOR })
}

fn show(
    args: &QueryArgs,
    results: &[Measured],
    past: &Past,
    every: Duration,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    let now = crate::clock::now();
    if args.json {
        query_json::write(results, now, out)?;
    } else if terminal.width.is_some() {
        write!(out, "\x1b[H\x1b[J")?;
        query::write_text(results, terminal, out)?;
        past.write(out)?;
        writeln!(out, "\n{}, every {} s; Ctrl-C ends it.", units::rfc3339_ms(now.wall_ns), every.as_secs())?;
    } else {
        let conclusion = conclude(&claims(results));
        for measured in results {
            let offset =
                measured.measure().map_or_else(String::new, |m| format!(" {}", units::signed_seconds(m.offset_s)));
            let state = query::state_word(measured, &conclusion);
            let authentication = authentication(measured).map_or_else(String::new, |text| format!(", {text}"));
            writeln!(out, "{} {} {state}{offset}{authentication}", units::rfc3339_ms(now.wall_ns), measured.name)?;
        }
    }
    out.flush()
}

/// Whether the poll was authenticated, and why not; `None` without NTS.
fn authentication(measured: &Measured) -> Option<String> {
    let status = measured.nts.as_ref()?;
    if is_authentic(measured) {
        return Some(format!("authenticated, {} cookies", status.cookies));
    }
    let why = measured.explanation().map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("not authenticated{why}"))
}

fn is_authentic(measured: &Measured) -> bool {
    measured.outcome().is_success() && measured.best().authentication == Authentication::Nts
}

/// The results of each server since the start.
#[derive(Default)]
struct Past {
    servers: BTreeMap<String, Course>,
}

#[derive(Default)]
struct Course {
    requests: u64,
    lost: u64,
    /// Polls with NTS, and how many of them were authenticated.
    with_nts: u64,
    authenticated: u64,
    /// The last offsets in seconds, oldest first; `None` for a poll without an offset.
    offsets_s: VecDeque<Option<f64>>,
}

impl Past {
    fn add(&mut self, results: &[Measured]) {
        for measured in results {
            let course = self.servers.entry(query::label(measured)).or_default();
            course.requests += measured.sent() as u64;
            course.lost += measured.lost() as u64;
            course.with_nts += u64::from(measured.nts.is_some());
            course.authenticated += u64::from(measured.nts.is_some() && is_authentic(measured));
            course.offsets_s.push_back(measured.measure().map(|measure| measure.offset_s));
            if course.offsets_s.len() > SHOWN {
                course.offsets_s.pop_front();
            }
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out)?;
        let width = self.servers.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, course) in &self.servers {
            writeln!(out, "{name:width$}  {course}")?;
        }
        Ok(())
    }
}

impl Course {
    fn write_authenticated(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.with_nts {
            0 => Ok(()),
            polls => write!(f, ", {} of {polls} authenticated", self.authenticated),
        }
    }

    fn extremes(&self) -> Option<(f64, f64)> {
        let known = self.offsets_s.iter().flatten();
        known.fold(None, |so_far, value| {
            let (low, high) = so_far.unwrap_or((*value, *value));
            Some((low.min(*value), high.max(*value)))
        })
    }
}

/// `▁▃█·▂  +1.00 ms to +2.00 ms, 1 of 5 lost`: the highest bar is the largest offset, and a dot is a lost reply.
impl std::fmt::Display for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((low, high)) = self.extremes() else {
            write!(f, "no offset yet, {} of {} lost", self.lost, self.requests)?;
            return self.write_authenticated(f);
        };
        let span = high - low;
        let steps = (BARS.len() - 1) as f64;
        for offset_s in &self.offsets_s {
            let bar = match offset_s {
                None => '·',
                Some(_) if span <= 0.0 => BARS[0],
                // From 0 to 7, both ends included.
                Some(value) => BARS[((value - low) / span * steps).round() as usize],
            };
            write!(f, "{bar}")?;
        }
        write!(f, "  {} to {}", units::signed_seconds(low), units::signed_seconds(high))?;
        if self.lost > 0 {
            write!(f, ", {} of {} lost", self.lost, self.requests)?;
        }
        self.write_authenticated(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::ProbeReport;
    use ntp_monitor_core::sample::Measure;

    fn measured(address: &str, offset_s: Option<f64>) -> Measured {
        let outcome = if offset_s.is_some() { Outcome::Sample } else { Outcome::Timeout };
        let measure = offset_s.map(|offset_s| Measure { offset_s, delay_s: 0.001, root_distance_s: 0.01 });
        let report = ProbeReport { measure, ..ProbeReport::failed(crate::clock::now(), outcome) };
        Measured::new("a", address.parse().ok(), report)
    }

    #[test]
    fn past_is_a_row_of_bars_with_its_extremes() {
        let mut past = Past::default();
        for offset_s in [Some(0.0), Some(0.0007), None, Some(0.0001)] {
            past.add(&[measured("192.0.2.1:123", offset_s)]);
        }
        let mut out = Vec::new();
        past.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("▁█·▂  ") && text.ends_with("1 of 4 lost\n"), "{text}");
        for _ in 0..100 {
            past.add(&[measured("192.0.2.1:123", Some(0.002))]);
        }
        assert!(past.servers.values().all(|course| course.offsets_s.len() == SHOWN));
    }

    #[test]
    fn servers_of_others_are_watched_at_the_floor() {
        let second = Duration::from_secs(1);
        assert_eq!(at_least(second, &[measured("127.0.0.1:123", None)]), ON_THIS_HOST);
        let both = [measured("127.0.0.1:123", None), measured("192.0.2.1:123", None)];
        assert_eq!(at_least(second, &both), Server::FLOOR);
        assert_eq!(at_least(Duration::from_secs(64), &both), Duration::from_secs(64));
    }
}
