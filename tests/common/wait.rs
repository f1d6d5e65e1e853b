//! Waiting for what other processes and threads do: until it is so, or a generous deadline has passed.

use std::time::{Duration, Instant};

/// The machine may be busy with other tests; nothing that works takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// When it does not within [`PATIENCE`].
#[track_caller]
pub fn find<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        // What is awaited happens in another process; nothing can tell us of it.
        std::thread::sleep(STEP);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    find(what, || condition().then_some(()));
}
