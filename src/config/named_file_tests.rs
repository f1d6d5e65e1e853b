//! Tests that no fault shows content of a file that a configuration names.

use std::path::Path;

use super::*;

/// The faults of a configuration in which `keys` name a file with this content, `FILE`.
fn faults_with(content: &str, keys: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, content).unwrap();
    faults(&file, keys)
}

fn faults(file: &Path, keys: &str) -> String {
    let text = format!("[[server]]\naddress = \"192.0.2.1\"\n{}", keys.replace("FILE", file.to_str().unwrap()));
    match load_text(Path::new("c.toml"), &text, &Environment::new(), &[]) {
        Ok(loaded) => format!("{:?}", loaded.warnings),
        Err(faults) => faults.to_string(),
    }
}

const NOTIFIER: &str = "[[notifier]]\nname = \"n\"\ntype =";

fn every_key() -> Vec<String> {
    let certificate = "\ntopic = \"t\"\nca_file = \"FILE\"";
    let influx = "[influxdb]\nurl = \"http://h\"\norg = \"o\"\nbucket = \"b\"\n";
    let nats = "[fleet]\nrole = \"agent\"\n[nats]\nurl = \"tls://h\"\n";
    let mut keys = vec![
        "[leap]\nlist = \"FILE\"\n".to_owned(),
        "[http.tls]\ncertificate = \"FILE\"\nkey = \"FILE\"\n".to_owned(),
        "[[http.tokens]]\nname = \"a\"\ntoken_file = \"FILE\"\n".to_owned(),
        "nts = true\nnts_ca = \"FILE\"\n".to_owned(),
        format!("{influx}token_file = \"FILE\"\n"),
        format!("{influx}token = \"t\"\nca_file = \"FILE\"\n"),
        format!("{influx}token = \"t\"\nproxy_file = \"FILE\"\n"),
        format!("{nats}user = \"u\"\npassword_file = \"FILE\"\n"),
        format!("{nats}[nats.tls]\nca = \"FILE\"\n"),
        format!("{nats}[nats.tls]\ncert = \"FILE\"\nkey = \"FILE\"\n"),
        format!("{NOTIFIER} \"ntfy\"{certificate}\n"),
        format!("{NOTIFIER} \"telegram\"\nchat_id = \"1\"\ntoken_file = \"FILE\"\n"),
    ];
    keys.extend(["slack", "heartbeat"].map(|kind| format!("{NOTIFIER} {kind:?}\nurl_file = \"FILE\"\n")));
    keys
}

#[test]
fn no_fault_shows_a_piece_of_a_named_file() {
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let pem = format!("{begin}hunter2\n-----END CERTIFICATE-----\n");
    for content in ["hunter2", "#@ hunter2\n", "20 hunter2\n", "https://u:hunter2@h/\nhunter2", begin, &pem] {
        for keys in every_key() {
            let why = faults_with(content, &keys);
            assert!(!why.contains("hunter2"), "{keys}{why}");
        }
    }
}

#[test]
fn file_with_wrong_content_for_its_key_is_rejected() {
    for keys in every_key() {
        let why = faults_with("a line\nand another\n", &keys);
        assert!(why.contains("c.toml:"), "{keys}{why}");
    }
}

#[test]
fn named_file_must_be_a_regular_one_of_limited_size() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for keys in every_key() {
        for file in [Path::new("/dev/zero"), dir.path(), &pipe] {
            let why = faults(file, &keys);
            assert!(why.contains("not a regular file"), "{keys}{why}");
        }
        let why = faults_with(&"x".repeat(5 << 20), &keys);
        assert!(why.contains("is larger than"), "{keys}{why}");
    }
}

#[test]
fn file_of_another_format_is_refused_without_its_text() {
    for name in ["c.yaml", "c.json", "c.toml"] {
        // A table header is a key, and unknown keys are named.
        let header = if name == "c.toml" { "" } else { "[\"hunter2\"]" };
        for text in ["hunter2", "\"hunter2\"", header, "{a: hunter2}: b", "a: \"hunter2"] {
            let Err(why) = load_text(Path::new(name), text, &Environment::new(), &[]) else { continue };
            assert!(!why.to_string().contains("hunter2"), "{name}: {text}: {why}");
        }
    }
}
