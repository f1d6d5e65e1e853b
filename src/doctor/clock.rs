//! Checks this host's clock: the state in the kernel, the time daemon that corrects it, and the clock source.

use super::finding::{Area, Finding};
use crate::local;
use ntp_monitor_core::stats::local::DaemonView;

const AREA: Area = Area("clock");
const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

pub(super) async fn examine() -> Vec<Finding> {
    let daemon = local::ask_daemon().await;
    let mut findings = vec![corrected_by(daemon.as_ref()), kernel(daemon.is_some())];
    findings.extend(std::fs::read_to_string(SOURCE).ok().map(|name| source(name.trim())));
    findings
}

fn corrected_by(daemon: Option<&DaemonView>) -> Finding {
    match daemon {
        Some(view) if view.synchronised => {
            let offset = view.offset_s.map_or_else(String::new, |s| format!(", {:+.6} s to be corrected", s));
            AREA.ok("daemon", format!("{} is synchronised{offset}", view.name))
        }
        Some(view) => AREA.warning(
            "daemon",
            format!("{} runs and is not synchronised", view.name),
            "check its sources: `chronyc -n sources`, or `ntpq -pn`",
        ),
        None => AREA.note("daemon", "neither chronyd nor ntpd answers").advising(
            "the service judges the clock without it; only chronyd (through chronyc) and ntpd (through ntpq) can be \
             asked",
        ),
    }
}

fn kernel(has_daemon: bool) -> Finding {
    match local::read_kernel() {
        Ok(state) if state.synchronised => {
            AREA.ok("kernel", format!("synchronised to within {:.3} ms by its own estimate", state.max_error_s * 1e3))
        }
        Ok(_) => {
            let advice = if has_daemon {
                "wait until the daemon has chosen its sources; it may take some minutes after a boot"
            } else {
                "run a time daemon, for instance chrony; a container uses the clock of its host"
            };
            AREA.warning("kernel", "reports that no time daemon keeps the clock synchronised", advice)
        }
        Err(why) => AREA
            .note("kernel", format!("does not report the state of the clock: {why}"))
            .advising("usual under ProtectClock= of systemd and in containers; verdicts do not need it"),
    }
}

/// Rates the clock source: one that takes a microsecond to read, or that jumps between cores, makes every timestamp
/// worse.
fn source(name: &str) -> Finding {
    match name {
        "acpi_pm" | "hpet" | "jiffies" | "refined-jiffies" => AREA.warning(
            "source",
            format!("{name} is slow to read, and coarse"),
            "let the kernel use the TSC if the machine has a stable one (boot option tsc=reliable), or kvm-clock in a guest",
        ),
        _ => AREA.ok("source", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_without_a_daemon_is_recognised() {
        let view = |synchronised| DaemonView {
            name: "chronyd".to_owned(),
            synchronised,
            stratum: Some(3),
            offset_s: Some(-0.000_25),
            bound_s: None,
        };
        assert_eq!(corrected_by(Some(&view(true))).what, "chronyd is synchronised, -0.000250 s to be corrected");
        assert_eq!(corrected_by(Some(&view(false))).level, Level::Warning);
        assert_eq!(corrected_by(None).level, Level::Note);
        assert_eq!((source("tsc").level, source("hpet").level), (Level::Ok, Level::Warning));
    }
}
