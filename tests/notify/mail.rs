//! A mail server, kind and unkind.

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
async fn mail_goes_to_everybody_as_text_and_html_over_starttls_with_a_login() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let Some(mail) = Mail::start(&with_tls(json!({ "password": "hush" }), &files)) else { return };
    let login = format!("username = \"ntp\"\npassword = \"hush\"\nca_file = {:?}\n", files.0);
    let config = with_seconds(one(&mail_config(&mail, &login)));
    let notifier = notify::set_up(&config).await.unwrap();
    notifier.deliver(&news("k", "offset")).await.unwrap();
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
    let failure = notify::set_up(&with_seconds(wrong)).await.unwrap().deliver(&news("k", "o")).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Paused);
    assert!(failure.why.starts_with("535") && !failure.why.contains("wrong"), "{failure}");

    let stranger = one(&mail_config(&mail, "username = \"ntp\"\npassword = \"hush\"\n"));
    let failure = notify::set_up(&with_seconds(stranger)).await.unwrap().deliver(&news("k", "o")).await.unwrap_err();
    assert_eq!(
        (failure.retry, mail.taken().len()),
        (Retry::Paused, 1),
        "an unknown certificate was trusted: {failure}"
    );
}

#[tokio::test]
async fn mail_is_not_sent_in_the_clear_where_starttls_is_wanted() {
    let Some(mail) = Mail::start(&json!({})) else { return };
    let notifier = notify::set_up(&with_seconds(one(&mail_config(&mail, "")))).await.unwrap();
    let failure = notifier.deliver(&news("k", "offset")).await.unwrap_err();
    assert!(failure.retry == Retry::Paused && mail.taken().is_empty(), "{failure}");
}

#[tokio::test]
async fn a_mail_server_that_drops_hangs_is_busy_or_refuses_gets_the_mail_in_the_end_with_the_same_id() {
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
async fn a_report_goes_by_mail_with_its_pictures_and_to_a_chat_as_its_summary() {
    let report = Report {
        key: "report/here/now".into(),
        title: "Week 47".into(),
        summary: "All is well.".into(),
        text: "In full.".into(),
        html: "<img src=\"cid:plot\">".into(),
        pictures: vec![Picture { id: "plot".into(), png: b"\x89PNG\r\n\x1a\n".to_vec() }],
    };
    let chat = Receiver::scripted([]);
    let slack = one(&format!("type = \"slack\"\nurl = \"{}\"\n", chat.url("/x")));
    notify::set_up(&slack).await.unwrap().send_report(&report).await.unwrap();
    assert_eq!(chat.seen()[0].json()["text"], "Week 47\nAll is well.");
    notify::set_up(&webhook(&chat)).await.unwrap().send_report(&report).await.unwrap();
    let expected = json!({ "status": "report", "title": "Week 47", "summary": "All is well.", "text": "In full." });
    assert_eq!(chat.seen()[1].json(), expected);
    assert_eq!(chat.seen()[1].header("Idempotency-Key").unwrap(), "report/here/now");
    let pager = one(&format!("type = \"pagerduty\"\nrouting_key = \"k\"\napi_url = \"{}\"\n", chat.url("")));
    let refused = notify::set_up(&pager).await.unwrap().send_report(&report).await;
    assert_eq!(refused.unwrap_err().retry, Retry::Refused);

    let Some(mail) = Mail::start(&json!({})) else { return };
    let notifier = notify::set_up(&with_seconds(one(&mail_config(&mail, "tls = \"none\"\n")))).await.unwrap();
    notifier.send_report(&report).await.unwrap();
    let taken = mail.first();
    let text = taken["mail"].as_str().unwrap();
    for part in ["multipart/alternative", "multipart/related", "Content-ID: <plot>", "image/png", "In full."] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
