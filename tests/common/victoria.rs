//! A VictoriaMetrics on a free port of loopback, ended with the test. A server that is not installed fails the test.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::wait::until;

const READY_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A server with its own directory and port, which it keeps when it is stopped and started again.
pub struct Victoria {
    child: Option<Child>,
    port: u16,
    data: TempDir,
}

impl Victoria {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { child: None, port, data: tempfile::tempdir().unwrap() };
        server.start_again();
        server
    }

    /// Restarts the stopped server with its data.
    pub fn start_again(&mut self) {
        let child = Command::new("victoria-metrics")
            .arg(format!("-httpListenAddr=127.0.0.1:{}", self.port))
            .arg(format!("-storageDataPath={}", self.data.path().display()))
            .arg("-retentionPeriod=100y")
            // A point that is written twice replaces itself, as it does in InfluxDB; by default both are kept here.
            .arg("-dedup.minScrapeInterval=1ms")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("victoria-metrics is installed (apt-get install victoria-metrics)");
        self.child = Some(child);
        let deadline = Instant::now() + READY_WITHIN;
        while self.try_get("/health").is_none() {
            assert!(Instant::now() < deadline, "victoria-metrics does not answer");
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert_eq!(ended, None, "victoria-metrics ended at once");
            // The other process sends no notification, so poll its port.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server; data that it acknowledged a moment ago may not be on its disk yet.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the server, and waits until it has written everything to disk and ended.
    pub fn shut_down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_raw(child.id().cast_signed());
        kill(pid, Signal::SIGTERM).unwrap();
        until("the end of victoria-metrics", || child.try_wait().unwrap().is_some());
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every raw value of the series that `selector` (percent-encoded) matches, one JSON object per series: `{"metric":
    /// {…}, "values": […], "timestamps": [milliseconds …]}`.
    pub fn export(&self, selector: &str) -> Vec<serde_json::Value> {
        self.try_get("/internal/force_flush").expect("flushes");
        let body = self.try_get(&format!("/api/v1/export?match%5B%5D={selector}")).expect("exports");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The body of an answer 200 or 204.
    fn try_get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?;
        matches!(status, "200" | "204").then(|| body.to_owned())
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        self.stop();
    }
}
