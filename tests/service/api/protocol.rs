//! HTTP features: caching, HEAD, problems, the documents, tokens.

use super::*;

#[actix_rt::test]
async fn the_version_and_configuration_are_shown() {
    let running = three().await;
    let version = running.get("/api/v1/version").await.json();
    assert_eq!(keys(&version), ["name", "version", "api", "vantage", "started", "fleet_hub", "fleet_agent"]);
    assert_eq!((&version["name"], &version["vantage"]), (&json!("ntp-monitor"), &json!("here")));
    let config = running.get("/api/v1/config").await.json();
    assert_eq!(keys(&config), ["values", "sources"]);
    assert_eq!(config["values"]["http"]["listen"], "127.0.0.1:0");
    assert_eq!(config["sources"]["store.raw_for"], "default");
    running.stop().await;
}

#[actix_rt::test]
async fn known_answer_is_not_resent_and_large_ones_are_compressed() {
    let running = three().await;
    let first = running.get("/api/v1/config").await;
    assert_eq!(first.header("cache-control"), "no-cache");
    let again = running.get_with("/api/v1/config", &[("If-None-Match", first.header("etag"))]).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), first.header("etag"));
    let other = running.get_with("/api/v1/config", &[("If-None-Match", "W/\"other\"")]).await;
    assert_eq!(other.status, 200);
    let packed = running.get_with("/api/v1/servers", &[("Accept-Encoding", "identity;q=0.5, gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    running.stop().await;
}

#[actix_rt::test]
async fn head_request_is_answered_for_every_get_path() {
    let running = three().await;
    for path in ["/", "/plain", "/health", "/metrics", "/api/openapi.json", "/api/v1/servers", "/api/v1/stream"] {
        let answer = running.send(reqwest::Method::HEAD, path, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
        assert!(!answer.header("content-type").is_empty(), "{path}");
    }
    assert_eq!(running.send(reqwest::Method::HEAD, "/api/v1/servers/nobody", &[]).await.status, 404);
    running.stop().await;
}

#[actix_rt::test]
async fn unknown_paths_and_methods_are_problem_documents() {
    let running = three().await;
    assert_problem(&running.get("/api/v1/").await, 404);
    assert_problem(&running.get("/api/v1/nothing").await, 404);
    assert_problem(&running.get("/../../etc/passwd").await, 404);
    assert_problem(&running.get("/nothing").await, 404);
    assert_problem(&running.send(reqwest::Method::DELETE, "/api/v1/servers/alpha", &[]).await, 401);
    assert_problem(&running.send(reqwest::Method::POST, "/health", &[]).await, 405);
    running.stop().await;
}

#[actix_rt::test]
async fn plain_page_shows_names_as_text_and_has_no_script() {
    let running = three().await;
    let page = running.get("/plain").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(!page.text.contains("<script>alert"), "a name became an element");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(running.get("/plain.css").await.header("content-type"), "text/css; charset=utf-8");
    for path in ["/assets/../../Cargo.toml", "/..%2f..%2fCargo.toml", "/assets/nothing.js", "//etc/passwd"] {
        let answer = running.get_with(path, &[("Accept", "application/json")]).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    running.stop().await;
}

#[actix_rt::test]
async fn every_documented_path_answers_as_documented() {
    let running = three().await;
    let document = running.get("/api/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 16, "{:?}", paths.keys());
    let readable = paths.iter().filter(|(path, item)| !path.ends_with("/stream") && item.get("get").is_some());
    for (path, item) in readable {
        let documented = |status: u16| item["get"]["responses"].get(status.to_string()).is_some();
        for query in ["", "?unknown=1", "?target=alpha"] {
            let answer = running.get(&format!("{}{query}", path.replace("{id}", "alpha"))).await;
            assert!(documented(answer.status), "{path}{query}: {}", answer.status);
        }
    }
    let docs = running.get("/api/docs").await;
    assert!(docs.text.contains("/api/v1/servers/{id}/stability") && !docs.text.contains("<script"));
    running.stop().await;
}

#[actix_rt::test]
async fn sent_token_is_always_checked_and_its_hash_never_shown() {
    use sha2::Digest;
    let hash: String = sha2::Sha256::digest(b"a token of ours").iter().map(|byte| format!("{byte:02x}")).collect();
    let tokens = json!([{ "name": "page", "role": "operate", "sha256": hash }]);
    let running = Running::start(&[("alpha", Script::good())], json!({ "http": { "tokens": tokens } })).await;
    let with = async |token: &str| {
        let bearer = format!("Bearer {token}");
        running.get_with("/api/v1/config", &[("Authorization", bearer.as_str())]).await
    };
    let shown = with("a token of ours").await;
    assert_eq!(shown.json()["values"]["http"]["tokens"][0]["name"], "page");
    assert!(!shown.text.contains(&hash), "{shown:?}");
    let refused = with("another").await;
    assert_problem(&refused, 401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let known = [("Authorization", "Bearer a token of ours")];
    assert_problem(&running.send(reqwest::Method::DELETE, "/api/v1/servers/alpha", &known).await, 403);
    for _ in 0..9 {
        assert_problem(&with("another").await, 401);
    }
    assert_problem(&with("another").await, 429);
    assert_eq!(with("a token of ours").await.status, 200);
    assert_eq!(running.get("/ready").await.header("content-type"), "application/json");
    running.stop().await;
}
