//! The built-in alerts of NTS, over polls of an ordinary world.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Span, Timestamp};
use ntp_monitor_core::alert::engine::Rulebook;
use ntp_monitor_core::alert::replay::AlertReplay;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::Check;
use ntp_monitor_core::nts::{Aead, Certificate, KeyFault, LastExchange, Status};
use ntp_monitor_core::sample::{Authentication, Outcome, Sample};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::window::Window;
use ntp_monitor_core::world::World;

const HOUR: f64 = 3600.0;

/// The rules that notify within three hours, when `change` is made to each poll of one of five servers, which has NTS
/// and a certificate of 90 days that ends `days` after the beginning.
fn alerts(days: i64, change: impl Fn(&mut Sample, &mut Status)) -> BTreeSet<String> {
    let world = World::ordinary(5, 5, 64.0, 3.0 * HOUR);
    let begin = Timestamp::from_second(world.start_unix_s).unwrap();
    let after = |days: i64| begin.checked_add(Span::new().hours(24 * days)).unwrap();
    let mut replay = AlertReplay::new(Rulebook::built_in());
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    for mut sample in world.samples() {
        if &*sample.server.name == "ntp1" {
            let mut status = status(sample.at, after(days - 90), after(days));
            sample.authentication = Authentication::Nts;
            change(&mut sample, &mut status);
            sample.nts = Some(Arc::new(status));
        }
        let (sample, wall_ns) = (Arc::new(sample.clone()), sample.at.wall_ns);
        analysis.observe(&sample);
        replay.observe(&sample);
        if replay.is_due(wall_ns) {
            replay.look(wall_ns, &analysis.snapshot(Stamp::new(wall_ns, wall_ns, 0)));
        }
    }
    replay.finish().notifications.into_iter().map(|it| it.alert).collect()
}

fn status(at: Stamp, not_before: Timestamp, not_after: Timestamp) -> Status {
    let text = |text: &str| text.into();
    let certificate =
        Certificate { subject: text("CN=ntp1"), issuer: text("CN=A"), serial: text("1"), not_before, not_after };
    Status {
        key_server: "ntp1:4460".into(),
        asked: ([192, 0, 2, 1], 123).into(),
        aead: Some(Aead::AesSivCmac256),
        cookies: 8,
        cookie_len: Some(100),
        last: Some(LastExchange { at, took: Duration::from_millis(5), fault: None, chain: [certificate].into() }),
        exchanges: 1,
        failures: 0,
        failures_in_row: 0,
        naks: 0,
        downgrades: 0,
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn certificate_alerts_are_relative_to_its_lifetime() {
    let expiring = "nts-certificate-expiring";
    assert_eq!(alerts(60, |_, _| ()), set(&[]));
    assert_eq!(alerts(10, |_, _| ()), set(&[expiring]));
    assert_eq!(alerts(1, |_, _| ()), set(&[expiring, "nts-certificate-nearly-expired"]));
    // It has expired, and polls continue with the remaining cookies.
    assert_eq!(alerts(-1, |_, _| ()), set(&[expiring, "nts-certificate-nearly-expired"]));
}

#[test]
fn failing_key_exchange_is_an_alert_while_cookies_last() {
    let failing = |_: &mut Sample, status: &mut Status| {
        status.failures_in_row = 3;
        let fault = KeyFault { label: "refused", text: "the server refuses TCP connections".into() };
        status.last.as_mut().unwrap().fault = Some(fault);
    };
    assert_eq!(alerts(60, failing), set(&["nts-key-exchange-failing"]));
}

#[test]
fn downgrade_and_missing_authentication_are_alerts() {
    let refused = |check| {
        move |sample: &mut Sample, _: &mut Status| {
            (sample.outcome, sample.measure, sample.reply) = (Outcome::Rejected(check), None, None);
        }
    };
    assert_eq!(alerts(60, refused(Check::Downgrade)), set(&["failing-queries", "nts-downgrade"]));
    assert_eq!(alerts(60, refused(Check::Authenticator)), set(&["failing-queries", "nts-not-authenticated"]));
}
