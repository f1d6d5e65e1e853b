//! The cost of the store: writing with rollups and outbox, compared with plain SQLite rows and a CSV file, and reading.
//!
//! `cargo bench --bench store`; takes well under a minute. One machine, one run: compare within a table only.

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::read::Reader;
use ntp_monitor::store::{Encoder, Grain, Options, Store};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use slog::{Discard, Logger, o};

type Failure = Box<dyn std::error::Error>;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const T0: i64 = 1_767_225_600 * SECOND;
const POLL: i64 = 16 * SECOND;
/// Rounds of polling that the write benchmarks insert; a whole day of 1,000 servers would take minutes.
const ROUNDS: i64 = 120;
const SERVERS: usize = 1000;
const BATCH: usize = 1000;

fn options(path: &Path) -> Options {
    let years = Duration::from_secs(10 * 365 * 86_400);
    Options {
        path: path.to_owned(),
        raw_for: years,
        others: None,
        rollup_5m_for: years,
        rollup_1h_for: years,
        outbox_max_age: years,
        outbox_max_bytes: u64::MAX,
        vantage: "bench".to_owned(),
        max_pages: None,
        keeps_vantage: false,
    }
}

/// A pseudo-random number in [0, 1): constant offsets would make every format look better than it is.
fn noise(n: i64) -> f64 {
    let mixed = n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Offsets and delays are differences of NTP timestamps, so they are multiples of a power of two.
fn ticks(seconds: f64, per_second: f64) -> f64 {
    (seconds * per_second).round() / per_second
}

const FRACTIONS: f64 = 4_294_967_296.0;
/// The root delay and dispersion that servers report have 16 fractional bits.
const SHORT: f64 = 65_536.0;

/// A poll as the service records it: the root distance includes the delay, the server's root delay and dispersion, and
/// the duration of the exchange.
fn sample(server: &Arc<ServerIdent>, wall_ns: i64) -> Sample {
    let x = noise(wall_ns);
    let wall_ns = wall_ns + (noise(wall_ns + 1) * 1e9) as i64;
    let delay_s = ticks(0.01 + x * 1e-3, FRACTIONS);
    let (root_delay_s, root_dispersion_s) = (ticks(0.001_205, SHORT), ticks(0.000_885 + x * 1e-4, SHORT));
    let exchange_s = delay_s + noise(wall_ns + 2) * 5e-5;
    let root_distance_s =
        delay_s / 2.0 + root_delay_s / 2.0 + root_dispersion_s + 2_f64.powi(-24) + 1e-7 + 15e-6 * exchange_s;
    // Set every 64 s.
    let age_s = ticks((wall_ns - T0).rem_euclid(64 * SECOND) as f64 / 1e9 + noise(wall_ns + 3) * 1e-3, FRACTIONS);
    Sample {
        at: Stamp::new(wall_ns, wall_ns - T0 + 7 * DAY, T0 - 7 * DAY + (wall_ns - T0) / 100_000 + (x * 1e3) as i64),
        server: Arc::clone(server),
        address: "192.0.2.1:123".parse().ok(),
        outcome: Outcome::Sample,
        reply: Some(Reply {
            stratum: 2,
            leap: Leap::None,
            refid: RefId([192, 0, 2, 77]),
            precision_log2: -24,
            root_delay_s,
            root_dispersion_s,
            reference_age_s: Some(age_s),
        }),
        measure: Some(Measure { offset_s: ticks((x - 0.5) * 2e-3, 2.0 * FRACTIONS), delay_s, root_distance_s }),
        poll_s: 16.0,
        timestamping: Some(Timestamping::Kernel),
        authentication: Authentication::None,
        mode: Mode::Basic,
        sent: 1,
        lost: 0,
        evidence: None,
        rejected: Vec::new(),
        nts: None,
        rejected_count: 0,
    }
}

fn idents(count: usize) -> Vec<Arc<ServerIdent>> {
    (0..count).map(|n| ServerIdent::named(&format!("server-{n:05}"))).collect()
}

/// Samples of all servers, round by round, as the service records them.
fn rounds(idents: &[Arc<ServerIdent>], rounds: i64) -> Vec<Arc<Sample>> {
    let step = POLL / idents.len() as i64;
    let one = |round: i64| {
        idents.iter().enumerate().map(move |(n, ident)| Arc::new(sample(ident, T0 + round * POLL + n as i64 * step)))
    };
    (0..rounds).flat_map(one).collect()
}

fn line_encoder() -> Option<Encoder> {
    Some(Box::new(|s, body| {
        let m = s.measure.unwrap_or(Measure { offset_s: 0.0, delay_s: 0.0, root_distance_s: 0.0 });
        // Writing to a Vec cannot fail.
        let _ = writeln!(
            body,
            "ntp_sample,vantage=bench,server={},address=192.0.2.1:123 offset_s={},delay_s={},root_distance_s={},\
             stratum=2i {}",
            s.server.name, m.offset_s, m.delay_s, m.root_distance_s, s.at.wall_ns
        );
        1
    }))
}

fn write_store(
    path: &Path,
    samples: &[Arc<Sample>],
    batch: usize,
    encoder: Option<Encoder>,
) -> Result<Duration, Failure> {
    let store = Store::open(options(path), &Logger::root(Discard, o!()))?;
    let mut writer = store.writer(encoder);
    let start = Instant::now();
    for piece in samples.chunks(batch) {
        writer.write(piece)?;
    }
    Ok(start.elapsed())
}

/// Bytes that this process passed to the system to be written.
fn written() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/self/io")?;
    Ok(bytes.parse()?)
}

