//! `query --sheet`: the protocol sheet of servers, from six requests to each, two seconds apart, and one key exchange.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::measure::{Tools, addresses, polite_interval, single};
use super::query::{EXIT_FAILURE, EXIT_OK, QueryArgs};
use super::sheet_json::{self, Found};
use super::table::{Style, Terminal};
use super::words;
use crate::clock::SystemClock;
use crate::config::Host;
use crate::probe::{NtsTools, ProbeReport, ProbeSession, Query};
use ntp_monitor_core::interleaved::{Policy, Support};
use ntp_monitor_core::nts::Status;
use ntp_monitor_core::sample::Outcome;
use ntp_monitor_core::sheet::{Line, Nts, Question, Seen, Sheet, Trait, Value, Watch};

/// The requests in order: three polls and three questions. If the polls before and after are answered, silence is a
/// reaction to the question.
const REQUESTS: [Option<Question>; 6] =
    [None, None, Some(Question::Version3), Some(Question::Version5), Some(Question::UnknownField), None];
/// After this many unanswered polls, no question is asked.
const UNANSWERED: usize = 2;

/// Asks every server and writes their sheets to `out`; returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub async fn run(args: &QueryArgs, tools: &Tools, terminal: Terminal, out: &mut impl Write) -> io::Result<u8> {
    let found = ask_all(args, tools, |done, total| show_progress(terminal, done, total)).await;
    if args.json {
        sheet_json::write(&found, crate::clock::now(), out)?;
    } else {
        write_text(&found, terminal, out)?;
    }
    let is_complete = found.iter().all(|one| one.outcome.is_success());
    Ok(if is_complete { EXIT_OK } else { EXIT_FAILURE })
}

/// One line on stderr that is overwritten and removed at the end. Progress is optional, so errors are ignored.
fn show_progress(terminal: Terminal, done: usize, total: usize) {
    if terminal.progress {
        let mut stderr = io::stderr().lock();
        let _ = if done < total {
            write!(stderr, "\r\x1b[Kasking: {done} of {total} requests done")
        } else {
            write!(stderr, "\r\x1b[K")
        };
        let _ = stderr.flush();
    }
}

/// Asks all servers at the same time; an address with two names is asked once.
async fn ask_all(args: &QueryArgs, tools: &Tools, mut progress: impl FnMut(usize, usize)) -> Vec<Found> {
    let targets = addresses(&args.measure, tools).await;
    let (report_done, mut done) = tokio::sync::mpsc::unbounded_channel();
    let mut asking = FuturesUnordered::new();
    let mut first_of: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for (nth, (_, host, address)) in targets.iter().enumerate() {
        if let Ok(address) = address
            && !first_of.contains_key(address)
        {
            first_of.insert(*address, nth);
            let report_done = report_done.clone();
            let one_done = move || {
                // The loop that counts ends last.
                let _ = report_done.send(());
            };
            let asked = ask(args, tools, host, *address, one_done);
            asking.push(async move { (nth, asked.await) });
        }
    }
    let total = asking.len() * REQUESTS.len();
    let (mut count, mut results) = (0, BTreeMap::new());
    progress(count, total);
    while !asking.is_empty() {
        tokio::select! {
            Some((nth, found)) = asking.next() => drop(results.insert(nth, found)),
            Some(()) = done.recv() => {
                count += 1;
                progress(count.min(total.saturating_sub(1)), total);
            }
        }
    }
    drop(asking);
    progress(total, total);
    let result = |(name, _, address): (String, Host, Result<SocketAddr, Outcome>)| match address {
        Ok(address) => {
            let (sheet, outcome, sent, nts) = results[&first_of[&address]].clone();
            Found { name, address: Some(address), sheet, outcome, sent, nts }
        }
        Err(outcome) => Found { name, address: None, sheet: Sheet::default(), outcome, sent: 0, nts: None },
    };
    targets.into_iter().map(result).collect()
}

type Asked = (Sheet, Outcome, usize, Option<Status>);

