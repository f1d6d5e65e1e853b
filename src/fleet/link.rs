//! The connection to NATS, and the names and configurations of streams, buckets and subjects.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use super::advice;
use crate::config::{Hidden, Login, Nats};

/// Largest number of messages that were sent and are not yet acknowledged.
pub const WINDOW: usize = 16;
/// Timeout of one request.
pub const WITHIN: Duration = Duration::from_secs(5);
/// The oldest release of the NATS server that is supported.
pub const OLDEST_SERVER: (i64, i64, i64) = (2, 11, 0);
/// Largest message of any stream of the fleet, in bytes.
const MAX_MESSAGE: i32 = 128 << 10;
/// The key of the lease expires on the server this long after its last renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(15);
const DAY: Duration = Duration::from_secs(86_400);

/// The names of the streams, buckets and subjects of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn upper(&self) -> String {
        self.prefix.to_ascii_uppercase()
    }

    /// The stream of samples.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("{}_SAMPLES", self.upper())
    }

    /// The subject for the samples of one vantage, or of all with `*`.
    #[must_use]
    pub fn samples(&self, vantage: &str) -> String {
        format!("{}.samples.{vantage}", self.prefix)
    }

    /// The vantage of a subject of samples.
    #[must_use]
    pub fn vantage<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.prefix)?.strip_prefix(".samples.")
    }

    /// The bucket of plans, one document for each vantage.
    #[must_use]
    pub fn plans(&self) -> String {
        format!("{}_PLAN", self.upper())
    }

    /// The subject on which the server republishes a new plan for its agent.
    #[must_use]
    pub fn plan(&self, vantage: &str) -> String {
        format!("{}.plan.{vantage}", self.prefix)
    }

    /// The bucket in which vantages announce themselves.
    #[must_use]
    pub fn presence(&self) -> String {
        format!("{}_PRESENCE", self.upper())
    }

    /// The bucket of the lease.
    #[must_use]
    pub fn lease(&self) -> String {
        format!("{}_LEASE", self.upper())
    }

    /// The subject that requests the current value of a key. It needs no right to create a consumer.
    #[must_use]
    pub fn get(bucket: &str, key: &str) -> String {
        format!("$JS.API.DIRECT.GET.KV_{bucket}.$KV.{bucket}.{key}")
    }

    /// The subject that sets a key.
    #[must_use]
    pub fn put(bucket: &str, key: &str) -> String {
        format!("$KV.{bucket}.{key}")
    }
}

/// Why there is no connection, or why it ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// A connection. It is used until its first failure; then the caller makes a new one.
#[derive(Debug, Clone)]
pub struct Link {
    pub client: Client,
    pub jetstream: jetstream::Context,
    pub names: Names,
    /// The last complaint of the server, such as a missing permission.
    complaint: Arc<Mutex<Option<String>>>,
    is_ended: watch::Receiver<bool>,
}

impl Link {
    /// Connects as `name`.
    ///
    /// # Errors
    /// Why it failed, and what a person can do about it.
    pub async fn connect(nats: &Nats, name: &str) -> Result<Self, LinkError> {
        let complaint = Arc::new(Mutex::new(None));
        let (ended, is_ended) = watch::channel(false);
        let options = options(nats, name, Arc::clone(&complaint), ended)?;
        let connecting = options.connect(nats.urls.as_slice());
        let client = match tokio::time::timeout(2 * WITHIN, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(why)) => return Err(LinkError(advice::connection(&full(&why)))),
            Err(_) => return Err(LinkError(format!("{} does not answer", nats.urls.join(", ")))),
        };
        let (major, minor, patch) = OLDEST_SERVER;
        if !client.is_server_compatible(major, minor, patch) {
            return Err(LinkError(advice::too_old(&client.server_info().version)));
        }
        let jetstream = ContextBuilder::new()
            .timeout(WITHIN)
            .max_ack_inflight(2 * WINDOW)
            .backpressure_on_inflight(false)
            .build(client.clone());
        Ok(Self { client, jetstream, names: Names::new(&nats.prefix), complaint, is_ended })
    }

    /// Returns when the connection is lost or the server is about to shut down.
    pub async fn ended(&self) -> LinkError {
        let mut is_ended = self.is_ended.clone();
        // An error means that the client is gone.
        let _ = is_ended.wait_for(|is_ended| *is_ended).await;
        LinkError("the connection to NATS ended".to_owned())
    }

    /// The error text for a failure while `doing`, with advice.
    #[must_use]
    pub fn fault(&self, doing: &str, why: &dyn std::error::Error) -> LinkError {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take();
        LinkError(format!("cannot {doing}: {}", advice::request(&full(why), complaint.as_deref())))
    }

    /// Creates the streams of the fleet on the server, unless they exist.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_all(&self, replicas: usize) -> Result<(), LinkError> {
        for config in configurations(&self.names, replicas) {
            let name = config.name.clone();
            if self.jetstream.get_stream(&name).await.is_ok() {
                continue;
            }
            let created = self.jetstream.create_stream(config).await;
            created.map_err(|why| self.fault(&format!("create the stream {name}"), &why))?;
        }
        Ok(())
    }
}