/// For comparison: the same raw numbers in one plain table, one transaction per batch, without rollups and outbox, and
/// not idempotent.
fn write_plain(path: &Path, samples: &[Arc<Sample>]) -> Result<Duration, Failure> {
    let mut conn = rusqlite::Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.execute_batch(
        "CREATE TABLE s (server TEXT, wall_ns INTEGER, mono_ns INTEGER, raw_ns INTEGER, offset_s REAL, delay_s REAL, \
         root_distance_s REAL, root_delay_s REAL, root_dispersion_s REAL, PRIMARY KEY (server, wall_ns)) WITHOUT ROWID",
    )?;
    let start = Instant::now();
    for piece in samples.chunks(BATCH) {
        let tx = conn.transaction()?;
        let mut insert = tx.prepare_cached("INSERT INTO s VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
        for s in piece {
            let (Some(m), Some(r)) = (s.measure, s.reply) else { continue };
            let times = (s.at.wall_ns, s.at.mono_ns, s.at.raw_ns);
            let (rd, rdisp) = (r.root_delay_s, r.root_dispersion_s);
            insert.execute(rusqlite::params![
                &*s.server.name,
                times.0,
                times.1,
                times.2,
                m.offset_s,
                m.delay_s,
                m.root_distance_s,
                rd,
                rdisp
            ])?;
        }
        drop(insert);
        tx.commit()?;
    }
    Ok(start.elapsed())
}

fn write_csv(path: &Path, samples: &[Arc<Sample>]) -> Result<Duration, Failure> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let start = Instant::now();
    for s in samples {
        let (Some(m), Some(r)) = (s.measure, s.reply) else { continue };
        let numbers = (m.offset_s, m.delay_s, m.root_distance_s, r.root_delay_s, r.root_dispersion_s);
        writeln!(file, "{},{},{},{},{:?}", s.at.wall_ns, s.server.name, s.at.mono_ns, s.at.raw_ns, numbers)?;
    }
    file.flush()?;
    Ok(start.elapsed())
}

fn best_of<T>(times: u32, mut work: impl FnMut() -> Result<T, Failure>) -> Result<(Duration, T), Failure> {
    let mut best: Option<(Duration, T)> = None;
    for _ in 0..times {
        let start = Instant::now();
        let result = black_box(work()?);
        let took = start.elapsed();
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, result));
        }
    }
    best.ok_or_else(|| "nothing was run".into())
}

fn say(out: &mut impl Write, what: &str, value: &str, beside: &str) -> std::io::Result<()> {
    writeln!(out, "{what:<58} {value:>16}   {beside}")
}

