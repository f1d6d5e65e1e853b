//! The service below a path of a reverse proxy, which either keeps the path or removes it.

use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::http::{Client, Reply};
use crate::common::monitor::{Home, Monitor, own};

const TOKEN: &str = "an administrator's token";
const ADMIN: (&str, &str) = ("Authorization", "Bearer an administrator's token");

struct Scene {
    _home: Home,
    _monitor: Monitor,
    client: Client,
}

impl Scene {
    fn open(keys: &str) -> Self {
        let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        let home = Home::with("");
        home.write(&format!(
            "[monitor]\nvantage = \"here\"\ndata_dir = {:?}\n[csv]\nenabled = false\n[http]\nlisten = \"127.0.0.1:0\"\n\
             {keys}\n[[http.tokens]]\nname = \"admin\"\nrole = \"admin\"\nsha256 = \"{hash}\"\n{}",
            home.data(),
            own("alpha", "127.0.0.1:9".parse().unwrap()),
        ));
        let mut monitor = home.start();
        let base = format!("http://{}", monitor.http());
        let client = Client::with(reqwest::Client::builder().redirect(Policy::none()), base);
        Self { _home: home, _monitor: monitor, client }
    }

    #[track_caller]
    fn get(&self, path: &str, prefix: Option<&str>) -> Reply {
        let headers: Vec<_> = prefix.map(|prefix| ("X-Forwarded-Prefix", prefix)).into_iter().collect();
        self.client.get(path, &headers)
    }

    /// The address of the API according to the API document.
    #[track_caller]
    fn servers(&self, path: &str, prefix: Option<&str>) -> Value {
        self.get(path, prefix).is(200).json()["servers"].clone()
    }
}

#[test]
fn everything_is_served_below_the_base_path_and_at_the_root() {
    let scene = Scene::open("base_path = \"/a/ntp\"");
    let moved = scene.get("/a/ntp", None).is(308);
    assert_eq!(moved.header("location"), "/a/ntp/");
    for below in ["/a/ntp", ""] {
        for path in ["/", "/plain", "/plain.css", "/api/v1/servers?limit=1", "/api/docs", "/metrics"] {
            scene.get(&format!("{below}{path}"), None).is(200);
        }
    }
    for elsewhere in ["/a/ntpd/metrics", "/a/metrics", "/a/ntp/a/ntp/metrics"] {
        scene.get(elsewhere, None).is(404);
    }
    assert_eq!(scene.servers("/a/ntp/api/openapi.json", None), json!([{ "url": "/a/ntp" }]));
    let login = scene.client.ask(Method::POST, "/a/ntp/api/v1/session", &[], Some(&json!({ "token": TOKEN }))).is(200);
    assert!(login.header("set-cookie").contains("; Path=/a/ntp/; "), "{login:?}");
    let report = scene.client.ask(Method::POST, "/a/ntp/api/v1/reports", &[ADMIN], Some(&json!({ "since": "1h" })));
    let place = report.is(201).header("location");
    assert!(place.starts_with("/a/ntp/api/v1/reports/"), "{place}");
    scene.get(&place, None).is(200);
}

#[test]
fn pages_have_no_absolute_links() {
    let scene = Scene::open("");
    for path in ["/", "/plain", "/api/docs"] {
        let page = scene.get(path, None).is(200).text;
        assert!(!page.contains("href=\"/") && !page.contains("src=\"/"), "{path}: {page}");
    }
    assert_eq!(scene.servers("/api/openapi.json", None), Value::Null);
}

#[test]
fn forwarded_prefix_is_used_from_trusted_proxies_only() {
    let trusting = Scene::open("trusted_proxies = [\"127.0.0.1\"]");
    assert_eq!(trusting.servers("/api/openapi.json", Some("/ntp")), json!([{ "url": "/ntp" }]));
    assert_eq!(trusting.servers("/ntp/api/openapi.json", Some("/ntp/")), json!([{ "url": "/ntp" }]));
    assert_eq!(trusting.servers("/api/openapi.json", Some("//evil.example")), Value::Null);
    let other = Scene::open("trusted_proxies = [\"192.0.2.1\"]");
    assert_eq!(other.servers("/api/openapi.json", Some("/ntp")), Value::Null);
    other.get("/ntp/metrics", Some("/ntp")).is(404);
}
