//! How queries reach the thread that makes them: a list that many tasks append to, and an event that wakes the thread.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::oneshot;

use super::super::{ProbeReport, Query};
use super::socket::NoStamps;

/// The channel for the report of a query. It is closed once no task waits for the report.
pub(super) type Answer = oneshot::Sender<Result<ProbeReport, NoStamps>>;

/// A query to make.
#[derive(Debug)]
pub(super) struct Order {
    pub query: Query,
    pub answer: Answer,
}

/// The queries that the thread has not taken yet.
#[derive(Debug)]
pub(super) struct Orders {
    state: Mutex<State>,
    wake: EventFd,
}

#[derive(Debug, Default)]
struct State {
    orders: Vec<Order>,
    /// Whether the thread sleeps until it is woken; otherwise it checks the list without being woken.
    is_asleep: bool,
    is_closed: bool,
}

impl Orders {
    pub fn new() -> std::io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { state: Mutex::default(), wake })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No change can leave the state half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a query, or returns it if the thread has ended.
    pub fn submit(&self, order: Order) -> Result<(), Order> {
        let mut state = self.state();
        if state.is_closed {
            return Err(order);
        }
        state.orders.push(order);
        self.wake_up(state);
        Ok(())
    }

    /// Ends the thread. Queries that it has not taken are dropped.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.orders.clear();
        self.wake_up(state);
    }

    fn wake_up(&self, mut state: MutexGuard<'_, State>) {
        let was_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if was_asleep {
            // This fails only if 2^64 earlier events were not read.
            let _ = self.wake.write(1);
        }
    }

    /// The new queries, or `None` when the thread must end.
    pub fn take(&self) -> Option<Vec<Order>> {
        let mut state = self.state();
        state.is_asleep = false;
        (!state.is_closed).then(|| std::mem::take(&mut state.orders))
    }

    /// Announces that the thread waits for [`Self::woken`]. Returns false if there is already something to do.
    pub fn may_sleep(&self) -> bool {
        let mut state = self.state();
        state.is_asleep = state.orders.is_empty() && !state.is_closed;
        state.is_asleep
    }

    /// Becomes readable when a sleeping thread has something to do.
    pub fn woken(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Clears the event of [`Self::woken`].
    pub fn awake(&self) {
        // An error means that there was no event.
        let _ = self.wake.read();
    }
}
