//! Reads from the store at start: the last poll of each address, success counts, and samples that are missing in the
//! CSV files.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use slog::{Logger, info, warn};

use crate::actors::health::HealthKeeper;
use crate::actors::ledger::Ledger;
use crate::actors::sheets::Sheets;
use crate::config::Server;
use crate::messages::sample::Recall;
use crate::probe::schedule::{Past, Rate};
use crate::sinks::csv::{self, CatchUp, Tail};
use crate::store::read::{RateKiss, Reader};
use crate::store::{Counts, Store, StoreError, StoreHandle};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::availability::Tally;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::{Sample, SeriesKey};
use ntp_monitor_core::sheet::Kept;
use ntp_monitor_core::stats::analysis::Recalled;

const MINUTE_NS: i64 = 60 * 1_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;
/// Maximum number of samples read before the first poll: one hour of a thousand servers, read in a fraction of a
/// second.
const MOST_RECALLED: usize = 60_000;
/// How far back from their newest row the CSV files are compared with the store. What the store has after that row is
/// missing in the files.
const CATCH_UP: Duration = Duration::from_secs(600);

/// The protocol sheets, and the poll schedules of all addresses polled before, so that minimum intervals and kisses-o'-death survive a restart.
pub(super) async fn ledger(store: &Store, now: Stamp) -> Result<(Ledger, Sheets), StoreError> {
    let read = |reader: &Reader| Ok((reader.latest_here()?, reader.rates()?, reader.sheets()?));
    let (latest, rates, sheets) = store.handle().read(read).await?;
    let mut past = past(latest.into_iter().map(|stored| stored.sample), rates);
    asked_since(&mut past, &sheets);
    Ok((Ledger::new(past, store.begin()?, now), Sheets::continuing(sheets, now)))
}

/// Adds the last questions, which count as polls for the minimum interval.
fn asked_since(past: &mut HashMap<SocketAddr, Past>, sheets: &[(SeriesKey, Kept)]) {
    for (key, kept) in sheets {
        let known = key.address.and_then(|address| past.get_mut(&address));
        if let (Some(past), Some(asked_ns)) = (known, kept.last_asked_ns()) {
            past.wall_ns = past.wall_ns.max(asked_ns);
        }
    }
}

/// The last poll of each address, from the last sample of each series. One address may have had several names.
fn past(latest: impl Iterator<Item = Sample>, rates: Vec<RateKiss>) -> HashMap<SocketAddr, Past> {
    let interval = |poll_s| Duration::try_from_secs_f64(poll_s).unwrap_or_default();
    let rates: HashMap<_, _> = rates
        .into_iter()
        .map(|kiss| (kiss.address, Rate { wall_ns: kiss.wall_ns, poll: interval(kiss.poll_s) }))
        .collect();
    let mut past: HashMap<_, Past> = HashMap::new();
    for Sample { address, at, outcome, .. } in latest {
        let Some(address) = address else { continue };
        if past.get(&address).is_none_or(|known| known.wall_ns < at.wall_ns) {
            past.insert(address, Past { wall_ns: at.wall_ns, outcome, rate: rates.get(&address).copied() });
        }
    }
    past
}

/// The last hour of every series, so that windows continue after a restart. If that is more than [`MOST_RECALLED`]
/// samples, or cannot be read, windows start empty, so that a start never takes long.
pub(super) async fn last_hour(store: StoreHandle, now: Stamp, log: &Logger) -> Recalled {
    let from_ns = now.wall_ns - HOUR_NS;
    let read = store.read(move |reader| {
        let mut recalled = Recalled::new();
        for (count, stored) in reader.since_here(from_ns).enumerate() {
            if count == MOST_RECALLED {
                return Ok(None);
            }
            let sample = stored?.sample;
            recalled.entry(sample.key()).or_default().push(sample);
        }
        Ok(Some(recalled))
    });
    match read.await {
        Ok(Some(mut recalled)) => {
            recalled.values_mut().flatten().for_each(|sample| sample.at.mono_ns = on_axis(sample.at.wall_ns, now));
            recalled
        }
        Ok(None) => {
            info!(log, "statistics windows start empty: the last hour has too many samples to read";
                "samples" => format!(">{MOST_RECALLED}"));
            Recalled::new()
        }
        Err(why) => {
            warn!(log, "statistics windows start empty: cannot read the history"; "reason" => %why);
            Recalled::new()
        }
    }
}

