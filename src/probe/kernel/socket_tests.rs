use super::super::message::{About, cookie_of_packet};
use super::*;

const EVERYTHING: Duration = Duration::from_secs(10);

/// A socket on loopback that receives the requests.
fn server() -> (std::net::UdpSocket, SocketAddr) {
    let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    server.set_read_timeout(Some(EVERYTHING)).unwrap();
    (server, address)
}

fn stamped_numbers(socket: &PollSocket, inbox: &mut Inbox) -> Vec<u32> {
    let mut numbers = Vec::new();
    while socket.receive_errors(inbox).is_ok() {
        numbers.extend(inbox.messages().filter_map(|(message, _)| match message.about {
            Some(About::Transmission(number)) => message.stamp.map(|_| number),
            _ => None,
        }));
    }
    numbers
}

#[test]
fn transmit_stamps_come_with_the_numbers_of_their_requests() {
    let options = Options::detect();
    if !options.numbered {
        return; // The kernel of this machine is older than 6.13; the other tests cover it.
    }
    let (_server, address) = server();
    let socket = PollSocket::open(address, &options).unwrap();
    for number in [7, 3, u32::MAX] {
        socket.send(&[0; 48], address, number).unwrap();
    }
    assert_eq!(stamped_numbers(&socket, &mut Inbox::new()), [7, 3, u32::MAX]);
}

#[test]
fn older_kernels_return_the_packet_with_its_cookie() {
    for address in ["127.0.0.1:9", "[::1]:9"].map(|text| text.parse().unwrap()) {
        let socket = PollSocket::open(address, &Options { numbered: false, ..Options::detect() }).unwrap();
        let cookie = socket.cookie();
        let request = ntp_monitor_core::ntp::Packet::request(cookie).to_bytes();
        socket.send(&request, address, 0).unwrap();
        let mut inbox = Inbox::new();
        socket.receive_errors(&mut inbox).unwrap();
        let stamped = inbox.messages().find(|(message, _)| matches!(message.about, Some(About::Transmission(_))));
        let (message, packet) = stamped.unwrap();
        assert!(message.stamp.is_some());
        assert_eq!(cookie_of_packet(packet, socket.port()), Some(cookie));
    }
}

#[test]
fn full_error_queue_loses_stamps_but_mixes_up_none() {
    let options = Options { receive_buffer: 0, ..Options::detect() };
    let (_server, address) = server();
    let socket = PollSocket::open(address, &options).unwrap();
    let mut inbox = Inbox::new();
    (0..64).for_each(|number| socket.send(&[0; 48], address, number).unwrap());
    let kept = stamped_numbers(&socket, &mut inbox);
    assert!(kept.len() < 64, "the queue was too large for this test");
    if options.numbered {
        assert!(kept.iter().copied().eq(0..kept.len() as u32), "the first find room: {kept:?}");
        socket.send(&[0; 48], address, 1000).unwrap();
        assert_eq!(stamped_numbers(&socket, &mut inbox), [1000], "there is room again");
    }
}

#[test]
fn filter_passes_only_datagrams_with_the_tag() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let server = std::net::UdpSocket::bind(listen).unwrap();
        let address = server.local_addr().unwrap();
        let mut socket = PollSocket::open(address, &Options::detect()).unwrap();
        assert!(socket.drop_untagged() && !socket.drop_untagged());
        let to = SocketAddr::new(address.ip(), socket.port());
        let reply = |cookie: u64, len: usize| {
            let mut reply = vec![0; len];
            reply[24..32].copy_from_slice(&cookie.to_be_bytes());
            server.send_to(&reply, to).unwrap();
        };
        let cookie = socket.cookie();
        reply(cookie, 47);
        reply(cookie ^ 1 << 48, 48);
        reply(cookie, 48);
        reply(cookie, 68);
        let mut inbox = Inbox::new();
        socket.receive(&mut inbox).unwrap();
        assert_eq!(inbox.messages().map(|(_, datagram)| datagram.len()).collect::<Vec<_>>(), [48, 68]);
        // Neither timestamps nor refusals are filtered.
        socket.send(&[0; 48], address, 1).unwrap();
        assert!(socket.receive_errors(&mut inbox).is_ok());
    }
}

#[test]
fn cookies_begin_with_the_tag_and_differ() {
    let socket = PollSocket::open(([127, 0, 0, 1], 9).into(), &Options::detect()).unwrap();
    let (one, other) = (socket.cookie(), socket.cookie());
    assert_ne!(one, other);
    assert_eq!((one >> 48, one >> 48 == 0), (other >> 48, false));
}
