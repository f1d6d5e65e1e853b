//! `ntp-monitor demo`: scripted servers on loopback, one of each kind, and the service against them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use slog::Logger;
use tokio::signal::unix::{SignalKind, signal};

use super::args::parse_duration;
use crate::app::{Service, Surroundings};
use crate::config::{self, Config, Environment};
use crate::log;
use crate::ntp::KissCode;
use crate::sim::{ReplyKind, Script, ScriptedServer};

const STOP_WITHIN: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  ntp-monitor demo                            until Ctrl-C; data in a directory that is removed at the end
  ntp-monitor demo --for 30s --dir demo-data  for half a minute, keeping the data

Then open http://127.0.0.1:8080/";

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Where HTTP is answered; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where data is kept; without it, in a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// End after this time.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Time between polls.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub poll: Duration,
}

/// A server of the playground.
struct Actor {
    name: &'static str,
    what: &'static str,
    script: Script,
}

fn cast() -> Vec<Actor> {
    let actor = |name, what, script| Actor { name, what, script };
    vec![
        actor("good-1", "right", Script::good()),
        actor("good-2", "right", Script::good()),
        actor("good-3", "right", Script::good()),
        actor("ahead", "80 ms ahead, and sure of itself", Script::good().offset_ns(80_000_000)),
        actor("drifting", "50 ppm fast", Script::good().drifting(50.0)),
        actor("lossy", "answers 70 % of requests", Script::good().losing(0.3)),
        actor("limiting", "kisses RATE from the fifth request on", Script::good().kissing(KissCode::RATE, 4)),
        actor("unsynchronised", "says that it has no time", Script::good().unsynchronised()),
        actor(
            "spoofed",
            "a forged reply comes first, the right one after",
            Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good]),
        ),
    ]
}

/// Runs the playground until its time is over or a signal comes.
pub async fn run(args: DemoArgs) -> ExitCode {
    match play(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "ntp-monitor demo: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn play(args: DemoArgs) -> Result<(), Box<dyn std::error::Error>> {
    let (dir, _removed_at_the_end) = match args.dir {
        Some(dir) => (dir, None),
        None => {
            let dir = TemporaryDirectory::make()?;
            (dir.0.clone(), Some(dir))
        }
    };
    let mut servers = Vec::new();
    for actor in cast() {
        let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        servers.push((ScriptedServer::start(any_port, actor.script.clone()).await?, actor));
    }
    let config = configuration(&servers, &dir, args.listen, args.poll)?;
    let (logger, guard) = log::init(&config.log)?;
    let control = guard.control();
    let around = Surroundings::real(&logger, Arc::new(move || control.dropped()));
    let service = Service::start(config, around, &logger).await?;
    introduce(&servers, &service, &dir)?;
    wait(args.duration, &logger).await;
    service.stop(Instant::now() + STOP_WITHIN).await;
    Ok(())
}

/// The configuration is read as any other, so the playground shows nothing that a user could not have.
fn configuration(
    servers: &[(ScriptedServer, Actor)],
    dir: &std::path::Path,
    listen: SocketAddr,
    poll: Duration,
) -> Result<Config, Box<dyn std::error::Error>> {
    let list: Vec<serde_json::Value> = servers
        .iter()
        .map(|(server, actor)| {
            let address = server.address().to_string();
            serde_json::json!({ "name": actor.name, "address": address, "own": true, "tags": { "group": "demo" } })
        })
        .collect();
    let poll = humantime::format_duration(poll).to_string();
    let text = serde_json::json!({
        "monitor": { "vantage": "demo", "data_dir": dir },
        "http": { "listen": listen.to_string() },
        "defaults": { "poll_interval": poll, "timeout": "500ms" },
        "server": list,
    });
    let file = dir.join("servers.json");
    std::fs::create_dir_all(dir)?;
    std::fs::write(&file, serde_json::to_vec_pretty(&text)?)?;
    Ok(config::load(Some(&file), &Environment::new(), &[])?.config)
}

fn introduce(servers: &[(ScriptedServer, Actor)], service: &Service, dir: &std::path::Path) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Nine NTP servers on this host, and a monitor that watches them:\n")?;
    for (server, actor) in servers {
        writeln!(out, "  {:<16}{:<22}{}", actor.name, server.address(), actor.what)?;
    }
    for address in service.listening() {
        writeln!(out, "\nPage:           http://{address}/")?;
        writeln!(out, "Metrics:        http://{address}/metrics")?;
        writeln!(out, "Health:         http://{address}/health")?;
    }
    writeln!(out, "Configuration:  {}", dir.join("servers.json").display())?;
    writeln!(out, "CSV and store:  {}", dir.display())?;
    writeln!(out, "\nCtrl-C ends it.")?;
    out.flush()
}

async fn wait(duration: Option<Duration>, log: &Logger) {
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to within a tokio runtime");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened to within a tokio runtime");
    tokio::select! {
        () = over => slog::info!(log, "the time is over"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// A directory of our own that goes when we do.
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
