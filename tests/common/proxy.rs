//! A proxy on loopback that connects its clients with one fixed address.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The proxy. Its thread ends with the process.
pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// An HTTP proxy that accepts CONNECT.
    pub fn http(to: SocketAddr) -> Self {
        Self::start(to, |client| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            String::from_utf8(head).unwrap()
        })
    }

    /// A SOCKS 5 proxy (RFC 1928) that accepts any user and password (RFC 1929).
    pub fn socks(to: SocketAddr) -> Self {
        Self::start(to, |client| {
            let [_, methods] = read(client);
            let mut offered = vec![0; methods.into()];
            client.read_exact(&mut offered).unwrap();
            let mut login = String::new();
            if offered.contains(&2) {
                client.write_all(&[5, 2]).unwrap();
                let [_] = read(client);
                login = format!("{}:{}@", text(client), text(client));
                client.write_all(&[1, 0]).unwrap();
            } else {
                client.write_all(&[5, 0]).unwrap();
            }
            let [_, _, _, kind] = read(client);
            let host = match kind {
                1 => SocketAddr::from((read::<4>(client), 0)).ip().to_string(),
                3 => text(client),
                other => panic!("address type {other}"),
            };
            let port = u16::from_be_bytes(read(client));
            client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).unwrap();
            format!("{login}{host}:{port}")
        })
    }

    /// The addresses that clients requested so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn start(to: SocketAddr, greet: impl Fn(&mut TcpStream) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                shared.lock().unwrap().push(greet(&mut client));
                join(client, TcpStream::connect(to).unwrap());
            }
        });
        Self { address, asked }
    }
}

fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A text after its length in one byte.
fn text(stream: &mut TcpStream) -> String {
    let [length] = read(stream);
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn join(one: TcpStream, other: TcpStream) {
    for (mut from, mut to) in [(one.try_clone().unwrap(), other.try_clone().unwrap()), (other, one)] {
        std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
