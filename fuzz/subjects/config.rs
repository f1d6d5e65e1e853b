//! No configuration panics the loader: each gives a sound result or faults. Masked secrets come back when it is edited.
//!
//! An input that begins with `{` is JSON, one that begins with `---` is YAML, everything else TOML.

use std::path::Path;

use ntp_monitor::config::edit::{mask, restore, unified};
use ntp_monitor::config::{Environment, diff, load_text};

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    "\n",
    "\n[[server]]\n",
    "\n[monitor]\n",
    "\n[defaults]\n",
    "\n[http]\n",
    "\n[[http.tokens]]\n",
    "\n[influxdb]\n",
    "\n[csv]\n",
    "\n[store]\n",
    "\n[log]\n",
    "\n[alerting]\n",
    "\n[[alert]]\n",
    "\n[[notifier]]\n",
    "\n[report]\n",
    "\n[leap]\n",
    "\n[[silence]]\n",
    "\n[http.tls]\n",
    "\n[server.tags]\n",
    "address = ",
    "name = ",
    "poll = ",
    "\"64s\"",
    "\"1d\"",
    "\"-1s\"",
    "\"192.0.2.1\"",
    "\"fe80::1%eth0\"",
    "\"[::1]:123\"",
    "\"pool.example\"",
    "url = \"http://127.0.0.1:8086\"",
    "token = \"x\"",
    "token_file = \"/nowhere\"",
    "listen = \"127.0.0.1:0\"",
    "type = \"webhook\"",
    "type = \"email\"",
    "expr = ",
    "\"offset_ms > 1\"",
    "text = \"{{ alert }}\"",
    "at = \"monthly 1 06:00\"",
    "timezone = \"Asia/Tokyo\"",
    "true",
    "0",
    "-1",
    "1e308",
    "9223372036854775807",
    "[]",
    "{}",
    "[",
    "]",
    "{",
    "}",
    "\"\"\"",
    "'''",
    "# ",
    "\\u0000",
    "\u{202e}",
    ": ",
    "- ",
    "&a ",
    "*a",
    "!!binary ",
    "null",
    ".",
    "=",
    "********",
];

pub fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let path = match text {
        text if text.starts_with('{') => "fuzz.json",
        text if text.starts_with("---") => "fuzz.yaml",
        _ => "fuzz.toml",
    };
    match load_text(Path::new(path), text, &Environment::new(), &[]) {
        Ok(loaded) => {
            assert!(!loaded.config.servers.is_empty());
            assert_eq!(diff(&loaded.config, &loaded.config).sections, Vec::<&str>::new());
        }
        Err(faults) => {
            assert!(!faults.0.is_empty());
            assert!(faults.0.iter().all(|fault| !fault.message.is_empty()), "{faults}");
        }
    }
    if path == "fuzz.toml" {
        check_editing(text);
    }
}

fn check_editing(text: &str) {
    let Ok(masked) = mask(text) else { return };
    assert_eq!(mask(&masked).as_deref(), Ok(&*masked), "masked twice");
    // Secrets that are masks already have nothing to restore.
    if !text.contains("********") {
        let restored = restore(&masked, text);
        assert_eq!(restored.as_deref(), Ok(text));
        assert_eq!(unified(text, text), "");
    }
}
