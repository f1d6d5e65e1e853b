//! The fleet is no weapon: no server sees more than its budget, whatever is cut, killed or replanned. In simulated time
//! with the planner, the limits of the agents and the schedules of the program; and for real.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::config::{self, Config, Server};
use ntp_monitor::fleet::enforce::enforce;
use ntp_monitor::fleet::judge::Judge;
use ntp_monitor::fleet::plan::PlanDocument;
use ntp_monitor::fleet::planner::Planner;
use ntp_monitor::fleet::presence::{Candidate, Presence};
use ntp_monitor::fleet::state::{HubView, VantageView};
use ntp_monitor::probe::schedule::Schedule;
use ntp_monitor::sim::Script;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::{home, member};
use crate::common::monitor::{Home, own};
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::until;

const BUDGET_S: f64 = 16.0;
const S: i64 = 1_000_000_000;

/// By how many requests the worst window exceeds what the budget allows in it. One is the request that opens a window.
fn excess(arrivals_s: &[f64], budget_s: f64) -> f64 {
    let (mut least, mut worst) = (f64::INFINITY, f64::NEG_INFINITY);
    for (n, at_s) in arrivals_s.iter().enumerate() {
        let saved = n as f64 - at_s / budget_s;
        least = least.min(saved);
        worst = f64::max(worst, 1.0 + saved - least);
    }
    worst
}

#[test]
fn excess_counts_requests_beyond_the_budget_of_the_worst_window() {
    let even: Vec<f64> = (0..100).map(|n| 16.0 * f64::from(n)).collect();
    assert_eq!(excess(&even, 16.0), 1.0);
    let mut burst = even.clone();
    burst.splice(50..50, [16.0 * 49.0; 6]);
    assert_eq!(excess(&burst, 16.0), 7.0);
    let fast: Vec<f64> = (0..100).map(|n| 12.0 * f64::from(n)).collect();
    assert!(excess(&fast, 16.0) > 20.0);
}

fn settings(agents: usize, more: &str) -> Config {
    let text = format!(
        "[monitor]\nvantage = \"here\"\n[nats]\nurl = \"nats://127.0.0.1\"\n[fleet]\nrole = \"both\"\n\
         fallback_interval = \"{}s\"\n{more}\n",
        agents as f64 * BUDGET_S
    );
    let servers: String = (0..SERVERS)
        .map(|n| format!("[[server]]\nname = \"s{n}\"\naddress = \"192.0.2.{n}\"\npoll_interval = \"16s\"\n"))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("servers.toml");
    std::fs::write(&file, text + &servers).unwrap();
    config::load(Some(&file), &config::Environment::default(), &[]).unwrap().config
}

const SERVERS: usize = 20;

/// One address of one agent.
struct Target {
    server: Arc<Server>,
    schedule: Schedule,
    due_ns: i64,
    is_polled: bool,
}

#[derive(Default)]
struct Agent {
    plan: Option<PlanDocument>,
    /// When it sent the announcement that the plan answers.
    since_s: Option<u64>,
    is_valid: bool,
    /// What the targets follow: the version of a plan, and whether it is valid.
    paced: Option<(Option<(u64, u64)>, bool)>,
    targets: BTreeMap<Arc<str>, Target>,
    cut_until_s: u64,
    down_until_s: u64,
    /// Counts its processes; it remembers only the time of their end.
    process: u64,
}

impl Agent {
    fn is_up(&self, s: u64) -> bool {
        s >= self.down_until_s
    }

