//! A Prometheus on a free port of loopback that scrapes one target each second, ended with the test.

use std::io::Write;
use std::net::TcpListener;
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
    /// Starts a server that scrapes `target` (`host:port`); `rules` are its recording and alerting rules.
    pub fn scraping(target: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
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

    /// The series of an instant query (which must be URL-safe), once they are as wanted.
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
        let answer = self.client.get(format!("{}/api/v1/query?query={query}", self.base)).send().await.ok()?;
        let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        body["data"]["result"].as_array().cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `promtool check metrics` complains about; empty when it is content.
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
