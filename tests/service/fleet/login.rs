//! Authentication of instances at the NATS server: passwords, client certificates, NKeys and files of credentials.

use std::fs;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use ntp_monitor::sim::Script;
use ntp_monitor::store::read::Reader;
use rcgen::SanType;
use serde_json::{Value, json};

use super::{counted, home, member_at};
use crate::common::authority::{Authority, Identity};
use crate::common::monitor::{Home, own, run, text};
use crate::common::nats::{Nats, free_port, program};
use crate::common::sim::Playground;
use crate::common::wait::until;

fn user(name: &str, role: &str, user: &str, dir: &Path, port: u16) -> String {
    let password = dir.join(format!("{user}.password"));
    format!(
        "[nats]\nurl = \"nats://127.0.0.1:{port}\"\nuser = \"{user}\"\npassword_file = {password:?}\n[fleet]\n\
         role = \"{role}\"\nname = \"{name}\"\ngroups = [\"here\"]\n"
    )
}

#[test]
fn generated_accounts_carry_a_fleet_and_stop_an_impostor() {
    if program().is_none() {
        eprintln!("skipped: there is no nats-server; run scripts/install-dependencies.sh test");
        return;
    }
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let (listen, storage) = (format!("127.0.0.1:{port}"), dir.path().join("js").display().to_string());
    let made = ["--hub", "hub1", "--vantage", "ams", "--vantage", "ber-2", "--dir", "conf", "--listen", &listen];
    let done = run(dir.path(), &[&["fleet", "nats-conf", "--storage", &storage], &made[..]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let conf = dir.path().join("conf");
    let Some(_nats) = Nats::configured(&conf.join("nats.conf"), port) else { return };
    let playground = Playground::open();
    let servers = [Script::good(), Script::good(), Script::good()].map(|script| playground.server(script));
    let named: String = servers.iter().enumerate().map(|(n, server)| own(&format!("s{n}"), server.address())).collect();
    let home = |part: &str| Home::with(&format!("enabled = false\n{part}"));
    let hub_home = home(&user("hub1", "hub", "hub1", &conf, port));
    let agents = ["ams", "ber-2"].map(|name| home(&format!("{named}{}", user(name, "agent", name, &conf, port))));
    let impostor = home(&format!("{named}{}", user("ber-2", "agent", "ams", &conf, port)));
    let mut hub = hub_home.start();
    let mut agents_running = agents.each_ref().map(Home::start);
    let heard = |body: &serde_json::Value| {
        let vantages = body["vantages"].as_array().cloned().unwrap_or_default();
        vantages.iter().filter(|row| row["planned"] == true && row["received"].as_u64() > Some(0)).count() == 2
    };
    until("two vantages with plans", || {
        hub.get("/api/v1/fleet/vantages")
            .1
            .pointer("/vantages")
            .is_some_and(|_| heard(&hub.get("/api/v1/fleet/vantages").1))
    });
    until("a common view", || hub.get("/api/v1/fleet/skew").1["skew"].as_array().is_some_and(|pairs| pairs.len() == 1));
    until("a verdict", || hub.get("/api/v1/fleet/verdict").1["state"] == "consistent");
    let groups = Reader::open(&hub_home.store()).unwrap().fleet_groups().unwrap();
    assert_eq!(["ams", "ber-2", "lon"].map(|name| groups.of(&name.into())), ["here", "here", "lon"].map(Into::into));
    let plans = hub.get("/api/v1/fleet/plan").1;
    assert_eq!(plans["plans"].as_array().map(Vec::len), Some(2), "{plans}");
    assert_eq!(hub.get("/api/v1/fleet/matrix").1["cells"].as_array().map(Vec::len), Some(6));
    let history = hub.get("/api/v1/history?vantage=ams&id=s0&of=offset").1;
    assert_eq!((&history["series"][0]["name"], history["series"].as_array().map(Vec::len)), (&json!("s0"), Some(1)));
    assert!(history["series"][0]["offset_s"].as_array().is_some_and(|all| !all.is_empty()), "{history}");
    assert_eq!(hub.get("/api/v1/history?vantage=nowhere").0, 404);
    let (status, agent) = agents_running[0].get("/api/v1/fleet/agent");
    assert_eq!((status, &agent["connected"], &agent["planned"]), (200, &json!(true), &json!(true)), "{agent}");
    assert_eq!(hub.get("/api/v1/fleet/agent").0, 404, "a hub is no agent");
    assert_eq!(agents_running[0].get("/api/v1/fleet/verdict").0, 404, "an agent is no hub");
    let mut false_one = impostor.start();
    // On a busy machine the first attempt may end before the server's error has arrived.
    let line = false_one.logged("lacks a right");
    assert!(line.contains("no connection to the fleet"), "{line}");
    assert_eq!(false_one.stop(), 0);
    for agent in &mut agents_running {
        assert_eq!(agent.stop(), 0);
    }
    assert_eq!(hub.stop(), 0);
}

/// Runs a hub and an agent with these lines in `[nats]` until a sample has arrived.
fn sample_arrives(url: &str, hub: &str, agent: &str) {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let with = |name: &str, role: &str, lines: &str| {
        member_at(name, role, url).replace("[fleet]", &format!("{lines}\n[fleet]"))
    };
    let hub_home = home(&with("hub1", "hub", hub));
    let agent_home = home(&format!("{}{}", own("s", server.address()), with("ams", "agent", agent)));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("a sample at the hub", || counted(&hub_home, "ams").0 > 0);
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
}

#[test]
fn nkeys_let_instances_in_and_a_foreign_key_is_refused() {
    let keys = [KeyPair::new_user(), KeyPair::new_user(), KeyPair::new_user()];
    let users = keys[..2].iter().map(|key| format!("{{ nkey: {} }}", key.public_key())).collect::<Vec<_>>().join(", ");
    let Some(nats) = Nats::start_with(&format!("authorization {{ users: [ {users} ] }}")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| {
            let file = dir.path().join(format!("{n}.nk"));
            fs::write(&file, format!("{}\n", key.seed().unwrap())).unwrap();
            format!("nkey = {file:?}")
        })
        .collect();
    sample_arrives(&nats.url(), &lines[0], &lines[1]);
    let stranger = home(&member_at("ams", "hub", &nats.url()).replace("[fleet]", &format!("{}\n[fleet]", lines[2])));
    let found = stranger.command().arg("doctor").output().unwrap();
    let found = text(&found.stdout);
    assert!(found.contains("the server rejects the user"), "{found}");
    assert!(!found.contains(&keys[2].seed().unwrap()), "{found}");
}

/// A signed token of NATS, with its issuer, its subject and what it grants.
fn token(issuer: &KeyPair, subject: &str, name: &str, grants: Value) -> String {
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject, "name": name, "nats": grants
    });
    let signed = [&header, &claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&issuer.sign(signed.as_bytes()).unwrap()))
}

