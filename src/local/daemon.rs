//! The state of a chronyd or ntpd on this host, read with its command line client. A daemon that is not running, or
//! does not reply in time, gives no state and is not an error.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use ntp_monitor_core::stats::local::DaemonView;

/// Time-out for a client, because the daemon on this host may hang.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longer output is not a valid reply.
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// Above this stratum, NTP considers a clock unsynchronised.
const MAX_STRATUM: u8 = 15;

/// The state of the daemon that replies, if any.
pub async fn ask() -> Option<DaemonView> {
    if let Some(answer) = answer_of("chronyc", &["-n", "-c", "tracking"]).await {
        return parse_tracking(&answer);
    }
    parse_ntpq(&answer_of("ntpq", &["-n", "-c", "rv"]).await?)
}

async fn answer_of(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER_WITHIN, command.output()).await.ok()?.ok()?;
    let is_answer = output.status.success() && output.stdout.len() <= MAX_ANSWER_BYTES;
    String::from_utf8(output.stdout).ok().filter(|_| is_answer)
}

/// Parses `chronyc -n -c tracking`: reference, its name, stratum, time of the last update, system time, last offset,
/// RMS offset, frequency, residual frequency, skew, root delay, root dispersion, update interval, leap status.
///
/// "System time" is the remaining correction. It is positive where chronyc prints "slow of NTP time", which means that
/// true time is ahead, as in this program. (The offsets of `chronyc sources` have the opposite sign and are not used.)
#[must_use]
pub fn parse_tracking(answer: &str) -> Option<DaemonView> {
    let fields: Vec<&str> = answer.lines().next()?.split(',').collect();
    let [_, _, stratum, _, system_time, .., root_delay, root_dispersion, _, leap_status] = fields[..] else {
        return None;
    };
    if fields.len() != 14 {
        return None;
    }
    let stratum: u8 = stratum.parse().ok()?;
    let synchronised = leap_status.trim() != "Not synchronised" && (1..=MAX_STRATUM).contains(&stratum);
    let figure = |text: &str| finite(text).filter(|_| synchronised);
    Some(DaemonView {
        name: "chronyd".to_owned(),
        synchronised,
        stratum: Some(stratum),
        offset_s: figure(system_time),
        bound_s: figure(root_delay).zip(figure(root_dispersion)).map(|(delay, dispersion)| dispersion + delay / 2.0),
    })
}

/// Parses `ntpq -c rv`: `leap=00, stratum=2, rootdelay=…, rootdisp=…, offset=…`, in milliseconds, over several lines.
/// The offset is positive when true time is ahead, as in this program.
#[must_use]
pub fn parse_ntpq(answer: &str) -> Option<DaemonView> {
    let value = |name: &str| {
        let pairs = answer.split([',', '\n']).filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let stratum: u8 = value("stratum")?.parse().ok()?;
    // If both bits are set, the clock was never synchronised.
    let synchronised = !matches!(value("leap")?, "11" | "3" | "03") && (1..=MAX_STRATUM).contains(&stratum);
    let figure = |name: &str| Some(finite(value(name)?)? / 1e3).filter(|_| synchronised);
    Some(DaemonView {
        name: "ntpd".to_owned(),
        synchronised,
        stratum: Some(stratum),
        offset_s: figure("offset"),
        bound_s: figure("rootdelay").zip(figure("rootdisp")).map(|(delay, dispersion)| dispersion + delay / 2.0),
    })
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A reply of chronyd 4.3 without control of the clock, with a server 80 ms ahead; for people it printed "System
    /// time : 0.080018722 seconds slow of NTP time".
    const BEHIND: &str = "7F000001,127.0.0.1,2,1795391967.949676431,0.080018722,0.000019599,0.001134271,-1.115,-0.057,\
                          0.914,0.000049635,0.000110070,2.1,Normal\n";
    /// The same before its first update.
    const FRESH: &str = "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,\
                         1.000000000,0.0,Not synchronised\n";

    #[test]
    fn chronyd_behind_its_server_has_a_positive_offset() {
        let view = parse_tracking(BEHIND).unwrap();
        assert_eq!((view.synchronised, view.stratum, view.offset_s), (true, Some(2), Some(0.080_018_722)));
        assert!((view.bound_s.unwrap() - 0.000_134_887_5).abs() < 1e-12);
    }

    #[test]
    fn unsynchronised_daemon_has_no_offset_and_bound() {
        let view = parse_tracking(FRESH).unwrap();
        assert_eq!((view.synchronised, view.offset_s, view.bound_s), (false, None, None));
        let view = parse_ntpq("leap=11, stratum=16, rootdelay=0.000, rootdisp=3.105, offset=+0.000000").unwrap();
        assert_eq!((view.synchronised, view.offset_s, view.bound_s), (false, None, None));
    }

    #[test]
    fn ntpd_values_are_converted_from_milliseconds() {
        let answer = "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\n\
                      version=\"ntpd 4.2.8p15@1.3728-o\", processor=\"x86_64\", leap=00, stratum=3,\n\
                      precision=-24, rootdelay=20.000, rootdisp=15.000, refid=192.0.2.1,\n\
                      offset=-1.250000, frequency=-3.225, sys_jitter=0.1\n";
        let view = parse_ntpq(answer).unwrap();
        assert_eq!((view.synchronised, view.stratum, view.offset_s), (true, Some(3), Some(-0.001_25)));
        assert!((view.bound_s.unwrap() - 0.025).abs() < 1e-12);
    }

    #[test]
    fn invalid_output_gives_no_state() {
        for answer in ["", "506 Cannot talk to daemon\n", "a,b,c", &BEHIND[..60], "stratum=x, leap=00"] {
            assert_eq!((parse_tracking(answer), parse_ntpq(answer)), (None, None), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn parsers_never_panic(answer in "[-+0-9a-zA-Z=,. \n]{0,200}") {
            let _ = (parse_tracking(&answer), parse_ntpq(&answer));
        }
    }
}
