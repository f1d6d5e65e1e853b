//! `ntp-monitor demo`: runs scripted servers on loopback, one of each kind, and the service that monitors them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use sha2::{Digest, Sha256};
use slog::Logger;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{parse_duration, parse_positive};
use super::demo_file::write_own;
use super::demo_fleet::FleetDemo;
use super::demo_history;
use crate::app::permissions;
use crate::app::{Service, Surroundings, run};
use crate::config::Inputs;
use crate::config::edit::ServerEdit;
use crate::log::{self, LogControl};
use crate::sim::{ReplyKind, Script, ScriptedServer};
use ntp_monitor_core::ntp::KissCode;

/// The name of the configuration file in the directory.
const FILE: &str = "servers.toml";
/// Minimum length of a token in the configuration.
const SHORTEST_TOKEN: usize = 16;
const STOP_WITHIN: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  ntp-monitor demo                            until Ctrl-C, with temporary data
  ntp-monitor demo --for 30s --dir demo-data  for half a minute, keeping the data
  ntp-monitor demo --history 14d              with two weeks of simulated history
  ntp-monitor demo --fleet                    a hub and four agents instead of one service

Then open http://127.0.0.1:8080/";

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// The address of the page and the API; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The data directory; by default a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// End after this time.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_positive)]
    pub duration: Option<Duration>,
    /// The administrator's token, of at least 16 characters; without this option, a new one at each start.
    #[arg(long, value_name = "TOKEN", value_parser = long_token)]
    pub token: Option<String>,
    /// Time between polls.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    pub poll: Duration,
    /// Start with a simulated history of this length, in which one of the good servers was wrong for six hours.
    #[arg(long, value_name = "TIME", value_parser = history_length, conflicts_with = "fleet")]
    pub history: Option<Duration>,
    /// Run a fleet: a hub and four agents with scripted clocks, over a nats-server from NATS_SERVER or PATH.
    #[arg(long)]
    pub fleet: bool,
}

/// Number of servers with a right clock; they come first.
const RIGHT: usize = 3;

/// A scripted server of the demo.
struct DemoServer {
    name: &'static str,
    what: &'static str,
    script: Script,
}

fn demo_servers() -> Vec<DemoServer> {
    let server = |name, what, script| DemoServer { name, what, script };
    vec![
        server("good-1", "right", Script::good()),
        server("good-2", "right", Script::good()),
        server("good-3", "right", Script::good()),
        server("ahead", "80 ms ahead, and claims a small error", Script::good().offset_ns(80_000_000)),
        server("drifting", "50 ppm fast", Script::good().drifting(50.0)),
        server("lossy", "answers 70 % of requests", Script::good().losing(0.3)),
        server(
            "limiting",
            "sends kiss-o'-death RATE from the fifth request on",
            Script::good().kissing(KissCode::RATE, 4),
        ),
        server("unsynchronised", "reports that it is not synchronised", Script::good().unsynchronised()),
        server(
            "spoofed",
            "a forged reply arrives before the real one",
            Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good]),
        ),
    ]
}

/// Runs the demo until its time is over or a signal arrives.
pub async fn run(args: DemoArgs) -> ExitCode {
    match run_demo(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "ntp-monitor demo: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run_demo(args: DemoArgs) -> Result<(), Box<dyn std::error::Error>> {
    let (dir, _removed_at_the_end) = match args.dir.clone() {
        Some(dir) => (dir, None),
        None => {
            let dir = TemporaryDirectory::make()?;
            (dir.0.clone(), Some(dir))
        }
    };
    if args.fleet {
        return run_fleet_demo(&args, &dir).await;
    }
    let mut servers = Vec::new();
    for server in demo_servers() {
        let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        servers.push((ScriptedServer::start(any_port, server.script.clone()).await?, server));
    }
    permissions::limit_new_files();
    make_directory(&dir)?;
    let token = args.token.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let inputs = configure(&servers, &dir, &args, &token)?;
    let config = inputs.load()?.into_config();
    if let Some(length) = args.history {
        let config = config.clone();
        tokio::task::spawn_blocking(move || demo_history::write(&config, RIGHT, length).map_err(|why| why.to_string()))
            .await??;
    }
    let (logger, guard) = log::init(&config.log)?;
    let (control, counter) = (guard.control(), guard.control());
    let around = Surroundings::real(&logger, Arc::new(move || counter.dropped())).editing(inputs);
    let mut service = Service::start(config, around, &logger).await?;
    {
        let _whole = control.hold();
        introduce(&servers, &service, &dir, &token)?;
    }
    let ended = wait(args.duration, &mut service, &logger, &control).await;
    service.stop(Instant::now() + STOP_WITHIN).await;
    Ok(ended?)
}

async fn run_fleet_demo(args: &DemoArgs, dir: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    permissions::limit_new_files();
    make_directory(dir)?;
    let dir = dir.canonicalize()?;
    let config = crate::config::load(None, &[("NTP_SERVER".to_owned(), "localhost".to_owned())].into(), &[])?;
    let (logger, guard) = log::init(&config.config.log)?;
    let fleet = FleetDemo::start(&dir, args.listen, args.poll, &logger).await?;
    {
        let control = guard.control();
        let _whole = control.hold();
        fleet.introduce(&mut std::io::stdout().lock())?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        () = tokio::time::sleep(args.duration.unwrap_or(Duration::MAX)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    fleet.stop().await;
    Ok(())
}

/// The longest simulated history: two years take seconds to write.
const LONGEST_HISTORY: Duration = Duration::from_secs(2 * 366 * 86_400);

fn history_length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text)?;
    if length <= LONGEST_HISTORY { Ok(length) } else { Err("must not be longer than two years".to_owned()) }
}

fn long_token(text: &str) -> Result<String, &'static str> {
    if text.len() >= SHORTEST_TOKEN { Ok(text.to_owned()) } else { Err("must have at least 16 characters") }
}

