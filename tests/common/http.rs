//! A blocking client of the API, for tests that run the program itself.

use std::net::SocketAddr;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// A client for one service.
pub struct Client {
    base: String,
    client: reqwest::Client,
    runtime: Runtime,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    /// Checks that it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Client {
    pub fn of(address: SocketAddr) -> Self {
        Self::with(reqwest::Client::builder(), format!("http://{address}"))
    }

    pub fn with(builder: reqwest::ClientBuilder, base: String) -> Self {
        let client = builder.no_proxy().timeout(super::wait::PATIENCE).build().unwrap();
        Self { base, client, runtime: Builder::new_current_thread().enable_all().build().unwrap() }
    }

    /// The host and port that requests go to.
    pub fn address(&self) -> &str {
        self.base.split_once("://").map_or("", |(_, address)| address)
    }

    /// Sends a request with these headers and an optional body as JSON.
    #[track_caller]
    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let json: &[(&str, &str)] = if body.is_some() { &[("Content-Type", "application/json")] } else { &[] };
        self.send_text(method, path, &[headers, json].concat(), &body.map(Value::to_string).unwrap_or_default())
    }

    /// Sends a request with these headers and this body.
    #[track_caller]
    pub fn send_text(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Reply { status, headers, text: response.text().await.unwrap() }
        })
    }

    /// Sends a request; an error if there is no response.
    pub fn try_ask(&self, method: Method, path: &str) -> reqwest::Result<u16> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        self.runtime.block_on(async { request.send().await.map(|response| response.status().as_u16()) })
    }

    #[track_caller]
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask(Method::GET, path, headers, None)
    }
}
