//! Request bodies: bounded JSON, rejected with a reason.

use std::time::Duration;

use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::problem::Problem;

/// The limit of `web::Json`. Only the configuration file needs more.
const USUAL: usize = 64 << 10;
/// Time limit for receiving a body.
const SENT_WITHIN: Duration = Duration::from_secs(20);

/// The settings of `web::Json`, with error responses as problem documents.
#[must_use]
pub fn config() -> web::JsonConfig {
    let refused = |why: JsonPayloadError, _: &HttpRequest| {
        let problem = match &why {
            JsonPayloadError::ContentType => not_json(),
            JsonPayloadError::Overflow { limit } | JsonPayloadError::OverflowKnownLength { limit, .. } => {
                too_large(*limit)
            }
            JsonPayloadError::Deserialize(why) => unreadable(why),
            why => Problem::bad_request(format!("the body cannot be read: {why}")),
        };
        problem.into()
    };
    web::JsonConfig::default().limit(USUAL).error_handler(refused)
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// 415 when it is not declared as JSON, 413 when it is too large, 408 when it arrives too slowly, 400 when it does not
/// match the type.
pub async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    mut payload: web::Payload,
    limit: usize,
) -> Result<T, Problem> {
    if request.content_type() != "application/json" {
        return Err(not_json());
    }
    let body = timeout(SENT_WITHIN, read(&mut payload, limit)).await.map_err(|_| {
        Problem::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} s", SENT_WITHIN.as_secs()))
    })??;
    serde_json::from_slice(&body).map_err(|why| unreadable(&why))
}

async fn read(payload: &mut web::Payload, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|why| Problem::bad_request(format!("the body cannot be read: {why}")))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn not_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON, with Content-Type: application/json")
}

fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body must not be larger than {limit} bytes"))
}

/// The reason repeats keys and types. A value may be a secret, so it is left out.
fn unreadable(why: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", why.line(), why.column());
    let what = match why.classify() {
        serde_json::error::Category::Data => shape(&why.to_string()),
        _ => "it is not JSON".to_owned(),
    };
    Problem::bad_request(format!("the body is invalid at {place}: {what}"))
}

/// Unknown and missing fields are named by serde between backquotes; wrong types quote the value, which is not
/// repeated.
fn shape(why: &str) -> String {
    if why.starts_with("unknown field") || why.starts_with("missing field") {
        why.to_owned()
    } else {
        "a value has the wrong type".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest as _;
    use actix_web::dev::Payload;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use futures_util::stream;

    use super::*;

    type Chunk = Result<web::Bytes, PayloadError>;

    /// The status with which a body is rejected, or the parsed value.
    async fn told(chunks: impl futures_util::Stream<Item = Chunk> + 'static) -> Result<Vec<u8>, u16> {
        let request = TestRequest::default().insert_header(("Content-Type", "application/json")).to_http_request();
        let mut payload: Payload = Payload::Stream { payload: chunks.boxed_local() };
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        json(&request, payload, 8).await.map_err(|problem| problem.status)
    }

    fn of(text: &'static str) -> impl futures_util::Stream<Item = Chunk> {
        stream::iter([Ok(web::Bytes::from_static(text.as_bytes()))])
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        assert_eq!(told(of("[1,").chain(stream::pending())).await, Err(408));
    }

    #[tokio::test]
    async fn a_body_is_bounded_and_may_come_in_pieces() {
        assert_eq!(told(of("[1,").chain(of("2]"))).await, Ok(vec![1, 2]));
        assert_eq!(told(of("[1,2,3,").chain(of("4]"))).await, Err(413));
        assert_eq!(told(of("[1,").chain(of("a]"))).await, Err(400));
    }
}
