//! A scripted key-exchange server on loopback, with TLS settings and an answer defined by the test.

#![allow(dead_code, clippy::unwrap_used, reason = "test code; each test uses the part that it needs")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, Stream, SupportedProtocolVersion};

use super::authority::Identity;

/// The behaviour of the server.
pub struct Script {
    pub identity: Identity,
    pub protocols: Vec<&'static [u8]>,
    pub version: &'static SupportedProtocolVersion,
    /// The answer to the request.
    pub answer: Answer,
}

pub enum Answer {
    /// These octets, then the end of the connection.
    Octets(Vec<u8>),
    /// These octets, one each 20 ms.
    Slowly(Vec<u8>),
    /// The connection is closed before TLS.
    Close,
    /// The connection is reset before TLS.
    Reset,
    /// The connection is reset after the request.
    ResetLate,
    /// No answer, as long as the client waits.
    Silence,
}

impl Script {
    /// A server with a certificate for localhost that is valid, and a usual answer.
    pub fn usual(identity: Identity) -> Self {
        Self { identity, protocols: vec![b"ntske/1"], version: &TLS13, answer: Answer::Octets(usual_answer()) }
    }

    pub fn answering(identity: Identity, records: &[Vec<u8>]) -> Self {
        Self { answer: Answer::Octets(records.concat()), ..Self::usual(identity) }
    }

    pub fn old(identity: Identity) -> Self {
        Self { version: &TLS12, ..Self::usual(identity) }
    }
}

pub fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap();
    [&kind.to_be_bytes()[..], &len.to_be_bytes(), body].concat()
}

/// NTPv4, AES-SIV-CMAC-256 and eight cookies, without the end of the message.
pub fn usual_records() -> Vec<Vec<u8>> {
    let mut records = vec![record(0x8001, &[0, 0]), record(0x8004, &[0, 15])];
    records.extend((0..8).map(|number| record(5, &[number; 100])));
    records
}

pub fn end() -> Vec<u8> {
    record(0x8000, &[])
}

pub fn usual_answer() -> Vec<u8> {
    [usual_records().concat(), end()].concat()
}

/// A running server. Its thread ends with the process.
pub struct KeyServer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl KeyServer {
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            let config = config(&script);
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                // A client that goes away is part of some scripts.
                let _ = serve(stream.unwrap(), &config, &script.answer);
            }
        });
        Self { address, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn config(script: &Script) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[script.version]).unwrap();
    let identity = &script.identity;
    let mut config = builder.with_no_client_auth().with_single_cert(identity.chain(), identity.private_key()).unwrap();
    config.alpn_protocols = script.protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn serve(mut tcp: TcpStream, config: &Arc<ServerConfig>, answer: &Answer) -> std::io::Result<()> {
    tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
    if matches!(answer, Answer::Close | Answer::Reset) {
        // Unread octets would turn every close of the connection into a reset.
        tcp.read(&mut [0; 4096]).map(drop)?;
        return if matches!(answer, Answer::Reset) { reset(&tcp) } else { Ok(()) };
    }
    let mut connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = Stream::new(&mut connection, &mut tcp);
    stream.read_exact(&mut [0; 18])?;
    match answer {
        Answer::Octets(octets) => stream.write_all(octets)?,
        Answer::Slowly(octets) => {
            for octet in octets {
                stream.write_all(&[*octet])?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Answer::Silence => drop(stream.read(&mut [0])),
        Answer::Close | Answer::Reset => {}
        Answer::ResetLate => return reset(&tcp),
    }
    stream.conn.send_close_notify();
    stream.flush()
}

/// Makes the end of the connection a reset.
fn reset(tcp: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO))
}
