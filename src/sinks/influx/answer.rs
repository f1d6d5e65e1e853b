//! Decides from the response to a write what happens to its lines. Pure. Success is 204 without a page; after any other
//! response the lines are kept.

use std::time::Duration;

use reqwest::StatusCode;

use crate::outbound::short;

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The database accepted every line.
    Done,
    /// The database accepted the lines, except for this number of lines that are older than its bucket keeps points.
    TooOld {
        lines: usize,
        /// The database's message.
        reason: String,
    },
    /// The failure may be temporary (429, 5xx, no connection): send the same lines again later.
    Retry {
        reason: String,
        /// The time to wait that the server asked for.
        after: Option<Duration>,
    },
    /// The request took too long (a time-out, 408, 504): send fewer lines at a time.
    TooSlow {
        reason: String,
        /// The time to wait that the server asked for.
        after: Option<Duration>,
    },
    /// The request is larger than the server accepts (413).
    TooLarge,
    /// The database rejects lines (400, 422). It may have kept the good ones.
    Invalid(Rejection),
    /// The server rejects the client, not the lines (401, 403, 404, a redirect, any other 4xx), or is no InfluxDB: an
    /// operator must act.
    Paused(String),
}

impl WriteOutcome {
    /// Whether the database needs none of the lines again.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self, Self::Done | Self::TooOld { .. })
    }
}

/// Why a database rejects lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejection {
    /// The database's message, with advice.
    pub reason: String,
    /// The number of lines that the database says it dropped; it kept the others.
    pub dropped: Option<usize>,
    /// The measurement and the field that have another type in the bucket.
    pub conflict: Option<(String, String)>,
}

/// An answer to a request.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub status: StatusCode,
    /// Whether the content type is HTML.
    pub is_html: bool,
    /// The time to wait that the server asked for.
    pub after: Option<Duration>,
    /// The beginning of the body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    pub(super) fn judge(&self) -> WriteOutcome {
        let (reason, after) = (self.reason(), self.after);
        match self.status.as_u16() {
            204 if !self.is_page() => WriteOutcome::Done,
            200..=299 => WriteOutcome::Paused(format!(
                "{reason}: InfluxDB answers a write with 204 and nothing else; check url, and for a sign-in page or a proxy"
            )),
            413 => WriteOutcome::TooLarge,
            408 | 504 => WriteOutcome::TooSlow { reason, after },
            429 | 500.. => WriteOutcome::Retry { reason, after },
            // The text of Go's HTTP library.
            400 if self.text().contains("HTTP request to an HTTPS server") => {
                WriteOutcome::Paused(reason + ": url must begin with https://")
            }
            400 | 422 if !self.is_page() => self.rejection(reason),
            status => WriteOutcome::Paused(reason + self.hint(status)),
        }
    }

    /// Whether a write without points was rejected only because of that, so the token may write to the bucket.
    pub(super) fn lacks_only_points(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 422) && !self.is_page() && self.message().is_some()
    }

    fn rejection(&self, reason: String) -> WriteOutcome {
        let message = self.text();
        let dropped = number_after(&message, "dropped=").or_else(|| number_after(&message, "dropped "));
        if message.to_lowercase().contains("retention policy")
            && let Some(lines) = dropped
        {
            return WriteOutcome::TooOld { lines, reason };
        }
        let conflict = conflict(&message);
        let remedy = if message.contains("type conflict") {
            "; another program, or an earlier release, writes this field with another type: configure another bucket, or \
             stop that program and delete its points"
        } else {
            ""
        };
        let dropped = dropped.filter(|_| message.contains("partial write"));
        WriteOutcome::Invalid(Rejection { reason: reason + remedy, dropped, conflict })
    }

    /// The status with InfluxDB's message (`{"code": …, "message": …}`), or the beginning of any other body.
    fn reason(&self) -> String {
        let text = self.text();
        if text.trim().is_empty() { self.status.to_string() } else { format!("{}: {}", self.status, short(&text)) }
    }

    fn text(&self) -> String {
        self.message().unwrap_or_else(|| String::from_utf8_lossy(self.body).into_owned())
    }

    fn message(&self) -> Option<String> {
        let json: serde_json::Value = serde_json::from_slice(self.body).ok()?;
        Some(json.get("message")?.as_str()?.to_owned())
    }

    fn is_page(&self) -> bool {
        self.is_html || self.body.trim_ascii_start().starts_with(b"<")
    }

    fn hint(&self, status: u16) -> &'static str {
        match status {
            300..=399 => " (redirects are not followed: configure the final URL)",
            400 | 422 => " (a page and not an answer of InfluxDB: check url)",
            401 => " (the database rejects the token: check the token)",
            403 if self.message().is_some() => {
                " (the token may not write to this bucket: check the token and its rights)"
            }
            403 => " (the server, or a proxy, denies access)",
            404 if self.message().is_some() => " (check org and bucket)",
            404 | 405 => " (no InfluxDB 2 at this URL: check url)",
            407 => " (the proxy asks for a user and a password: check proxy)",
            _ => "",
        }
    }
}

