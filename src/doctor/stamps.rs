//! Checks who timestamps packets: the kernel, by an exchange on loopback, and each network interface, by `ethtool -T`
//! where it is installed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::finding::{Area, Finding};
use crate::config::EngineChoice;
use crate::probe::{Engines, Query};
use crate::sim::{Script, ScriptedServer};
use ntp_monitor_core::sample::Timestamping;

const AREA: Area = Area("timestamps");
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const INTERFACES: &str = "/sys/class/net";
/// Maximum number of interfaces that are listed.
const MAX_INTERFACES: usize = 32;

pub(super) async fn examine(engines: &Engines) -> Vec<Finding> {
    let mut findings = vec![kernel(engines).await];
    for name in interfaces(Path::new(INTERFACES)) {
        match ask_ethtool(&name).await {
            Some(answer) => findings.push(interface(&name, &answer)),
            None => {
                let note = AREA.note(&name, "its timestamping is unknown: ethtool does not answer");
                findings.push(note.advising("apt-get install ethtool, and run this as root"));
            }
        }
    }
    findings
}

/// One exchange with a test server on loopback; no packet leaves this host.
async fn kernel(engines: &Engines) -> Finding {
    let advice = "a sandbox or an old kernel may be in the way (Linux 4.19 or later is needed); until then offsets \
                  include the delays of this program";
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = match ScriptedServer::start(anywhere, Script::good()).await {
        Ok(server) => server,
        Err(why) => {
            return AREA.problem("kernel", format!("no socket on loopback: {why}"), "bring up the interface lo");
        }
    };
    let query = Query::plain(server.address(), ANSWER_WITHIN);
    let report = engines.choose(EngineChoice::Kernel).probe(query).await;
    match report.timestamping {
        Some(Timestamping::Kernel) => AREA.ok("kernel", "stamps packets when they leave and when they arrive"),
        Some(Timestamping::KernelRx) => AREA.warning("kernel", "stamps packets only when they arrive", advice),
        Some(Timestamping::Userland) => AREA.warning("kernel", "stamps no packets", advice),
        None => AREA.problem("kernel", format!("no exchange on loopback: {}", report.outcome.reason()), advice),
    }
}

/// Interfaces that are up, without loopback.
fn interfaces(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_up = |name: &String| {
        let state = std::fs::read_to_string(root.join(name).join("operstate")).unwrap_or_default();
        name != "lo" && state.trim() != "down"
    };
    let mut names: Vec<String> = names.filter(is_up).take(MAX_INTERFACES).collect();
    names.sort_unstable();
    names
}

async fn ask_ethtool(interface: &str) -> Option<String> {
    let mut command = Command::new("ethtool");
    command.args(["-T", interface]).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER_WITHIN, command.output()).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok().filter(|_| output.status.success())
}

/// Reads `ethtool -T`. Drivers name their capabilities as SOF_TIMESTAMPING_TX_SOFTWARE does, older ones in words.
fn interface(name: &str, answer: &str) -> Finding {
    let has = |what: &str| answer.lines().any(|line| line.split_whitespace().next() == Some(what));
    let hardware = if has("hardware-transmit") && has("hardware-receive") { "; its hardware could too" } else { "" };
    match (has("software-transmit"), has("software-receive")) {
        (true, true) => AREA.ok(name, format!("stamps on sending and arrival{hardware}")),
        (false, true) => AREA.warning(
            name,
            format!("its driver does not stamp on sending{hardware}"),
            "servers behind it are measured as kernel-rx, some 10 µs worse; another driver or interface may do it",
        ),
        _ => AREA.warning(name, format!("its driver stamps nothing in software{hardware}"), "use another interface"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const E1000: &str = "Time stamping parameters for eth0:\nCapabilities:\n\thardware-transmit\n\tsoftware-transmit\n\
                         \thardware-receive\n\tsoftware-receive\n\tsoftware-system-clock\nPTP Hardware Clock: 0\n";

    #[test]
    fn interface_is_rated_by_the_timestamps_of_its_driver() {
        let found = interface("eth0", E1000);
        assert_eq!(found.what, "stamps on sending and arrival; its hardware could too");
        assert_eq!(interface("eth0", &E1000.replace("\tsoftware-transmit\n", "")).level, Level::Warning);
        assert_eq!(interface("tun0", "Time stamping parameters for tun0:\n").level, Level::Warning);
    }

    #[test]
    fn interfaces_that_are_down_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        for (name, state) in [("lo", "unknown"), ("wlan0", "down"), ("wg0", "unknown"), ("eth0", "up")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("operstate"), format!("{state}\n")).unwrap();
        }
        assert_eq!(interfaces(dir.path()), ["eth0", "wg0"]);
    }
}
