//! The dashboards and alert rules show data: each query is extracted from the files, filled in and run, or parsed and
//! compared with the written fields.
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::common::grafana::{Choice, Query, dashboards, expressions, panels, read, root, text};
use crate::common::influxdb::Influx;
use crate::common::prometheus::Prometheus;
use crate::common::recorded::{self, Schema};
use crate::common::service::Running;
use crate::common::tool;
use ntp_monitor::config::{self, Environment};
use ntp_monitor::sim::Script;
use serde_json::{Value, json};

const SOURCES: [&str; 2] = ["influxdb", "prometheus"];
/// Panel types that Grafana 10 has and that are not deprecated.
const CURRENT: [&str; 9] =
    ["timeseries", "stat", "gauge", "table", "heatmap", "histogram", "state-timeline", "bargauge", "barchart"];
const HISTORY_S: u64 = 6 * 3600;
const STEP_S: u64 = 60;

#[test]
fn the_committed_files_are_those_that_the_generator_makes() {
    let output =
        Command::new("node").arg(root().join("grafana/generate/generate.mjs")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_panel_has_unit_description_and_data_source_variable() {
    for source in SOURCES {
        for dashboard in dashboards(source) {
            let names: Vec<&str> =
                dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| text(v, "name")).collect();
            assert!(["datasource", "vantage", "server", "tag"].iter().all(|name| names.contains(name)), "{names:?}");
            for panel in panels(&dashboard) {
                let title = text(panel, "title");
                assert!(CURRENT.contains(&text(panel, "type")), "{title}: {}", panel["type"]);
                assert!(text(panel, "description").len() > 40, "{title} does not say what it means");
                let defaults = &panel["fieldConfig"]["defaults"];
                assert!(!text(defaults, "unit").is_empty(), "{title} has no unit");
                assert!(!defaults["thresholds"]["steps"].as_array().unwrap().is_empty(), "{title}");
                let targets = panel["targets"].as_array().unwrap();
                assert!(!targets.is_empty() && targets.iter().chain([panel]).all(is_of_the_variable), "{title}");
            }
            let all = dashboard.to_string();
            for named in ["http://", "https://", "localhost", "127.0.0.1", "from(bucket: \\\"", "org:", "orgId"] {
                assert!(!all.contains(named), "{named} is named in {}", dashboard["title"]);
            }
        }
    }
}

fn is_of_the_variable(it: &Value) -> bool {
    it["datasource"]["uid"] == "${datasource}"
}

#[test]
fn both_data_sources_have_the_same_panels() {
    let [influxdb, prometheus] = SOURCES.map(|source| {
        let look = |panel: &Value| {
            ["type", "title", "description", "gridPos", "options"].map(|key| panel[key].to_string()).join("\n")
        };
        dashboards(source).map(|dashboard| panels(&dashboard).map(look).collect::<Vec<_>>())
    });
    assert_eq!(influxdb, prometheus);
}

#[test]
fn the_schemas_of_grafana_and_of_compose_find_no_fault() {
    const CHECK: &str = "import grafana_foundation_sdk, jsonschema, yaml, compose";
    let without = ["--no-deps", "docker-compose==1.29.2"];
    let with = ["grafana-foundation-sdk==1769699998!10.1.0", "jsonschema==4.26.0", "PyYAML==6.0.3"];
    let Some(python) = tool::python("grafana-schemas", CHECK, &[&without, &with]) else {
        return tool::may_skip("grafana-foundation-sdk");
    };
    let files = |paths: &[&str]| paths.iter().map(|path| ((*path).to_owned(), json!(read(path)))).collect::<Value>();
    let job = json!({
        "dashboards": files(&[
            "grafana/dashboards/influxdb/overview.json",
            "grafana/dashboards/influxdb/server.json",
            "grafana/dashboards/prometheus/overview.json",
            "grafana/dashboards/prometheus/server.json",
        ]),
        "rules": files(&["grafana/provisioning/alerting/influxdb.yaml", "grafana/provisioning/alerting/prometheus.yaml"]),
        "contacts": files(&["grafana/provisioning/alerting/contact-points.yaml"]),
        "policies": files(&["grafana/provisioning/alerting/policies.yaml"]),
        "datasources": files(&[
            "grafana/provisioning/datasources/influxdb.yaml",
            "grafana/provisioning/datasources/prometheus.yaml",
        ]),
        "providers": files(&["grafana/provisioning/dashboards/ntp-monitor.yaml"]),
        "compose": files(&["compose.yaml"]),
        "yaml": files(&["prometheus/prometheus.yaml"]),
    });
    let faults = tool::converse(Command::new(python).arg(root().join("tests/tools/validate.py")), &job);
    assert_eq!(faults, json!([]), "{faults:#}");
}

#[test]
fn compose_mounts_exist_and_its_configuration_is_valid() {
    let compose = read("compose.yaml").replace("${NTP_ALERTS:-influxdb}", "influxdb");
    let mounts = compose.lines().filter_map(|line| line.trim().strip_prefix("- ./")?.split(':').next());
    let missing: Vec<&str> = mounts.filter(|path| !root().join(path).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let dir = tempfile::tempdir().unwrap();
    for secret in ["influx_token", "ntp_monitor_token"] {
        std::fs::write(dir.path().join(secret), "a-long-random-text-of-a-test").unwrap();
    }
    let file = dir.path().join("servers.toml");
    let text = read("compose/ntp-monitor.toml").replace("/run/secrets", dir.path().to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let config = config::load(Some(&file), &Environment::new(), &[]).unwrap().config;
    assert!(config.influxdb.is_some() && !config.servers.is_empty());
}

#[test]
fn promtool_finds_the_rules_sound_and_their_tests_pass() {
    let all = [
        &["check", "rules", "prometheus/ntp-monitor.alerts.yaml", "prometheus/ntp-monitor.recording.yaml"][..],
        &["check", "config", "--syntax-only", "prometheus/prometheus.yaml"],
        &["test", "rules", "prometheus/tests/alerts.yaml", "prometheus/tests/recording.yaml"],
    ];
    for arguments in all {
        let output = Command::new("promtool").args(arguments).current_dir(root()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn every_alert_has_a_unit_test() {
    let rules = read("prometheus/ntp-monitor.alerts.yaml");
    let tests = read("prometheus/tests/alerts.yaml");
    let names: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: \"")?.strip_suffix('"')).collect();
    assert!(names.len() > 7, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is never tested");
    }
}

#[actix_rt::test]
async fn every_prometheus_query_finds_data_in_a_real_prometheus() {
    const SERVERS: [&str; 5] = ["alpha", "beta", "gamma", "liar", "silent"];
    let scripts = SERVERS.map(|name| match name {
        "liar" => (name, Script::good().offset_ns(80_000_000)),
        "silent" => (name, Script::silent()),
        _ => (name, Script::good()),
    });
    let running = Running::start(&scripts, json!({})).await;
    running.polled(10).await;
    let text = running.get_until("/metrics", |a| a.text.contains("ntp_monitor_gap_seconds{server=\"liar\"")).await.text;
    let instance = running.base.strip_prefix("http://").unwrap();
    let prometheus = Prometheus::with_past(instance, &past(&text, instance));
    prometheus.query_until("ntp_monitor_up", |series| series.len() == SERVERS.len()).await;

    let choice = Choice { vantage: "here", servers: &SERVERS, instance, bucket: "", from: "", to: "" };
    let mut empty = Vec::new();
    for query in choice.queries("prometheus") {
        if let Some(why) = finds_nothing(&prometheus, &query).await {
            empty.push(format!("{}: {why}\n  {}", query.name, query.text));
        }
    }
    for (name, definition) in choice.variables("prometheus") {
        if !has_values(&prometheus, &definition).await {
            empty.push(format!("${name}: {definition}"));
        }
    }
    for expression in rules() {
        let query = Query { name: "rule".to_owned(), text: expression, is_instant: true };
        if let Some(why) = finds_nothing(&prometheus, &query).await {
            empty.push(format!("rule {}: {why}", query.text));
        }
    }
    assert!(empty.is_empty(), "{} find nothing:\n{}", empty.len(), empty.join("\n"));
    running.stop().await;
}

/// The values of all alerts, without their limits, and the recorded figures.
fn rules() -> Vec<String> {
    let alerts = expressions("prometheus/ntp-monitor.alerts.yaml");
    let value = |expression: &String| {
        expression.rsplit_once([' ']).and_then(|(rest, _)| rest.rsplit_once(' ')).unwrap().0.to_owned()
    };
    let values = alerts.iter().map(value);
    values.chain(expressions("prometheus/ntp-monitor.recording.yaml")).collect()
}

/// Six hours of history, minute by minute, with the current values, except that an hour ago strata, leap indicators and
/// verdict were different, no server was wrong, silent or polled, and another process ran.
fn past(metrics: &str, instance: &str) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut past = String::new();
    for at_s in (now_s - HISTORY_S..now_s).step_by(STEP_S as usize) {
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let labels = format!("{{instance=\"{instance}\",job=\"ntp\"");
            let series = match series.split_once('{') {
                Some((name, rest)) => format!("{name}{labels},{rest}"),
                None => format!("{series}{labels}}}"),
            };
            let value = if at_s + 3600 < now_s { before(&series, value) } else { value.to_owned() };
            past.push_str(&format!("{series} {value} {at_s}\n"));
        }
    }
    past + "# EOF\n"
}

fn before(series: &str, value: &str) -> String {
    let is_of = |name: &&str| series.starts_with(&format!("ntp_monitor_{name}"));
    if ["falseticker{", "consecutive_failures{", "polls_total{"].iter().any(is_of) {
        return "0".to_owned();
    }
    let changed = ["stratum{", "leap{", "start_timestamp_seconds{", "verdict{"];
    if changed.iter().any(is_of) {
        return (1.0 - value.parse::<f64>().unwrap()).abs().to_string();
    }
    value.to_owned()
}

/// Why a query finds no data, if so.
async fn finds_nothing(prometheus: &Prometheus, query: &Query) -> Option<String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (from, to) = ((now_s - 2 * 3600).to_string(), now_s.to_string());
    let answer = if query.is_instant {
        prometheus.ask("query", &[("query", &query.text)]).await
    } else {
        let range = [("query", query.text.as_str()), ("start", &from), ("end", &to), ("step", "30")];
        prometheus.ask("query_range", &range).await
    }?;
    let found = answer["data"]["result"].as_array().is_some_and(|series| series.iter().any(has_a_number));
    (!found).then(|| text(&answer, "error").to_owned())
}

fn has_a_number(series: &Value) -> bool {
    let ranges = series["values"].as_array().into_iter().flatten();
    ranges.chain([&series["value"]]).any(|it| it[1].as_str().is_some_and(|number| number != "NaN"))
}

/// Whether what Grafana would ask for a variable has values: `label_names()` or `label_values(SERIES, LABEL)`.
async fn has_values(prometheus: &Prometheus, definition: &str) -> bool {
    if definition == "label_names()" {
        let labels = prometheus.ask("labels", &[]).await.unwrap();
        return labels["data"].as_array().unwrap().contains(&json!("tag_site"));
    }
    let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
    let (series, label) = inner.rsplit_once(", ").unwrap();
    let found = prometheus.ask("series", &[("match[]", series)]).await.unwrap();
    found["data"].as_array().is_some_and(|all| all.iter().any(|it| it[label].is_string()))
}

#[test]
fn data_model_lists_exactly_the_written_fields_and_tags() {
    let (documented, mut written) = (recorded::documented(), recorded::schema(&recorded::lines()));
    written.tags.values_mut().for_each(|tags| assert_eq!(tags.remove("site"), tags.contains("server"), "{tags:?}"));
    assert_eq!(documented.fields, written.fields);
    assert_eq!(documented.tags, written.tags);
}

#[test]
fn every_flux_query_is_valid_and_reads_written_fields() {
    let Some(reader) = flux_reader() else { return tool::may_skip("@influxdata/flux-lsp-node") };
    let (from, to) = ("2026-01-01T00:00:00Z", "2026-01-01T06:00:00Z");
    let queries = flux(&Choice { vantage: "here", servers: &["ntp1"], instance: "", bucket: "ntp", from, to });
    let job: BTreeMap<&str, &str> = queries.iter().map(|query| (query.name.as_str(), query.text.as_str())).collect();
    let (task, document) = (read("influxdb/downsample.flux"), read("docs/DATA_MODEL.md"));
    let examples: Vec<_> = document.split("```flux\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let names: Vec<String> = (1..=examples.len()).map(|n| format!("docs/DATA_MODEL.md, example {n}")).collect();
    let examples = names.iter().map(String::as_str).zip(examples);
    let job: BTreeMap<&str, &str> = job.into_iter().chain(examples).chain([("the task", task.as_str())]).collect();
    let reports = tool::converse(Command::new("node").arg(reader), &json!(job));
    let written = recorded::schema(&recorded::lines());
    let mut faults = Vec::new();
    for name in job.keys() {
        let report = &reports[*name];
        let reads = report["reads"].as_array().unwrap();
        faults.extend(report["faults"].as_array().unwrap().iter().map(|fault| format!("{name}: {fault}")));
        assert!(!reads.is_empty() || !faults.is_empty(), "{name} reads nothing");
        faults.extend(reads.iter().flat_map(|read| unknown(read, &written)).map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Fields that a query reads and that are never written.
fn unknown(read: &Value, written: &Schema) -> Vec<String> {
    let measurement = text(read, "measurement");
    let names =
        |key: &str| read[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap_or_default().to_owned());
    let nothing = BTreeSet::new();
    let (fields, tags) = (written.fields.get(measurement), written.tags.get(measurement));
    let strange_fields = names("fields").filter(|name| !fields.unwrap_or(&nothing).contains(name));
    let strange_tags = names("columns").filter(|name| !tags.unwrap_or(&nothing).contains(name));
    strange_fields.chain(strange_tags).map(|name| format!("{measurement} has no {name}")).collect()
}

/// All shipped Flux queries, filled in.
fn flux(choice: &Choice<'_>) -> Vec<Query> {
    let variables = choice.variables("influxdb").into_iter();
    let variables = variables.map(|(name, text)| Query { name: format!("variable {name}"), text, is_instant: true });
    choice.queries("influxdb").into_iter().chain(choice.flux_alerts()).chain(variables).collect()
}

/// The reader, in a directory where its parser is installed.
fn flux_reader() -> Option<std::path::PathBuf> {
    let place = tool::place("read-flux");
    std::fs::create_dir_all(&place).unwrap();
    for name in ["package.json", "package-lock.json", "read.mjs"] {
        std::fs::copy(root().join("tests/tools/flux").join(name), place.join(name)).unwrap();
    }
    let is_there = place.join("node_modules/@influxdata/flux-lsp-node/package.json").exists();
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund"]).current_dir(&place);
    (is_there || tool::succeeds(&mut install, Duration::from_secs(300))).then(|| place.join("read.mjs"))
}

/// Runs only if `INFLUXD` names a binary of InfluxDB 2 or `INFLUX_URL` a server.
#[actix_rt::test]
async fn every_flux_query_finds_data_in_a_real_influxdb() {
    let Some(influx) = Influx::find().await else { return };
    influx.write(&recorded::lines()).await;
    let now = jiff::Timestamp::now();
    let [from, to] = [now - jiff::SignedDuration::from_hours(6), now].map(|at| at.to_string());
    let servers = ["ntp1", "ntp2", "ntp3", "ntp4", "ntp5"];
    let choice = Choice {
        vantage: recorded::VANTAGE,
        servers: &servers,
        instance: "",
        bucket: &influx.bucket,
        from: &from,
        to: &to,
    };
    let mut empty = Vec::new();
    for query in flux(&choice) {
        if influx.rows(&query.text).await.is_empty() {
            empty.push(format!("{}\n{}", query.name, query.text));
        }
    }
    influx.clean_up().await;
    assert!(empty.is_empty(), "{} find nothing:\n{}", empty.len(), empty.join("\n"));
}