    /// Applies plan or fallback as the program does.
    fn pace(&mut self, config: &Config, s: u64, dice: f64) {
        let fleet = config.fleet.as_ref().unwrap();
        let now_ns = s.cast_signed() * S;
        let validity_s = self.plan.as_ref().map_or(0.0, |plan| plan.validity_s);
        self.is_valid = self.since_s.is_some_and(|since_s| (s as f64) < since_s as f64 + validity_s);
        let version = self.plan.as_ref().map(|plan| (plan.revision, plan.number));
        if self.paced.replace((version, self.is_valid)) == Some((version, self.is_valid)) {
            return;
        }
        let enforced = enforce(fleet, &config.servers, self.plan.as_ref(), self.is_valid);
        self.targets.values_mut().for_each(|target| target.is_polled = false);
        for server in enforced.servers {
            match self.targets.get_mut(&server.ident.name) {
                Some(target) if *target.server == *server => target.is_polled = true,
                Some(target) => {
                    target.schedule.reconfigure(&server, now_ns);
                    target.due_ns = target.schedule.next_poll(dice);
                    (target.server, target.is_polled) = (server, true);
                }
                None => {
                    let mut schedule = Schedule::new(&server, now_ns);
                    if self.process > 0 {
                        // As after every unclean end.
                        schedule.asked_before(now_ns);
                    }
                    let due_ns = schedule.next_poll(dice);
                    let target = Target { schedule, due_ns, is_polled: true, server: Arc::clone(&server) };
                    self.targets.insert(Arc::clone(&server.ident.name), target);
                }
            }
        }
    }
}

/// A plan document, when it was written, and the process and time of the announcement that it answers.
type Written = (PlanDocument, u64, Option<(u64, u64)>);

/// Five agents, their hub, and what the servers see.
struct World {
    config: Config,
    rng: StdRng,
    start: Instant,
    view: HubView,
    judge: Judge,
    planner: Planner,
    lease: u64,
    agents: BTreeMap<String, Agent>,
    documents: BTreeMap<String, Written>,
    /// The last announcement of each vantage: its process and when it was sent.
    announced: BTreeMap<String, (u64, u64)>,
    arrivals_s: BTreeMap<String, Vec<f64>>,
}

impl World {
    fn new(agents: usize, more: &str, seed: u64) -> Self {
        let config = settings(agents, more);
        let (judge, mut view) = (Judge::default(), HubView::default());
        for v in 0..agents {
            let name = format!("v{v}");
            let candidate =
                |n: usize| Candidate { name: format!("s{n}"), interval_s: BUDGET_S, ..Candidate::default() };
            let presence = Presence { servers: (0..SERVERS).map(candidate).collect(), ..Presence::default() };
            view.vantages
                .insert(name.clone(), VantageView { presence: Some(Arc::new(presence)), ..VantageView::default() });
            let seen = |n: usize| Sample {
                address: format!("192.0.2.{n}:123").parse().ok(),
                ..Sample::unasked(
                    Stamp::default(),
                    ServerIdent::seen_from(&name, &format!("s{n}")),
                    Outcome::Timeout,
                    16.0,
                )
            };
            let seen: Vec<_> = (0..SERVERS).map(|n| Arc::new(seen(n))).collect();
            judge.observe(&seen, &view, 0);
        }
        Self {
            planner: Planner::new(config.fleet.as_ref().unwrap()),
            agents: view.vantages.keys().map(|name| (name.clone(), Agent::default())).collect(),
            config,
            rng: StdRng::seed_from_u64(seed),
            start: Instant::now(),
            view,
            judge,
            lease: 1,
            documents: BTreeMap::new(),
            announced: BTreeMap::new(),
            arrivals_s: BTreeMap::new(),
        }
    }

    fn at(&self, s: u64) -> Instant {
        self.start + Duration::from_secs(s)
    }

    /// The hub is replaced by one that knows the documents only.
    fn kill_hub(&mut self, s: u64) {
        (self.planner, self.lease) = (Planner::new(self.config.fleet.as_ref().unwrap()), self.lease + 1);
        for (vantage, (document, ..)) in &self.documents {
            self.planner.adopt(&vantage.as_str().into(), document, &vantage.as_str().into(), self.at(s));
        }
    }

    fn kill_agent(&mut self, name: &str, s: u64, down_s: u64) {
        let agent = self.agents.get_mut(name).unwrap();
        *agent = Agent { process: agent.process + 1, down_until_s: s + down_s, ..Agent::default() };
    }

