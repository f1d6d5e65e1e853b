//! Scripted servers as an independent client (rsntp) and a bare socket see them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene must fail")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ntp_monitor::ntp::KissCode;
use ntp_monitor::sim::{ReplyKind, Script, ScriptedServer};
use rsntp::{AsyncSntpClient, Config, SynchronizationError, SynchronizationResult};
use tokio::net::UdpSocket;

/// Long enough for any machine, and never waited for when all is well.
const DEADLINE: Duration = Duration::from_secs(20);
const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

async fn serve(script: Script) -> ScriptedServer {
    ScriptedServer::start(V4, script).await.unwrap()
}

async fn ask(server: &ScriptedServer) -> Result<SynchronizationResult, SynchronizationError> {
    let bind = SocketAddr::new(server.address().ip(), 0);
    let client = AsyncSntpClient::with_config(Config::default().bind_address(bind).timeout(DEADLINE));
    client.synchronize(server.address().to_string()).await
}

/// The offset is wrong by at most half the round trip: the one bound that holds on a busy machine too.
async fn assert_offset(server: &ScriptedServer, expected_s: f64) {
    let result = ask(server).await.unwrap();
    let error_s = (result.clock_offset().as_secs_f64() - expected_s).abs();
    let bound_s = result.round_trip_delay().as_secs_f64() / 2.0 + 20e-6;
    assert!(error_s <= bound_s, "wrong by {error_s} s, bound {bound_s} s");
}

#[tokio::test]
async fn a_good_server_is_right_on_both_families() {
    for address in [V4, V6] {
        let server = ScriptedServer::start(address, Script::good()).await.unwrap();
        assert_offset(&server, 0.0).await;
        tokio::time::timeout(DEADLINE, server.wait_for(|counters| counters.replies == 1)).await.unwrap();
        assert_eq!((server.counters().requests, server.arrivals().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_script_can_be_changed_while_the_server_runs() {
    let server = serve(Script::good().offset_ns(80_000_000)).await;
    assert_offset(&server, 0.080).await;
    server.set_script(Script::good().offset_ns(-3_600_000_000_000));
    assert_offset(&server, -3600.0).await;
}

#[tokio::test]
async fn an_asymmetric_path_shows_as_half_its_difference() {
    let path = Script::good().delayed(Duration::from_millis(20), Duration::from_millis(60));
    let server = serve(path).await;
    let result = ask(&server).await.unwrap();
    let delay_s = result.round_trip_delay().as_secs_f64();
    assert!(delay_s >= 0.080 - 20e-6, "{delay_s}");
    let error_s = (result.clock_offset().as_secs_f64() + 0.020).abs();
    assert!(error_s <= (delay_s - 0.080) / 2.0 + 20e-6, "{error_s}");
}

#[tokio::test]
async fn a_drifting_server_moves_with_its_age() {
    let server = serve(Script::good().drifting(100_000.0)).await;
    let before_s = server.age().as_secs_f64();
    let result = ask(&server).await.unwrap();
    let after_s = server.age().as_secs_f64();
    let slack_s = result.round_trip_delay().as_secs_f64() / 2.0 + 20e-6;
    let offset_s = result.clock_offset().as_secs_f64();
    assert!(offset_s >= before_s * 0.1 - slack_s, "{before_s} {offset_s}");
    assert!(offset_s <= after_s * 0.1 + slack_s, "{offset_s} {after_s}");
}

#[tokio::test]
async fn a_kissing_server_is_understood_as_one() {
    let server = serve(Script::good().kissing(KissCode::RATE, 1)).await;
    assert!(ask(&server).await.is_ok());
    assert!(ask(&server).await.unwrap_err().is_kiss_of_death());
}

#[tokio::test]
async fn every_reply_of_the_list_is_sent_and_from_the_right_port() {
    let replies = [ReplyKind::WrongOrigin, ReplyKind::OtherPort, ReplyKind::Good, ReplyKind::Good];
    let server = serve(Script::good().replying(replies)).await;
    let socket = UdpSocket::bind(V4).await.unwrap();
    let mut request = [0; 48];
    request[0] = 0b0010_0011;
    request[40..].copy_from_slice(b"cookie!!");
    socket.send_to(&request, server.address()).await.unwrap();
    let mut seen = Vec::new();
    for _ in replies {
        let mut reply = [0; 128];
        let (length, from) = tokio::time::timeout(DEADLINE, socket.recv_from(&mut reply)).await.unwrap().unwrap();
        assert_eq!(length, 48);
        seen.push((&reply[24..32] == b"cookie!!", from == server.address()));
    }
    assert_eq!(seen, [(false, true), (true, false), (true, true), (true, true)]);
}

#[tokio::test]
async fn what_is_no_request_is_ignored_and_counted() {
    let server = serve(Script::good()).await;
    let socket = UdpSocket::bind(V4).await.unwrap();
    socket.send_to(&[0; 47], server.address()).await.unwrap();
    tokio::time::timeout(DEADLINE, server.wait_for(|counters| counters.ignored == 1)).await.unwrap();
    assert_eq!(server.counters().requests, 0);
}

#[tokio::test]
async fn a_stopped_server_frees_its_port() {
    let server = serve(Script::good()).await;
    let address = server.address();
    drop(server);
    let bound = async {
        while UdpSocket::bind(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, bound).await.unwrap();
}

#[tokio::test]
async fn a_scripted_server_refuses_to_lie_to_the_world() {
    let refused = ScriptedServer::start("0.0.0.0:0".parse().unwrap(), Script::good()).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
