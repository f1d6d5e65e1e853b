//! Logs panics as records with place and message, instead of unformatted lines on stderr.

use slog::{Logger, error};

/// Logs panics of all threads from now on. The supervisor handles restarts.
pub fn log_panics(log: &Logger) {
    let log = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        error!(log, "a part of the program panicked"; "message" => message, "place" => place,
            "thread" => thread.name().map(ToOwned::to_owned));
    }));
}
