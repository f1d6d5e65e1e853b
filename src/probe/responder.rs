//! A scripted server on loopback, for the tests of the engines.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use ntp_monitor_core::ntp::{Mode, NtpShort, NtpTimestamp, Packet, RefId};

/// A test that waits longer than this has found a bug.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers one request with the datagrams that `script` makes of it, on a thread that then ends. Counts further
/// requests.
pub(crate) struct Responder {
    pub address: SocketAddr,
    socket: UdpSocket,
}

impl Responder {
    pub fn start(listen: &str, script: impl FnOnce(&Packet) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind(listen).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = socket.local_addr().unwrap();
        let server = socket.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            let Ok((len, client)) = server.recv_from(&mut buffer) else { return };
            for reply in script(&Packet::parse(&buffer[..len]).unwrap()) {
                // The client may have finished and closed its socket.
                let _ = server.send_to(&reply, client);
            }
        });
        Self { address, socket }
    }

    /// Number of datagrams that arrived besides the one that was answered.
    pub fn further_requests(&self) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| self.socket.recv_from(&mut [0; 512]).ok()).count()
    }
}

/// A good reply to `request`, with the time of this host's clock.
pub(crate) fn answer(request: &Packet) -> Packet {
    let now = NtpTimestamp::from_unix_ns(crate::clock::now().wall_ns);
    Packet {
        mode: Mode::Server,
        stratum: 2,
        precision_log2: -20,
        root_delay: NtpShort::from_seconds(0.010),
        root_dispersion: NtpShort::from_seconds(0.002),
        refid: RefId([198, 51, 100, 1]),
        reference: NtpTimestamp(now.0.wrapping_sub(64 << 32)),
        origin: request.transmit,
        receive: now,
        transmit: now,
        ..Packet::request(0)
    }
}

/// A good reply after `change`.
pub(crate) fn changed(request: &Packet, change: impl FnOnce(&mut Packet)) -> Vec<u8> {
    let mut packet = answer(request);
    change(&mut packet);
    packet.to_bytes().to_vec()
}
