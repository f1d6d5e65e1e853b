//! `ntp-monitor demo --fleet`: a nats-server, a hub and four agents on this host, with scripted clocks and paths.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::Logger;

use super::demo_file::write_own;
use crate::app::{Service, Surroundings};
use crate::config::{self, Environment};
use crate::probe::{Engines, ProbeEngine, ProbeFuture, ProbeReport, Query};
use crate::sim::{Script, ScriptedServer};

/// nats-server must listen within this time.
const READY_WITHIN: Duration = Duration::from_secs(10);
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The differences between the agents: clock error, and delay of the replies.
struct AgentScript {
    name: &'static str,
    what: &'static str,
    clock_s: f64,
    queue_s: f64,
}

const AGENTS: [AgentScript; 4] = [
    AgentScript { name: "ams", what: "right", clock_s: 0.0, queue_s: 0.0 },
    AgentScript { name: "ber", what: "right", clock_s: 0.0, queue_s: 0.0 },
    AgentScript { name: "lon", what: "its clock is 30 ms ahead", clock_s: 0.03, queue_s: 0.0 },
    AgentScript { name: "nyc", what: "behind a queue of 40 ms", clock_s: 0.0, queue_s: 0.04 },
];

/// An engine that simulates a wrong clock of the host and delayed replies.
struct Scripted {
    inner: Arc<dyn ProbeEngine>,
    clock_s: f64,
    queue_s: f64,
}

impl ProbeEngine for Scripted {
    fn probe(&self, query: Query) -> ProbeFuture {
        let (asked, clock_s, queue_s) = (self.inner.probe(query), self.clock_s, self.queue_s);
        Box::pin(async move { scripted(asked.await, clock_s, queue_s) })
    }
}

fn scripted(mut report: ProbeReport, clock_s: f64, queue_s: f64) -> ProbeReport {
    if let Some(measure) = &mut report.measure {
        measure.offset_s -= clock_s + queue_s / 2.0;
        measure.delay_s += queue_s;
        measure.root_distance_s += queue_s / 2.0;
    }
    let ahead_ns = (clock_s * 1e9) as i64;
    report.at.wall_ns += ahead_ns;
    report.at.raw_ns += ahead_ns;
    report
}

/// A running demo; all its parts end when it is dropped.
pub struct FleetDemo {
    _nats: Nats,
    _servers: Vec<ScriptedServer>,
    agents: Vec<Service>,
    hub: Service,
}

/// A nats-server that is killed when this is dropped.
struct Nats(Child);

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of nats-server: `NATS_SERVER`, the one that `make demo-fleet` fetches, or that of PATH.
fn nats_server() -> Result<PathBuf, String> {
    let named = std::env::var_os("NATS_SERVER").map(PathBuf::from);
    let fetched = PathBuf::from("target/tools/nats-server/nats-server");
    let found =
        || std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("nats-server")).find(|f| f.is_file());
    named.or_else(|| Some(fetched).filter(|file| file.is_file())).or_else(found).ok_or_else(|| {
        "a fleet needs nats-server: run make demo-fleet, which fetches it, or set NATS_SERVER to its path".to_owned()
    })
}

