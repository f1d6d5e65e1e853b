//! The messages of one vantage. Each vantage is read through a consumer of its own, so that the messages of others do
//! not wait behind a flood.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{self, Batch};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::{Message, stream};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::fleet::link::{Link, LinkError};

/// Largest number of messages of one request.
const MESSAGES: usize = 16;
/// Largest number of bytes of one request.
const BYTES: usize = 1 << 20;
/// How long the server waits for messages before it answers a request.
const EXPIRES: Duration = Duration::from_secs(5);
/// How long an answer may be late.
const LATE: Duration = Duration::from_millis(500);
/// Number of requests in a row without an answer after which the connection counts as dead.
const SILENCES: u32 = 2;

/// The consumer of a hub for the messages of one vantage.
pub(super) struct Inbox {
    link: Link,
    vantage: Arc<str>,
    consumer: Consumer<pull::Config>,
    request: Option<Request>,
    silences: u32,
    /// The number that the consumer gives to the next message.
    expected: u64,
}

struct Request {
    batch: Batch,
    until: Instant,
    is_answered: bool,
}

/// What an [`Inbox`] gave.
pub(super) struct Arrival {
    pub vantage: Arc<str>,
    /// `None` when nothing is waiting.
    pub message: Option<Message>,
    /// The number of the message in the stream.
    pub sequence: u64,
    /// Whether all messages of the vantage are read.
    pub is_last: bool,
}

impl Inbox {
    /// Opens the inbox at the message with the number `start_sequence` in the stream.
    pub(super) async fn open(
        link: &Link,
        stream: &stream::Stream,
        hub: &str,
        vantage: Arc<str>,
        start_sequence: u64,
    ) -> Result<Self, LinkError> {
        // Names of hubs and vantages contain no "=".
        let name = format!("{hub}={vantage}");
        // It may not exist.
        let _ = stream.delete_consumer(&name).await;
        let config = pull::Config {
            name: Some(name),
            filter_subject: link.names.samples(&vantage),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(3600),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        let consumer = consumer.map_err(|why| link.fault("create the consumer of a vantage", &why))?;
        Ok(Self { link: link.clone(), vantage, consumer, request: None, silences: 0, expected: 1 })
    }

    /// What arrives, without an end before the first error.
    pub(super) fn arrivals(self) -> impl Stream<Item = Result<Arrival, LinkError>> + Send {
        futures_util::stream::try_unfold(self, async |mut inbox| {
            let arrival = inbox.next().await?;
            Ok(Some((arrival, inbox)))
        })
    }

    async fn next(&mut self) -> Result<Arrival, LinkError> {
        loop {
            let mut request = match self.request.take() {
                Some(request) => request,
                None => self.ask().await?,
            };
            match timeout_at(request.until, request.batch.next()).await {
                Ok(Some(Ok(message))) => {
                    request.is_answered = true;
                    (self.request, self.silences) = (Some(request), 0);
                    return self.arrival(message);
                }
                Ok(Some(Err(why))) => return Err(self.link.fault("read samples", &*why)),
                Ok(None) => {
                    self.silences = 0;
                    if !request.is_answered {
                        let vantage = Arc::clone(&self.vantage);
                        return Ok(Arrival { vantage, message: None, sequence: 0, is_last: true });
                    }
                }
                Err(_) if request.is_answered => {}
                Err(_) => {
                    self.silences += 1;
                    if self.silences >= SILENCES {
                        return Err(LinkError("the server stopped answering".to_owned()));
                    }
                }
            }
        }
    }

    async fn ask(&self) -> Result<Request, LinkError> {
        let batch = self.consumer.fetch().max_messages(MESSAGES).max_bytes(BYTES).expires(EXPIRES).messages().await;
        let batch = batch.map_err(|why| self.link.fault("ask for samples", &why))?;
        Ok(Request { batch, until: Instant::now() + EXPIRES + LATE, is_answered: false })
    }

    fn arrival(&mut self, message: Message) -> Result<Arrival, LinkError> {
        let info = message.info().map_err(|why| LinkError(format!("a message has no number: {why}")))?;
        if info.consumer_sequence != self.expected {
            return Err(LinkError("messages were lost on the way, reading them again".to_owned()));
        }
        self.expected += 1;
        let (sequence, is_last) = (info.stream_sequence, info.pending == 0);
        Ok(Arrival { vantage: Arc::clone(&self.vantage), message: Some(message), sequence, is_last })
    }
}
