//! A TCP relay on loopback that can be shut: data then waits, as behind a broken link.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The relay. Its threads end with the process.
pub struct Gate {
    pub address: SocketAddr,
    is_shut: Arc<AtomicBool>,
}

impl Gate {
    /// Relays to `port` of loopback.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_shut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let shared = Arc::clone(&is_shut);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // The server may be down; then the client sees its connection end.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    join(client, server, &shared);
                }
            }
        });
        Self { address, is_shut }
    }

    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
    }

    pub fn open(&self) {
        self.is_shut.store(false, Ordering::Relaxed);
    }
}

fn join(client: TcpStream, server: TcpStream, is_shut: &Arc<AtomicBool>) {
    for (from, to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        let is_shut = Arc::clone(is_shut);
        std::thread::spawn(move || relay(from, to, &is_shut));
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, is_shut: &AtomicBool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        while is_shut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // One of them may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Both);
}