fn start_nats(dir: &Path) -> Result<(Nats, String), Box<dyn std::error::Error>> {
    let program = nats_server()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = dir.join("nats.conf");
    let storage = dir.join("nats");
    write_own(&config, &format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {storage:?} }}\n"))?;
    let log = std::fs::File::create(dir.join("nats.log"))?;
    let child =
        Command::new(&program).arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    let nats = Nats(child.map_err(|why| format!("cannot start {}: {why}", program.display()))?);
    let until = Instant::now() + READY_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            return Err(format!("nats-server does not listen; see {}", dir.join("nats.log").display()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((nats, format!("nats://127.0.0.1:{port}")))
}

impl FleetDemo {
    /// Starts everything in `dir`.
    pub async fn start(
        dir: &Path,
        listen: SocketAddr,
        poll: Duration,
        log: &Logger,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let (nats, url) = start_nats(dir)?;
        let (mut servers, mut list) = (Vec::new(), String::new());
        for n in 1..=5 {
            let liar = n == 5;
            let script = if liar { Script::good().offset_ns(80_000_000) } else { Script::good() };
            let server = ScriptedServer::start(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), script).await?;
            let name = if liar { "ahead".to_owned() } else { format!("good-{n}") };
            list += &format!("[[server]]\nname = {name:?}\naddress = \"{}\"\nown = true\n", server.address());
            servers.push(server);
        }
        let text = |name: &str, role: &str, listen: &str| {
            let poll = humantime::format_duration(poll);
            format!(
                "[monitor]\nvantage = {name:?}\ndata_dir = {:?}\n[http]\nlisten = {listen:?}\n[csv]\nenabled = false\n\
                 [defaults]\npoll_interval = \"{poll}\"\ntimeout = \"500ms\"\n[nats]\nurl = {url:?}\n[fleet]\nrole = {role:?}\n\
                 groups = [\"demo\"]\n",
                dir.join(name)
            )
        };
        let hub = text("hub", "hub", &listen.to_string());
        let hub = start(&hub, dir, "hub", Surroundings::real(log, Arc::new(|| 0)), log).await?;
        let mut agents = Vec::new();
        for script in &AGENTS {
            let text = format!("{}{list}", text(script.name, "agent", "127.0.0.1:0"));
            let around = Surroundings::real(log, Arc::new(|| 0));
            let inner = around.engines.choose(config::EngineChoice::Kernel);
            let engine: Arc<dyn ProbeEngine> =
                Arc::new(Scripted { inner, clock_s: script.clock_s, queue_s: script.queue_s });
            let around = Surroundings { engines: Engines::of(Arc::clone(&engine), engine), ..around };
            agents.push(start(&text, dir, script.name, around, log).await?);
        }
        Ok(Self { _nats: nats, _servers: servers, agents, hub })
    }

    /// Prints the addresses and paths of all parts.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn introduce(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "Five NTP servers on this host, one of them 80 ms ahead; four agents and a hub over NATS:\n")?;
        for (script, agent) in AGENTS.iter().zip(&self.agents) {
            let address = agent.listening().first().map(ToString::to_string).unwrap_or_default();
            writeln!(out, "  {:<6}{:<28}http://{address}/", script.name, script.what)?;
        }
        for address in self.hub.listening() {
            writeln!(out, "\nFleet:          http://{address}/#/fleet")?;
            writeln!(out, "Verdict:        http://{address}/api/v1/fleet/verdict")?;
        }
        writeln!(out, "\nCtrl-C ends it.")?;
        out.flush()
    }

    /// Ends everything.
    pub async fn stop(self) {
        let until = Instant::now() + STOP_WITHIN;
        for agent in self.agents {
            agent.stop(until).await;
        }
        self.hub.stop(until).await;
    }
}

async fn start(
    text: &str,
    dir: &Path,
    name: &str,
    around: Surroundings,
    log: &Logger,
) -> Result<Service, Box<dyn std::error::Error>> {
    let file = dir.join(format!("{name}.toml"));
    write_own(&file, text)?;
    let config = config::load(Some(&file), &Environment::new(), &[])?.into_config();
    Ok(Service::start(config, around, &log.new(slog::o!("of" => name.to_owned()))).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::clock::Stamp;
    use ntp_monitor_core::sample::{Measure, Outcome};

    #[test]
    fn scripted_clock_that_is_ahead_sees_servers_behind() {
        let measure = Some(Measure { offset_s: 0.0, delay_s: 0.001, root_distance_s: 0.002 });
        let report = ProbeReport { measure, ..ProbeReport::failed(Stamp::new(5, 5, 5), Outcome::Sample) };
        let seen = scripted(report, 0.03, 0.04);
        let measure = seen.measure.unwrap();
        assert!((measure.offset_s + 0.05).abs() < 1e-12 && (measure.delay_s - 0.041).abs() < 1e-12);
        assert_eq!(seen.at, Stamp::new(30_000_005, 5, 30_000_005));
    }
}
