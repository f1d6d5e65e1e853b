//! Queries the service that runs on this host through its API.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::app::beacon::{self, Record, Start};
use crate::config::Inputs;
use crate::outbound::failure;

/// The running service that the command line and the environment refer to, if any.
///
/// # Errors
/// When it cannot be determined which one is meant.
pub(super) fn meant(inputs: &Inputs) -> Result<Option<Record>, String> {
    let start = Start::of(inputs);
    let mut found = beacon::find().map_err(|why| format!("cannot look for the service: {why}"))?;
    found.retain(|record| start.means(&record.start));
    match (found.pop(), found.len()) {
        (only, 0) => Ok(only),
        (_, others) => Err(format!("{} services run here: name one with --config", others + 1)),
    }
}

/// The status and the JSON of the response for `path`.
///
/// # Errors
/// Why there is no such response.
pub(super) async fn get(record: &Record, path: &str, timeout: Duration) -> Result<(u16, Value), String> {
    // The service is on this host, and its address comes from the service itself. Its certificate has other names.
    let mut client = reqwest::Client::builder().http1_only().no_proxy().timeout(timeout);
    client = client.danger_accept_invalid_certs(true);
    if let Some(name) = &record.unix {
        client =
            client.unix_socket(PathBuf::from(name.strip_prefix('@').map_or(name.clone(), |name| format!("\0{name}"))));
    }
    let no_answer = |why| format!("no answer: {}", failure(why));
    let client = client.build().map_err(no_answer)?;
    let request = client.get(format!("{}{path}", record.url)).bearer_auth(&record.token);
    let response = request.send().await.map_err(no_answer)?;
    let status = response.status().as_u16();
    Ok((status, response.json().await.map_err(no_answer)?))
}