/// Converts a wall time to the monotonic clock of this process. Earlier boots had a different monotonic clock.
fn on_axis(wall_ns: i64, now: Stamp) -> i64 {
    now.mono_ns.saturating_sub(now.wall_ns.saturating_sub(wall_ns).max(0))
}

/// The servers whose success counts are read.
#[derive(Debug, Clone)]
pub(super) enum Whose {
    All,
    /// Those with these names.
    Of(HashSet<Arc<str>>),
}

impl Whose {
    /// The servers that a reload begins to poll, and whose counts were forgotten after they were removed or paused.
    /// Those that `health` still has were not forgotten yet, and will not be.
    pub(super) fn added(before: &[Arc<Server>], after: &[Arc<Server>], health: &Health) -> Self {
        let names = |servers: &[Arc<Server>]| -> HashSet<Arc<str>> {
            servers.iter().map(|server| Arc::clone(&server.ident.name)).collect()
        };
        let mut added = &names(after) - &names(before);
        let known: HashSet<&Arc<str>> = health.servers.iter().map(|known| &known.server).collect();
        added.retain(|name| !known.contains(name));
        Self::Of(added)
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Of(names) if names.is_empty())
    }

    fn includes(&self, key: &SeriesKey) -> bool {
        match self {
            Self::All => true,
            Self::Of(names) => names.contains(&key.server),
        }
    }
}

/// Reads the success counts of the last week up to `now_ns`, newest first, and sends them to the health actor.
pub(super) async fn rates(store: StoreHandle, whose: Whose, now_ns: i64, keeper: Addr<HealthKeeper>, log: Logger) {
    for (from_ns, to_ns) in spans(now_ns) {
        let counts = match store.read(move |reader| reader.counts_here(from_ns, to_ns)).await {
            Ok(counts) => counts,
            Err(why) => {
                warn!(log, "success rates start empty: cannot read the history"; "reason" => %why);
                return;
            }
        };
        let age_s = (now_ns - from_ns) / 1_000_000_000;
        let tally = |counts: Counts| Tally { ok: counts.samples(), polls: counts.polls() };
        let counts = counts.into_iter().filter(|one| whose.includes(&one.key));
        let tallies = counts.map(|one| (one.key, tally(one.counts))).collect();
        keeper.do_send(Recall { age_s, tallies });
    }
}

/// The windows of the success counts: five minutes in the last hour, one hour in the last day, six hours in the week.
fn spans(now_ns: i64) -> impl Iterator<Item = (i64, i64)> {
    let back = move |from: i64, count: i64, width_ns: i64| {
        (0..count).map(move |n| (now_ns - from - (n + 1) * width_ns, now_ns - from - n * width_ns))
    };
    back(0, 12, 5 * MINUTE_NS).chain(back(HOUR_NS, 23, HOUR_NS)).chain(back(24 * HOUR_NS, 24, 6 * HOUR_NS))
}

/// Finds the samples that are missing in the CSV files in `dir` after a crash, or after hours in which they could not be
/// written.
pub(super) fn lost_rows(reader: &Reader, dir: &Path, catch_up: &CatchUp) -> Result<(), StoreError> {
    let tail = csv::tail_keys(dir, CATCH_UP).map_err(|source| StoreError::Io {
        doing: "read the CSV files in",
        path: dir.to_owned(),
        source,
    })?;
    let newest = reader.latest_here()?.iter().map(|stored| stored.sample.at.wall_ns).max();
    if let Some(newest_ns) = newest {
        let tail = tail.unwrap_or_else(|| Tail::of_nothing(newest_ns, CATCH_UP));
        catch_up.begin(dir, tail, newest_ns);
    }
    Ok(())
}

/// The source of rows that another program removed from the CSV files. A store that is behind does not have them yet.
pub(super) fn journal(store: StoreHandle) -> csv::Journal {
    Arc::new(move |span, about| {
        let writer = store.writer().gauge();
        if writer.failing && writer.in_hand > 0 {
            return Err("the store cannot be written".to_owned());
        }
        store.read_blocking(|reader| rows(reader, span.clone(), about)).map_err(|why| why.to_string())
    })
}

