//! Alerts over simulated worlds whose faults are known.

use super::*;

fn replay(world: &World) -> AlertReport {
    let mut alerts = AlertReplay::new(Rulebook::built_in());
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    for sample in world.samples().map(Arc::new) {
        let wall_ns = sample.at.wall_ns;
        analysis.observe(&sample);
        alerts.observe(&sample);
        if alerts.is_due(wall_ns) {
            alerts.look(wall_ns, &analysis.snapshot(Stamp::new(wall_ns, wall_ns, 0)));
        }
    }
    alerts.finish()
}

/// Rule, status, server, and hours since the start of the world, for each notification.
fn told(world: &World, notifications: &[Notification]) -> Vec<(String, Status, String, f64)> {
    let row = |it: &Notification| {
        let servers: Vec<&str> = it.alerts.iter().filter_map(|alert| alert.server.as_deref()).collect();
        let at = it.alerts[0].ended_at.unwrap_or(it.alerts[0].started_at);
        let hours = (at.as_second() - world.start_unix_s) as f64 / HOUR;
        (it.alert.clone(), it.status, servers.join("+"), hours)
    };
    notifications.iter().filter(|it| !it.reminder).map(row).collect()
}

/// Runs `look` in worlds with different random seeds.
fn in_each_world(seeds: &[u64], look: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| seeds.iter().for_each(|seed| drop(scope.spawn(|| look(*seed)))));
}

#[test]
fn healthy_week_sends_no_notification() {
    // Many worlds show more random effects than a long one.
    in_each_world(&[5, 1, 77, 2026], |seed| {
        let days = if seed == 5 { 7.0 } else { 1.0 };
        let report = replay(&World::ordinary(seed, 5, 64.0, days * DAY));
        assert_eq!((report.notifications, report.alerts), (Vec::new(), Vec::new()), "seed {seed}");
    });
}

#[test]
fn fifty_servers_that_are_lost_at_once_are_one_alert() {
    let mut world = World::ordinary(8, 50, 64.0, 3.0 * HOUR);
    world.faults = vec![Fault::Silence { server: None, from_s: HOUR, until_s: 1.5 * HOUR }];
    let report = replay(&world);
    let told: Vec<_> =
        told(&world, &report.notifications).into_iter().map(|(alert, status, ..)| (alert, status)).collect();
    let blind = |status| ("monitor-blind".to_owned(), status);
    assert_eq!(told, [blind(Status::Firing), blind(Status::Resolved)]);
    let held = report.alerts.iter().filter(|past| past.held_by.as_deref() == Some("no server answers"));
    assert!(held.count() >= 50, "they are in the history all the same");
}

#[test]
fn each_fault_of_a_week_notifies_once() {
    in_each_world(&[6, 2026], a_week_with_faults);
}

fn a_week_with_faults(seed: u64) {
    let mut world = World::ordinary(seed, 5, 64.0, 7.0 * DAY);
    let step = |at_s, size_s| Fault::ServerStep { server: 2, at_s, size_s };
    world.faults = vec![
        Fault::Silence { server: Some(1), from_s: DAY, until_s: DAY + HOUR },
        step(2.0 * DAY, 0.12),
        step(2.0 * DAY + 3.0 * HOUR, -0.12),
        Fault::Silence { server: None, from_s: 4.0 * DAY, until_s: 4.0 * DAY + 0.5 * HOUR },
        Fault::LocalStep { at_s: 5.0 * DAY, size_s: 0.08 },
        Fault::LocalStep { at_s: 5.0 * DAY + 2.0 * HOUR, size_s: -0.08 },
        // Too short for anything.
        Fault::Silence { server: Some(3), from_s: 6.0 * DAY, until_s: 6.0 * DAY + 240.0 },
    ];
    let report = replay(&world);
    let told = told(&world, &report.notifications);
    let (begun, over) = (Status::Firing, Status::Resolved);
    let expected = [
        ("failing-queries", begun, "ntp2", 24.0),
        ("failing-queries", over, "ntp2", 25.0),
        ("falseticker", begun, "ntp3", 48.0),
        ("falseticker", over, "ntp3", 51.0),
        ("monitor-blind", begun, "", 96.0),
        ("monitor-blind", over, "", 96.5),
        ("own-clock-wrong", begun, "", 120.0),
        ("own-clock-wrong", over, "", 122.0),
    ];
    let what = |(alert, status, server, _): &(String, Status, String, f64)| (alert.clone(), *status, server.clone());
    let wanted =
        |(alert, status, server, _): &(&str, Status, &str, f64)| (alert.to_string(), *status, server.to_string());
    assert_eq!(
        told.iter().map(what).collect::<Vec<_>>(),
        expected.iter().map(wanted).collect::<Vec<_>>(),
        "seed {seed}: {told:#?}"
    );
    for (told, expected) in told.iter().zip(&expected) {
        assert!((-0.01..0.6).contains(&(told.3 - expected.3)), "seed {seed}: {told:?}, expected {expected:?}");
    }
    let held: Vec<_> = report.alerts.iter().filter(|past| past.held_by.is_some()).map(|past| &past.alert).collect();
    assert!(held.iter().all(|alert| ["failing-queries", "high-offset", "no-majority"].contains(&alert.as_str())));
}