fn options(
    nats: &Nats,
    name: &str,
    complaint: Arc<Mutex<Option<String>>>,
    ended: watch::Sender<bool>,
) -> Result<ConnectOptions, LinkError> {
    let on_event = move |event| {
        match event {
            Event::Disconnected | Event::Closed | Event::LameDuckMode => drop(ended.send_replace(true)),
            Event::ServerError(why) => {
                *complaint.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
            }
            _ => {}
        }
        async {}
    };
    let mut options = ConnectOptions::new()
        .name(format!("ntp-monitor {name}"))
        .custom_inbox_prefix(format!("_INBOX_{name}"))
        .max_reconnects(nats.urls.len())
        .client_capacity(2 * WINDOW)
        .require_tls(nats.requires_tls())
        .ping_interval(Duration::from_secs(10))
        .connection_timeout(WITHIN)
        .request_timeout(Some(WITHIN))
        .event_callback(on_event);
    options = logged_in(options, &nats.login)?;
    let Some(tls) = &nats.tls else { return Ok(options) };
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    Ok(match &tls.pair {
        Some((cert, key)) => options.add_client_certificate(cert.clone(), key.clone()),
        None => options,
    })
}

/// Adds the credentials. Their files are read again, because secrets may be replaced while the service runs.
fn logged_in(options: ConnectOptions, login: &Login) -> Result<ConnectOptions, LinkError> {
    let current = |hidden: &Hidden| {
        let mut hidden = hidden.clone();
        hidden.renew();
        hidden
    };
    Ok(match login {
        Login::None => options,
        Login::User { name, password } => {
            options.user_and_password(name.clone(), current(password).expose().to_owned())
        }
        Login::Creds(creds) => options
            // The client needs a line end after the last line, and secrets are read without it.
            .credentials(&format!("{}\n", current(creds).expose()))
            .map_err(|why| LinkError(format!("nats.creds is not a file of credentials: {why}")))?,
        Login::Nkey(seed) => options.nkey(current(seed).expose().to_owned()),
    })
}

/// The text of an error and of its causes.
fn full(why: &dyn std::error::Error) -> String {
    let mut text = why.to_string();
    let mut cause = why.source();
    while let Some(why) = cause {
        let more = why.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = why.source();
    }
    text
}

/// The streams of a fleet. Buckets are created as streams too.
#[must_use]
pub fn configurations(names: &Names, replicas: usize) -> [stream::Config; 4] {
    let bucket = |bucket: String| stream::Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.*")],
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        allow_direct: true,
        deny_delete: true,
        max_message_size: MAX_MESSAGE,
        num_replicas: replicas,
        ..stream::Config::default()
    };
    let samples = stream::Config {
        name: names.stream(),
        subjects: vec![names.samples("*")],
        max_messages_per_subject: 50_000,
        max_bytes: 4 << 30,
        max_age: 7 * DAY,
        max_message_size: MAX_MESSAGE,
        duplicate_window: Duration::from_secs(120),
        deny_delete: true,
        deny_purge: true,
        num_replicas: replicas,
        ..stream::Config::default()
    };
    let plans = names.plans();
    let republish = stream::Republish {
        source: format!("$KV.{plans}.*"),
        destination: names.plan("{{wildcard(1)}}"),
        headers_only: false,
    };
    let plans = stream::Config { max_messages_per_subject: 8, republish: Some(republish), ..bucket(plans) };
    let presence = stream::Config { max_age: Duration::from_secs(90), ..bucket(names.presence()) };
    let lease = stream::Config { max_age: LEASE_TTL, ..bucket(names.lease()) };
    [samples, plans, presence, lease]
}
