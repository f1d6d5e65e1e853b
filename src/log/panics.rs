//! Panics in the log: one record each, with place and message, instead of lines on stderr that no format knows.

use slog::{Logger, error};

/// From now on a panic of any thread is a record of `log`. What survives it is the supervisor's affair.
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
