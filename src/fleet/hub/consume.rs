//! Reads the samples of all vantages into the store.

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream;
use futures_util::stream::{SelectAll, iter};
use futures_util::{Stream, StreamExt, TryStreamExt};
use slog::{info, warn};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::Hub;
use super::inbox::{Arrival, Inbox};
use crate::config::is_vantage_name;
use crate::fleet::envelope;
use crate::fleet::link::{Link, LinkError};
use crate::store::{Accepted, Batch, Position, Received};
use ntp_monitor_core::sample::Sample;

/// Largest number of messages that are stored at once.
const MESSAGES: usize = 64;
/// Size of messages in bytes above which no further one is stored with them.
const BYTES: usize = 4 << 20;
/// How long messages wait for others that are stored with them.
const GATHER: Duration = Duration::from_secs(1);
/// How often the hub looks for new vantages.
const LOOK: Duration = Duration::from_secs(1);
/// How many inboxes are opened at once.
const AT_ONCE: usize = 16;
/// Largest number of vantages that are read.
const VANTAGES: usize = 1000;
/// A sample may be this far ahead of this host's clock, and this old. Samples outside of this range are not stored.
const AHEAD_NS: i64 = 3_600 * 1_000_000_000;
const OLD_NS: i64 = 60 * 86_400 * 1_000_000_000;
/// 2025-01-01: a clock that shows less was never set, and cannot judge the times of others.
const UNSET_NS: i64 = 1_735_689_600 * 1_000_000_000;

type Arrivals = Pin<Box<dyn Stream<Item = Result<Arrival, LinkError>> + Send>>;

/// The inboxes of all vantages. Of those with messages, each gives one in turn.
struct Inboxes {
    stream: stream::Stream,
    name: String,
    created: String,
    last_sequence: u64,
    /// How far each vantage was read before.
    read: BTreeMap<String, u64>,
    open: HashSet<Arc<str>>,
    arrivals: SelectAll<Arrivals>,
}

/// Messages that are stored at once.
#[derive(Default)]
struct Read {
    received: Vec<Received>,
    refused: Vec<(Box<str>, String)>,
    /// The number in the stream of the last message of each vantage.
    sequences: BTreeMap<Arc<str>, u64>,
    messages: usize,
    bytes: usize,
}

