//! The permanent name of this monitor. Every series and every incident contains it, so it must not change with the host
//! name, for example when a container is created again or a host is renamed.

use slog::{Logger, warn};

use crate::config::Config;

/// Uses the name in the store, unless the configuration sets one, and warns about a generated name.
pub(super) fn keep(config: &mut Config, stored: &str, log: &Logger) {
    if config.monitor.is_named {
        return;
    }
    let host = config.monitor.vantage.clone();
    if host != stored {
        warn!(log, "monitor.vantage is not set: keeping the name in the store, although the host has a different name";
            "vantage" => stored, "host" => &host, "hint" => "set monitor.vantage to the name that you want");
    } else if is_accidental(&host) {
        warn!(log, "monitor.vantage is not set, and the host name looks like the generated name of a container";
            "vantage" => stored, "hint" => "set monitor.vantage: without this store, the next container gets another name");
    }
    config.keep_vantage(stored);
}

/// Whether a container runtime generated this name, or it is the name of every host.
fn is_accidental(host: &str) -> bool {
    let is_made_of = |text: &str, allowed: &str| !text.is_empty() && text.chars().all(|c| allowed.contains(c));
    let is_hexadecimal = host.len() >= 12 && is_made_of(host, "0123456789abcdef");
    // Kubernetes: NAME-HASH-SUFFIX, without vowels, so that no words appear.
    let safe = |text: &str| is_made_of(text, "bcdfghjklmnpqrstvwxz2456789");
    let mut parts = host.rsplitn(3, '-');
    let (suffix, hash) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_pod = suffix.len() == 5 && safe(suffix) && (6..=10).contains(&hash.len()) && safe(hash);
    is_hexadecimal || (is_pod && parts.next().is_some()) || matches!(host, "localhost" | "localhost.localdomain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_host_names_are_recognised() {
        for name in ["3f2a9c1b7d04", "ntp-monitor-6d4cf56db6-x7k2p", "localhost", &"0123456789abcdef".repeat(4)] {
            assert!(is_accidental(name), "{name}");
        }
        for name in ["ams-1", "decade", "ntp-monitor-0", "time-server-north", "facade.example.net", "db-55-east", ""] {
            assert!(!is_accidental(name), "{name}");
        }
    }
}