async fn ask(args: &QueryArgs, tools: &Tools, host: &Host, address: SocketAddr, one_done: impl Fn()) -> Asked {
    let (mut watch, timeout) = (Watch::default(), args.measure.timeout);
    let interval = args.measure.interval.unwrap_or_default().max(polite_interval(address));
    let session = ProbeSession::plain(address).interleaved_when(Policy::Always);
    let (mut sent, mut unanswered, mut last) = (0, 0, Outcome::Timeout);
    let first = Instant::now();
    for request in REQUESTS {
        if sent > 0 {
            tokio::time::sleep_until(first + slot(interval, first.elapsed())).await;
        }
        sent += 1;
        let outcome = match request {
            None => {
                let report = poll(tools, &session, timeout).await;
                watch.observe(&seen(&report, address, interval));
                last = report.outcome.clone();
                unanswered += usize::from(matches!(last, Outcome::Timeout | Outcome::Fault(_)));
                report.outcome
            }
            Some(question) => {
                let report = single(&*tools.engine, Query::asking(question, address, timeout)).await;
                let replies = report.accepted.iter().chain(&report.rejected).map(|evidence| &**evidence);
                if let Some(reaction) = question.reaction(&report.outcome, replies) {
                    watch.answered(question, reaction, report.at, interval.as_secs_f64());
                }
                report.outcome
            }
        };
        one_done();
        // A kiss-o'-death must be obeyed, and a closed port will not answer a moment later.
        if matches!(outcome, Outcome::Kiss(_)) {
            last = outcome;
            break;
        }
        if outcome == Outcome::Refused || unanswered == UNANSWERED {
            break;
        }
    }
    match session.interleaved() {
        Support::Unknown => {}
        support => drop(watch.learned(Trait::Interleaved, Value::Is(support == Support::Offered))),
    }
    let nts = key_exchange(args, tools, host, address).await;
    if let Some(value) = nts.as_ref().and_then(Nts::of) {
        watch.learned(Trait::Nts, Value::Nts(value));
    }
    (watch.sheet(), last, sent, nts)
}

/// Time of the next request after the first: a whole number of intervals, even if replies take long.
fn slot(interval: Duration, elapsed: Duration) -> Duration {
    let slots_over = elapsed.as_nanos() / interval.as_nanos().max(1);
    interval.saturating_mul(u32::try_from(slots_over + 1).unwrap_or(u32::MAX))
}

async fn poll(tools: &Tools, session: &ProbeSession, timeout: Duration) -> ProbeReport {
    match session.query(timeout) {
        Ok(query) => {
            let mut report = single(&*tools.engine, query).await;
            session.absorb(&mut report);
            report
        }
        Err(why) => ProbeReport::failed(crate::clock::now(), why),
    }
}

fn seen(report: &ProbeReport, asked: SocketAddr, interval: Duration) -> Seen<'_> {
    Seen {
        at: report.at,
        asked: Some(asked),
        outcome: &report.outcome,
        accepted: report.accepted.as_deref(),
        rejected: &report.rejected,
        authentication: report.authentication,
        mode: report.mode,
        nts: None,
        poll_s: interval.as_secs_f64(),
    }
}

/// One key exchange.
async fn key_exchange(args: &QueryArgs, tools: &Tools, host: &Host, address: SocketAddr) -> Option<Status> {
    let needs = NtsTools { resolver: Arc::clone(&tools.resolver), trust: Arc::default(), clock: Arc::new(SystemClock) };
    let nts = args.measure.nts().unwrap_or_default();
    let session = ProbeSession::with_nts(&nts, host, address, &needs);
    session.prepare().await;
    session.nts()
}

fn write_text(found: &[Found], terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    for (nth, one) in found.iter().enumerate() {
        if nth > 0 {
            writeln!(out)?;
        }
        write_sheet(one, terminal, out)?;
    }
    Ok(())
}

fn write_sheet(found: &Found, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let address = found.address.map(|address| address.to_string()).filter(|text| *text != found.name);
    let title = [Some(found.name.clone()), address].into_iter().flatten().collect::<Vec<_>>().join(" ");
    writeln!(out, "{}", Style::Bold.paint(&title, terminal.color))?;
    if !found.outcome.is_success() {
        let why = words::explain(&found.outcome).unwrap_or_else(|| words::state(&found.outcome));
        writeln!(out, "  {}", Style::Bad.paint(&why, terminal.color))?;
    }
    if found.sent == 0 {
        return Ok(());
    }
    let lines = found.sheet.lines();
    let width = lines.iter().map(|line| line.title.chars().count()).max().unwrap_or_default();
    for Line { of, title, value, text, .. } in &lines {
        let reason = found.nts.as_ref().and_then(Status::fault).filter(|_| *of == Trait::Nts);
        let text = reason.map_or_else(|| text.clone(), |fault| format!("{text} ({})", fault.text));
        let style = if value.is_some() { Style::Plain } else { Style::Faint };
        writeln!(out, "  {title:<width$}  {}", style.paint(&text, terminal.color))?;
    }
    let plural = if found.sent == 1 { "" } else { "s" };
    writeln!(out, "  from {} request{plural} and one key exchange", found.sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_requests_leave_in_slots_of_their_own() {
        assert_eq!(REQUESTS.len(), 6);
        let interval = Duration::from_secs(2);
        for (elapsed_ms, next_s) in [(0, 2), (1_999, 2), (2_000, 4), (3_500, 4)] {
            assert_eq!(slot(interval, Duration::from_millis(elapsed_ms)), Duration::from_secs(next_s));
        }
    }
}
