//! Tests scripted servers with an independent client (rsntp), a plain socket and the engines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ntp_monitor::config::EngineChoice;
use ntp_monitor::probe::{Engines, ProbeEngine, ProbeReport, Query};
use ntp_monitor::sim::{Header, ReplyKind, Script, ScriptedServer};
use ntp_monitor_core::ntp::{Check, KissCode, Leap, RefId, StatusCode};
use ntp_monitor_core::sample::{Outcome, Timestamping};
use rsntp::{AsyncSntpClient, Config, SynchronizationError, SynchronizationResult};
use tokio::net::UdpSocket;

/// Long enough for any machine; only a failing test waits this long.
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

/// Checks that the offset is wrong by at most half the round trip, the only bound that is true on a busy machine too.
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
async fn invalid_requests_are_ignored_and_counted() {
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

fn engines() -> [Arc<dyn ProbeEngine>; 2] {
    let engines = Engines::new(&slog::Logger::root(slog::Discard, slog::o!()));
    [EngineChoice::Kernel, EngineChoice::Sntp].map(|choice| engines.choose(choice))
}

/// The reports of both engines on a server; they must agree.
async fn probe(script: Script, timeout: Duration) -> [ProbeReport; 2] {
    let server = serve(script).await;
    let [kernel, sntp] = engines().map(|engine| engine.probe(Query::plain(server.address(), timeout)));
    let (kernel, sntp) = tokio::join!(kernel, sntp);
    [kernel, sntp]
}

async fn outcomes(script: Script, timeout: Duration) -> [Outcome; 2] {
    probe(script, timeout).await.map(|report| report.outcome)
}

/// The time-out of queries whose replies are refused: long enough for a busy machine to answer.
const REFUSAL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn engines_measure_the_scripted_offsets() {
    let header = Header {
        leap: Leap::Insert,
        stratum: 3,
        refid: RefId([192, 0, 2, 7]),
        precision_log2: -18,
        root_delay_s: 0.25,
        root_dispersion_s: 0.5,
        reference_age_s: Some(3600),
    };
    let reports = probe(Script::good().offset_ns(80_000_000).header(header), DEADLINE).await;
    for report in &reports {
        let (measure, reply) = (report.measure.unwrap(), report.reply.unwrap());
        assert!((measure.offset_s - 0.080).abs() <= measure.delay_s / 2.0 + 20e-6, "{measure:?}");
        assert!(measure.root_distance_s > 0.625, "{measure:?}");
        assert_eq!((reply.leap, reply.stratum, reply.refid), (Leap::Insert, 3, RefId([192, 0, 2, 7])));
    }
    // The portable engine does not see these.
    if reports[0].timestamping != Some(Timestamping::Userland) {
        let reply = reports[0].reply.unwrap();
        assert_eq!((reply.precision_log2, reply.root_delay_s, reply.root_dispersion_s), (-18, 0.25, 0.5));
    }
}

#[tokio::test]
async fn bad_reply_before_the_good_one_is_kept_as_evidence() {
    let bad = [ReplyKind::WrongOrigin, ReplyKind::ForgedKiss(KissCode::DENY), ReplyKind::Short(47), ReplyKind::Mode(5)];
    let [kernel, _] = probe(Script::good().replying(bad.into_iter().chain([ReplyKind::Good])), DEADLINE).await;
    assert_eq!((kernel.outcome, kernel.rejected_count, kernel.rejected.len()), (Outcome::Sample, 4, 4));
}

#[tokio::test]
async fn engines_refuse_each_bad_reply_for_its_own_reason() {
    let cases = [
        (ReplyKind::WrongOrigin, Check::Origin),
        (ReplyKind::Short(47), Check::Length),
        (ReplyKind::Mode(5), Check::Mode),
        (ReplyKind::Version(7), Check::Version),
        (ReplyKind::ZeroTimestamps, Check::ZeroTimestamp),
        (ReplyKind::TransmitBeforeReceive, Check::ServerTime),
        (ReplyKind::ReferenceInFuture, Check::ReferenceTime),
        (ReplyKind::CryptoNak, Check::Authentication),
    ];
    let far = Header { root_dispersion_s: 20.0, ..Header::default() };
    let scripts = cases.map(|(kind, check)| (Script::good().replying([kind]), check));
    let scripts = scripts.into_iter().chain([(Script::good().header(far), Check::RootDistance)]);
    join_all(scripts.map(|(script, check)| async move {
        let [kernel, _] = outcomes(script.clone(), REFUSAL).await;
        assert_eq!(kernel, Outcome::Rejected(check), "{script:?}");
    }))
    .await;
}

#[tokio::test]
async fn engines_agree_on_kiss_silence_and_unsynchronised_servers() {
    let kiss = |code| Script::good().kissing(code, 0);
    assert_eq!(outcomes(kiss(KissCode::RATE), DEADLINE).await, [(); 2].map(|()| Outcome::Kiss(KissCode::RATE)));
    assert_eq!(outcomes(kiss(KissCode::DENY), DEADLINE).await, [(); 2].map(|()| Outcome::Kiss(KissCode::DENY)));
    assert_eq!(outcomes(Script::silent(), REFUSAL).await, [(); 2].map(|()| Outcome::Timeout));
    let starting = Outcome::Unsynchronised(StatusCode::parse("INIT"));
    assert_eq!(outcomes(Script::good().starting(), DEADLINE).await, [starting.clone(), starting]);
    let unsynchronised = Script::good().unsynchronised();
    assert_eq!(outcomes(unsynchronised, DEADLINE).await, [(); 2].map(|()| Outcome::Unsynchronised(None)));
}

#[tokio::test]
async fn a_server_in_the_next_era_is_measured_across_the_rollover() {
    // 2036-02-07 06:28:16 UTC, the first second of NTP era 1, and ten minutes more.
    let rollover_s: i64 = 2_085_978_496 + 600;
    let now = ntp_monitor::clock::now();
    let offset_ns = rollover_s * 1_000_000_000 - now.wall_ns;
    let [kernel, _] = probe(Script::good().offset_ns(offset_ns), DEADLINE).await;
    let measure = kernel.measure.unwrap();
    let error_s = (measure.offset_s - offset_ns as f64 / 1e9).abs();
    assert!(error_s <= measure.delay_s / 2.0 + 20e-6, "{measure:?}");
}
