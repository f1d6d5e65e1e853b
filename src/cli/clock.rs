//! `ntp-monitor clock`: says in one sentence whether this host's clock is right.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use ntp_monitor_core::conclusion::{Bounded, Conclusion, conclude};
use ntp_monitor_core::text::units;
use serde::Serialize;
use serde_json::Value;

use super::args::{MeasureArgs, Target, parse_positive};
use super::measure::{Tools, measure};
use super::measured::claims;
use super::running;
use crate::config::{Host, Inputs, split_address};
use crate::local::known_servers;

const EXAMPLES: &str = "\
Without a HOST, the answer comes from the running service, which has measured for longer. If no service runs, the \
servers of --config or NTP_SERVER are asked once. Without those, it asks the servers that the time daemon of this host \
and DHCP name.

Examples:
  ntp-monitor clock
  ntp-monitor clock --within 1ms ntp1.example.net ntp2.example.net ntp3.example.net
  ntp-monitor clock || echo 'do not trust the timestamps of this host'

Exit status: 0 the clock is right, 1 it is wrong by more than --within, 2 wrong usage, 3 it cannot be determined.
The clock counts as right only if at least two servers, and more than half of all servers, agree. Servers on this host \
are ignored, because they read the clock that is being checked.";

/// Arguments of `clock`.
#[derive(Debug, Clone, Args)]
#[command(about = "Say whether the clock of this host is right", after_help = EXAMPLES)]
pub struct ClockArgs {
    /// Servers to ask: NAME, ADDRESS, NAME:PORT or `[ADDRESS]:PORT`.
    #[arg(value_name = "HOST", value_parser = Target::parse)]
    hosts: Vec<Target>,
    /// How far from true time the clock may be.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = parse_positive)]
    within: Duration,
    /// How long to wait for each reply.
    #[arg(short, long, value_name = "TIME", default_value = "3s", value_parser = parse_positive)]
    timeout: Duration,
    /// Write one JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

/// The answer of `clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Right,
    Wrong,
    Unknown,
}

impl State {
    fn exit_status(self) -> u8 {
        match self {
            Self::Right => 0,
            Self::Wrong => 1,
            Self::Unknown => 3,
        }
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    state: State,
    /// The bounds of true time minus local time, positive when the clock is slow; `null` without a majority.
    low_s: Option<f64>,
    high_s: Option<f64>,
    within_s: f64,
    /// `service`, or `query` if servers were asked.
    source: &'static str,
    sentence: String,
}

/// Finds the answer and writes it; returns the exit status.
///
/// # Errors
/// I/O errors of the output.
pub async fn run(args: &ClockArgs, inputs: &Inputs, tools: &Tools, out: &mut impl Write) -> io::Result<u8> {
    let answer = find(args, inputs, tools).await;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    } else {
        writeln!(out, "{}", answer.sentence)?;
    }
    Ok(answer.state.exit_status())
}

async fn find(args: &ClockArgs, inputs: &Inputs, tools: &Tools) -> Answer {
    if args.hosts.is_empty()
        && let Ok(Some(record)) = running::meant(inputs)
        && let Ok((200, verdict)) = running::get(&record, "/api/v1/verdict", args.timeout).await
        && has_other_hosts(&verdict)
    {
        return of_service(&verdict, args.within);
    }
    let hosts = if args.hosts.is_empty() { hosts(inputs) } else { args.hosts.clone() };
    let mut results = measure(&MeasureArgs::once(hosts, args.timeout), tools, |_, _| ()).await;
    let asked = results.len();
    results.retain(|measured| measured.address.is_none_or(|address| !address.ip().is_loopback()));
    let asked = Asked { elsewhere: results.len(), here: asked - results.len() };
    of_conclusion(&conclude(&claims(&results)), asked, args.within)
}

