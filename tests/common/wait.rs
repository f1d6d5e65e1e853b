//! Waits for conditions in other processes and threads, with a generous deadline.

use std::time::{Duration, Instant};

/// Long enough even if the machine is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// After [`PATIENCE`].
#[track_caller]
pub fn find<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        // The other process sends no notification, so poll.
        std::thread::sleep(STEP);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// After [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    find(what, || condition().then_some(()));
}
