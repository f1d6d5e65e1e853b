//! The configuration: shipped files, faulty files, layers, garbage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ntp_monitor::config::{Environment, Loaded, example, load, schema};
use proptest::prelude::*;

fn environment(settings: &[(&str, &str)]) -> Environment {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Writes `text` as `name` and loads it.
fn load_text(name: &str, text: &str, env: &[(&str, &str)]) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("a writable file");
    load(Some(&path), &environment(env), &[]).map_err(|faults| faults.to_string())
}

fn toml_files(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("the directory").flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_shipped_file_loads_without_a_warning() {
    for path in toml_files("config") {
        let loaded = load(Some(&path), &Environment::new(), &[]).unwrap_or_else(|why| panic!("{path:?}: {why}"));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{path:?}");
    }
}

#[test]
fn each_faulty_file_has_exactly_its_fault_and_shows_no_secret() {
    for path in toml_files("tests/fixtures/config") {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().and_then(|line| line.strip_prefix("# expect: ")).unwrap();
        let faults = load(Some(&path), &Environment::new(), &[]).expect_err(&format!("{path:?} loads"));
        let message = faults.to_string();
        assert_eq!(faults.0.len(), 1, "{path:?}: {message}");
        assert!(message.contains(expected), "{path:?}: expected {expected:?} in {message:?}");
        assert!(!message.contains("hunter2") || message.contains("hunter2-is-not-here"), "{message}");
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = "[monitor]\nvantge = \"a\"\n[defaults]\npoll_interval = 64\n[http]\nlisten = \"x\"\n\
                [[server]]\naddress = \"a b\"\nengine = \"x\"\n[[server]]\nown = \"x\"\n[log]\nlevel = 3\n";
    let why = load_text("c.toml", text, &[]).unwrap_err();
    for part in [
        ":2: monitor.vantge",
        ":4: defaults.poll_interval",
        ":6: http.listen",
        ":8: server[0].address",
        ":9: server[0].engine",
        "server[1].address: is missing",
        ":11: server[1].own",
        ":13: log.level",
    ] {
        assert!(why.contains(part), "{part} in {why}");
    }
    assert_eq!(why.lines().count(), 8, "{why}");
}

#[test]
fn faulty_default_is_one_fault_for_any_number_of_servers() {
    let servers = "[[server]]\naddress = \"a.example\"\n[[server]]\naddress = \"b.example\"\n";
    let why = load_text("c.toml", &format!("[defaults]\npoll_interval = \"1s\"\n{servers}"), &[]).unwrap_err();
    assert!(why.contains(":2: defaults.poll_interval: 1s is below the minimum"), "{why}");
    assert_eq!(why.matches("poll_interval: 1s").count(), 1, "{why}");
}

#[test]
fn the_example_loads_and_so_does_its_every_default() {
    assert!(load_text("example.toml", &example(), &[]).is_ok_and(|l| l.config.servers.len() == 1));
    let all: String = example()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
        .filter(|line| !line.starts_with("token") && !line.contains("_file =") && !line.starts_with("nts_ca"))
        // One of user, creds and nkey is enough.
        .filter(|line| !line.starts_with("creds =") && !line.starts_with("nkey ="))
        .fold(String::new(), |text, line| text + line + "\n");
    let loaded = load_text("example.toml", &all, &[("INFLUX_TOKEN", "t")]).unwrap_or_else(|why| panic!("{why}\n{all}"));
    assert!(loaded.config.influxdb.is_some() && loaded.config.csv.is_some());
}

#[test]
fn shown_configuration_loads_again_unchanged() {
    let first =
        load(None, &environment(&[("NTP_SERVER", "a.example,[::1]:1123"), ("LOG_LEVEL", "DEBUG")]), &[]).unwrap();
    let second = load_text("shown.toml", &first.to_toml(), &[]).unwrap();
    assert_eq!(ntp_monitor::config::diff(&first.config, &second.config), ntp_monitor::config::Changes::default());
    assert!(first.to_toml().contains("# environment LOG_LEVEL"), "{}", first.to_toml());
}

#[test]
fn schema_is_json_schema_2020_12_without_references() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["defaults"]["properties"]["poll_interval"]["default"], "64s");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["server"]["items"]["required"], serde_json::json!(["address"]));
    assert!(!schema.to_string().contains("\"$ref\""));
    for (name, section) in schema["properties"].as_object().unwrap() {
        let table = section.get("items").unwrap_or(section);
        for (key, schema) in table["properties"].as_object().unwrap() {
            assert!(schema["description"].as_str().is_some_and(|d| d.len() > 4), "{name}.{key}: {schema}");
        }
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let loaded = load(
        None,
        &environment(&[
            ("NTP_SERVER", "time.example.net, 192.0.2.1:1123"),
            ("POLLING_INTERVAL", "128"),
            ("INFLUX_URL", ""),
        ]),
        &[],
    )
    .unwrap();
    let [first, second] = &loaded.config.servers[..] else { panic!("{loaded:?}") };
    assert_eq!((&*first.ident.name, first.port, first.poll_interval.as_secs()), ("time.example.net", 123, 128));
    assert_eq!((&*second.ident.name, second.port), ("192.0.2.1:1123", 1123));
    assert_eq!(loaded.config.csv.unwrap().dir, Path::new("/var/lib/ntp-monitor/csv"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let text = "[[server]]\naddress = \"a.example\"\n[http]\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"error\"\n";
    std::fs::write(&path, text).unwrap();
    std::fs::write(dir.path().join(".env"), "LOG_LEVEL=debug\nNTP_MONITOR__HTTP__LISTEN=127.0.0.1:2\n").unwrap();
    let env = environment(&[("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:3")]);
    let port = |env: &Environment, flags: &[String]| {
        let config = load(Some(&path), env, flags).unwrap().config;
        (config.http.listen.port(), config.log.level)
    };
    use ntp_monitor::config::LogLevel;
    assert_eq!(port(&Environment::new(), &[]), (2, LogLevel::Debug));
    assert_eq!(port(&env, &[]), (3, LogLevel::Debug));
    assert_eq!(port(&env, &["http.listen=127.0.0.1:4".to_owned()]), (4, LogLevel::Debug));
}

#[test]
fn environment_servers_replace_the_file_with_a_warning() {
    let loaded = load_text("c.toml", "[[server]]\naddress = \"a.example\"\n", &[("NTP_SERVER", "b.example")]).unwrap();
    assert_eq!(loaded.config.servers.len(), 1);
    assert_eq!(&*loaded.config.servers[0].ident.name, "b.example");
    assert!(matches!(&loaded.warnings[..], [only] if only.contains("NTP_SERVER replaces")), "{:?}", loaded.warnings);
}

#[test]
fn variables_are_typed_by_their_key() {
    let env = [
        ("NTP_SERVER", "a.example"),
        ("NTP_MONITOR__CSV__ENABLED", "no"),
        ("NTP_MONITOR__DEFAULTS__SAMPLES_PER_POLL", "4"),
        ("NTP_MONITOR__MONITOR__VANTAGE", "42"),
    ];
    let config = load(None, &environment(&env), &[]).unwrap().config;
    assert_eq!(config.csv, None);
    assert_eq!(config.servers[0].samples_per_poll, 4);
    assert_eq!(config.monitor.vantage, "42");
    let why = load(None, &environment(&[env[0], ("NTP_MONITOR__CSV__ENABLD", "no")]), &[]).unwrap_err().to_string();
    assert_eq!(why, "environment NTP_MONITOR__CSV__ENABLD: csv.enabld: unknown key; did you mean \"enabled\"?");
}

#[test]
fn too_short_legacy_interval_is_raised_with_a_warning() {
    let loaded = load(None, &environment(&[("NTP_SERVER", "a.example"), ("POLLING_INTERVAL", "5")]), &[]).unwrap();
    assert_eq!(loaded.config.servers[0].poll_interval.as_secs(), 16);
    assert!(loaded.warnings[0].contains("POLLING_INTERVAL=5"), "{:?}", loaded.warnings);
    for (text, milliseconds) in [("64.0", 64_000), ("90.5", 90_500)] {
        let loaded = load(None, &environment(&[("NTP_SERVER", "a.example"), ("POLLING_INTERVAL", text)]), &[]).unwrap();
        assert_eq!(loaded.config.servers[0].poll_interval.as_millis(), milliseconds);
        assert_eq!(loaded.warnings, Vec::<String>::new());
    }
    for text in ["soon", "-5", "NaN", "inf"] {
        let faults =
            load(None, &environment(&[("NTP_SERVER", "a.example"), ("POLLING_INTERVAL", text)]), &[]).unwrap_err();
        assert!(faults.to_string().contains("POLLING_INTERVAL"), "{text}: {faults}");
    }
}

#[test]
fn leftover_influx_variables_do_not_break_csv_only_mode() {
    let env = environment(&[("NTP_SERVER", "a.example"), ("INFLUX_TOKEN", "hunter2"), ("INFLUX_ORG", "o")]);
    let loaded = load(None, &env, &[]).unwrap();
    assert!(loaded.config.influxdb.is_none() && loaded.config.csv.is_some());
    assert!(loaded.warnings[0].contains("INFLUX_URL") && !loaded.warnings[0].contains("hunter2"));
}

#[test]
fn token_is_read_from_file_or_credential_without_newline() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("influx-token"), "s3cret\n").unwrap();
    let text = "[[server]]\naddress = \"a.example\"\n[influxdb]\nurl = \"http://h:8086/\"\norg = \"o\"\nbucket = \"b\"\n\
                token_file = \"influx-token\"\n";
    let credentials = dir.path().to_str().unwrap();
    let loaded = load_text("c.toml", text, &[("CREDENTIALS_DIRECTORY", credentials)]).unwrap();
    assert!(!format!("{loaded:?}").contains("s3cret"));
    assert!(loaded.config.csv.is_none(), "with InfluxDB, CSV files are asked for");
    let influx = loaded.config.influxdb.unwrap();
    assert_eq!((influx.token.expose(), influx.url.as_str()), ("s3cret", "http://h:8086"));
    let loaded = load_text("c.toml", text, &[("INFLUX_TOKEN", "stronger")]).unwrap();
    assert!(!format!("{loaded:?}{}{}", loaded.to_toml(), loaded.to_json()).contains("stronger"));
    assert_eq!(loaded.config.influxdb.unwrap().token.expose(), "stronger");
}

