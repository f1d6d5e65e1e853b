//! Notifiers of the running service: kills, reloads, tests, and the heartbeat.

use super::*;

/// A home with a server that answers as long as the returned values live.
fn home_with(notifiers: &str) -> ((Playground, ScriptedServer), Home) {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&format!("{}{notifiers}", own("a", server.address())));
    ((playground, server), home)
}

fn section(name: &str, url: &str) -> String {
    format!("[[notifier]]\nname = {name:?}\ntype = \"webhook\"\nurl = {url:?}\nrate = 1000\n")
}

/// The service is killed during failing attempts and during deliveries: nothing is lost, the order is kept, and repeats
/// have the same key.
#[test]
fn kills_lose_no_notification_and_repeats_carry_the_same_key() {
    const ALERTS: usize = 40;
    let gone = Receiver::scripted([]);
    let (address, url) = (gone.address, gone.url("/hook"));
    drop(gone);
    let (_servers, home) = home_with(&section("chat", &url));
    std::fs::create_dir_all(home.data()).unwrap();
    fill(&home.store(), ALERTS);

    for _ in 0..3 {
        let mut monitor = home.start();
        monitor.logged("a notification was not delivered");
        monitor.kill();
    }
    // It answers slowly enough that kills come in between.
    let receiver = Receiver::at(address, |_| {
        std::thread::sleep(Duration::from_millis(10));
        status(200)
    });
    for n in 1..=4 {
        let monitor = home.start();
        until("some are delivered", || receiver.count() >= n * 2 * ALERTS / 8);
        monitor.kill();
    }
    let mut monitor = home.start();
    let queued = |health: &Value| health["notifiers"]["chat"]["queued"] == 0;
    monitor.health("an empty queue", |health| health["notifiers"]["chat"].is_object() && queued(health));
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());

    let mut order: Vec<String> = Vec::new();
    for request in receiver.seen() {
        let key = request.header("Idempotency-Key").unwrap();
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let expected: Vec<String> = (0..ALERTS).flat_map(|n| [format!("f{n}"), format!("r{n}")]).collect();
    assert_eq!(order, expected);
    assert!(receiver.count() <= expected.len() + 4, "each kill may repeat one: {}", receiver.count());
}

/// Puts beginnings and ends of one alert into the queue of `chat`, as the service would.
fn fill(store: &Path, alerts: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = store;
    let store = open(path);
    runtime.block_on(async {
        for n in 0..alerts {
            put(&store.handle(), "chat", news(&format!("f{n}"), "offset")).await;
            put(&store.handle(), "chat", resolved(&format!("r{n}"), "offset")).await;
        }
    });
    store.handle().writer().drain(Instant::now() + PATIENCE).recv().unwrap();
    drop(store);
    // The thread that drained it may hold it for a moment longer.
    until("the store is closed", || Store::open(options(path), &log()).is_ok());
}

#[test]
fn failing_notifier_is_shown_everywhere_until_a_reload_fixes_it() {
    let bad = Receiver::start(|_| status(404));
    let (_servers, home) = home_with(&section("chat", &bad.url("/hush")));
    std::fs::create_dir_all(home.data()).unwrap();
    fill(&home.store(), 1);
    let mut monitor = home.start();
    let of_notifier = |health: &Value| {
        let reasons = health["reasons"].as_array().unwrap();
        reasons.iter().find(|reason| reason["about"] == "notifier").cloned()
    };
    let (code, health) = monitor.health("a reason", |health| of_notifier(health).is_some());
    let reason = of_notifier(&health).unwrap();
    assert_eq!((code, &health["status"], &reason["name"]), (200, &json!("degraded"), &json!("chat")));
    assert!(reason["reason"].as_str().unwrap().starts_with("failing since 20"), "{reason}");

    let (_, list) = monitor.get("/api/v1/notifiers");
    let chat = &list["notifiers"][0];
    assert_eq!((&chat["name"], &chat["type"], &chat["queued"]), (&json!("chat"), &json!("webhook"), &json!(2)));
    assert!(chat["last_error"].as_str().unwrap().starts_with("404") && chat["paused_until"].is_string(), "{chat}");
    assert!(!list.to_string().contains("/hush"));

    let good = Receiver::scripted([]);
    home.configure(&format!("{}{}", first_server(&home), section("chat", &good.url("/"))));
    assert!(monitor.reload().contains("configuration reloaded"), "{}", monitor.log());
    monitor
        .health("no reason", |health| of_notifier(health).is_none() && health["notifiers"]["chat"]["delivered"] == 2);
    assert_eq!(good.count(), 2);
    assert_eq!(monitor.stop(), 0);
    assert!(!monitor.log().contains("/hush"));
}

/// The `[[server]]` of the configuration, as it is.
fn first_server(home: &Home) -> String {
    let all = std::fs::read_to_string(home.config()).unwrap();
    let from = all.find("[[server]]").unwrap();
    let to = all[from..].find("[[notifier]]").unwrap() + from;
    all[from..to].to_owned()
}

