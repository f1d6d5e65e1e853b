//! Tests settings from environment variables, in the environment and in `.env`.

use std::path::Path;

use super::*;

const SERVER: (&str, &str) = ("NTP_SERVER", "a.example");

fn environment(settings: &[(&str, &str)]) -> Environment {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn loaded(settings: &[(&str, &str)]) -> Result<Loaded, String> {
    load(None, &environment(&[&[SERVER], settings].concat()), &[]).map_err(|faults| faults.to_string())
}

fn file_with(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn empty_variables_count_as_unset_whatever_they_are_called() {
    let empty =
        ["LOG_LEVEL", "NTP_MONITOR__LOG__LEVEL", "NTP_MONITOR__HTTP__LISTEN", "INFLUX_URL", "INFLUX_TOKEN_FILE"];
    let more = ["NTP_MONITOR__NOTIFIER__NONE__URL", "NTP_MONITOR__NO__SUCH_KEY", "NTP_MONITOR__SERVER"];
    for blank in ["", " \t"] {
        let settings: Vec<_> = empty.iter().chain(&more).map(|name| (*name, blank)).collect();
        let config = loaded(&settings).unwrap().config;
        assert_eq!((config.log.level, config.influxdb.is_none()), (LogLevel::Info, true));
    }
}

#[test]
fn dotenv_variable_applies_if_the_environment_one_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, "[[server]]\naddress = \"a.example\"\n").unwrap();
    std::fs::write(dir.path().join(".env"), "LOG_LEVEL=debug\nNTP_MONITOR__HTTP__LISTEN=x\n").unwrap();
    let why = load(Some(&file), &environment(&[("LOG_LEVEL", "")]), &[]).unwrap_err().to_string();
    assert!(
        why.starts_with(".env NTP_MONITOR__HTTP__LISTEN (line 2): http.listen: ") && why.lines().count() == 1,
        "{why}"
    );
    let env = environment(&[("LOG_LEVEL", ""), ("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:81")]);
    let config = load(Some(&file), &env, &[]).unwrap().config;
    assert_eq!((config.log.level, config.http.listen.port()), (LogLevel::Debug, 81));
}

#[test]
fn every_variable_may_name_a_file_with_its_value() {
    let of = |content: &str| file_with(content);
    let (servers, url, org, bucket) =
        (of("a.example\nb.example\n"), of("http://h:8086\n"), of("o"), of("\u{feff}b\r\n"));
    let (token, level, listen) = (of("pa$word9==\n"), of("DEBUG\n"), of("127.0.0.1:81\n"));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let names = [
        ("NTP_SERVER_FILE", path(&servers)),
        ("INFLUX_URL_FILE", path(&url)),
        ("INFLUX_ORG_FILE", path(&org)),
        ("INFLUX_BUCKET_FILE", path(&bucket)),
        ("INFLUX_TOKEN_FILE", path(&token)),
        ("LOG_LEVEL_FILE", path(&level)),
        ("NTP_MONITOR__HTTP__LISTEN_FILE", path(&listen)),
    ];
    let env = names.iter().map(|(name, path)| ((*name).to_owned(), path.clone())).collect();
    let config = load(None, &env, &[]).unwrap().config;
    assert_eq!((config.servers.len(), config.http.listen.port(), config.log.level), (2, 81, LogLevel::Debug));
    let influx = config.influxdb.unwrap();
    assert_eq!((influx.url.as_str(), influx.org.as_str(), influx.bucket.as_str()), ("http://h:8086", "o", "b"));
    assert_eq!(influx.token.expose(), "pa$word9==");
}

#[test]
fn variable_and_its_file_exclude_each_other() {
    for (name, value) in [("INFLUX_TOKEN", "hunter2"), ("LOG_LEVEL", "info"), ("NTP_MONITOR__HTTP__LISTEN", "x")] {
        let both = [(name, value), (&*format!("{name}_FILE"), "/nonexistent")];
        let why = loaded(&both).unwrap_err();
        assert!(why.contains(&format!("{name} and {name}_FILE are both set")) && !why.contains("hunter2"), "{why}");
    }
}

#[test]
fn file_that_cannot_be_read_is_named_with_its_variable() {
    for (name, key) in [("INFLUX_ORG_FILE", "influxdb.org"), ("NTP_MONITOR__LOG__LEVEL_FILE", "log.level")] {
        let faults = load(None, &environment(&[SERVER, (name, "/nonexistent")]), &[]).unwrap_err();
        assert!(faults.0.iter().all(|fault| fault.is_unread_file), "{faults}");
        let why = faults.to_string();
        assert!(why.starts_with(&format!("environment {name}: {key}: /nonexistent cannot be read: ")), "{why}");
    }
}

#[test]
fn list_has_commas_between_its_items() {
    let http = loaded(&[("NTP_MONITOR__HTTP__NAMES", "a.example, b.example,")]).unwrap().config.http;
    assert_eq!(http.names, ["a.example", "b.example"]);
    let flags = ["http.names=c.example".to_owned()];
    assert_eq!(load(None, &environment(&[SERVER]), &flags).unwrap().config.http.names, ["c.example"]);
}

const IMAGE: [(&str, &str); 2] =
    [("NTP_MONITOR_DEFAULT__HTTP__LISTEN", "0.0.0.0:8080"), ("NTP_MONITOR_DEFAULT__HTTP__PUBLIC_READ", "true")];

fn in_image(file: &str, env: &[(&str, &str)]) -> Http {
    let text = format!("[[server]]\naddress = \"a.example\"\n{file}");
    let env = environment(&[&IMAGE, env].concat());
    load_text(Path::new("c.toml"), &text, &env, &[]).unwrap_or_else(|why| panic!("{why}")).config.http
}

#[test]
fn defaults_of_an_image_are_weaker_than_a_file() {
    let listens = |http: &Http| (http.listen.to_string(), http.public_read);
    assert_eq!(listens(&in_image("", &[])), ("0.0.0.0:8080".to_owned(), true));
    let file = "[http]\nlisten = \"127.0.0.1:9090\"\npublic_read = false\n";
    assert_eq!(listens(&in_image(file, &[])), ("127.0.0.1:9090".to_owned(), false));
    let env = [("NTP_MONITOR__HTTP__LISTEN", "127.0.0.1:7070")];
    assert_eq!(listens(&in_image(file, &env)), ("127.0.0.1:7070".to_owned(), false));
    let shown = loaded(&IMAGE).unwrap().to_toml();
    assert!(shown.contains("# default NTP_MONITOR_DEFAULT__HTTP__LISTEN"), "{shown}");
}

#[test]
fn tokens_end_the_public_reading_of_an_image() {
    let token = format!("[[http.tokens]]\nname = \"a\"\nsha256 = \"{}\"\n", "0".repeat(64));
    assert!(!in_image(&token, &[]).public_read);
    assert!(in_image(&format!("[http]\npublic_read = true\n{token}"), &[]).public_read);
    assert!(in_image(&token, &[("NTP_MONITOR__HTTP__PUBLIC_READ", "true")]).public_read);
}

#[test]
fn own_variable_that_is_not_utf_8_is_a_fault() {
    let value = format!("hunter2{}", crate::config::environment::NOT_TEXT);
    for name in ["INFLUX_TOKEN", "NTP_SERVER", "NTP_MONITOR__HTTP__LISTEN"] {
        let why = loaded(&[(name, &value)]).unwrap_err();
        assert!(why.contains(&format!("environment {name}: is not UTF-8 text")) && !why.contains("hunter2"), "{why}");
    }
    assert!(loaded(&[("LESSOPEN", &value)]).is_ok(), "a variable of another program");
}