#[test]
fn yaml_and_json_say_the_same_as_toml() {
    let toml = load_text("c.toml", "[[server]]\naddress = \"a.example\"\ntags = { Site = \"x\" }\n", &[]).unwrap();
    let yaml = load_text("c.yaml", "server:\n  - address: a.example\n    tags: { Site: x }\n", &[]).unwrap();
    let json = load_text("c.json", r#"{"server": [{"address": "a.example", "tags": {"Site": "x"}}]}"#, &[]).unwrap();
    assert_eq!(ntp_monitor::config::diff(&toml.config, &yaml.config), ntp_monitor::config::Changes::default());
    assert_eq!(ntp_monitor::config::diff(&toml.config, &json.config), ntp_monitor::config::Changes::default());
    assert_eq!(toml.config.servers[0].ident.tags["Site"], "x");
    assert!(load_text("c.ini", "", &[]).unwrap_err().contains("neither .toml"));
}

#[test]
fn a_hasty_pool_draws_one_warning() {
    let env = environment(&[("NTP_SERVER", "0.pool.ntp.org,1.debian.pool.ntp.org,time.example.net")]);
    let warnings = load(None, &env, &[]).unwrap().warnings;
    assert!(matches!(&warnings[..], [only] if only.contains("0.pool.ntp.org and 1 more")), "{warnings:?}");
}

#[test]
fn silence_of_an_unknown_server_draws_a_warning() {
    let silence = |server: &str| {
        let text = format!(
            "[[server]]\naddress = \"a.example\"\n[[silence]]\ncomment = \"nights\"\nservers = [{server:?}]\n\
             weekdays = [\"Sat\"]\nstart = \"02:00\"\nfor = \"1h\"\n"
        );
        load_text("c.toml", &text, &[]).unwrap().warnings
    };
    assert_eq!(silence("a.example"), [""; 0]);
    assert_eq!(silence("b.example"), ["silence \"nights\": \"b.example\" is neither the name nor a tag of any server"]);
}

#[test]
fn number_that_is_not_finite_is_a_fault() {
    for (text, path) in [("[report]\nlimit = nan", "report.limit"), ("[[alert]]\nfor = -inf", "alert[0].for")] {
        let why = load_text("c.toml", text, &[("NTP_SERVER", "a.example")]).unwrap_err();
        assert!(why.contains(&format!("{path}: must be a finite number")), "{why}");
    }
}

#[test]
fn an_absent_file_is_a_fault_with_its_reason() {
    let why = load(Some(Path::new("/nonexistent/c.toml")), &Environment::new(), &[]).unwrap_err().to_string();
    assert!(why.starts_with("/nonexistent/c.toml: cannot be read: No such file"), "{why}");
}

#[test]
fn configured_list_of_leap_seconds_must_be_valid() {
    let server = "[[server]]\naddress = \"192.0.2.1\"\n";
    let why = load_text("c.toml", &format!("{server}[leap]\nlist = \"/nonexistent\"\n"), &[]).unwrap_err();
    assert!(why.contains("leap.list") && why.contains("/nonexistent cannot be read"), "{why}");
    assert!(load_text("c.toml", &format!("{server}[leap]\n"), &[]).unwrap().config.leap.list.is_none());
}

/// Random text that is often a valid or nearly valid configuration.
fn configuration() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "address",
        "name",
        "tags",
        "own",
        "poll_interval",
        "timeout",
        "engine",
        "listen",
        "url",
        "token",
        "level",
        "keep",
        "\"a[99999999]\"",
        "server",
        "http",
        "x.y",
    ]);
    let value = prop::sample::select(vec![
        "\"a.example\"",
        "\"64s\"",
        "\"\"",
        "64",
        "-1",
        "1.5",
        "nan",
        "true",
        "[]",
        "[1, {}]",
        "{}",
        "{ a = 1 }",
        "\"\\u0000\"",
        "9223372036854775807",
        "1979-05-27",
        "\"99999999999999y\"",
    ]);
    let header = prop::sample::select(vec![
        "[monitor]",
        "[defaults]",
        "[[server]]",
        "[server]",
        "[http]",
        "[influxdb]",
        "[csv]",
        "[store]",
        "[log]",
        "[[log]]",
    ]);
    let line =
        prop_oneof![3 => (key, value).prop_map(|(k, v)| format!("{k} = {v}")), 1 => header.prop_map(str::to_owned)];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_file_makes_the_loader_panic(text in prop_oneof![configuration(), "\\PC*"], format in 0..3_usize) {
        let _ = load_text(["c.toml", "c.yaml", "c.json"][format], &text, &[]);
    }

    #[test]
    fn no_variable_makes_the_loader_panic(section in "[A-Z_]{0,8}", key in "[A-Z_.]{0,8}", value in "\\PC*") {
        let name = format!("NTP_MONITOR__{section}__{key}");
        for name in [name.as_str(), "NTP_SERVER", "POLLING_INTERVAL", "LOG_LEVEL"] {
            let _ = load(None, &environment(&[(name, &value)]), &[format!("{key}={value}")]);
        }
    }
}