impl Hub {
    pub(super) async fn consume(&self, link: &Link) -> Result<(), LinkError> {
        let mut inboxes = self.inboxes(link).await?;
        if let Some(log) = self.log.of("", "reading") {
            info!(log, "reading the samples of the fleet"; "last" => inboxes.last_sequence);
        }
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.open_new(link, &mut inboxes).await?,
                Some(arrival) = inboxes.arrivals.next() => {
                    let read = self.gather(arrival?, &mut inboxes).await?;
                    let positions = inboxes.positions(&read);
                    self.keep(read, positions).await?;
                }
            }
        }
    }

    async fn inboxes(&self, link: &Link) -> Result<Inboxes, LinkError> {
        let name = link.names.stream();
        let stream = link.jetstream.get_stream(&name).await;
        let stream = stream.map_err(|why| link.fault("open the stream of samples", &why))?;
        let info = stream.cached_info();
        let (created, last_sequence) = (info.created.to_string(), info.state.last_sequence);
        let asked = name.clone();
        let known = self.store.read(move |reader| reader.fleet_positions(&asked)).await;
        let known = known.map_err(|why| LinkError(why.to_string()))?;
        let current = known.into_iter().filter(|known| known.created == created);
        let read = current.map(|known| (known.vantage, known.sequence)).collect();
        let (open, arrivals) = (HashSet::new(), SelectAll::new());
        Ok(Inboxes { stream, name, created, last_sequence, read, open, arrivals })
    }

    /// Opens the inboxes of vantages that have sent their first messages.
    async fn open_new(&self, link: &Link, inboxes: &mut Inboxes) -> Result<(), LinkError> {
        let new = self.new_vantages(link, inboxes).await?;
        let (stream, hub) = (&inboxes.stream, &self.fleet.name);
        let starts: Vec<_> = new.iter().map(|vantage| (Arc::clone(vantage), inboxes.start(vantage))).collect();
        let open = |(vantage, start)| Inbox::open(link, stream, hub, vantage, start);
        let opened: Vec<Inbox> = iter(starts).map(open).buffer_unordered(AT_ONCE).try_collect().await?;
        inboxes.open.extend(new);
        inboxes.arrivals.extend(opened.into_iter().map(|inbox| -> Arrivals { Box::pin(inbox.arrivals()) }));
        Ok(())
    }

    async fn new_vantages(&self, link: &Link, inboxes: &mut Inboxes) -> Result<Vec<Arc<str>>, LinkError> {
        let fault = |why| link.fault("list the vantages that have sent samples", &why);
        let mut listed = inboxes.stream.info_with_subjects(link.names.samples("*")).await.map_err(fault)?;
        if listed.info.created.to_string() != inboxes.created {
            return Err(LinkError("the stream of samples was created again".to_owned()));
        }
        let mut new: Vec<Arc<str>> = Vec::new();
        while let Some((subject, _)) = listed.try_next().await.map_err(fault)? {
            let Some(vantage) = link.names.vantage(&subject).filter(|name| !inboxes.open.contains(*name)) else {
                continue;
            };
            if inboxes.open.len() + new.len() < VANTAGES && is_vantage_name(vantage) {
                self.state.lock().read(vantage, false);
                new.push(vantage.into());
            } else if let Some(log) = self.log.of("", "unread") {
                warn!(log, "a vantage is not read: its name is invalid, or there are too many"; "vantage" => vantage);
            }
        }
        self.state.lock().unread.get_or_insert_default();
        Ok(new)
    }

    /// Takes this and what arrives shortly after it.
    async fn gather(&self, first: Arrival, inboxes: &mut Inboxes) -> Result<Read, LinkError> {
        if crate::clock::now().wall_ns < UNSET_NS {
            return Err(LinkError(
                "this host's clock was never set, so it cannot judge the times of samples".to_owned(),
            ));
        }
        let mut read = Read::default();
        let until = Instant::now() + GATHER;
        self.take(first, &mut read);
        while read.messages < MESSAGES && read.bytes < BYTES {
            match timeout_at(until, inboxes.arrivals.next()).await {
                Ok(Some(arrival)) => self.take(arrival?, &mut read),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(read)
    }

    fn take(&self, arrival: Arrival, read: &mut Read) {
        let Arrival { vantage, message, sequence, is_last } = arrival;
        self.state.lock().read(&vantage, is_last);
        let Some(message) = message else { return };
        self.heard(&vantage);
        read.messages += 1;
        read.bytes += message.payload.len();
        match envelope::decode(&vantage, &message.payload) {
            Ok(received) => read.add(received, crate::clock::now().wall_ns),
            Err(why) => read.refused.push((vantage.as_ref().into(), format!("its message {why}"))),
        }
        read.sequences.insert(vantage, sequence);
    }

    fn heard(&self, vantage: &str) {
        let mut view = self.state.lock();
        match view.vantages.get_mut(vantage) {
            Some(known) => known.heard = Some(Instant::now()),
            None => view.vantages.entry(vantage.to_owned()).or_default().heard = Some(Instant::now()),
        }
    }

    /// Stores the samples and passes the new ones to the judge.
    async fn keep(&self, read: Read, positions: Vec<Position>) -> Result<(), LinkError> {
        if read.messages == 0 {
            return Ok(());
        }
        let own = self.fleet.role.is_agent().then(|| Arc::from(self.fleet.name.as_str()));
        self.log_refused(&read.refused);
        let refused = read.refused.len() as u64;
        let batch = Batch { positions, received: read.received, refused: read.refused, own };
        let stored = self.store.fleet_receive(batch).await;
        let Accepted { samples, repeated, lost, refused: not_stored } =
            stored.map_err(|why| LinkError(why.to_string()))?;
        self.log_refused(&not_stored);
        if lost > 0
            && let Some(log) = self.log.of("", "lost")
        {
            warn!(log, "vantages dropped samples before this hub could read them"; "samples" => lost);
        }
        {
            let mut view = self.state.lock();
            view.received += samples.len() as u64;
            view.repeated += repeated;
            view.lost = view.lost.saturating_add(lost);
            view.refused += refused + not_stored.len() as u64;
        }
        self.judge.observe(&samples, &self.state.view(), crate::clock::now().wall_ns);
        Ok(())
    }
}

impl Inboxes {
    /// The number of the first message to read. A stream that was created again is read from its beginning; one that
    /// lost its last messages in a crash of the server is read from its current end.
    fn start(&self, vantage: &str) -> u64 {
        // A hub of an earlier release kept one position for all vantages, under no name.
        let read = self.read.get(vantage).or_else(|| self.read.get("")).copied().unwrap_or(0);
        read.min(self.last_sequence) + 1
    }

    fn positions(&self, read: &Read) -> Vec<Position> {
        let position = |(vantage, sequence): (&Arc<str>, &u64)| Position {
            stream: self.name.clone(),
            vantage: vantage.to_string(),
            created: self.created.clone(),
            sequence: *sequence,
        };
        read.sequences.iter().map(position).collect()
    }
}

impl Hub {
    fn log_refused(&self, refused: &[(Box<str>, String)]) {
        for (vantage, why) in refused {
            if let Some(log) = self.log.of(vantage, "refused") {
                warn!(log, "refused a message of a vantage"; "vantage" => &**vantage, "reason" => why);
            }
        }
    }
}

impl Read {
    /// Adds a message. Samples with impossible times count as received and lost, so that their agent does not send them
    /// again and again. The others of the message are kept.
    fn add(&mut self, received: Received, now_ns: i64) {
        let is_near = |sample: &Arc<Sample>| {
            let near_ns = now_ns.saturating_sub(OLD_NS)..now_ns.saturating_add(AHEAD_NS);
            near_ns.contains(&sample.at.wall_ns)
        };
        let Some(strange) = received.samples.iter().find(|sample| !is_near(sample)) else {
            return self.received.push(received);
        };
        let at = jiff::Timestamp::from_nanosecond(strange.at.wall_ns.into()).map(|at| at.to_string());
        let why = format!("its clock is far off: a sample of {}", at.unwrap_or_default());
        self.refused.push((received.vantage.as_ref().into(), why));
        let (mut first_seq, mut lost_before) = (received.first_seq, received.lost_before);
        for run in received.samples.chunk_by(|a, b| is_near(a) == is_near(b)) {
            let count = run.len() as u64;
            if run.first().is_some_and(is_near) {
                self.received.push(received.part(first_seq, lost_before, run));
                lost_before = 0;
            } else {
                lost_before += count;
            }
            first_seq += count;
        }
        if lost_before > 0 {
            self.received.push(received.part(first_seq, lost_before, &[]));
        }
    }
}

/// Waits for `work` at most [`WITHIN`](crate::fleet::link::WITHIN).
pub(super) async fn within<T>(doing: &str, work: impl Future<Output = T>) -> Result<T, LinkError> {
    timeout(crate::fleet::link::WITHIN, work).await.map_err(|_| LinkError(format!("cannot {doing}: no answer in time")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Outcome, ServerIdent};

    const NOW_NS: i64 = 1_800_000_000_000_000_000;

    fn received(times_ns: &[i64], first_seq: u64, lost_before: u64) -> Received {
        let server = ServerIdent::seen_from("ams", "s");
        let sample = |at| Arc::new(Sample::unasked(Stamp::new(at, 0, 0), Arc::clone(&server), Outcome::Timeout, 1.0));
        let samples = times_ns.iter().map(|at| sample(*at)).collect();
        Received { vantage: "ams".into(), incarnation: "i".into(), first_seq, lost_before, samples }
    }

    /// Number of the first sample, lost before it, and samples of each part.
    fn parts(times_ns: &[i64], lost_before: u64) -> Vec<(u64, u64, usize)> {
        let mut read = Read::default();
        read.add(received(times_ns, 100, lost_before), NOW_NS);
        assert!(read.refused.len() == 1 && read.refused[0].1.contains("1970"), "{:?}", read.refused);
        read.received.iter().map(|part| (part.first_seq, part.lost_before, part.samples.len())).collect()
    }

    #[test]
    fn samples_of_a_message_outlive_others_with_strange_times() {
        let (good, bad) = (NOW_NS, 5);
        assert_eq!(parts(&[bad, bad, good, good, good], 7), [(102, 9, 3)], "a clock that was set at last");
        assert_eq!(parts(&[good, bad, good, bad], 0), [(100, 0, 1), (102, 1, 1), (104, 1, 0)]);
        assert_eq!(parts(&[bad, bad], 3), [(102, 5, 0)]);
    }
}
