//! A real InfluxDB 2, if available: the server at `INFLUX_URL` (with `INFLUX_TOKEN` and `INFLUX_ORG`), or one that is
//! started from the binary that `INFLUXD` names. Data goes to a separate bucket, which is removed.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

const READY_WITHIN: Duration = Duration::from_secs(60);
const TOKEN: &str = "token-of-a-test";
const ORG: &str = "test";

/// The server, and the bucket in it.
pub struct Influx {
    base: String,
    token: String,
    org: String,
    pub bucket: String,
    bucket_id: String,
    client: Client,
    _started: Option<Started>,
}

/// A server that the test started, ended with the test.
struct Started {
    child: Child,
    _data: TempDir,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Influx {
    /// `None` when neither variable is set.
    pub async fn find() -> Option<Self> {
        let client = Client::builder().timeout(READY_WITHIN).no_proxy().build().unwrap();
        let of = |name: &str| std::env::var(name).ok();
        let mut influx = if let Some(base) = of("INFLUX_URL") {
            let (token, org) = (of("INFLUX_TOKEN").unwrap(), of("INFLUX_ORG").unwrap());
            Self { base, token, org, bucket: String::new(), bucket_id: String::new(), client, _started: None }
        } else {
            Self::start(&of("INFLUXD")?, client).await
        };
        influx.make_bucket().await;
        Some(influx)
    }

    async fn start(binary: &str, client: Client) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let child = Command::new(binary)
            .arg(format!("--http-bind-address=127.0.0.1:{port}"))
            .arg(format!("--bolt-path={}", data.path().join("bolt").display()))
            .arg(format!("--sqlite-path={}", data.path().join("sqlite").display()))
            .arg(format!("--engine-path={}", data.path().join("engine").display()))
            .arg("--reporting-disabled")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("INFLUXD names a binary");
        let base = format!("http://127.0.0.1:{port}");
        let (token, org) = (TOKEN.to_owned(), ORG.to_owned());
        let started = Some(Started { child, _data: data });
        let influx =
            Self { base, token, org, bucket: String::new(), bucket_id: String::new(), client, _started: started };
        influx.set_up().await;
        influx
    }

    async fn set_up(&self) {
        // A server that starts answers 503 to everything but /health and /ready.
        let deadline = Instant::now() + READY_WITHIN;
        while !self.is_ready().await {
            assert!(Instant::now() < deadline, "influxd is not ready");
            // The other process sends no notification, so poll.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let owner =
            json!({ "username": "test", "password": "test-test", "org": ORG, "bucket": "first", "token": TOKEN });
        self.send(self.request(Method::POST, "setup").body(owner.to_string())).await;
    }

    async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/ready", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn make_bucket(&mut self) {
        self.bucket = format!("ntp-monitor-test-{:08x}", rand::random::<u32>());
        self.bucket_id = self.create_bucket(&self.bucket, 0).await;
    }

    /// Creates a bucket with a retention in seconds (0: unlimited). Returns its id.
    pub async fn create_bucket(&self, name: &str, keep_s: u64) -> String {
        let orgs = self.send(self.request(Method::GET, "orgs").query(&[("org", &self.org)])).await;
        let orgs: Value = serde_json::from_str(&orgs).unwrap();
        let rules = if keep_s == 0 { json!([]) } else { json!([{ "type": "expire", "everySeconds": keep_s }]) };
        let bucket = json!({ "name": name, "orgID": orgs["orgs"][0]["id"], "retentionRules": rules });
        let made = self.send(self.request(Method::POST, "buckets").body(bucket.to_string())).await;
        serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Removes a bucket by its id.
    pub async fn remove_bucket(&self, id: &str) {
        self.send(self.request(Method::DELETE, &format!("buckets/{id}"))).await;
    }

    /// `url`, `token` and `org` of its configuration.
    pub fn place(&self) -> [&str; 3] {
        [&self.base, &self.token, &self.org]
    }

    pub async fn write(&self, lines: &[u8]) {
        let place = [("org", &self.org), ("bucket", &self.bucket)];
        self.send(self.request(Method::POST, "write").query(&place).body(lines.to_vec())).await;
    }

    /// The rows that a query finds, as CSV without comments and headers.
    pub async fn rows(&self, flux: &str) -> Vec<String> {
        let job = json!({ "query": flux, "type": "flux", "dialect": { "header": false, "annotations": [] } });
        let request = self.request(Method::POST, "query").query(&[("org", &self.org)]).body(job.to_string());
        let csv = self.send(request.header("Accept", "application/csv")).await;
        csv.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }

    pub async fn clean_up(self) {
        self.remove_bucket(&self.bucket_id).await;
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}/api/v2/{path}", self.base));
        request.header("Authorization", format!("Token {}", self.token)).header("Content-Type", "application/json")
    }

    async fn send(&self, request: RequestBuilder) -> String {
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {body}");
        body
    }
}