/// About `about` samples of a span, by time. Samples of one instant are never separated.
fn rows(reader: &Reader, span: Range<i64>, about: usize) -> Result<Vec<Arc<Sample>>, StoreError> {
    let mut rows: Vec<Arc<Sample>> = Vec::new();
    for stored in reader.since_here(span.start) {
        let sample = stored?.sample;
        let is_enough = rows.len() >= about && rows.last().is_some_and(|last| last.at.wall_ns < sample.at.wall_ns);
        if is_enough || sample.at.wall_ns >= span.end {
            break;
        }
        rows.push(Arc::new(sample));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::health::log::ServerHealthLog;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};
    use ntp_monitor_core::sheet::{Book, Question};

    #[test]
    fn latest_poll_of_an_address_counts_across_its_names() {
        let address: SocketAddr = "192.0.2.1:123".parse().unwrap();
        let poll = |name: &str, wall_ns, outcome, address| Sample {
            address,
            ..Sample::unasked(Stamp::new(wall_ns, 0, 0), ServerIdent::named(name), outcome, 64.0)
        };
        let latest = [
            poll("new", 9, Outcome::Sample, Some(address)),
            poll("old", 5, Outcome::Timeout, Some(address)),
            poll("unresolved", 10, Outcome::Dns("no such name".into()), None),
        ];
        let past = past(latest.into_iter(), vec![RateKiss { address, wall_ns: 3, poll_s: 128.0 }]);
        let rate = Some(Rate { wall_ns: 3, poll: Duration::from_secs(128) });
        assert_eq!(past, [(address, Past { wall_ns: 9, outcome: Outcome::Sample, rate })].into());
    }

    #[test]
    fn later_question_counts_for_the_minimum_interval() {
        let address: SocketAddr = "192.0.2.1:123".parse().unwrap();
        let (key, at) = (SeriesKey::here(&"a".into(), Some(address)), |wall_ns| Stamp::new(wall_ns, 0, 0));
        let mut book = Book::default();
        book.asked(&key, Question::Version3, at(50));
        let poll = |wall_ns| Past { wall_ns, outcome: Outcome::Sample, rate: None };
        for (polled, counted) in [(9, 50), (60, 60)] {
            let mut past = HashMap::from([(address, poll(polled))]);
            book.asked(&key, Question::Version3, at(50));
            asked_since(&mut past, &book.take_changed());
            assert_eq!(past[&address].wall_ns, counted);
        }
    }

    #[test]
    fn reload_recalls_the_counts_of_added_servers_only() {
        let named = |names: &[&str]| -> Vec<Arc<Server>> {
            let server =
                |name: &&str| Server { ident: ServerIdent::named(name), ..Server::polled_every(CATCH_UP, false) };
            names.iter().map(|name| Arc::new(server(name))).collect()
        };
        let mut log = ServerHealthLog::default();
        log.record(&Sample::unasked(Stamp::default(), ServerIdent::named("d"), Outcome::Sample, 64.0));
        let servers = log.report(Stamp::default(), &HashMap::new());
        let health = Health { servers, ..Health::default() };
        let whose = Whose::added(&named(&["a", "b"]), &named(&["b", "c", "d"]), &health);
        let includes = |name: &str| whose.includes(&SeriesKey::here(&name.into(), None));
        assert_eq!(["a", "b", "c", "d"].map(includes), [false, false, true, false], "d is not forgotten yet");
        let removed = Whose::added(&named(&["a", "b"]), &named(&["a"]), &health);
        assert!(removed.is_empty() && !Whose::All.is_empty());
    }

    #[test]
    fn spans_cover_a_week_without_gap_or_overlap() {
        let spans: Vec<_> = spans(0).collect();
        assert_eq!(spans[0].1, 0);
        assert!(spans.windows(2).all(|pair| pair[0].0 == pair[1].1));
        assert_eq!(spans.last().unwrap().0, -7 * 24 * HOUR_NS);
    }
}
