//! HTTPS and socket activation in the running program.

// A failed unwrap is a failed test; and a test that is skipped says so.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::http::Client;
use crate::common::monitor::{Home, Monitor, own, text};
use crate::common::sim::Playground;
use crate::common::wait;
use ntp_monitor::sim::Script;
use reqwest::{Certificate, Method};

/// Creates a certificate for 127.0.0.1 and its key as `NAME.pem` and `NAME.key`; returns whether openssl is installed.
pub fn certificate(dir: &Path, name: &str, days: &str) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1", "-days", days])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(dir.join(format!("{name}.key")))
        .arg("-out")
        .arg(dir.join(format!("{name}.pem")))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let made = made.is_ok_and(|status| status.success());
    assert!(made || std::env::var("CI").as_deref() != Ok("true"), "CI must have openssl");
    if !made {
        eprintln!("skipped: there is no openssl to make certificates with");
    }
    made
}

fn configure(home: &Home, server: SocketAddr, certificate: &str, key: &str) {
    home.write(&format!(
        "[monitor]\nvantage = \"here\"\ndata_dir = {:?}\n[csv]\nenabled = false\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [http.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n{}",
        home.data(),
        own("alpha", server)
    ));
}

fn trusting(home: &Home, name: &str, address: SocketAddr) -> Client {
    let pem = std::fs::read(home.path().join(format!("{name}.pem"))).unwrap();
    let root = Certificate::from_pem(&pem).unwrap();
    // A new connection each time, because an open one keeps its certificate.
    let builder = reqwest::Client::builder().tls_built_in_root_certs(false).add_root_certificate(root);
    Client::with(builder.pool_max_idle_per_host(0), format!("https://{address}"))
}

#[test]
fn https_is_answered_and_a_reload_changes_the_certificate() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = playground.server(Script::good());
    if !certificate(home.path(), "one", "30") || !certificate(home.path(), "two", "30") {
        return;
    }
    configure(&home, server.address(), "one.pem", "one.key");
    let mut monitor = home.start();
    let address = monitor.http();
    let (one, two) = (trusting(&home, "one", address), trusting(&home, "two", address));
    one.get("/api/v1/version", &[]).is(200);
    assert!(two.try_ask(Method::GET, "/api/v1/version").is_err(), "another certificate is shown");
    let body = serde_json::json!({ "token": "a guess of somebody" });
    assert_eq!(one.ask(Method::POST, "/api/v1/session", &[], Some(&body)).status, 401);
    // The same names with other contents, as certbot leaves them.
    for extension in ["pem", "key"] {
        let path = |name: &str| home.path().join(format!("{name}.{extension}"));
        std::fs::rename(path("one"), path("old")).unwrap();
        std::fs::copy(path("two"), path("one")).unwrap();
    }
    assert!(monitor.reload().contains("configuration reloaded"));
    two.get("/api/v1/version", &[]).is(200);
    // A key that does not match changes nothing.
    std::fs::copy(home.path().join("old.key"), home.path().join("one.key")).unwrap();
    let refused = monitor.reload();
    assert!(refused.contains("not the key of the certificate"), "{refused}");
    two.get("/api/v1/version", &[]).is(200);
}

#[test]
fn renewed_certificate_replaces_one_that_expires_within_a_day() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = playground.server(Script::good());
    if !certificate(home.path(), "one", "1") || !certificate(home.path(), "two", "30") {
        return;
    }
    configure(&home, server.address(), "one.pem", "one.key");
    let mut monitor = home.start();
    let address = monitor.http();
    let (one, two) = (trusting(&home, "one", address), trusting(&home, "two", address));
    one.get("/api/v1/version", &[]).is(200);
    std::fs::copy(home.path().join("two.pem"), home.path().join("one.pem")).unwrap();
    assert!(two.try_ask(Method::GET, "/api/v1/version").is_err(), "the key is still that of the other certificate");
    std::fs::copy(home.path().join("two.key"), home.path().join("one.key")).unwrap();
    wait::until("the new certificate is shown", || two.try_ask(Method::GET, "/api/v1/version").is_ok());
}

#[test]
fn a_faulty_certificate_is_named_at_the_start() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = playground.server(Script::good()).address();
    if !certificate(home.path(), "one", "3") || !certificate(home.path(), "two", "30") {
        return;
    }
    std::fs::write(home.path().join("text.pem"), "hunter2").unwrap();
    let cases = [
        ("none.pem", "one.key", "none.pem cannot be read"),
        ("text.pem", "one.key", "text.pem contains no certificate"),
        ("one.pem", "one.pem", "one.pem contains no private key"),
        ("one.pem", "two.key", "is not the key of the certificate in"),
    ];
    for (certificate, key, expected) in cases {
        configure(&home, server, certificate, key);
        let (code, log) = home.fails();
        assert!(code == 78 && log.contains(expected) && !log.contains("hunter2"), "{expected}: {code} {log}");
    }
    configure(&home, server, "one.pem", "one.key");
    let mut monitor = home.start();
    monitor.logged("the certificate of http.tls expires on");
}

/// systemd hands sockets over as descriptors from 3 on; a shell can do the same.
fn activated(home: &Home, listener: impl AsFd, pid: &str) -> Monitor {
    let script = format!("exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID={pid}; exec \"$@\"");
    let program = home.command();
    let mut command = Command::new("bash");
    // As its standard input, the child alone inherits the socket; other tests start processes at the same time.
    let socket = listener.as_fd().try_clone_to_owned().unwrap();
    command.env_clear().current_dir(home.path()).stdin(socket).args(["-c", &script, "bash"]);
    command.arg(program.get_program()).args(program.get_args());
    Monitor::spawn(&mut command, home.path())
}

#[test]
fn socket_of_systemd_is_used_only_by_its_process() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = playground.server(Script::good());
    home.configure(&own("alpha", server.address()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut monitor = activated(&home, &listener, "$$");
    assert_eq!(monitor.http(), address);
    assert_eq!(monitor.get("/api/v1/version").0, 200);
    monitor.stop();
    let mut monitor = activated(&home, &listener, "1");
    assert_ne!(monitor.http(), address);
}

#[test]
fn handed_over_unix_socket_serves_http() {
    let (home, playground) = (Home::with(""), Playground::open());
    let server = playground.server(Script::good());
    home.configure(&own("alpha", server.address()));
    let path = home.path().join("web");
    let listener = UnixListener::bind(&path).unwrap();
    let mut monitor = activated(&home, &listener, "$$");
    assert!(monitor.logged("\"started\"").contains(&format!("unix:{}", path.display())));
    let mut stream = UnixStream::connect(&path).unwrap();
    write!(stream, "GET /api/v1/version HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.contains("\"version\""), "{answer}");
    // Guesses through a proxy on the socket are counted as well.
    let guess = |_| {
        let mut stream = UnixStream::connect(&path).unwrap();
        let wrong = "GET /metrics HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n";
        stream.write_all(wrong.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert!((0..12).map(guess).any(|status| status == "429"));
    let health = home.command().arg("health").output().unwrap();
    assert!(text(&health.stdout).starts_with("NTP-MONITOR "), "{health:?}");
    assert_ne!(health.status.code(), Some(3), "{health:?}");
    assert_eq!(monitor.stop(), 0);
}
