//! Strict parsers of request parameters: instants, spans, resolutions and servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::State;
use super::problem::Problem;
use ntp_monitor_core::sample::SeriesKey;

const SECOND_NS: i64 = 1_000_000_000;
/// The longest accepted span.
pub const LONGEST: Duration = Duration::from_secs(20 * 366 * 86_400);

/// A span of the wall clock, `[from, to)`, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub from_ns: i64,
    /// The end, after the start.
    pub to_ns: i64,
}

impl Range {
    /// Parses a span: RFC 3339, `now`, or relative to now, such as `-1h`. The default end is now; without a start the
    /// span is as long as `usual`.
    ///
    /// # Errors
    /// 400 when an instant cannot be parsed, or the span is empty, reversed or longer than 20 years.
    pub fn parse(from: Option<&str>, to: Option<&str>, usual: Duration, now_ns: i64) -> Result<Self, Problem> {
        let to_ns = to.map_or(Ok(now_ns), |text| instant("to", text, now_ns))?;
        let usual_ns = i64::try_from(usual.as_nanos()).unwrap_or(i64::MAX);
        let from_ns = from.map_or(Ok(to_ns.saturating_sub(usual_ns)), |text| instant("from", text, now_ns))?;
        if from_ns >= to_ns {
            return Err(Problem::bad_request("from must be before to"));
        }
        if i128::from(to_ns) - i128::from(from_ns) > LONGEST.as_nanos().cast_signed() {
            return Err(Problem::bad_request("the span is too long: at most 20 years"));
        }
        Ok(Self { from_ns, to_ns })
    }
}

fn instant(name: &str, text: &str, now_ns: i64) -> Result<i64, Problem> {
    let refused = || {
        let examples = "\"2026-11-22T23:00:00Z\", \"now\" or \"-1h\"";
        Problem::bad_request(format!("{name}: {text:?} is not an instant such as {examples}"))
    };
    let relative = text.strip_prefix("now").unwrap_or(text);
    if relative.is_empty() && !text.is_empty() {
        return Ok(now_ns);
    }
    if let Some(span) = relative.strip_prefix('-') {
        let span = humantime::parse_duration(span).map_err(|_| refused())?;
        let span_ns = i64::try_from(span.as_nanos()).map_err(|_| refused())?;
        return now_ns.checked_sub(span_ns).ok_or_else(refused);
    }
    // An unescaped plus sign arrives as a space.
    let repaired = text.replace(' ', "+");
    let time: Timestamp = text.parse().or_else(|_| repaired.parse()).map_err(|_| refused())?;
    i64::try_from(time.as_nanosecond())
        .map_err(|_| Problem::bad_request(format!("{name}: {text:?} is out of range: the years are 1678 to 2261")))
}

/// The requested distance between points: `5m`, `1h`, or seconds.
///
/// # Errors
/// 400 when it cannot be parsed or is zero.
pub fn step(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let step = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    let step = step.ok_or_else(|| Problem::bad_request(format!("step: {text:?} is not a duration such as \"5m\"")))?;
    if step.is_zero() || step > LONGEST {
        return Err(Problem::bad_request("step must be longer than 0 and at most 20 years"));
    }
    Ok(Some(step))
}

/// The requested number of entries, 1 to `most`.
///
/// # Errors
/// 400 when it is not a number, or out of range.
pub fn limit(text: Option<&str>, usual: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(usual) };
    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
    limit.ok_or_else(|| Problem::bad_request(format!("limit: {text:?} is not a number from 1 to {most}")))
}

/// Texts separated by commas.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Tags as `key:value` or `key`, separated by commas.
pub fn tags(text: &str) -> impl Iterator<Item = (String, Option<String>)> + '_ {
    parts(text).map(|part| match part.split_once(':') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (part.to_owned(), None),
    })
}

/// Averaging times in seconds, separated by commas.
///
/// # Errors
/// 400 when one is not a positive number, or there are more than 64.
pub fn taus(text: Option<&str>) -> Result<Option<Vec<f64>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let parsed: Option<Vec<f64>> = text.split(',').map(|tau| tau.trim().parse().ok()).collect();
    match parsed.filter(|taus| taus.len() <= 64 && taus.iter().all(|tau| tau.is_finite() && *tau > 0.0)) {
        Some(taus) => Ok(Some(taus)),
        None => Err(Problem::bad_request("taus must be at most 64 positive numbers of seconds, such as 64,128,256")),
    }
}

