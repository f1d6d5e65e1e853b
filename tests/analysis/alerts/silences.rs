//! Silences, maintenance windows, grace and waits.

use super::*;

#[test]
fn nothing_fires_in_grace_and_unwatched_time_does_not_count() {
    let bench = Bench::new();
    let settings = Settings { startup_grace: Duration::from_secs(120), ..Settings::default() };
    assert_eq!(seconds(&bench.run(&mut at_once(settings, "x"), 0..600, FIRST)), [120 + 30]);
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    assert!(bench.run(&mut engine, 0..200, FIRST).is_empty());
    assert_eq!(seconds(&bench.run(&mut engine, 1000..2000, FIRST)), [1000 + 300 + 30]);
}

#[test]
fn maintenance_window_suppresses_notifications_while_open() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    // The bench begins on Friday, 2027-01-15, at 08:00 UTC.
    let windows = "[[silence]]\ncomment = \"now\"\nservers = [\"ntp1\"]\nalert = \"failing-queries\"\n\
                   from = \"2027-01-15T08:00:00Z\"\nuntil = \"2027-01-15T09:00:00Z\"\n\
                   [[silence]]\ncomment = \"each week\"\nweekdays = [\"Fri\"]\nstart = \"10:00\"\nfor = \"1h\"\n\
                   timezone = \"Europe/Berlin\"\n";
    let told = |windows: &str| {
        std::fs::write(&file, format!("[[server]]\naddress = \"192.0.2.1\"\n{windows}")).unwrap();
        let loaded = config::load(Some(&file), &Environment::new(), &[]).unwrap_or_else(|why| panic!("{why}"));
        let mut engine = Engine::new((*loaded.config.alerting).clone(), at(0));
        let told = seconds(&bench_run(&mut engine));
        (told, engine.status())
    };
    assert_eq!(told("").0, [330]);
    // The first window covers the first hour, the second one (from 10:00 in Berlin) the second.
    let (seconds, status) = told(windows);
    assert_eq!(seconds, [2 * 3600 + 30]);
    assert_eq!(status.active[0].state, AlertState::Firing);
    assert_eq!(told(&windows.replace("ntp1", "ntp2")).0, [330]);
}

fn bench_run(engine: &mut Engine) -> Vec<(i64, Notification)> {
    Bench::new().run(engine, 0..3 * 3600, FIRST)
}

#[test]
fn alert_that_fires_at_the_end_of_a_silence_notifies() {
    let bench = Bench::new();
    let mut engine = Engine::new(Rulebook::built_in(), at(0));
    engine.set_silences(vec![silence(0, 3600)]);
    assert_eq!(seconds(&bench.run(&mut engine, 0..3600, FIRST)), Vec::<i64>::new());
    let status = engine.status();
    assert_eq!((status.active[0].state, status.active[0].silenced_by.as_deref()), (AlertState::Silenced, Some("7")));
    assert_eq!(seconds(&bench.run(&mut engine, 3600..4000, FIRST)), [3630]);
}

#[test]
fn an_alert_shorter_than_the_wait_never_notifies() {
    let bench = Bench::new();
    let settings = Settings { group_wait: Duration::from_secs(1200), ..Settings::default() };
    let mut engine = Engine::new(Rulebook { settings, ..Rulebook::built_in() }, at(0));
    assert!(bench.run(&mut engine, 0..900, FIRST).is_empty());
    assert!(bench.run(&mut engine, 900..9000, NONE_LOST).is_empty());
}