#[test]
fn files_of_credentials_let_instances_in() {
    let (operator, user) = (KeyPair::new_operator(), KeyPair::new_user());
    let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
    let anything = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1
    });
    let of_operator = token(&operator, &operator.public_key(), "op", json!({ "type": "operator", "version": 2 }));
    let grants = json!({ "limits": anything, "type": "account", "version": 2 });
    let of_account = token(&operator, &account.public_key(), "fleet", grants);
    let grants = json!({ "limits": { "conn": -1, "subs": -1 }, "type": "account", "version": 2 });
    let of_system = token(&operator, &system.public_key(), "SYS", grants);
    let grants = json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    let of_user = token(&account, &user.public_key(), "ams", grants);
    let (account, system) = (account.public_key(), system.public_key());
    let conf = format!(
        "operator: {of_operator:?}\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {account}: {of_account:?}, {system}: {of_system:?} }}"
    );
    let Some(nats) = Nats::start_with(&conf) else { return };
    let (dir, seed) = (tempfile::tempdir().unwrap(), user.seed().unwrap());
    let file = dir.path().join("ams.creds");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(&file, text).unwrap();
    let line = format!("creds = {file:?}");
    sample_arrives(&nats.url(), &line, &line);
}

fn client(authority: &Authority, uri: &str, from: i32, until: i32) -> Identity {
    authority.sign_with("client", from, until, |params| {
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    })
}

