//! Temporary failures are retried, refusals are reported, and nothing is sent twice.

use super::*;

#[tokio::test]
async fn temporary_failure_is_retried_with_the_same_key() {
    let huge = Answer::Status(500, "", "x".repeat(1 << 20));
    for answer in [status(500), status(503), status(429), status(408), huge, Answer::Hang, Answer::Reset] {
        let (kept, receiver) = (kept(), Receiver::scripted([answer.clone(), answer.clone()]));
        kept.put("n", news("k", "offset")).await;
        let running = start(&kept, "n", &webhook(&receiver)).await;
        eventually("delivered", || kept.waiting("n") == 0).await;
        let keys: Vec<_> = receiver.seen().iter().map(|request| request.header("Idempotency-Key").unwrap()).collect();
        assert_eq!(keys, ["k", "k", "k"]);
        let gauge = running.gauge();
        assert_eq!((gauge.delivered, gauge.failures, gauge.failing), (1, 2, false));
        assert!(gauge.last_error.as_ref().is_some_and(|why| why.len() < 400 && !why.contains("hush")), "{gauge:?}");
        running.end().await;
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (kept, receiver) = (kept(), Receiver::scripted([Answer::Status(429, "Retry-After: 1\r\n", String::new())]));
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    let seen = receiver.seen();
    // A lower bound is not a race: only a bug makes it retry too early.
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    running.end().await;
}

#[tokio::test]
async fn rejecting_receiver_is_reported_without_loss_or_secret() {
    let elsewhere = Receiver::scripted([]);
    let location: &'static str = Box::leak(format!("Location: {}\r\n", elsewhere.url("/")).into_boxed_str());
    for code in [301, 307, 401, 403, 404, 410] {
        let echo = Answer::Status(code, location, "no /hook/hush-hush\nhere".to_owned());
        let (kept, receiver) = (kept(), Receiver::scripted([echo.clone(), echo]));
        kept.put("n", news("k", "offset")).await;
        let running = start(&kept, "n", &webhook(&receiver)).await;
        eventually("delivered in the end", || kept.waiting("n") == 0).await;
        let gauge = running.gauge();
        let why = gauge.last_error.unwrap();
        assert!(why.starts_with(&code.to_string()) && why.contains("no ") && !why.contains('\n'), "{why}");
        assert!(!why.contains("hush"), "{why}");
        assert_eq!((gauge.failures, gauge.given_up), (2, 0));
        running.end().await;
    }
    assert_eq!(elsewhere.count(), 0, "a redirect was followed");
}

#[tokio::test]
async fn receiver_gets_everything_in_order_after_an_outage() {
    let kept = kept();
    let gone = Receiver::scripted([]);
    let (address, config) = (gone.address, webhook(&gone));
    drop(gone);
    for n in 0..5 {
        kept.put("n", news(&format!("f{n}"), "offset")).await;
        kept.put("n", resolved(&format!("r{n}"), "offset")).await;
    }
    kept.put("n", news("other", "reach")).await;
    let running = start(&kept, "n", &config).await;
    eventually("failing", || running.gauge().consecutive_failures > 3).await;
    assert!(running.gauge().failing && running.gauge().last_error.unwrap().contains("refused"));
    let receiver = Receiver::at(address, |_| status(200));
    eventually("delivered", || kept.waiting("n") == 0).await;
    let keys: Vec<String> =
        receiver.seen().iter().map(|r| r.header("Idempotency-Key").unwrap()).filter(|key| key != "other").collect();
    assert_eq!(keys, ["f0", "r0", "f1", "r1", "f2", "r2", "f3", "r3", "f4", "r4"]);
    running.end().await;
}

#[tokio::test]
async fn a_notifier_that_hangs_does_not_hold_up_another() {
    let (kept, deaf, good) = (kept(), Receiver::start(|_| Answer::Hang), Receiver::scripted([]));
    for n in 0..10 {
        for name in ["deaf", "good"] {
            kept.put(name, news(&n.to_string(), "offset")).await;
        }
    }
    let mut config = webhook(&deaf);
    config.timeout = Duration::from_secs(60);
    let hanging = start(&kept, "deaf", &config).await;
    eventually("one hangs", || deaf.count() == 1).await;
    let running = start(&kept, "good", &webhook(&good)).await;
    eventually("the other delivers", || kept.waiting("good") == 0).await;
    assert_eq!((kept.waiting("deaf"), good.count()), (10, 10));
    running.end().await;
    hanging.task.abort();
}

#[tokio::test]
async fn rejected_message_is_dropped_only_after_others_are_accepted() {
    let receiver = Receiver::start(|request| if request.body.contains("(bad)") { status(400) } else { status(200) });
    let kept = kept();
    kept.put("n", news("bad", "one")).await;
    kept.put("n", resolved("after the bad", "one")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("it is tried again and again", || receiver.count() > 6).await;
    assert_eq!((running.gauge().given_up, kept.waiting("n")), (0, 2));
    kept.put("n", news("good", "two")).await;
    eventually("the queue is empty", || kept.waiting("n") == 0).await;
    assert_eq!((running.gauge().given_up, running.gauge().delivered), (1, 2));
    running.end().await;
}

#[tokio::test]
async fn attempt_in_progress_at_shutdown_is_awaited_then_kept() {
    let (kept, receiver) = (kept(), Receiver::start(|_| Answer::Hang));
    kept.put("n", news("k", "offset")).await;
    let mut config = webhook(&receiver);
    config.timeout = Duration::from_secs(60);
    let running = start(&kept, "n", &config).await;
    eventually("an attempt is under way", || receiver.count() == 1).await;
    running.stop.send_replace(Some(Instant::now() + Duration::from_millis(50)));
    running.task.await.unwrap();
    assert_eq!(kept.waiting("n"), 1);
}

#[tokio::test]
async fn delivered_messages_are_known_to_the_next_process() {
    let (kept, receiver) = (kept(), Receiver::scripted([]));
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("delivered", || kept.waiting("n") == 0).await;
    running.end().await;
    kept.put("n", news("k", "offset")).await;
    let running = start(&kept, "n", &webhook(&receiver)).await;
    eventually("recalled", || running.gauge().last_success.is_some()).await;
    assert_eq!((receiver.count(), running.gauge().delivered), (1, 0), "the same notification was sent twice");
    running.end().await;
}
