//! Decides whether an agent notifies about servers, or leaves that to its hub. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// After this time without a hub, an agent notifies about everything.
pub const ALONE_AFTER: Duration = Duration::from_secs(600);

/// For how long an agent that started at `started` and last heard a hub at `heard` still leaves notifications about
/// servers to the hub; `None` when it notifies itself.
#[must_use]
pub fn left(started: Instant, heard: Option<Instant>, now: Instant) -> Option<Duration> {
    let since = heard.map_or(started, |heard| heard.max(started));
    ALONE_AFTER.checked_sub(now.saturating_duration_since(since)).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_is_quiet_until_ten_minutes_after_the_last_hub() {
        let started = Instant::now();
        let at = |s: u64| started + Duration::from_secs(s);
        // A hub is heard every forty seconds for an hour, then not for an hour, then again.
        let is_heard = |s: u64| s.is_multiple_of(40) && !(3600..7200).contains(&s);
        let (mut heard, mut loud) = (None, Vec::new());
        for s in 0..9000 {
            heard = if is_heard(s) { Some(at(s)) } else { heard };
            loud.extend(left(started, heard, at(s)).is_none().then_some(s));
        }
        let last_before = 3560;
        assert_eq!((loud.first(), loud.last(), loud.len()), (Some(&(last_before + 600)), Some(&7199), 3040));
    }

    #[test]
    fn agent_that_never_heard_a_hub_waits_ten_minutes_for_one() {
        let started = Instant::now();
        assert_eq!(left(started, None, started), Some(ALONE_AFTER));
        assert_eq!(left(started, None, started + ALONE_AFTER), None);
    }
}