    /// A second without faults beyond those that were made.
    fn step(&mut self, s: u64) {
        let now = self.at(s);
        for (name, agent) in self.agents.iter_mut().filter(|(_, agent)| agent.is_up(s)) {
            let is_connected = s >= agent.cut_until_s;
            let announces = s.is_multiple_of(20) || self.announced.get(name).is_none_or(|last| last.0 != agent.process);
            if is_connected && announces {
                let known = self.view.vantages.get_mut(name).unwrap();
                (known.heard, known.announced) = (Some(now), Some(now));
                let plan = agent.plan.as_ref().filter(|_| agent.is_valid);
                let follows = plan.map(|plan| (plan.revision, plan.number));
                Arc::make_mut(known.presence.as_mut().unwrap()).follows = follows;
                self.announced.insert(name.clone(), (agent.process, s));
            }
            // Documents arrive some seconds after they were written.
            if let Some((document, written_s, answers)) = self.documents.get(name)
                && is_connected
                && s >= written_s + self.rng.random_range(0..8)
                && agent.plan.as_ref().is_none_or(|plan| {
                    !agent.is_valid || (document.revision, document.number) >= (plan.revision, plan.number)
                })
            {
                agent.plan = Some(document.clone());
                agent.since_s = answers.filter(|(process, _)| *process == agent.process).map(|(_, sent_s)| sent_s);
            }
            agent.pace(&self.config, s, self.rng.random());
            for (server, target) in agent.targets.iter_mut().filter(|(_, target)| target.is_polled) {
                let now_ns = s.cast_signed() * S;
                if target.due_ns <= now_ns && target.schedule.earliest() <= now_ns {
                    target.schedule.requested(now_ns);
                    target.due_ns = target.schedule.next_poll(self.rng.random());
                    self.arrivals_s.entry(server.to_string()).or_default().push(s as f64);
                }
            }
        }
        if s.is_multiple_of(8) {
            self.plan(s);
        }
    }

    fn plan(&mut self, s: u64) {
        let now = self.at(s);
        self.planner.turn(&self.view, &self.judge.roster(), now);
        for name in self.agents.keys() {
            let Some(current) = self.planner.current(name).cloned() else { continue };
            let is_due = self.documents.get(name).is_none_or(|(document, written_s, _)| {
                (document.revision, document.number) != (self.lease, current.number) || s >= written_s + 40
            });
            if is_due {
                self.planner.written(name, self.lease, self.view.vantages[name].announced, now);
                let document = PlanDocument {
                    v: 1,
                    hub: "h".into(),
                    revision: self.lease,
                    number: current.number,
                    answers: None,
                    validity_s: 120.0,
                    servers: Some(current.planned),
                    stored: Vec::new(),
                    caught_up: true,
                };
                self.documents.insert(name.clone(), (document, s, self.announced.get(name).copied()));
            }
        }
    }
}

/// A hundred thousand polls; each server sees at most what the budget allows, and one request more from each agent.
#[test]
fn simulated_fleet_stays_within_the_budget_through_every_fault() {
    const AGENTS: usize = 5;
    const POLLS: usize = 100_000;
    let mut world = World::new(AGENTS, "", 11);
    let names: Vec<String> = world.agents.keys().cloned().collect();
    let (mut s, mut polls) = (0, 0);
    while polls < POLLS {
        if world.rng.random_bool(1.0 / 1500.0) {
            world.kill_hub(s);
        }
        for name in &names {
            if world.rng.random_bool(1.0 / 2000.0) {
                let down_s = world.rng.random_range(1..90);
                world.kill_agent(name, s, down_s);
            }
            if world.rng.random_bool(1.0 / 1500.0) {
                let cut_s = world.rng.random_range(1..900);
                world.agents.get_mut(name).unwrap().cut_until_s = s + cut_s;
            }
        }
        world.step(s);
        s += 1;
        polls = world.arrivals_s.values().map(Vec::len).sum();
        assert!(s < 400_000, "{polls} polls in {s} s");
    }
    let worst = world.arrivals_s.values().map(|arrivals_s| excess(arrivals_s, BUDGET_S)).fold(0.0, f64::max);
    let used = polls as f64 / SERVERS as f64 / (s as f64 / BUDGET_S);
    eprintln!("{polls} polls in {s} s: {:.0} % of the budget; the worst window has {worst:.2} too many", 100.0 * used);
    assert!(worst <= AGENTS as f64 + 0.01, "{worst}");
    assert!(used > 0.6, "{used}");
}