/// Writes the configuration as an ordinary file, so a user can reproduce everything that the demo shows.
fn configure(
    servers: &[(ScriptedServer, DemoServer)],
    dir: &std::path::Path,
    args: &DemoArgs,
    token: &str,
) -> Result<Inputs, Box<dyn std::error::Error>> {
    let poll = humantime::format_duration(args.poll);
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!(
        "[monitor]\nvantage = \"demo\"\ndata_dir = \
         {:?}\n\n[http]\nlisten = \"{}\"\n\n[[http.tokens]]\nname = \"demo\"\nrole = \"admin\"\nsha256 = \"{hash}\"\n\n\
         [defaults]\ntimeout = \"500ms\"\n",
        dir.canonicalize().unwrap_or_else(|_| dir.to_owned()),
        args.listen
    );
    for (scripted, server) in servers {
        let address = scripted.address().to_string();
        // Not in `[defaults]`, because a server that a user adds must not be polled as often.
        let keys = serde_json::json!({
            "name": server.name, "address": address, "own": true, "poll_interval": poll.to_string(),
            "tags": { "group": "demo" },
        });
        text = ServerEdit::Add(keys.as_object().cloned().unwrap_or_default()).apply(&text)?;
    }
    let file = dir.join(FILE);
    write_own(&file, &text)?;
    Ok(Inputs { file: Some(file), ..Inputs::default() })
}

fn make_directory(dir: &std::path::Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|why| format!("cannot create the directory {}: {why}", dir.display()))
}

fn introduce(
    servers: &[(ScriptedServer, DemoServer)],
    service: &Service,
    dir: &std::path::Path,
    token: &str,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Nine NTP servers on this host, and a monitor that watches them:\n")?;
    for (scripted, server) in servers {
        writeln!(out, "  {:<16}{:<22}{}", server.name, scripted.address(), server.what)?;
    }
    for address in service.listening() {
        writeln!(out, "\nPage:           http://{address}/")?;
        writeln!(out, "Metrics:        http://{address}/metrics")?;
        writeln!(out, "Health:         http://{address}/health")?;
    }
    writeln!(out, "Configuration:  {}", dir.join(FILE).display())?;
    writeln!(out, "Token:          {token}  (an administrator's, to log in with)")?;
    writeln!(out, "CSV and store:  {}", dir.display())?;
    writeln!(out, "\nCtrl-C ends it.")?;
    out.flush()
}

/// Runs until the time is over or a signal arrives.
///
/// # Errors
/// When the service cannot go on.
async fn wait(
    duration: Option<Duration>,
    service: &mut Service,
    log: &Logger,
    control: &LogControl,
) -> Result<(), String> {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to within a tokio runtime");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to within a tokio runtime");
    let (mut replaced, mut escalation) = (service.store_replaced(), service.escalation());
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => {
                slog::info!(log, "the time is over");
                return Ok(());
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Ok(()) = replaced.changed() => return Err(replaced.borrow().clone().unwrap_or_default()),
            Ok(()) = escalation.changed() => return Err("an essential part of the service cannot stay up".to_owned()),
            Some(asked) = service.next_reload() => run::edited(service, asked, log, control).await,
        }
    }
}

/// A temporary directory that is removed at the end.
struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn make() -> std::io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("ntp-monitor-demo-{:08x}", rand::random::<u32>()));
        std::fs::create_dir(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_that_cannot_be_made_is_named() {
        assert!(make_directory(std::path::Path::new("/dev/null")).unwrap_err().contains("/dev/null"));
    }
}
