//! A NATS client for tests, with a separate thread that keeps its connection alive.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_nats::jetstream::{self, Context};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// The client; its connection ends when it is dropped.
pub struct Bus {
    handle: Handle,
    pub jetstream: Context,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The messages received under some subjects so far.
pub struct Heard(Seen);

impl Heard {
    pub fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.0.lock().unwrap().clone()
    }

    /// The messages that are JSON.
    pub fn json(&self) -> Vec<Value> {
        self.all().iter().filter_map(|(_, body)| serde_json::from_slice(body).ok()).collect()
    }
}

impl Bus {
    pub fn connect(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || drop(runtime.block_on(ended)));
        let url = url.to_owned();
        let jetstream = run(&handle, async move { jetstream::new(async_nats::connect(url).await.unwrap()) });
        Self { handle, jetstream, end: Some(end), thread: Some(thread) }
    }

    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        run(&self.handle, work)
    }

    /// Publishes a message and waits until the server has stored it.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn publish(&self, subject: &str, body: Vec<u8>) -> Result<u64, String> {
        let (jetstream, subject) = (self.jetstream.clone(), subject.to_owned());
        self.run(async move {
            let ack = jetstream.publish(subject, body.into()).await.map_err(|why| why.to_string())?;
            ack.await.map(|ack| ack.sequence).map_err(|why| why.to_string())
        })
    }

    /// Collects the messages under `subject` from now on.
    pub fn listen(&self, subject: &str) -> Heard {
        let (jetstream, subject, seen) = (self.jetstream.clone(), subject.to_owned(), Seen::default());
        let shared = Arc::clone(&seen);
        let mut messages = self.run(async move {
            let messages = jetstream.client().subscribe(subject).await.unwrap();
            jetstream.client().flush().await.unwrap();
            messages
        });
        self.handle.spawn(async move {
            while let Some(message) = messages.next().await {
                shared.lock().unwrap().push((message.subject.to_string(), message.payload.to_vec()));
            }
        });
        Heard(seen)
    }
}

/// Runs `work` on the thread of the client.
fn run<T: Send + 'static>(handle: &Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = std::sync::mpsc::channel();
    handle.spawn(async move { done.send(work.await) });
    result.recv().unwrap()
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