/// With one vantage for each server, another must take over what a dead one polled.
#[test]
fn servers_of_a_dead_agent_are_taken_over_in_time() {
    let mut world = World::new(5, "vantages_per_server = 1", 3);
    for s in 0..1800 {
        world.step(s);
    }
    let polled = |world: &World, name: &str| -> Vec<Arc<str>> {
        let targets = world.agents[name].targets.iter().filter(|(_, target)| target.is_polled);
        targets.map(|(server, _)| Arc::clone(server)).collect()
    };
    let dead = world.agents.keys().find(|name| !polled(&world, name).is_empty()).unwrap().clone();
    let servers = polled(&world, &dead);
    world.kill_agent(&dead, 1800, u64::MAX / 2);
    for s in 1800..2400 {
        world.step(s);
    }
    let gap = |server: &Arc<str>| {
        let later = world.arrivals_s[&**server].iter().find(|at_s| **at_s > 1800.0);
        later.map_or(f64::INFINITY, |at_s| at_s - 1800.0)
    };
    let longest = servers.iter().map(gap).fold(0.0, f64::max);
    eprintln!("{} servers, the last one is polled again after {longest} s", servers.len());
    assert!(longest <= 120.0 + 2.0 * BUDGET_S, "{longest} s");
}

/// For how long the real fleet runs; `FLEET_POLITE_FOR=10m` makes the long run.
fn span() -> Duration {
    let text = std::env::var("FLEET_POLITE_FOR");
    text.map_or(Duration::from_secs(18), |text| humantime::parse_duration(&text).expect("FLEET_POLITE_FOR"))
}

#[test]
fn real_fleet_stays_within_a_budget_of_100_ms() {
    const AGENTS: usize = 5;
    let Some(mut nats) = Nats::start() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let budget = "groups = [\"here\"]\nown_budget = \"100ms\"\nfallback_interval = \"16s\"\n";
    let hub_home = home(&format!("{}{budget}", member("hub1", "hub", &nats)));
    let homes: Vec<Home> = (0..AGENTS)
        .map(|n| home(&format!("{}{}{budget}", own("s", server.address()), member(&format!("v{n}"), "agent", &nats))))
        .collect();
    let mut hub = hub_home.start();
    let mut agents: Vec<_> = homes.iter().map(Home::start).collect();
    let arrivals_s = || server.arrivals().iter().map(|at| at.mono_ns as f64 / 1e9).collect::<Vec<_>>();
    until("the plan is followed", || {
        let all = arrivals_s();
        all.len() > 40 && all[all.len() - 1] - all[all.len() - 31] < 6.0
    });
    let begin = arrivals_s().len();
    let (rounds, mut rng) = (6, rand::rng());
    for round in 0..rounds {
        // Not for something to happen: for how long each state lasts.
        std::thread::sleep(span() / rounds);
        match round {
            1 => {
                let n = rng.random_range(0..AGENTS);
                agents.remove(n).kill();
                agents.insert(n, homes[n].start());
            }
            2 => nats.interrupt(Duration::from_millis(500)),
            3 => {
                hub.kill();
                hub = hub_home.start();
            }
            _ => {}
        }
    }
    let all = arrivals_s();
    let worst = excess(&all, 0.1);
    let used = (all.len() - begin) as f64 / ((all[all.len() - 1] - all[begin]) / 0.1);
    eprintln!("{} requests, {:.0} % of the budget; the worst window has {worst:.2} too many", all.len(), 100.0 * used);
    assert!(worst <= AGENTS as f64 + 0.5, "{worst}");
    assert!(used > 0.5, "{used}");
    assert!(agents.iter_mut().all(|agent| agent.stop() == 0) && hub.stop() == 0);
}