#[test]
fn a_test_by_the_api_needs_an_operator_and_reports_the_result() {
    const HASH: &str = "87120b8c498206655fef464defd2976378ef6cbed49201fd43166fcea8fac9ef";
    let (good, bad) = (Receiver::scripted([]), Receiver::start(|_| Answer::Hang));
    let deaf = section("deaf", &bad.url("/hush")) + "timeout = \"200ms\"\n";
    let (_servers, home) = home_with(&format!(
        "{}{deaf}[[http.tokens]]\nname = \"op\"\nrole = \"operate\"\nsha256 = {HASH:?}\n",
        section("good chat", &good.url("/"))
    ));
    let mut monitor = home.start();
    let base = format!("http://{}/api/v1/notifiers", monitor.http());
    let post = |name: &str, token: &str| {
        let url = format!("{base}/{name}/test");
        let output = std::process::Command::new("curl")
            .args(["-s", "-X", "POST", "-H", &format!("Authorization: Bearer {token}"), &url])
            .output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).unwrap()
    };
    assert_eq!(post("good%20chat", "stranger-to-this-house")["status"], 401);
    assert_eq!(post("nobody", "operator-of-this-test")["status"], 404);
    let answer = post("good%20chat", "operator-of-this-test");
    assert_eq!((&answer["delivered"], &answer["name"]), (&json!(true), &json!("good chat")), "{answer}");
    assert_eq!(good.count(), 1);
    let answer = common::wait::find("a turn for the other", || {
        Some(post("deaf", "operator-of-this-test")).filter(|answer| answer["status"] != 429)
    });
    assert_eq!((&answer["delivered"], &answer["detail"]), (&json!(false), &json!("no response in time")), "{answer}");
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn the_command_reports_a_test_and_lists_notifiers() {
    let (good, bad) = (Receiver::scripted([]), Receiver::start(|_| status(401)));
    let unknown = Receiver::start(|_| Answer::Status(200, "", "OK (not found)".to_owned()));
    let beat = format!("[[notifier]]\nname = \"beat\"\ntype = \"heartbeat\"\nurl = \"{}\"\n", unknown.url("/ping"));
    let sections = section("good", &good.url("/")) + &section("bad", &bad.url("/hush")) + &beat;
    let home = Home::with(&format!("{SERVER}{sections}"));
    let config = home.config();
    let notify = |arguments: &[&str]| {
        let all = [&["--config", config.to_str().unwrap(), "notify"], arguments].concat();
        let output = run(home.path(), &all);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    assert_eq!(notify(&["list"]), (0, "good  webhook\nbad   webhook\nbeat  heartbeat\n".to_owned()));
    let (code, said) = notify(&["test", "good"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("good (webhook): delivered in ") && said.contains("200"), "{said}");
    assert!(good.seen()[0].json()["summary"].as_str().unwrap().contains("nothing is wrong"));
    let (code, said) = notify(&["test", "bad"]);
    assert!(code == 1 && said.contains("NOT delivered") && said.contains("401") && !said.contains("hush"), "{said}");
    let (code, said) = notify(&["test", "beat"]);
    assert!(code == 1 && said.contains("NOT delivered") && said.contains("OK (not found)"), "{said}");
    let (code, said) = notify(&["test", "nobody"]);
    assert!(code == 1 && said.contains("there are good, bad, beat"), "{said}");
}

#[test]
fn heartbeat_is_sent_while_the_service_works() {
    let (beats, alarms) = (Receiver::scripted([]), Receiver::scripted([]));
    let (_servers, home) = home_with(&format!(
        "[[notifier]]\nname = \"dead man\"\ntype = \"heartbeat\"\nurl = {:?}\nfail_url = {:?}\ninterval = \"15s\"\n",
        beats.url("/uuid"),
        alarms.url("/uuid/fail")
    ));
    let mut monitor = home.start();
    monitor.health("the beat is known", |health| health["notifiers"]["dead man"]["delivered"].as_u64() >= Some(1));
    assert_eq!((beats.seen()[0].line(), alarms.count()), ("GET /uuid", 0));
    assert_eq!(monitor.stop(), 0);
}

#[test]
fn heartbeat_of_a_failing_service_requests_the_fail_url() {
    let (beats, alarms) = (Receiver::scripted([]), Receiver::scripted([]));
    let lost = own("lost", "127.0.0.1:9".parse().unwrap());
    let home = Home::with(&format!(
        "{lost}[[notifier]]\nname = \"d\"\ntype = \"heartbeat\"\nurl = {:?}\nfail_url = {:?}\ninterval = \"15s\"\n",
        beats.url("/uuid"),
        alarms.url("/uuid/fail")
    ));
    let mut monitor = home.start();
    until("an alarm", || alarms.count() > 0);
    assert_eq!(alarms.seen()[0].line(), "GET /uuid/fail");
    assert_eq!(monitor.stop(), 0);
}

/// The heartbeat monitor answers 200, but does not know the check.
#[test]
fn rejected_heartbeat_degrades_the_health() {
    let beats = Receiver::start(|_| Answer::Status(200, "", "OK (not found)".to_owned()));
    let (_servers, home) = home_with(&format!(
        "[[notifier]]\nname = \"dead man\"\ntype = \"heartbeat\"\nurl = {:?}\ninterval = \"15s\"\n",
        beats.url("/uuid")
    ));
    let mut monitor = home.start();
    let (_, health) = monitor.health("it fails", |health| health["notifiers"]["dead man"]["failing"] == true);
    let beat = &health["notifiers"]["dead man"];
    assert!(beat["last_error"].as_str().unwrap().contains("OK (not found)") && beat["delivered"] == 0, "{beat}");
    assert_eq!(monitor.stop(), 0);
}
