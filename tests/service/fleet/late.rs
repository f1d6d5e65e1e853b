//! Samples that arrive an hour late change the history and the verdict of that hour, and cause no alert.

use ntp_monitor::fleet::envelope::{Head, encode};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply, Sample, ServerIdent};
use serde_json::Value;

use super::bus::Bus;
use super::{counted, home, member};
use crate::common::monitor::text;
use crate::common::nats::Nats;
use crate::common::wait::until;

const POLL_S: i64 = 64;
const POLLS: i64 = 60;
const S: i64 = 1_000_000_000;

/// The samples of a vantage from 80 to 16 minutes ago; the server s4 jumps by 80 ms in the middle.
pub(super) fn samples(vantage: usize, now_ns: i64) -> Vec<Sample> {
    let sample = |n: i64, server: usize| {
        let at_ns = now_ns - 80 * 60 * S + n * POLL_S * S + (server as i64 + 7 * vantage as i64) * S;
        let jump_s = if server == 4 && n >= POLLS / 2 { 0.08 } else { 0.0 };
        let noise_s = 1e-5 * ((n * 7 + server as i64 * 3 + vantage as i64) % 11) as f64;
        let reply = Reply {
            stratum: 1,
            leap: Leap::None,
            refid: RefId(*b"GPS\0"),
            precision_log2: -20,
            root_delay_s: 0.0,
            root_dispersion_s: 0.001,
            reference_age_s: Some(8.0),
        };
        let measure = Measure { offset_s: jump_s + noise_s, delay_s: 0.004 + noise_s, root_distance_s: 0.004 };
        Sample {
            address: format!("198.51.100.{}:123", server + 1).parse().ok(),
            outcome: Outcome::Sample,
            measure: Some(measure),
            reply: Some(reply),
            ..Sample::unasked(
                Stamp::new(at_ns, at_ns, 0),
                ServerIdent::named(&format!("s{server}")),
                Outcome::Sample,
                64.0,
            )
        }
    };
    (0..POLLS).flat_map(|n| (0..5).map(move |server| sample(n, server))).collect()
}

#[test]
fn late_samples_change_the_past_and_raise_no_alert() {
    let Some(nats) = Nats::start() else { return };
    let rules = "[alerting]\nstartup_grace = \"0s\"\ngroup_wait = \"0s\"\ndefault_rules = false\n\
                 [[alert]]\nname = \"any-wrong\"\nexpr = \"fleet_wrong_servers + fleet_wrong_places > 0\"\nfor = \"0s\"\n\
                 severity = \"critical\"\nsummary = \"wrong\"\n";
    let hub_home = home(&format!("{rules}{}", member("hub1", "hub", &nats)));
    let mut hub = hub_home.start();
    until("the hub reads", || hub.get("/api/v1/fleet/vantages").1["hub"]["caught_up"] == true);
    let (bus, now_ns) = (Bus::connect(&nats.url()), ntp_monitor::clock::now().wall_ns);
    for (v, vantage) in ["ams", "ber", "lon"].into_iter().enumerate() {
        let (all, incarnation) = (samples(v, now_ns), format!("{v:032x}"));
        let head = Head { vantage, incarnation: &incarnation, first_seq: 0, lost_before: 0 };
        bus.publish(&format!("ntpm.samples.{vantage}"), encode(head, &all)).unwrap();
    }
    let late = |body: Value| body["hub"]["late"].as_u64();
    until("all is stored, as late", || late(hub.get("/api/v1/fleet/vantages").1) == Some(3 * 5 * POLLS as u64));
    assert_eq!(counted(&hub_home, "lon"), (5 * POLLS as u64, 0, 0));
    let verdict = hub.get("/api/v1/fleet/verdict").1;
    assert_eq!(verdict["servers"].as_array().map(Vec::len), Some(0), "{verdict}");
    assert_eq!(hub.stop(), 0);
    // After a restart, old samples do not count as current either.
    let mut hub = hub_home.start();
    until("it reads again", || hub.get("/api/v1/fleet/vantages").1["hub"]["caught_up"] == true);
    assert!(!hub.log().contains("alert: wrong"), "{}", hub.log());
    assert_eq!(hub.stop(), 0);

    let replayed = hub_home.command().args(["replay", "--since", "3h", "--json"]).output().unwrap();
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let verdicts = report["fleet"]["verdicts"].as_array().unwrap();
    let wrong = verdicts.iter().any(|verdict| verdict["servers"][0]["server"] == "s4");
    assert!(wrong, "{}", report["fleet"]);
}
