//! `Retry-After`: how long a server asks its client to wait.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The wait that `Retry-After` asks for: seconds, with or without a fraction, or a date. A date counts from the `Date`
/// of the same response, so it does not depend on this host's clock; without one, from this host's time. A date in the
/// past is a wait of zero. `None` if there is no such header or it cannot be parsed.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds(text).or_else(|| until(httpdate::parse_http_date(text).ok()?, headers))
}

/// A number of seconds, rounded up to milliseconds. A number that is too large for a duration is the longest one.
#[must_use]
pub fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0)?;
    Some(Duration::try_from_secs_f64((seconds * 1000.0).ceil() / 1000.0).unwrap_or(Duration::MAX))
}

fn until(at: SystemTime, headers: &HeaderMap) -> Option<Duration> {
    let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?.trim()).ok());
    Some(at.duration_since(sent.unwrap_or_else(SystemTime::now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn wait(retry_after_: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after_).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn seconds_and_fractions_are_read() {
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 1.5 ", None), Some(Duration::from_millis(1500)));
        assert_eq!(wait("0.0001", None), Some(Duration::from_millis(1)));
        assert_eq!(wait("99999999999999999999", None), Some(Duration::MAX));
        for bad in ["", "-3", "soon", "NaN", "1,5"] {
            assert_eq!(wait(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn date_counts_from_the_date_of_the_response() {
        let sent = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for at in ["Sun, 06 Nov 1994 08:51:37 GMT", "Sunday, 06-Nov-94 08:51:37 GMT", "Sun Nov  6 08:51:37 1994"] {
            assert_eq!(wait(at, sent), Some(Duration::from_secs(120)), "{at}");
        }
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", sent), Some(Duration::ZERO));
    }

    #[test]
    fn date_without_a_date_of_the_response_counts_from_now() {
        let at = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let found = wait(&at, None).unwrap();
        assert!((98..=100).contains(&found.as_secs()), "{found:?}");
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(Duration::ZERO));
    }
}