fn writing(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let samples = rounds(&idents(SERVERS), ROUNDS);
    let per = |took: Duration| took.as_secs_f64() * 1e6 / samples.len() as f64;
    let show = |took: Duration| format!("{:.1} µs/sample", per(took));

    let plain = write_plain(&dir.join("plain.db"), &samples)?;
    let ratio = |took: Duration| format!("{:.1} × plain rows", per(took) / per(plain));
    say(out, "peer: plain SQLite rows, no rollups, no outbox", &show(plain), "1.0 ×")?;
    let csv = write_csv(&dir.join("peer.csv"), &samples)?;
    say(out, "peer: CSV append", &show(csv), &ratio(csv))?;
    let journal = write_store(&dir.join("journal.db"), &samples, BATCH, None)?;
    say(out, "store: raw + rollups", &show(journal), &ratio(journal))?;
    let per_sample = |bytes: u64| format!("{:.0} B/sample", bytes as f64 / samples.len() as f64);
    let size = std::fs::metadata(dir.join("journal.db"))?.len();
    say(out, "store: file, indexes and rollups included", &per_sample(size), "goal 40")?;
    let (before, second) = (written()?, samples.len() / (ROUNDS * POLL / SECOND) as usize);
    let by_second = write_store(&dir.join("seconds.db"), &samples, second, None)?;
    say(out, "store: the same in batches of a second", &show(by_second), &ratio(by_second))?;
    say(out, "store: written for that", &per_sample(written()? - before), "goal 1000")?;
    let full = write_store(&dir.join("full.db"), &samples, BATCH, line_encoder())?;
    say(out, "store: raw + rollups + outbox lines", &show(full), &ratio(full))?;
    let part = &samples[..samples.len() / 10];
    let small = write_store(&dir.join("small.db"), part, 16, line_encoder())? * 10;
    say(out, "store: the same in batches of 16 (250 ms of this load)", &show(small), &ratio(small))?;
    Ok(())
}

/// One server's day among 1,000 servers. The others' rows are written too, in fewer rounds, so that the file is large.
fn one_day(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let path = dir.join("journal.db");
    let ident = idents(501).pop().ok_or("no server")?;
    let day: Vec<_> = (0..DAY / POLL).map(|n| Arc::new(sample(&ident, T0 + 2 * DAY + n * POLL))).collect();
    write_store(&path, &day, BATCH, None)?;
    let reader = Reader::open(&path)?;
    let (took, read) =
        best_of(5, || Ok(reader.samples(&ident.name, None, T0 + 2 * DAY, T0 + 3 * DAY, usize::MAX)?.len()))?;
    say(out, "read: one server's day, raw", &millis(took), &format!("{read} samples; goal 20 ms"))?;
    for (name, hours) in [("1 h", 1), ("24 h", 24)] {
        let (from, to) = (T0 + ROUNDS * POLL - hours * DAY / 24 + 7, T0 + ROUNDS * POLL + 7);
        let (took, read) = best_of(3, || Ok(reader.counts(from, to)?.len()))?;
        say(out, &format!("read: outcomes of all servers over {name}"), &millis(took), &format!("{read} series"))?;
    }
    Ok(())
}

fn latest(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let path = dir.join("many.db");
    write_store(&path, &rounds(&idents(10_000), 3), 2048, None)?;
    let reader = Reader::open(&path)?;
    let (took, read) = best_of(5, || Ok(reader.latest()?.len()))?;
    say(out, "read: the latest sample of every series", &millis(took), &format!("{read} series; goal 100 ms"))?;
    let (took, read) = best_of(1, || Ok(reader.since(T0).count()))?;
    say(out, "read: all samples of all series by time", &millis(took), &format!("{read} samples"))?;
    Ok(())
}

fn year(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let path = dir.join("year.db");
    let ident = idents(1).pop().ok_or("no server")?;
    let polls: Vec<_> = (0..365 * 48).map(|n| Arc::new(sample(&ident, T0 + n * DAY / 48))).collect();
    write_store(&path, &polls, 2048, None)?;
    let reader = Reader::open(&path)?;
    let (took, read) = best_of(5, || Ok(reader.rollups(&ident.name, None, Grain::Hour, T0, T0 + 365 * DAY)?.len()))?;
    say(out, "read: one server's year, hourly with sketches", &millis(took), &format!("{read} rollups"))?;
    Ok(())
}

fn millis(took: Duration) -> String {
    format!("{:.2} ms", took.as_secs_f64() * 1e3)
}

fn main() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "store: {SERVERS} servers, {ROUNDS} rounds, batches of {BATCH}")?;
    writing(&mut out, dir.path())?;
    one_day(&mut out, dir.path())?;
    latest(&mut out, dir.path())?;
    year(&mut out, dir.path())?;
    Ok(())
}