#[test]
fn default_timeout_yields_to_a_short_poll_interval() {
    let own = |timeout: &str| {
        let server = "[[server]]\naddress = \"192.0.2.1\"\nown = true\npoll_interval = \"1s\"\n";
        load_text("servers.toml", &format!("{server}{timeout}"), &[])
    };
    assert_eq!(own("").unwrap().config.servers[0].timeout, Duration::from_millis(750));
    assert!(own("timeout = \"3s\"").unwrap_err().contains("must be shorter than the poll interval"));
}

const NOTIFIERS: &str = "[[server]]\naddress = \"192.0.2.1\"\n[[notifier]]\nname = \"ops-chat 1\"\ntype = \"slack\"\n\
    [[notifier]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://h.example/hunter2\"\n\
    headers = { Authorization = \"hunter2\", X-Site = \"hunter2\" }\n";

#[test]
fn notifier_secret_from_the_environment_takes_precedence() {
    use ntp_monitor::config::Channel;
    let variables = [
        ("NTP_MONITOR__NOTIFIER__OPS_CHAT_1__URL", "https://a.example/one"),
        ("NTP_MONITOR__NOTIFIER__HOOK__URL_FILE", "/nowhere"),
        ("NTP_MONITOR__NOTIFIER__HOOK__URL", "https://b.example/two"),
    ];
    let loaded = load_text("c.toml", NOTIFIERS, &[variables[0]]).unwrap();
    let Channel::Slack(url) = &loaded.config.notifiers[0].channel else { panic!("{loaded:?}") };
    assert_eq!(url.expose(), "https://a.example/one");
    assert!(loaded.to_toml().contains("# environment NTP_MONITOR__NOTIFIER__OPS_CHAT_1__URL"));
    let why = load_text("c.toml", NOTIFIERS, &variables).unwrap_err();
    assert!(why.contains("url_file are both set"), "{why}");
    let why = load_text("c.toml", NOTIFIERS, &[("NTP_MONITOR__NOTIFIER__NOBODY__URL", "hunter2")]).unwrap_err();
    assert!(why.contains("does not match any [[notifier]]") && !why.contains("hunter2"), "{why}");
}

#[test]
fn no_secret_of_a_notifier_is_shown() {
    let variable = ("NTP_MONITOR__NOTIFIER__OPS_CHAT_1__URL", "https://h.example/hunter2");
    let loaded = load_text("c.toml", NOTIFIERS, &[variable]).unwrap();
    for shown in [loaded.to_toml(), loaded.to_json().to_string(), format!("{loaded:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(loaded.to_toml().contains("headers = { Authorization = \"********\", X-Site = \"********\" }"));
}

#[test]
fn a_changed_secret_of_a_notifier_is_a_change() {
    let with = |url| load_text("c.toml", NOTIFIERS, &[("NTP_MONITOR__NOTIFIER__OPS_CHAT_1__URL", url)]).unwrap().config;
    let diff = |a, b| ntp_monitor::config::diff(&with(a), &with(b)).sections;
    assert_eq!(diff("https://a.example/1", "https://a.example/2"), ["notifier"]);
    assert!(diff("https://a.example/1", "https://a.example/1").is_empty());
}