/// Servers on this host are ignored, because they read the clock that is being checked.
fn has_other_hosts(verdict: &Value) -> bool {
    let addresses = verdict["servers"].as_array().into_iter().flatten().filter_map(|server| server["address"].as_str());
    let mut hosts = addresses.filter_map(|address| split_address(address).ok());
    hosts.any(|(host, _)| !matches!(host, Host::Address(ip) if ip.is_loopback()))
}

/// The configured servers, or those that this host's time daemon and DHCP name.
fn hosts(inputs: &Inputs) -> Vec<Target> {
    let configured = inputs.load().map(|loaded| loaded.config.servers).unwrap_or_default();
    if configured.is_empty() {
        return known_servers().iter().filter_map(|known| Target::parse(&known.address).ok()).collect();
    }
    configured.iter().map(|server| Target::configured(server)).collect()
}

/// How many servers were asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    elsewhere: usize,
    /// Servers on this host; they are ignored.
    here: usize,
}

fn of_conclusion(conclusion: &Conclusion, asked: Asked, within: Duration) -> Answer {
    let unknown = |why: String| answer(State::Unknown, None, within, "query", format!("cannot be determined: {why}"));
    match conclusion {
        Conclusion::Nothing if asked.elsewhere == 0 => {
            let why = match asked.here {
                0 => "no server is known",
                1 => "the only server is on this host and reads the clock that is being checked",
                _ => "all servers are on this host and read the clock that is being checked",
            };
            unknown(format!(
                "{why}; name servers on other hosts, for example: ntp-monitor clock ntp1.example.net ntp2.example.net \
                 ntp3.example.net"
            ))
        }
        Conclusion::Nothing => unknown(format!("no server gave a time ({} asked)", asked.elsewhere)),
        Conclusion::Bounded(bounded) if bounded.servers - bounded.excluded.len() < 2 => {
            unknown(format!("{conclusion}; one server alone may be the one that is wrong"))
        }
        Conclusion::Undecidable { .. } => unknown(conclusion.to_string()),
        Conclusion::Bounded(bounded) => of_bounds(bounded, conclusion, within),
    }
}

fn of_bounds(bounded: &Bounded, conclusion: &Conclusion, within: Duration) -> Answer {
    let Bounded { low_s, high_s, .. } = *bounded;
    let state = judge(low_s, high_s, within);
    answer(state, Some((low_s, high_s)), within, "query", format!("{}: {conclusion}", words(state, within)))
}

/// The verdict of the service, as its API gives it.
fn of_service(verdict: &Value, within: Duration) -> Answer {
    let (local, majority) = (&verdict["local"], &verdict["majority"]);
    let number = |value: &Value| value.as_f64();
    let sentence = verdict["sentence"].as_str().unwrap_or("the service gave no verdict");
    let is_majority = majority["members"].as_u64().is_some_and(|members| members >= 2);
    let bounds = match (number(&local["estimate_s"]), number(&local["bound_s"])) {
        (Some(estimate_s), Some(bound_s)) if is_majority => Some((estimate_s - bound_s, estimate_s + bound_s)),
        _ => None,
    };
    let Some((low_s, high_s)) = bounds else {
        return answer(State::Unknown, None, within, "service", format!("cannot be determined: {sentence}"));
    };
    let state = judge(low_s, high_s, within);
    let [low, high] = [low_s, high_s].map(units::signed_seconds);
    let (members, of) = (&majority["members"], &majority["of"]);
    let text = format!(
        "{}: {members} of {of} servers say that true time is {low} to {high} from this clock, if most of the servers are \
         right",
        words(state, within)
    );
    answer(state, bounds, within, "service", text)
}

fn judge(low_s: f64, high_s: f64, within: Duration) -> State {
    let limit_s = within.as_secs_f64();
    if low_s >= -limit_s && high_s <= limit_s {
        State::Right
    } else if low_s > limit_s || high_s < -limit_s {
        State::Wrong
    } else {
        State::Unknown
    }
}

