//! Mail: accepted, refused and delayed.

use super::*;

fn mail_config(mail: &Mail, more: &str) -> String {
    format!(
        "type = \"email\"\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"NTP <ntp@example.net>\"\n\
         to = [\"ops@example.net\", \"Boss <boss@example.net>\"]\n{more}",
        mail.port
    )
}

fn with_seconds(mut config: Config) -> Config {
    config.timeout = Duration::from_secs(20);
    config
}

#[tokio::test]
async fn mail_is_sent_as_text_and_html_over_starttls_with_login() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let Some(mail) = Mail::start(&with_tls(json!({ "password": "hush" }), &files)) else { return };
    let login = format!("username = \"ntp\"\npassword = \"hush\"\nca_file = {:?}\n", files.0);
    let config = with_seconds(one(&mail_config(&mail, &login)));
    attempt(&config, &news("k", "offset")).await.unwrap();
    let taken = mail.first();
    assert_eq!((&taken["tls"], &taken["from"]), (&json!(true), &json!("ntp@example.net")));
    assert_eq!(taken["to"], json!(["ops@example.net", "boss@example.net"]));
    let text = taken["mail"].as_str().unwrap();
    for part in
        ["Subject: CRITICAL: office is 72.5 ms off (k) (here)", "text/plain", "text/html", "Message-ID: <", "&lt;b&gt;"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }

    let wrong = one(&mail_config(&mail, &login.replace("hush", "wrong")));
    let failure = attempt(&with_seconds(wrong), &news("k", "o")).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Paused);
    assert!(failure.why.starts_with("535") && !failure.why.contains("wrong"), "{failure}");

    let stranger = one(&mail_config(&mail, "username = \"ntp\"\npassword = \"hush\"\n"));
    let failure = attempt(&with_seconds(stranger), &news("k", "o")).await.unwrap_err();
    assert_eq!(
        (failure.retry, mail.taken().len()),
        (Retry::Paused, 1),
        "an unknown certificate was trusted: {failure}"
    );
}

#[tokio::test]
async fn mail_over_tls_goes_to_trusted_servers_only() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let Some(mail) = Mail::start(&with_tls(json!({ "implicit": true }), &files)) else { return };
    let keys = format!("tls = \"tls\"\nca_file = {:?}\n", files.0);
    attempt(&with_seconds(one(&mail_config(&mail, &keys))), &news("k", "offset")).await.unwrap();
    assert_eq!(mail.first()["to"], json!(["ops@example.net", "boss@example.net"]));
    let stranger = one(&mail_config(&mail, "tls = \"tls\"\n"));
    let failure = attempt(&with_seconds(stranger), &news("k", "o")).await.unwrap_err();
    assert_eq!((failure.retry, mail.taken().len()), (Retry::Paused, 1), "{failure}");
}

#[tokio::test]
async fn endless_reply_of_a_mail_server_is_cut_off() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while std::io::Write::write_all(&mut stream, &[b'2'; 4096]).is_ok() {}
    });
    let keys = format!(
        "type = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"a@example.net\"\nto = [\"b@example.net\"]\n\
         tls = \"none\"\n"
    );
    let failure = attempt(&with_seconds(one(&keys)), &news("k", "offset")).await.unwrap_err();
    assert!(failure.why.contains("more than a megabyte"), "{failure}");
}

#[tokio::test]
async fn mail_is_not_sent_without_tls_if_starttls_is_configured() {
    let Some(mail) = Mail::start(&json!({})) else { return };
    let failure = attempt(&with_seconds(one(&mail_config(&mail, ""))), &news("k", "offset")).await.unwrap_err();
    assert!(failure.retry == Retry::Paused && mail.taken().is_empty(), "{failure}");
}

#[tokio::test]
async fn mail_is_retried_with_the_same_id_until_accepted() {
    let Some(mail) = Mail::start(&json!({ "trouble": ["drop", "busy", "hang", "drop", "refused"] })) else { return };
    let kept = kept();
    kept.put("n", news("k", "offset")).await;
    let mut config = one(&mail_config(&mail, "tls = \"none\"\n"));
    config.timeout = Duration::from_secs(3);
    let running = start(&kept, "n", &config).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    let trouble: Vec<Value> = mail.said().iter().filter_map(|said| said.get("trouble").cloned()).collect();
    assert_eq!(trouble, ["drop", "busy", "hang", "drop", "refused"]);
    assert!(mail.first()["mail"].as_str().unwrap().contains("@example.net>"));
    assert_eq!(mail.taken().len(), 1);
    assert_eq!((running.gauge().failures, running.gauge().given_up), (5, 0));
    running.end().await;
}

