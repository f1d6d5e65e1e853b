//! The engines against a real chronyd that serves the clock of this host: the true offset is zero, so every measured
//! offset is the engine's own error.

use std::time::Duration;

use crate::common::chronyd::Chronyd;
use ntp_monitor::probe::{KernelEngine, ProbeEngine, ProbeReport, Query, SntpEngine};
use ntp_monitor_core::ntp::{Check, Leap};
use ntp_monitor_core::sample::{Outcome, Timestamping};

const PATIENCE: Duration = Duration::from_secs(10);
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

async fn probe(engine: &dyn ProbeEngine, chronyd: &Chronyd) -> ProbeReport {
    let report = engine.probe(Query::plain(chronyd.address, PATIENCE)).await;
    assert_eq!(report.outcome, Outcome::Sample, "{report:?}");
    report
}

#[tokio::test]
async fn the_kernel_engine_measures_chronyd_within_its_own_bound() {
    let engine = KernelEngine::new();
    for ip in LOOPBACK {
        let chronyd = Chronyd::start(ip);
        for _ in 0..20 {
            let report = probe(&engine, &chronyd).await;
            assert_eq!(report.timestamping, Some(Timestamping::Kernel));
            let measure = report.measure.unwrap();
            assert!(measure.offset_s.abs() < measure.root_distance_s, "{measure:?}");
            assert!(measure.delay_s > 0.0);
            let reply = report.reply.unwrap();
            assert_eq!((reply.stratum, reply.leap), (1, Leap::None));
            let evidence = report.accepted.unwrap();
            assert_eq!(evidence.checks.first_failure(), None, "{}", evidence.checks);
            assert_eq!(evidence.checks.result(Check::Origin), Some(true));
        }
    }
}

/// `rsntp` shares no code with the kernel engine, so it confirms sign and size.
#[tokio::test]
async fn both_engines_agree_within_their_delays() {
    let (kernel, sntp) = (KernelEngine::new(), SntpEngine::new());
    for ip in LOOPBACK {
        let chronyd = Chronyd::start(ip);
        for _ in 0..10 {
            let by_kernel = probe(&kernel, &chronyd).await;
            let by_sntp = probe(&sntp, &chronyd).await;
            assert_eq!(by_sntp.timestamping, Some(Timestamping::Userland));
            let (a, b) = (by_kernel.measure.unwrap(), by_sntp.measure.unwrap());
            let bound_s = a.root_distance_s + b.delay_s / 2.0 + 1e-6;
            assert!((a.offset_s - b.offset_s).abs() <= bound_s, "kernel {a:?}, rsntp {b:?}");
            assert_eq!(by_kernel.reply.unwrap().stratum, by_sntp.reply.unwrap().stratum);
            assert_eq!(by_kernel.reply.unwrap().refid, by_sntp.reply.unwrap().refid);
        }
    }
}

#[tokio::test]
async fn a_chronyd_without_a_source_is_reachable_but_unsynchronised() {
    let chronyd = Chronyd::start_unsynchronised("127.0.0.1");
    let query = || Query::plain(chronyd.address, PATIENCE);
    let report = KernelEngine::new().probe(query()).await;
    assert_eq!((report.outcome, report.measure), (Outcome::Unsynchronised(None), None));
    assert_eq!(report.reply.unwrap().leap, Leap::Unknown);
    assert_eq!(SntpEngine::new().probe(query()).await.outcome, Outcome::Unsynchronised(None));
}

#[tokio::test]
async fn a_chronyd_that_was_killed_is_refused() {
    let chronyd = Chronyd::start("127.0.0.1");
    let query = Query::plain(chronyd.address, PATIENCE);
    drop(chronyd);
    assert_eq!(KernelEngine::new().probe(query).await.outcome, Outcome::Refused);
}