/// The lines of `[nats.tls]` for a client certificate; its files are in a separate directory.
fn tls(dir: &Path, name: &str, identity: &Identity, ca: &Path) -> String {
    let dir = dir.join(name);
    fs::create_dir(&dir).unwrap();
    let (cert, key) = identity.write(&dir);
    format!("[nats.tls]\nca = {ca:?}\ncert = {cert:?}\nkey = {key:?}")
}

#[test]
fn client_certificates_name_members_and_bad_ones_are_explained() {
    if program().is_none() {
        eprintln!("skipped: there is no nats-server; run scripts/install-dependencies.sh test");
        return;
    }
    let (dir, authority, other) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let place = |name: &str, pem: &str| {
        let file = dir.path().join(name);
        fs::write(&file, pem).unwrap();
        file
    };
    let (ca, other_ca) = (place("ca.pem", &authority.pem()), place("other.pem", &other.pem()));
    let (cert, key) = authority.sign("localhost", 2020, 2120).write(dir.path());
    let (port, conf) = (free_port(), dir.path().join("conf"));
    let (listen, storage) = (format!("127.0.0.1:{port}"), dir.path().join("js").display().to_string());
    let files = [&cert, &key, &ca].map(|file| file.to_str().unwrap());
    let made = ["fleet", "nats-conf", "--hub", "hub1", "--vantage", "ams", "--dir", conf.to_str().unwrap(), "--listen"];
    let more = [&listen, "--storage", &storage, "--cert", files[0], "--key", files[1], "--ca", files[2]];
    let done = run(dir.path(), &[&made[..], &more[..]].concat());
    assert!(done.status.success(), "{}", text(&done.stderr));
    let Some(_nats) = Nats::configured(&conf.join("nats.conf"), port) else { return };
    let url = format!("tls://localhost:{port}");
    let hub = tls(dir.path(), "hub1", &client(&authority, "ntpm://hub/hub1", 2020, 2120), &ca);
    let ams = tls(dir.path(), "ams", &client(&authority, "ntpm://vantage/ams", 2020, 2120), &ca);
    sample_arrives(&url, &hub, &ams);

    let plain = format!("[nats.tls]\nca = {ca:?}");
    let wrong_ca = ams.replace(ca.to_str().unwrap(), other_ca.to_str().unwrap());
    let unknown = tls(dir.path(), "eve", &client(&authority, "ntpm://vantage/eve", 2020, 2120), &ca);
    let expired = tls(dir.path(), "old", &client(&authority, "ntpm://vantage/ams", 2020, 2021), &ca);
    let forged = tls(dir.path(), "forged", &client(&other, "ntpm://vantage/ams", 2020, 2120), &ca);
    for (lines, part) in [
        (plain, "the server requires a client certificate"),
        (wrong_ca, "set nats.tls.ca"),
        (unknown, "the server rejects the user"),
        (expired, "certificate"),
        (forged, "certificate"),
    ] {
        let sections = member_at("ams", "hub", &url).replace("[fleet]", &format!("{lines}\n[fleet]"));
        let found = text(&home(&sections).command().arg("doctor").output().unwrap().stdout);
        let line =
            found.lines().find(|line| line.contains("cannot connect to NATS")).unwrap_or_else(|| panic!("{found}"));
        assert!(line.contains(part), "{part}: {found}");
    }
    // A server without TLS, to which clients connect with TLS.
    let Some(open) = Nats::start() else { return };
    let sections = member_at("ams", "hub", &open.url().replace("nats://", "tls://"));
    let found = text(&home(&sections).command().arg("doctor").output().unwrap().stdout);
    assert!(found.contains("cannot connect to NATS") && found.contains("TLS"), "{found}");
}
