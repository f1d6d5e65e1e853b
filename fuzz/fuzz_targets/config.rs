//! No configuration panics the loader: every one gives a sound result or faults.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ntp_monitor::config::{Environment, load};

fuzz_target!(|input: (&str, &str)| {
    let (text, server) = input;
    let file = std::env::temp_dir().join(format!("ntp-monitor-fuzz-{}.toml", std::process::id()));
    if std::fs::write(&file, text).is_err() {
        return;
    }
    let environment = Environment::from([("NTP_SERVER".to_owned(), server.to_owned())]);
    for (file, environment) in [(Some(file.as_path()), &Environment::new()), (None::<&Path>, &environment)] {
        match load(file, environment, &[]) {
            Ok(loaded) => assert!(!loaded.config.servers.is_empty()),
            Err(faults) => assert!(!faults.0.is_empty()),
        }
    }
});