fn words(state: State, within: Duration) -> String {
    let limit = units::seconds(within.as_secs_f64());
    match state {
        State::Right => format!("right within {limit}"),
        State::Wrong => format!("wrong by more than {limit}"),
        State::Unknown => format!("cannot be determined within {limit}"),
    }
}

fn answer(
    state: State,
    bounds: Option<(f64, f64)>,
    within: Duration,
    source: &'static str,
    sentence: String,
) -> Answer {
    let (low_s, high_s) = bounds.unzip();
    Answer { state, low_s, high_s, within_s: within.as_secs_f64(), source, sentence }
}

#[cfg(test)]
mod tests {
    use ntp_monitor_core::conclusion::Claim;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(100);

    fn asked(claims: &[(f64, f64)]) -> Answer {
        let claim = |(offset_s, bound_s): &(f64, f64)| Claim {
            server: format!("{offset_s}"),
            offset_s: *offset_s,
            bound_s: *bound_s,
        };
        let claims: Vec<Claim> = claims.iter().map(claim).collect();
        of_conclusion(&conclude(&claims), Asked { elsewhere: claims.len(), here: 0 }, WITHIN)
    }

    #[test]
    fn clock_is_right_only_by_two_that_agree() {
        for (claims, state) in [
            (&[][..], State::Unknown),
            (&[(0.0, 0.001)], State::Unknown),
            (&[(0.0, 0.001), (1.0, 0.001)], State::Unknown),
            (&[(0.0, 0.001), (0.0, 0.001)], State::Right),
            (&[(0.0, 0.001), (0.0, 0.001), (5.0, 0.001)], State::Right),
            (&[(0.3, 0.001), (0.3, 0.001)], State::Wrong),
            (&[(-0.3, 0.001), (-0.3, 0.001)], State::Wrong),
            (&[(0.0, 1.0), (0.0, 1.0)], State::Unknown),
            (&[(0.1, 0.01), (0.1, 0.01)], State::Unknown),
        ] {
            let answer = asked(claims);
            assert_eq!(answer.state, state, "{claims:?}: {}", answer.sentence);
        }
        assert_eq!(
            asked(&[(0.0, 0.001), (0.0, 0.001)]).sentence,
            "right within 100 ms: local clock agrees with both servers: wrong by at most 1.00 ms, if most of the servers \
             are right"
        );
    }

    #[test]
    fn servers_on_this_host_do_not_judge_its_clock() {
        let verdict =
            |address: &str| serde_json::json!({"servers": [{"address": "127.0.0.1:123"}, {"address": address}]});
        assert!(has_other_hosts(&verdict("192.0.2.1:123")) && has_other_hosts(&verdict("[2001:db8::1]:123")));
        assert!(!has_other_hosts(&verdict("[::1]:123")) && !has_other_hosts(&Value::Null));
        let asked_here = |here| of_conclusion(&Conclusion::Nothing, Asked { elsewhere: 0, here }, WITHIN);
        for (here, words) in
            [(0, "no server is known; name"), (1, "the only server is on this host"), (5, "all servers are")]
        {
            let answer = asked_here(here);
            assert!(answer.state == State::Unknown && answer.sentence.contains(words), "{}", answer.sentence);
        }
    }

    #[test]
    fn service_without_a_majority_is_no_proof() {
        let verdict = |members: Option<u64>| {
            let majority = members.map(|members| serde_json::json!({"members": members}));
            serde_json::json!({
                "local": {"estimate_s": 0.001, "bound_s": 0.002}, "majority": majority, "sentence": "The sentence."
            })
        };
        assert_eq!(of_service(&verdict(Some(3)), WITHIN).state, State::Right);
        assert_eq!(of_service(&verdict(Some(1)), WITHIN).state, State::Unknown);
        assert_eq!(of_service(&verdict(None), WITHIN).state, State::Unknown);
        assert_eq!(of_service(&Value::Null, WITHIN).state, State::Unknown);
    }
}