/// The number that follows `before` in a text.
fn number_after(text: &str, before: &str) -> Option<usize> {
    text.match_indices(before).find_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
    })
}

/// Measurement and field of: input field "F" on measurement "M" is type T, already exists as type U.
fn conflict(message: &str) -> Option<(String, String)> {
    let rest = message.split_once("input field \"")?.1;
    let (field, rest) = rest.split_once("\" on measurement \"")?;
    Some((rest.split_once('"')?.0.to_owned(), field.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFLICT: &str = "partial write: field type conflict: input field \"v\" on measurement \"m\" is type float, \
                            already exists as type integer dropped=7";

    fn answer(status: u16, body: &str) -> WriteOutcome {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, is_html: false, after: None, body: body.as_bytes() }.judge()
    }

    fn json(message: &str) -> String {
        serde_json::json!({ "code": "x", "message": message }).to_string()
    }

    #[test]
    fn success_is_204_without_a_page() {
        assert_eq!(answer(204, ""), WriteOutcome::Done);
        for (status, body) in [(200, ""), (200, "<html>Sign in"), (202, "queued"), (204, "<p>"), (201, &json("ok"))] {
            let WriteOutcome::Paused(reason) = answer(status, body) else { panic!("{status} {body} is a success") };
            assert!(reason.starts_with(&status.to_string()) && reason.contains("check url"), "{reason}");
        }
        let page = Answer { status: StatusCode::NO_CONTENT, is_html: true, after: None, body: b"" };
        assert!(matches!(page.judge(), WriteOutcome::Paused(_)));
    }

    #[test]
    fn points_beyond_the_retention_are_counted() {
        for (message, count) in [
            ("failure writing points to database: partial write: points beyond retention policy dropped=4764", 4764),
            ("partial write: dropped 3 points outside retention policy of duration 1h0m0s - oldest point m at 1", 3),
        ] {
            let outcome = answer(422, &json(message));
            assert!(matches!(outcome, WriteOutcome::TooOld { lines, .. } if lines == count), "{outcome:?}");
        }
    }

    #[test]
    fn type_conflict_names_the_field_and_the_remedy() {
        let WriteOutcome::Invalid(rejection) = answer(422, &json(CONFLICT)) else { panic!("not invalid") };
        assert_eq!(rejection.conflict, Some(("m".to_owned(), "v".to_owned())));
        assert_eq!(rejection.dropped, Some(7));
        assert!(rejection.reason.contains("configure another bucket"), "{}", rejection.reason);
        let WriteOutcome::Invalid(rejection) = answer(400, &json("unable to parse 'x': missing fields")) else {
            panic!()
        };
        assert_eq!((rejection.conflict, rejection.dropped), (None, None));
    }

    #[test]
    fn page_is_never_taken_for_a_rejection_of_lines() {
        for status in [400, 422] {
            assert!(matches!(answer(status, "\n<!DOCTYPE html>"), WriteOutcome::Paused(_)), "{status}");
        }
    }

    #[test]
    fn http_to_a_tls_port_is_no_rejection_of_lines() {
        let WriteOutcome::Paused(reason) = answer(400, "Client sent an HTTP request to an HTTPS server.\n") else {
            panic!("lines are rejected")
        };
        assert!(reason.ends_with("url must begin with https://"), "{reason}");
    }

    #[test]
    fn answer_that_needs_an_operator_names_the_remedy() {
        for (status, body, part) in [
            (307, "", "final URL"),
            (308, "", "final URL"),
            (401, &*json("unauthorized access"), "check the token"),
            (403, &*json("insufficient permissions for write"), "its rights"),
            (403, "<html>", "a proxy"),
            (404, &*json("bucket \"ntp\" not found"), "check org and bucket"),
            (404, "404 page not found", "check url"),
            (407, "", "check proxy"),
        ] {
            let WriteOutcome::Paused(reason) = answer(status, body) else { panic!("{status} does not pause") };
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn reason_is_one_short_line() {
        assert!(matches!(answer(502, " "), WriteOutcome::Retry { reason, .. } if reason == "502 Bad Gateway"));
        let WriteOutcome::Retry { reason, .. } = answer(502, &"x\n".repeat(9000)) else { panic!("not retried") };
        assert!(reason.len() < 400 && !reason.contains('\n'), "{reason}");
    }
}
