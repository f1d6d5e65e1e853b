//! The thread that makes the queries of an engine.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::order::Orders;
use super::pace::{TICK, Wait, wait};
use super::poller::Poller;

const NAME: &str = "ntp-queries";
const NS_PER_MS: i64 = 1_000_000;

/// Starts the thread. It runs until its orders are closed.
pub(super) fn start(poller: Poller) -> io::Result<Arc<Orders>> {
    let orders = Arc::new(Orders::new()?);
    let closing = CloseAtEnd(Arc::clone(&orders));
    std::thread::Builder::new().name(NAME.to_owned()).spawn(move || run(poller, &closing.0))?;
    Ok(orders)
}

/// Closes the orders when the thread ends, also after a panic: the next query then starts another thread.
struct CloseAtEnd(Arc<Orders>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn run(mut poller: Poller, orders: &Orders) {
    while let Some(new) = orders.take() {
        poller.pass(new);
        let now_ns = crate::clock::now().mono_ns;
        match wait(poller.load(), now_ns) {
            Wait::Nothing => {}
            Wait::Tick(until_ns) => std::thread::sleep(duration(until_ns - now_ns).min(TICK)),
            Wait::Query => sleep(orders, None, PollTimeout::NONE),
            Wait::Readable(until_ns) => {
                let ms = (until_ns - now_ns).max(0).unsigned_abs().div_ceil(NS_PER_MS.unsigned_abs());
                // A wait that is too long for the type is shortened; the loop then waits again.
                let timeout = PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX);
                sleep(orders, Some(poller.pool().readiness.0.as_fd()), timeout);
            }
        }
    }
}

fn duration(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

/// Waits for a new query, or until `sockets` are readable.
fn sleep(orders: &Orders, sockets: Option<BorrowedFd<'_>>, timeout: PollTimeout) {
    if !orders.may_sleep() {
        return;
    }
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut waited: Vec<_> = [orders.woken()].into_iter().chain(sockets).map(readable).collect();
    if poll(&mut waited, timeout).is_err() {
        // The call was interrupted, or memory is short: this must not become a busy loop.
        std::thread::sleep(TICK);
    }
    orders.awake();
}
