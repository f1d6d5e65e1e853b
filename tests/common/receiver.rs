//! An HTTP server on loopback with scripted responses, on its own thread.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::oneshot;

/// The reaction to one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Status, more headers (each with its line end), body.
    Status(u16, &'static str, String),
    /// Never any response.
    Hang,
    /// The connection is reset.
    Reset,
}

/// A response with a status only.
pub fn status(status: u16) -> Answer {
    Answer::Status(status, "", String::new())
}

#[derive(Debug, Clone)]
pub struct Request {
    pub at: Instant,
    pub head: String,
    /// Decompressed.
    pub body: String,
}

impl Request {
    /// `POST /path`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.body))
    }
}

type Judge = Arc<Mutex<dyn FnMut(&Request) -> Answer + Send>>;
type Seen = Arc<Mutex<Vec<Request>>>;

/// The server; it stops when dropped.
pub struct Receiver {
    pub address: SocketAddr,
    seen: Seen,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Answers each request as `judge` says.
    pub fn start(judge: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), judge)
    }

    /// Answers the first requests as `script` says, and all others with 200.
    pub fn scripted(script: impl IntoIterator<Item = Answer>) -> Self {
        let mut script: std::collections::VecDeque<Answer> = script.into_iter().collect();
        Self::start(move |_| script.pop_front().unwrap_or_else(|| status(200)))
    }

    /// The same at an address.
    pub fn at(address: SocketAddr, judge: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, judge): (Seen, Judge) = (Seen::default(), Arc::new(Mutex::new(judge)));
        let (end, ended) = oneshot::channel();
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    () = accept(TcpListener::from_std(listener).unwrap(), judge, shared) => {}
                }
            });
        });
        Self { address, seen, end: Some(end), thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, judge: Judge, seen: Seen) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&judge), Arc::clone(&seen)));
    }
}

async fn serve(mut stream: TcpStream, judge: Judge, seen: Seen) {
    while let Some(request) = read(&mut stream).await {
        let answer = judge.lock().unwrap()(&request);
        seen.lock().unwrap().push(request);
        match answer {
            Answer::Hang => std::future::pending().await,
            Answer::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Answer::Status(status, headers, body) => {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
                // A client that has read enough of a huge body hangs up.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let length = text.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = bytes.split_off(head);
    let have = body.len();
    body.resize(length.unwrap_or(0).max(body.len()), 0);
    stream.read_exact(&mut body[have..]).await.ok()?;
    if text.to_lowercase().contains("content-encoding: gzip\r\n") {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
        body = plain;
    }
    Some(Request { at: Instant::now(), head: text, body: String::from_utf8(body).unwrap() })
}
