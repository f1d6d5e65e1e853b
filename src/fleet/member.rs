//! Agents and hubs connect, work over the connection until its first failure, wait, and connect again.

use std::time::Duration;

use slog::warn;
use tokio::time::{Instant, sleep};

use super::link::{Link, LinkError};
use super::pace::Backoff;
use crate::config::Fleet;
use crate::log::LimitedLog;

/// After a connection that lasted this long, the wait before the next one starts at its minimum again.
const GOOD: Duration = Duration::from_secs(30);

/// One side of the fleet.
pub(super) trait Member {
    /// The consequence of having no connection, for the log.
    const WITHOUT: &'static str;

    fn fleet(&self) -> &Fleet;

    fn log(&self) -> &LimitedLog;

    /// Works over one connection; returns why it ended.
    fn session(&mut self, link: &Link) -> impl Future<Output = LinkError> + Send;

    /// Publishes that there is no connection; returns whether this must be logged: it is new or has another reason.
    fn disconnected(&self, why: &LinkError) -> bool;
}

/// Runs until it is dropped.
pub(super) async fn run<M: Member>(mut member: M) {
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let connecting = Link::connect(&member.fleet().nats, &member.fleet().name);
        let why = match connecting.await {
            Ok(link) => member.session(&link).await,
            Err(why) => why,
        };
        if member.disconnected(&why)
            && let Some(log) = member.log().of("", "disconnected")
        {
            warn!(log, "{}", M::WITHOUT; "reason" => %why);
        }
        if began.elapsed() > GOOD {
            backoff.reset();
        }
        sleep(backoff.next(rand::random())).await;
    }
}
