//! Scripted servers on a separate thread, so that a test may block while they answer.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use ntp_monitor::sim::{Script, ScriptedServer};
use tokio::runtime;
use tokio::sync::oneshot;

/// The thread that runs scripted servers; they stop when it is dropped.
pub struct Playground {
    handle: runtime::Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Playground {
    pub fn open() -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || drop(runtime.block_on(ended)));
        Self { handle, end: Some(end), thread: Some(thread) }
    }

    /// A server on a free port of 127.0.0.1.
    pub fn server(&self, script: Script) -> ScriptedServer {
        self.server_at("127.0.0.1:0".parse().unwrap(), script)
    }

    /// A server at `address`.
    pub fn server_at(&self, address: SocketAddr, script: Script) -> ScriptedServer {
        let (started, server) = std::sync::mpsc::channel();
        self.handle.spawn(async move {
            let _ = started.send(ScriptedServer::start(address, script).await);
        });
        server.recv().unwrap().unwrap()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
