//! The dashboards and alert rules in `grafana/` and `prometheus/`: their queries, with the variables filled in.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The values of the variables: servers, vantage and tag.
pub struct Choice<'a> {
    pub vantage: &'a str,
    pub servers: &'a [&'a str],
    /// The instance that Prometheus scrapes.
    pub instance: &'a str,
    /// The bucket of InfluxDB, and the first and last moment to show (RFC 3339).
    pub bucket: &'a str,
    pub from: &'a str,
    pub to: &'a str,
}

/// A query, as Grafana would send it.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its dashboard and panel.
    pub name: String,
    pub text: String,
    /// Whether it queries the newest value, not a time series.
    pub is_instant: bool,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Both dashboards of a data source.
pub fn dashboards(source: &str) -> [Value; 2] {
    ["overview", "server"]
        .map(|name| serde_json::from_str(&read(&format!("grafana/dashboards/{source}/{name}.json"))).unwrap())
}

/// The panels of a dashboard without its rows.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

impl Choice<'_> {
    /// The queries of all panels and annotations of a data source, filled in.
    pub fn queries(&self, source: &str) -> Vec<Query> {
        dashboards(source).iter().flat_map(|dashboard| self.of_dashboard(dashboard)).collect()
    }

    fn of_dashboard(&self, dashboard: &Value) -> Vec<Query> {
        let query = |name: &str, it: &Value| Query {
            name: format!("{}: {name}", text(dashboard, "title")),
            text: self.fill([text(it, "expr"), text(it, "query")].concat().as_str()),
            is_instant: it["instant"] == true,
        };
        let of_panel = |panel: &Value| {
            let targets = panel["targets"].as_array().unwrap();
            let of_target = |target| query(&format!("{} {}", text(panel, "title"), text(target, "refId")), target);
            targets.iter().map(of_target).collect::<Vec<_>>()
        };
        let of_mark = |mark: &Value| {
            let target = if mark["target"].is_null() { mark } else { &mark["target"] };
            query(&format!("event {}", text(mark, "name")), target)
        };
        let marks = dashboard["annotations"]["list"].as_array().unwrap();
        panels(dashboard).flat_map(of_panel).chain(marks.iter().map(of_mark)).collect()
    }

    /// The queries of the variables, by the name of the variable.
    pub fn variables(&self, source: &str) -> Vec<(String, String)> {
        let of_dashboard = |dashboard: &Value| {
            let list = dashboard["templating"]["list"].as_array().unwrap().clone();
            let asked = list.into_iter().filter(|variable| variable["type"] == "query");
            let query = |it: &Value| it["query"].as_str().or(it["query"]["query"].as_str()).unwrap().to_owned();
            asked.map(|it| (text(&it, "name").to_owned(), self.fill(&query(&it)))).collect::<Vec<_>>()
        };
        dashboards(source).iter().flat_map(of_dashboard).collect()
    }

    /// Replaces variables and macros as Grafana does; none may remain.
    pub fn fill(&self, query: &str) -> String {
        let servers = self.servers.join("|");
        let quoted = |text: &str| format!("\"{text}\"");
        let values = [
            ("${vantage:doublequote}", quoted(self.vantage)),
            ("$vantage", self.vantage.to_owned()),
            ("$instance", self.instance.replace('.', "\\\\.")),
            ("${server:regex}", format!("({servers})")),
            ("$server", servers),
            ("${tag:raw}", if query.contains("ntp_monitor") { "tag_site" } else { "site" }.to_owned()),
            ("${tag_value:regex}", "(odd|even)".to_owned()),
            ("$tag_value", "odd|even".to_owned()),
            ("$__range", "6h".to_owned()),
            ("v.defaultBucket", quoted(self.bucket)),
            ("v.timeRangeStart", self.from.to_owned()),
            ("v.timeRangeStop", self.to.to_owned()),
            ("v.windowPeriod", "1m0s".to_owned()),
        ];
        let filled = values.iter().fold(query.to_owned(), |text, (name, value)| text.replace(name, value));
        assert!(!filled.replace("$/", "").contains('$'), "a variable is not known: {filled}");
        filled
    }

    /// The Flux of the alert rules.
    pub fn flux_alerts(&self) -> Vec<Query> {
        let file = read("grafana/provisioning/alerting/influxdb.yaml");
        let mut queries = Vec::new();
        for (at, line) in file.lines().enumerate().filter(|(_, line)| line.trim() == "query: |-") {
            let indent = line.len() - line.trim_start().len();
            let is_deeper = |line: &&str| line.is_empty() || line.len() - line.trim_start().len() > indent;
            let lines: Vec<&str> = file.lines().skip(at + 1).take_while(is_deeper).collect();
            let name = format!("alert {}", queries.len() + 1);
            queries.push(Query { name, text: self.fill(&lines.join("\n")), is_instant: true });
        }
        queries
    }
}

/// The expressions of a rule file, which the generator writes as one line of JSON each.
pub fn expressions(path: &str) -> Vec<String> {
    let file = read(path);
    file.lines().filter_map(|line| serde_json::from_str(line.trim().strip_prefix("expr: ")?).ok()).collect()
}
