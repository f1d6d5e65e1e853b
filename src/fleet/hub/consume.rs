//! Reads the stream of samples into the store.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::{Message, stream};
use futures_util::StreamExt;
use slog::{info, warn};
use tokio::time::{Instant, timeout};

use super::Hub;
use crate::fleet::envelope;
use crate::fleet::link::{Link, LinkError};
use crate::store::{Accepted, Batch, Position, Received};
use ntp_monitor_core::sample::Sample;

/// Largest number of messages of one request.
const MESSAGES: usize = 64;
/// Largest number of bytes of one request.
const BYTES: usize = 4 << 20;
/// How long the server waits for messages before it answers a request.
const EXPIRES: Duration = Duration::from_secs(2);
/// Number of requests in a row without an answer after which the connection counts as dead.
const SILENCES: u32 = 2;
/// A sample may be this far ahead of this host's clock, and this old. Samples outside of this range are not stored.
const AHEAD_NS: i64 = 3_600 * 1_000_000_000;
const OLD_NS: i64 = 60 * 86_400 * 1_000_000_000;
/// 2025-01-01: a clock that shows less was never set, and cannot judge the times of others.
const UNSET_NS: i64 = 1_735_689_600 * 1_000_000_000;

/// The result of one request.
#[derive(Default)]
struct Read {
    received: Vec<Received>,
    refused: Vec<(Box<str>, String)>,
    sequence: Option<u64>,
    /// Number of messages that remain in the stream after these.
    pending: u64,
    messages: usize,
}

impl Hub {
    pub(super) async fn consume(&self, link: &Link) -> Result<(), LinkError> {
        let name = link.names.stream();
        let stream = link.jetstream.get_stream(&name).await;
        let stream = stream.map_err(|why| link.fault("open the stream of samples", &why))?;
        let info = stream.cached_info();
        let mut position = self.position(&name, info).await?;
        let consumer = self.consumer(link, &stream, position.sequence + 1).await?;
        info!(self.log, "reading the stream of samples"; "behind" => position.sequence, "last" => info.state.last_sequence);
        let (mut silences, mut expected) = (0, 1);
        loop {
            if crate::clock::now().wall_ns < UNSET_NS {
                return Err(LinkError(
                    "this host's clock was never set, so it cannot judge the times of samples".to_owned(),
                ));
            }
            let read = self.fetch(link, &consumer, &mut expected, &mut silences).await?;
            self.state.lock().is_caught_up = read.pending == 0;
            let Some(sequence) = read.sequence else { continue };
            position.sequence = sequence;
            self.keep(read, position.clone()).await?;
        }
    }

    /// The position after which to read. A stream that was created again is read from its beginning; one that lost its
    /// last messages in a crash of the server is read from its current end.
    async fn position(&self, name: &str, info: &stream::Info) -> Result<Position, LinkError> {
        let created = info.created.to_string();
        let asked = name.to_owned();
        let known = self.store.read(move |reader| reader.fleet_position(&asked)).await;
        let known = known.map_err(|why| LinkError(why.to_string()))?.filter(|known| known.created == created);
        let sequence = known.map_or(0, |known| known.sequence.min(info.state.last_sequence));
        Ok(Position { stream: name.to_owned(), created, sequence })
    }

    async fn consumer(
        &self,
        link: &Link,
        stream: &stream::Stream,
        start_sequence: u64,
    ) -> Result<Consumer<pull::Config>, LinkError> {
        let name = &self.fleet.name;
        // It may not exist.
        let _ = stream.delete_consumer(name).await;
        let config = pull::Config {
            name: Some(name.clone()),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(3600),
            ..pull::Config::default()
        };
        stream.create_consumer(config).await.map_err(|why| link.fault("create the consumer of this hub", &why))
    }

    async fn fetch(
        &self,
        link: &Link,
        consumer: &Consumer<pull::Config>,
        expected: &mut u64,
        silences: &mut u32,
    ) -> Result<Read, LinkError> {
        let batch = consumer.fetch().max_messages(MESSAGES).max_bytes(BYTES).expires(EXPIRES).messages().await;
        let mut batch = batch.map_err(|why| link.fault("ask for samples", &why))?;
        let (mut read, until) = (Read::default(), Instant::now() + EXPIRES + Duration::from_millis(500));
        loop {
            match tokio::time::timeout_at(until, batch.next()).await {
                Ok(Some(Ok(message))) => self.take(&message, &mut read, expected)?,
                Ok(Some(Err(why))) => return Err(link.fault("read samples", &*why)),
                Ok(None) => {
                    *silences = 0;
                    return Ok(read);
                }
                Err(_) if read.messages > 0 => return Ok(read),
                Err(_) => {
                    *silences += 1;
                    if *silences >= SILENCES {
                        return Err(LinkError("the server stopped answering".to_owned()));
                    }
                    read.pending = u64::MAX;
                    return Ok(read);
                }
            }
        }
    }

    fn take(&self, message: &Message, read: &mut Read, expected: &mut u64) -> Result<(), LinkError> {
        let info = message.info().map_err(|why| LinkError(format!("a message has no number: {why}")))?;
        if info.consumer_sequence != *expected {
            return Err(LinkError("messages were lost on the way, reading them again".to_owned()));
        }
        *expected += 1;
        read.messages += 1;
        (read.sequence, read.pending) = (Some(info.stream_sequence), info.pending);
        let subject = message.subject.as_str();
        let Some(vantage) = link_vantage(&self.fleet.nats.prefix, subject) else { return Ok(()) };
        self.heard(vantage);
        match envelope::decode(vantage, &message.payload) {
            Ok(received) => read.add(received, crate::clock::now().wall_ns),
            Err(why) => read.refused.push((vantage.into(), format!("its message {why}"))),
        }
        Ok(())
    }

    fn heard(&self, vantage: &str) {
        let mut view = self.state.lock();
        match view.vantages.get_mut(vantage) {
            Some(known) => known.heard = Some(Instant::now()),
            None => view.vantages.entry(vantage.to_owned()).or_default().heard = Some(Instant::now()),
        }
    }

    /// Stores the samples and passes the new ones to the judge.
    async fn keep(&self, read: Read, position: Position) -> Result<(), LinkError> {
        let own = self.fleet.role.is_agent().then(|| Arc::from(self.fleet.name.as_str()));
        self.log_refused(&read.refused);
        let refused = read.refused.len() as u64;
        let batch = Batch { position: Some(position), received: read.received, refused: read.refused, own };
        let stored = self.store.fleet_receive(batch).await;
        let Accepted { samples, repeated, lost, refused: not_stored } =
            stored.map_err(|why| LinkError(why.to_string()))?;
        self.log_refused(&not_stored);
        if lost > 0
            && let Some(log) = self.limited("", "lost")
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

impl Hub {
    fn log_refused(&self, refused: &[(Box<str>, String)]) {
        for (vantage, why) in refused {
            if let Some(log) = self.limited(vantage, "refused") {
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

fn link_vantage<'a>(prefix: &str, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix(prefix)?.strip_prefix(".samples.")
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
