//! A Prometheus on a free port of loopback that scrapes one target each second, ended with the test.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

pub struct Prometheus {
    child: Child,
    base: String,
    client: reqwest::Client,
    _data: TempDir,
}

impl Prometheus {
    /// Starts a server that scrapes `target` (`host:port`).
    pub fn scraping(target: &str) -> Self {
        Self::with_past(target, "")
    }

    /// The same with stored history: series in the OpenMetrics format, each value with its time.
    pub fn with_past(target: &str, past: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        if !past.is_empty() {
            remember(data.path(), past);
        }
        let config = data.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: ntp\n    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus must be installed (make test does it)");
        let client = reqwest::Client::builder().timeout(WITHIN).no_proxy().build().unwrap();
        Self { child, base: format!("http://127.0.0.1:{port}"), client, _data: data }
    }

    /// The series of an instant query, once `wanted` accepts them.
    pub async fn query_until(&self, query: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let found = self.query(query).await.unwrap_or_default();
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{query} never came to be as wanted: {found:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn query(&self, query: &str) -> Option<Vec<Value>> {
        let body = self.ask("query", &[("query", query)]).await?;
        body["data"]["result"].as_array().cloned()
    }

    /// The response of `/api/v1/{what}`, including errors of queries.
    pub async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let request = self.client.get(format!("{}/api/v1/{what}", self.base)).query(parameters);
        serde_json::from_str(&request.send().await.ok()?.text().await.ok()?).ok()
    }
}

/// Writes history as blocks into the directory of a server that has not started yet.
fn remember(data: &Path, past: &str) {
    let file = data.join("past.txt");
    std::fs::write(&file, past).unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&file).arg(data.join("tsdb"));
    let output = promtool.output().expect("promtool must be installed (make test does it)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The complaints of `promtool check metrics`; empty if there are none.
pub fn complaints(metrics: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool must be installed (make test does it)");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    if output.status.success() { said } else { format!("{} {said}", output.status) }
}