/// A server, or one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub name: Arc<str>,
    /// The address; `None` for all addresses.
    pub address: Option<SocketAddr>,
}

impl Target {
    /// The configured server with this `id`: its name, or `name@address` for one series.
    ///
    /// # Errors
    /// 404 when there is no such server.
    pub fn find(state: &State, id: &str) -> Result<Self, Problem> {
        let config = state.config.borrow();
        let named = |name: &str| config.servers.iter().find(|server| *server.ident.name == *name);
        if let Some(server) = named(id) {
            return Ok(Self { name: Arc::clone(&server.ident.name), address: None });
        }
        let series = id.rsplit_once('@').and_then(|(name, address)| {
            let name = &named(name)?.ident.name;
            let key = SeriesKey::here(name, Some(address.parse().ok()?));
            state.snapshot.borrow().series.contains_key(&key).then_some(key)
        });
        match series {
            Some(key) => Ok(Self { name: key.server, address: key.address }),
            None => Err(Problem::not_found(format!("there is no server {id:?}"))),
        }
    }
}

/// Converts seconds since 1970 to nanoseconds.
#[must_use]
pub fn from_seconds(seconds: i64) -> i64 {
    seconds.saturating_mul(SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000 * SECOND_NS;
    const HOUR: Duration = Duration::from_secs(3600);

    fn range(from: &str, to: &str) -> Result<Range, String> {
        let given = |text: &'static str| (!text.is_empty()).then_some(text);
        let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        Range::parse(given(leak(from)), given(leak(to)), HOUR, NOW).map_err(|problem| problem.detail)
    }

    #[test]
    fn instants_are_absolute_or_relative_to_now() {
        let hour = Range { from_ns: NOW - 3600 * SECOND_NS, to_ns: NOW };
        for (from, to) in
            [("", ""), ("-1h", "now"), ("now-60m", ""), ("2027-01-15T07:00:00Z", "2027-01-15T09:00:00+01:00")]
        {
            assert_eq!(range(from, to), Ok(hour), "{from} {to}");
        }
        assert_eq!(range("", "2027-01-15T09:00:00 01:00"), Ok(hour), "an unescaped plus");
    }

    #[test]
    fn invalid_span_is_rejected_with_a_reason() {
        for (from, to) in
            [("now", "-1h"), ("now", "now"), ("yesterday", ""), ("-", ""), ("-99999999999y", ""), ("", "-0x1")]
        {
            assert!(range(from, to).is_err(), "{from} {to}");
        }
        assert_eq!(range("-100y", ""), Err("the span is too long: at most 20 years".into()));
        assert_eq!(range("1700-01-01T00:00:00Z", "2260-01-01T00:00:00Z"), range("-100y", ""));
    }

    #[test]
    fn refused_parameter_is_named_with_its_reason() {
        let far = range("9999-01-01T00:00:00Z", "").unwrap_err();
        assert_eq!(far, "from: \"9999-01-01T00:00:00Z\" is out of range: the years are 1678 to 2261");
        let number = |text| limit(Some(text), 10, 500).map_err(|problem| problem.detail);
        assert_eq!((number("500"), limit(None, 10, 500).unwrap()), (Ok(500), 10));
        for text in ["-1", "0", "501", "", "many"] {
            assert_eq!(number(text), Err(format!("limit: {text:?} is not a number from 1 to 500")));
        }
    }

    #[test]
    fn a_step_of_nothing_is_refused() {
        assert_eq!(step(Some("5m")).unwrap(), step(Some("300")).unwrap());
        for text in ["0", "0s", "", "-5m", "often", "999999y"] {
            assert!(step(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn averaging_times_are_positive_and_not_too_many() {
        assert_eq!(taus(Some("1, 2.5")).unwrap(), Some(vec![1.0, 2.5]));
        for text in ["", "0", "-1", "inf", "nan", "1,,2", &"1,".repeat(65)] {
            assert!(taus(Some(text)).is_err(), "{text}");
        }
    }
}