#[tokio::test]
async fn report_is_mailed_with_pictures_and_summarised_in_chats() {
    let report = Report {
        key: "report/here/now".into(),
        title: "Week 47".into(),
        summary: "All is well.".into(),
        text: "In full.".into(),
        html: "<img src=\"cid:plot\">".into(),
        pictures: vec![Picture { id: "plot".into(), png: b"\x89PNG\r\n\x1a\n".to_vec() }],
    };
    let chat = Receiver::start(taken);
    let slack = one(&format!("type = \"slack\"\nurl = \"{}\"\n", chat.url("/services/x")));
    let progress = &mut Progress::default();
    notify::set_up(&slack).await.unwrap().send_report(&report, progress).await.unwrap();
    assert_eq!(chat.seen()[0].json()["text"], "Week 47\nAll is well.");
    notify::set_up(&webhook(&chat)).await.unwrap().send_report(&report, progress).await.unwrap();
    let expected = json!({ "status": "report", "title": "Week 47", "summary": "All is well.", "text": "In full." });
    assert_eq!(chat.seen()[1].json(), expected);
    assert_eq!(chat.seen()[1].header("Idempotency-Key").unwrap(), "report/here/now");
    let pager = one(&format!("type = \"pagerduty\"\nrouting_key = \"k\"\napi_url = \"{}\"\n", chat.url("")));
    let refused = notify::set_up(&pager).await.unwrap().send_report(&report, progress).await;
    assert_eq!(refused.unwrap_err().retry, Retry::Refused);

    let Some(mail) = Mail::start(&json!({})) else { return };
    let notifier = notify::set_up(&with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")))).await.unwrap();
    notifier.send_report(&report, progress).await.unwrap();
    let taken = mail.first();
    let text = taken["mail"].as_str().unwrap();
    for part in ["multipart/alternative", "multipart/related", "Content-ID: <plot>", "image/png", "In full."] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A mail server without TLS that refuses one of two receivers, and a notifier for it.
async fn refusing(answers: &[&str]) -> Option<(Mail, Kept, Running)> {
    let mail = Mail::start(&json!({ "refusals": { "boss@example.net": answers } }))?;
    let kept = kept();
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")))).await;
    Some((mail, kept, running))
}

/// The receivers of each accepted mail, with the kind of the mail.
fn receivers(mail: &Mail) -> Vec<(String, bool)> {
    let one = |mail: Value| {
        let to: Vec<&str> = mail["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap()).collect();
        (to.join(","), mail["mail"].as_str().unwrap().contains("Subject: RESOLVED"))
    };
    mail.taken().into_iter().map(one).collect()
}

#[tokio::test]
async fn refused_receiver_is_named_and_others_get_the_mail_once() {
    let Some((mail, kept, running)) = refusing(&["550 5.1.1 no such user"; 9]).await else { return };
    eventually("the queue is empty", || kept.waiting("n") == 0).await;
    assert_eq!(receivers(&mail), [("ops@example.net".to_owned(), false)]);
    let gauge = running.gauge();
    let why = gauge.last_error.unwrap();
    assert!(gauge.failing && why.contains("boss@example.net: 550") && !why.contains("ops@"), "{why}");
    assert_eq!((gauge.delivered, gauge.given_up), (1, 0));

    kept.put("n", resolved("r", "offset")).await;
    eventually("the queue is empty", || kept.waiting("n") == 0).await;
    assert!(running.gauge().failing, "the receiver is still refused");
    assert_eq!(receivers(&mail)[1], ("ops@example.net".to_owned(), true));
    running.end().await;
}

#[tokio::test]
async fn temporarily_refused_receiver_gets_all_mails_in_order() {
    let answers = ["452 4.2.2 mailbox full"; 25];
    let Some((mail, kept, running)) = refusing(&answers).await else { return };
    eventually("it is retried", || running.gauge().consecutive_failures > 2).await;
    kept.put("n", resolved("r", "offset")).await;
    eventually("the other gets the next mail meanwhile", || {
        receivers(&mail).contains(&("ops@example.net".to_owned(), true)) && kept.waiting("n") == 2
    })
    .await;
    let gauge = running.gauge();
    assert!(gauge.failing && gauge.last_error.unwrap().contains("boss@example.net"));
    eventually("the queue is empty", || kept.waiting("n") == 0).await;
    let (ops, boss) = ("ops@example.net".to_owned(), "boss@example.net".to_owned());
    assert_eq!(receivers(&mail), [(ops.clone(), false), (ops, true), (boss.clone(), false), (boss, true)]);
    assert!(!running.gauge().failing);
    running.end().await;
}

#[tokio::test]
async fn mail_that_every_receiver_refuses_is_kept() {
    let no = |code: &str| json!({ "refusals": { "boss@example.net": [code], "ops@example.net": [code] } });
    for (code, retry) in [("550 no", Retry::Refused), ("450 not now", Retry::Backoff)] {
        let Some(mail) = Mail::start(&no(code)) else { return };
        let config = with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")));
        let failure = attempt(&config, &news("k", "offset")).await.unwrap_err();
        assert_eq!(failure.retry, retry, "{failure}");
        assert!(failure.why.contains("ops@example.net") && failure.why.contains("boss@example.net"), "{failure}");
        assert!(mail.taken().is_empty());
    }
}

#[tokio::test]
async fn unanswered_mail_is_repeated_a_few_times_only() {
    let Some(mail) = Mail::start(&json!({ "vanishes": true })) else { return };
    let kept = kept();
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")))).await;
    eventually("it is given up", || kept.waiting("n") == 0).await;
    eventually("the server says what it took", || mail.taken().len() == 4).await;
    assert_eq!(running.gauge().given_up, 1);
    assert!(running.gauge().last_error.unwrap().contains("sent 4 times without an answer"));
    running.end().await;
}

#[tokio::test]
async fn greeting_has_the_configured_or_a_qualified_name() {
    let Some(mail) = Mail::start(&json!({})) else { return };
    for keys in ["tls = \"none\"\n", "tls = \"none\"\nhello = \"ntp.example.net\"\n"] {
        attempt(&with_seconds(one(&mail_config(&mail, keys))), &news("k", "offset")).await.unwrap();
    }
    eventually("both", || mail.taken().len() == 2).await;
    let hello: Vec<String> = mail.taken().iter().map(|mail| mail["hello"].as_str().unwrap().to_owned()).collect();
    assert!(hello[0].contains('.'), "{hello:?}");
    assert_eq!(hello[1], "ntp.example.net");
}

#[tokio::test]
async fn resolved_mail_is_in_the_thread_of_the_firing_one() {
    let Some(mail) = Mail::start(&json!({})) else { return };
    let config = with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")));
    attempt(&config, &news("f", "offset")).await.unwrap();
    attempt(&config, &resolved("r", "offset")).await.unwrap();
    eventually("both", || mail.taken().len() == 2).await;
    let header = |n: usize, name: &str| {
        let text = mail.taken()[n]["mail"].as_str().unwrap().to_owned();
        text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(|value| value.trim().to_owned()))
    };
    let fired = header(0, "Message-ID").unwrap();
    assert_eq!(header(1, "References").as_deref(), Some(&*fired));
    assert_eq!(header(1, "In-Reply-To").as_deref(), Some(&*fired));
    assert_ne!(header(1, "Message-ID").as_deref(), Some(&*fired));
}

#[test]
fn unencrypted_mail_is_local_only_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    let loaded = |host: &str| {
        let keys = "from = \"a@example.net\"\nto = [\"b@example.net\"]\ntls = \"none\"\n";
        let notifier = format!("[[notifier]]\nname = \"n\"\ntype = \"email\"\nhost = \"{host}\"\n{keys}");
        std::fs::write(&file, format!("{SERVER}{notifier}")).unwrap();
        config::load(Some(&file), &Environment::new(), &[])
    };
    for lan in ["10.0.0.25", "192.168.1.2", "fd00::25", "relay.lan"] {
        let warnings = loaded(lan).unwrap().warnings.join(" ");
        assert!(warnings.contains("tls = \"none\": all alerts can be read"), "{lan}: {warnings}");
    }
    assert!(!loaded("127.0.0.1").unwrap().warnings.join(" ").contains("tls"));
    assert!(loaded("192.0.2.25").unwrap_err().to_string().contains("on the local network"));
}
