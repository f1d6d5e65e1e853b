//! The engine that measures with the kernel's timestamps: T1 when the datagram is passed to the interface, T4 when the
//! reply arrives from it. The load of this process does not affect the measurement.
//!
//! One query is always one datagram: a refusal is detected through the ICMP error in the error queue, not by a second
//! request. One thread makes all queries, through a few sockets on random ports that are replaced within minutes. Each
//! request carries 64 random bits, its cookie, which a reply must repeat; the first 16 are those of its socket.

mod exchange;
mod filter;
mod message;
mod order;
mod pace;
mod poller;
mod pool;
mod socket;
mod thread;
mod waiting;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::fault::outcome_of;
use super::precision::own_precision_s;
use super::{ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor_core::sample::Outcome;
use order::{Order, Orders};
pub(super) use pace::TICK;
use poller::Poller;
pub use socket::NoStamps;
use socket::{KeepStamping, Options};

/// Measures with kernel timestamps. Cheap to clone; clones share one thread and its sockets.
#[derive(Debug, Clone)]
pub struct KernelEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    own_precision_s: f64,
    options: Options,
    _keep_stamping: Option<KeepStamping>,
    /// The queue of the thread, once there is a thread.
    orders: Mutex<Option<Arc<Orders>>>,
}

impl Default for KernelEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelEngine {
    /// Creates the engine: measures the precision of this host's clock, examines what the kernel can do, and enables
    /// its timestamping. Takes about a millisecond, 20 at most. The thread starts with the first query.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Options::detect())
    }

    fn with(options: Options) -> Self {
        let shared = Shared {
            own_precision_s: own_precision_s(),
            options,
            // If this fails, the queries fail as well and report the reason.
            _keep_stamping: KeepStamping::start().ok(),
            orders: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Like [`ProbeEngine::probe`], but reports missing timestamps as an error.
    ///
    /// # Errors
    /// When the kernel provides no timestamps. Nothing was sent.
    pub async fn try_probe(self, query: Query) -> Result<ProbeReport, NoStamps> {
        let (answer, report) = oneshot::channel();
        if let Err(error) = self.shared.submit(Order { query, answer }) {
            return Ok(ProbeReport::failed(crate::clock::now(), outcome_of(&error)));
        }
        // `self` is kept until here, because the thread ends with the last clone.
        report.await.unwrap_or_else(|_| {
            let why = "the thread of the kernel engine panicked";
            Ok(ProbeReport::failed(crate::clock::now(), Outcome::Fault(why.into())))
        })
    }
}

impl ProbeEngine for KernelEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let engine = self.clone();
        Box::pin(async move {
            engine.try_probe(query).await.unwrap_or_else(|no_stamps| {
                ProbeReport::failed(crate::clock::now(), Outcome::Fault(no_stamps.to_string().into()))
            })
        })
    }
}

impl Shared {
    /// Hands a query to the thread, and starts the thread if there is none.
    fn submit(&self, order: Order) -> io::Result<()> {
        // A single `Option` cannot be left half-written.
        let mut running = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = match &*running {
            None => order,
            Some(orders) => match orders.submit(order) {
                Ok(()) => return Ok(()),
                Err(order) => order,
            },
        };
        let orders = thread::start(Poller::new(self.options, self.own_precision_s)?)?;
        // A thread that has just started has not ended; if it has, the query reports that.
        let _ = orders.submit(order);
        *running = Some(orders);
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.get_mut().unwrap_or_else(PoisonError::into_inner) {
            orders.close();
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
