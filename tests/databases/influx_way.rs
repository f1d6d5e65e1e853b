//! Connections to InfluxDB: through a proxy, and with certificates of a private authority.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use crate::common::monitor::{Home, Monitor, own};
use crate::common::proxy::Proxy;
use crate::common::receiver::{Receiver, status};
use crate::common::smtp;
use ntp_monitor::config::{Environment, Influx, load};
use ntp_monitor::sinks::influx::{InfluxClient, LineWriter, WriteOutcome};

const LINE: &[u8] = b"m v=1 1\n";

/// `[influxdb]` with these settings and variables of the environment.
fn influx(settings: &[(&str, &str)], variables: &[(&str, &str)]) -> Influx {
    let has_file = settings.iter().any(|(key, _)| *key == "token_file");
    let mut environment: Environment = BTreeMap::from([("NTP_SERVER", "192.0.2.1"), ("INFLUX_TOKEN", "hush")])
        .into_iter()
        .filter(|(name, _)| *name != "INFLUX_TOKEN" || !has_file)
        .chain(variables.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (key, value) in [("org", "o"), ("bucket", "b")].iter().chain(settings) {
        environment.insert(format!("NTP_MONITOR__INFLUXDB__{}", key.to_uppercase()), (*value).to_owned());
    }
    load(None, &environment, &[]).unwrap_or_else(|why| panic!("{why}")).config.influxdb.unwrap()
}

async fn write(config: &Influx) -> WriteOutcome {
    InfluxClient::new(config).unwrap().write(LINE.to_vec()).await
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_with_its_password() {
    let proxy = Receiver::start(|_| status(204));
    let url = format!("http://me:p%40ss@{}", proxy.address);
    let config = influx(&[("url", "http://influx.invalid:8086"), ("proxy", &url)], &[]);
    assert_eq!(write(&config).await, WriteOutcome::Done);
    let seen = &proxy.seen()[0];
    assert!(seen.line().starts_with("POST http://influx.invalid:8086/api/v2/write?"), "{}", seen.head);
    assert_eq!(seen.header("proxy-authorization").as_deref(), Some("Basic bWU6cEBzcw=="));
    assert!(seen.header("user-agent").unwrap().starts_with("ntp-monitor/"));
    assert!(!format!("{config:?}").contains("p%40ss"));
}

#[tokio::test]
async fn https_asks_the_proxy_to_connect_and_says_if_it_refuses() {
    for (code, part) in [(407, "proxy authorization required"), (403, "unsuccessful")] {
        let proxy = Receiver::start(move |_| status(code));
        let config = influx(&[("url", "https://influx.invalid"), ("proxy", &proxy.url(""))], &[]);
        let WriteOutcome::Retry { reason, .. } = write(&config).await else { panic!("taken") };
        assert!(reason.contains("proxy") && reason.contains(part), "{reason}");
        assert_eq!(proxy.seen()[0].line(), "CONNECT influx.invalid:443");
    }
}

#[tokio::test]
async fn https_goes_through_the_tunnel_of_the_proxy() {
    let home = Home::with("");
    let (certificate, mut monitor) = https(&home);
    let proxy = Proxy::http(monitor.http());
    let url = format!("http://me:hush@{}", proxy.address);
    let settings = [("url", "https://localhost:8086"), ("proxy", &url), ("ca_file", &certificate)];
    let WriteOutcome::Paused(reason) = write(&influx(&settings, &[])).await else { panic!("taken") };
    assert!(reason.starts_with("401"), "the answer of the service behind the proxy: {reason}");
    let asked = proxy.asked().remove(0);
    assert!(asked.starts_with("CONNECT localhost:8086 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_lowercase().contains("proxy-authorization: basic bwu6ahvzaa=="), "{asked}");
}

#[tokio::test]
async fn socks_proxy_connects_to_names_and_addresses() {
    let database = Receiver::start(|_| status(204));
    let proxy = Proxy::socks(database.address);
    for (scheme, url, asked) in [
        ("socks5h", "http://influx.invalid:8086", "me:hush@influx.invalid:8086"),
        ("socks5", "http://192.0.2.1:8086", "me:hush@192.0.2.1:8086"),
    ] {
        let named = format!("{scheme}://me:hush@{}", proxy.address);
        assert_eq!(write(&influx(&[("url", url), ("proxy", &named)], &[])).await, WriteOutcome::Done, "{scheme}");
        assert_eq!(proxy.asked().last().unwrap(), asked);
    }
}

#[tokio::test]
async fn environment_names_the_proxy_only_where_configured() {
    let (proxy, direct) = (Receiver::start(|_| status(204)), Receiver::start(|_| status(204)));
    let url = direct.url("");
    let http_proxy = proxy.url("");
    let variables = [("http_proxy", http_proxy.as_str())];
    for (settings, variables, by_proxy) in [
        (vec![("url", url.as_str())], variables.to_vec(), false),
        (vec![("url", url.as_str()), ("proxy", "environment")], variables.to_vec(), true),
        (
            vec![("url", url.as_str()), ("proxy", "environment")],
            [&variables[..], &[("NO_PROXY", "127.0.0.0/8")]].concat(),
            false,
        ),
        (vec![("url", url.as_str()), ("proxy", "environment")], vec![], false),
    ] {
        let before = (proxy.count(), direct.count());
        assert_eq!(write(&influx(&settings, &variables)).await, WriteOutcome::Done);
        let expected = if by_proxy { (before.0 + 1, before.1) } else { (before.0, before.1 + 1) };
        assert_eq!((proxy.count(), direct.count()), expected, "{settings:?} {variables:?}");
    }
}

#[tokio::test]
async fn database_behind_a_path_is_reached_below_it() {
    let database = Receiver::start(|_| status(204));
    assert_eq!(write(&influx(&[("url", &database.url("/tools/influx/"))], &[])).await, WriteOutcome::Done);
    assert!(database.seen()[0].line().starts_with("POST /tools/influx/api/v2/write?org=o&bucket=b&"));
}

#[tokio::test]
async fn renewed_token_file_is_read_when_the_token_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let database = Receiver::start(|request| match request.header("authorization").as_deref() {
        Some("Token new") => status(204),
        _ => status(401),
    });
    let config = influx(&[("url", &database.url("")), ("token_file", file.to_str().unwrap())], &[]);
    let client = InfluxClient::new(&config).unwrap();
    let write = async || client.write(LINE.to_vec()).await;
    assert!(matches!(write().await, WriteOutcome::Paused(_)));
    std::fs::write(&file, "not a\nheader\n").unwrap();
    assert!(matches!(write().await, WriteOutcome::Paused(_)), "one that cannot be sent is not used");
    std::fs::write(&file, "new\n").unwrap();
    assert_eq!(write().await, WriteOutcome::Done);
    assert_eq!((write().await, database.count()), (WriteOutcome::Done, 5));
}

/// A server that answers any data like an unencrypted web server.
fn plain_http() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        // Until the client hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    address
}

/// A service that serves HTTPS, and the file of its certificate, which is for localhost and 127.0.0.1.
fn https(home: &Home) -> (String, Monitor) {
    let (certificate, key) = smtp::certificate(home.path());
    let tls = format!("[http.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    home.configure(&format!("enabled = false\n{tls}{}", own("a", "127.0.0.1:9".parse().unwrap())));
    (certificate.into_os_string().into_string().unwrap(), home.start())
}

#[tokio::test]
async fn fault_of_a_certificate_names_the_key_that_helps() {
    let home = Home::with("");
    let (certificate, mut monitor) = https(&home);
    let url = format!("https://{}", monitor.http());
    let reason = async |settings: &[(&str, &str)]| match write(&influx(settings, &[])).await {
        WriteOutcome::Paused(reason) | WriteOutcome::Retry { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    let unknown = reason(&[("url", &url)]).await;
    assert!(unknown.contains("not trusted") && unknown.contains("set ca_file"), "{unknown}");
    let trusted = reason(&[("url", &url), ("ca_file", &certificate)]).await;
    assert!(trusted.starts_with("401"), "{trusted}");
    let other_name = url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let wrong_name = reason(&[("url", &other_name), ("ca_file", &certificate)]).await;
    assert!(wrong_name.contains("another name"), "{wrong_name}");
    let not_tls = reason(&[("url", &format!("https://{}", plain_http()))]).await;
    assert!(not_tls.contains("does not speak TLS"), "{not_tls}");
}
