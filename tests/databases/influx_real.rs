//! The sender and `doctor` against a real InfluxDB 2, where `INFLUXD` names its binary or `INFLUX_URL` a server.

use crate::common::influxdb::Influx as Real;
use crate::influx_status::{Memory, config, start, until};
use ntp_monitor::config::Influx;
use ntp_monitor::sinks::influx::InfluxClient;

/// `[influxdb]` for a bucket of the server.
fn place(real: &Real, bucket: &str) -> Influx {
    let [url, token, org] = real.place();
    let timeout = std::time::Duration::from_secs(10);
    Influx { token: token.into(), org: org.to_owned(), bucket: bucket.to_owned(), timeout, ..config(url) }
}

fn now_ns() -> i64 {
    ntp_monitor::clock::now().wall_ns
}

#[actix_rt::test]
async fn real_influxdb_says_whether_the_token_may_write() {
    let Some(real) = Real::find().await else { return };
    let right = place(&real, &real.bucket);
    let ask = async |config: &Influx| InfluxClient::new(config).unwrap().may_write().await;
    assert_eq!(ask(&right).await, Ok(()));
    for (wrong, part) in [
        (Influx { token: "wrong".into(), ..right.clone() }, "check the token"),
        (Influx { bucket: "none".to_owned(), ..right.clone() }, "check org and bucket"),
        (Influx { org: "none".to_owned(), ..right.clone() }, "check org and bucket"),
    ] {
        let why = ask(&wrong).await.unwrap_err();
        assert!(why.contains(part), "{why}");
    }
    let rows = real.rows(&format!("from(bucket: \"{}\") |> range(start: 0)", real.bucket)).await;
    assert_eq!(rows, Vec::<String>::new(), "nothing was written");
    real.clean_up().await;
}

#[actix_rt::test]
async fn lines_go_on_soon_after_a_missing_bucket_was_created() {
    let Some(real) = Real::find().await else { return };
    let bucket = format!("{}-late", real.bucket);
    let outbox = Memory::of((0..35).map(|n| format!("m v={n} {}", now_ns() - n)));
    let running = start(&outbox, &place(&real, &bucket));
    until("it is missed", || running.state.gauge().failures > 2).await;
    let id = real.create_bucket(&bucket, 0).await;
    until("the outbox is empty", || outbox.left() == 0).await;
    assert_eq!((running.state.gauge().consecutive_failures, running.state.gauge().sent_lines), (0, 35));
    running.task.abort();
    real.remove_bucket(&id).await;
    real.clean_up().await;
}

#[actix_rt::test]
async fn real_influxdb_counts_points_beyond_its_retention() {
    let Some(real) = Real::find().await else { return };
    let bucket = format!("{}-short", real.bucket);
    let id = real.create_bucket(&bucket, 3600).await;
    let week_ns = 7 * 86_400_000_000_000;
    let line = |n: i64| format!("m v={n} {}", now_ns() - n - if n < 30 { week_ns } else { 0 });
    let outbox = Memory::of((0..35).map(line));
    let running = start(&outbox, &place(&real, &bucket));
    until("the outbox is empty", || outbox.left() == 0).await;
    assert_eq!((running.state.gauge().sent_lines, running.state.gauge().too_old_lines), (5, 30));
    running.task.abort();
    real.remove_bucket(&id).await;
    real.clean_up().await;
}

#[actix_rt::test]
async fn type_conflict_in_a_real_influxdb_names_the_remedy() {
    let Some(real) = Real::find().await else { return };
    real.write(format!("m v=1i {}", now_ns()).as_bytes()).await;
    let outbox = Memory::of((0..35).map(|n| format!("m v={n}.5 {}", now_ns() - n)));
    let running = start(&outbox, &place(&real, &real.bucket));
    until("it is held", || running.state.gauge().failures > 1).await;
    let why = running.state.gauge().last_error.unwrap();
    assert!(why.contains("type conflict") && why.contains("another bucket"), "{why}");
    assert_eq!((outbox.left(), outbox.quarantine.lock().unwrap().len()), (4, 0));
    running.task.abort();
    real.clean_up().await;
}
