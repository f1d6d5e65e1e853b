//! A fleet in simulated time: the planner, the limits of the agents and the schedules of the program, with clocks of
//! different rates, late messages and timers, and manual polls.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::config::{self, Config, Server};
use ntp_monitor::fleet::enforce::enforce;
use ntp_monitor::fleet::judge::Judge;
use ntp_monitor::fleet::plan::PlanDocument;
use ntp_monitor::fleet::planner::Planner;
use ntp_monitor::fleet::presence::{AgentClock, Candidate, Presence};
use ntp_monitor::fleet::state::{HubView, VantageView};
use ntp_monitor::probe::schedule::{Schedule, SlotLine};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

pub const BUDGET_S: f64 = 16.0;
pub const SERVERS: usize = 20;

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

/// One address of one agent.
pub struct Target {
    server: Arc<Server>,
    address: SocketAddr,
    schedule: Schedule,
    due_ns: i64,
    pub is_polled: bool,
}

/// A clock that no program corrects.
#[derive(Clone, Copy)]
struct Quartz {
    offset_s: f64,
    rate: f64,
}

impl Quartz {
    fn random(rng: &mut StdRng) -> Self {
        Self { offset_s: rng.random_range(-1e6..1e6), rate: 1.0 + rng.random_range(-45e-6..45e-6) }
    }

    fn at(self, s: f64) -> f64 {
        self.offset_s + self.rate * s
    }
}

pub struct Agent {
    quartz: Quartz,
    /// The delay of its requests on the way to the servers, in seconds.
    way_s: f64,
    plan: Option<PlanDocument>,
    /// The stored plan, which outlives its process.
    kept: Option<PlanDocument>,
    /// When it sent the announcement that the plan answers.
    since_s: Option<f64>,
    /// What the targets follow: the version of a plan, and whether the plan is valid.
    paced: Option<(Option<(u64, u64)>, bool)>,
    pub targets: BTreeMap<Arc<str>, Target>,
    pub cut_until_s: f64,
    down_until_s: f64,
    /// The numbers of its process and of its last announcement.
    process: u64,
    announced: u64,
    follows: Option<(u64, u64)>,
    announced_s: f64,
    clock: AgentClock,
    coming: Option<Coming>,
}

/// A document in transit: its arrival time, the document, and the process and time of the announcement that it answers.
type Coming = (f64, PlanDocument, Option<(u64, f64)>);

impl Agent {
    fn new(rng: &mut StdRng) -> Self {
        Self {
            quartz: Quartz::random(rng),
            way_s: rng.random_range(0.005..0.15),
            plan: None,
            kept: None,
            since_s: None,
            paced: None,
            targets: BTreeMap::new(),
            cut_until_s: 0.0,
            down_until_s: 0.0,
            process: 0,
            announced: 0,
            follows: None,
            announced_s: f64::NEG_INFINITY,
            clock: AgentClock { id: "quartz".into(), ..AgentClock::default() },
            coming: None,
        }
    }

    fn is_reached(&self, s: f64) -> bool {
        s >= self.down_until_s && s >= self.cut_until_s
    }

    /// Its monotonic clock shows the simulated time; its slot clock differs.
    fn stamp(&self, s: f64) -> Stamp {
        Stamp::new((1e9 * self.quartz.at(s)) as i64, (1e9 * s) as i64, 0)
    }

    fn version(&self) -> Option<(u64, u64)> {
        self.plan.as_ref().map(|plan| (plan.revision, plan.number))
    }

    fn expires_s(&self) -> f64 {
        let validity_s = self.plan.as_ref().map_or(0.0, |plan| plan.validity_s);
        self.since_s.map_or(f64::NEG_INFINITY, |since_s| since_s + validity_s)
    }

    fn line(&self) -> SlotLine {
        let line = self.plan.as_ref().and_then(|plan| plan.line.as_ref()).map(|line| line.line);
        SlotLine { line, asleep_ns: 0, planned_until: (1e9 * self.expires_s().max(0.0)) as i64 }
    }

    /// Handles a document that has arrived, as the program does.
    fn receive(&mut self, s: f64) {
        let Some((arrives_s, document, answers)) = self.coming.take_if(|coming| coming.0 <= s) else { return };
        if self.plan.as_ref().is_some_and(|plan| {
            s < self.expires_s() && (document.revision, document.number) < (plan.revision, plan.number)
        }) {
            return;
        }
        if let Some(clock) = &document.clock {
            (self.clock.hub, self.clock.hub_sent_s) = (clock.id.clone(), clock.sent_s);
            self.clock.received_s = self.quartz.at(arrives_s.max(self.cut_until_s).max(self.down_until_s));
        }
        if document.line.is_some() {
            self.kept = Some(document.clone());
        }
        self.plan = Some(document);
        self.since_s = answers.filter(|(process, _)| *process == self.process).map(|(_, sent_s)| sent_s);
    }

    /// Applies plan or fallback as the program does.
    fn pace(&mut self, config: &Config, s: f64, dice: f64) {
        let is_valid = s < self.expires_s();
        if self.paced.replace((self.version(), is_valid)) == Some((self.version(), is_valid)) {
            return;
        }
        let enforced = enforce(config.fleet.as_ref().unwrap(), &config.servers, self.plan.as_ref(), is_valid);
        let (stamp, line) = (self.stamp(s), self.line());
        self.targets.values_mut().for_each(|target| target.is_polled = false);
        for server in enforced.servers {
            let name = Arc::clone(&server.ident.name);
            let address = address_of(&name);
            let target = self.targets.entry(name).or_insert_with(|| {
                let mut schedule = Schedule::new(&server, address, stamp.mono_ns);
                if self.process > 0 {
                    // As after every unclean shutdown.
                    schedule.asked_before(stamp.mono_ns);
                }
                Target { schedule, address, due_ns: 0, is_polled: true, server: Arc::clone(&server) }
            });
            if target.server != server {
                target.schedule.reconfigure(&server, target.address, stamp.mono_ns);
            }
            target.schedule.look(&line, stamp);
            target.due_ns = target.schedule.next_poll(dice);
            (target.server, target.is_polled) = (server, true);
        }
    }

    /// Polls for one second and reports the arrivals at the servers. Timers are late, and there are manual polls.
    fn poll(&mut self, s: f64, rng: &mut StdRng, seen: &mut dyn FnMut(&Arc<str>, f64)) {
        let (line, quartz) = (self.line(), self.quartz);
        for (server, target) in self.targets.iter_mut().filter(|(_, target)| target.is_polled) {
            let asked_s = if rng.random_bool(0.01) { s + rng.random::<f64>() } else { f64::INFINITY };
            loop {
                let due_s = (target.due_ns as f64 / 1e9).min(s + 60.0).min(asked_s).max(s);
                if due_s >= s + 1.0 {
                    break;
                }
                let late_s = if rng.random_bool(0.02) { 0.9 } else { 0.03 } * rng.random::<f64>();
                let now_s = due_s + 1e-4 + late_s;
                let stamp = Stamp::new((1e9 * quartz.at(now_s)) as i64, (1e9 * now_s) as i64, 0);
                target.schedule.look(&line, stamp);
                if target.schedule.permitted_at(stamp.mono_ns) <= stamp.mono_ns {
                    target.schedule.requested(stamp.mono_ns);
                    seen(server, now_s + self.way_s + 0.01 * rng.random::<f64>());
                }
                target.due_ns = target.schedule.next_poll(rng.random());
                if asked_s < s + 1.0 {
                    break;
                }
            }
        }
    }
}

fn address_of(name: &str) -> SocketAddr {
    format!("192.0.2.{}:123", &name[1..]).parse().unwrap()
}

/// An announcement in transit to the hub: when it arrives, when it was sent, and by which process.
struct Announcement {
    arrives_s: f64,
    sent_s: f64,
    process: u64,
    name: String,
    presence: Presence,
}

/// The agents, their hub, and the requests that the servers receive.
pub struct World {
    config: Config,
    pub rng: StdRng,
    start: Instant,
    view: HubView,
    judge: Judge,
    planner: Planner,
    quartz: Quartz,
    lease: u64,
    pub agents: BTreeMap<String, Agent>,
    /// The last document of each vantage, and when it was written.
    documents: BTreeMap<String, (PlanDocument, f64)>,
    /// For each vantage, the process of the last announcement that arrived, and when it was sent.
    answers: BTreeMap<String, (u64, f64)>,
    coming: Vec<Announcement>,
    pub arrivals_s: BTreeMap<String, Vec<f64>>,
    /// Polls of agents that never had a plan.
    pub unplanned: usize,
}

impl World {
    pub fn new(agents: usize, more: &str, seed: u64) -> Self {
        let config = settings(agents, more);
        let (judge, mut view) = (Judge::default(), HubView::default());
        for v in 0..agents {
            let name = format!("v{v}");
            view.vantages.insert(name.clone(), VantageView::default());
            let seen = |n: usize| Sample {
                address: Some(address_of(&format!("s{n}"))),
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
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            planner: Planner::new(config.fleet.as_ref().unwrap()),
            agents: view.vantages.keys().map(|name| (name.clone(), Agent::new(&mut rng))).collect(),
            quartz: Quartz::random(&mut rng),
            config,
            rng,
            start: Instant::now(),
            view,
            judge,
            lease: 1,
            documents: BTreeMap::new(),
            answers: BTreeMap::new(),
            coming: Vec::new(),
            arrivals_s: BTreeMap::new(),
            unplanned: 0,
        }
    }

    fn at(&self, s: f64) -> Instant {
        self.start + Duration::from_secs_f64(s)
    }

    /// Replaces the hub with one on another machine, which knows only the documents.
    pub fn kill_hub(&mut self, s: f64) {
        (self.planner, self.lease) = (Planner::new(self.config.fleet.as_ref().unwrap()), self.lease + 1);
        self.quartz = Quartz::random(&mut self.rng);
        for (vantage, (document, _)) in &self.documents {
            self.planner.adopt(&vantage.as_str().into(), document, &vantage.as_str().into(), self.at(s));
        }
        // The new hub has received the same announcements.
        for known in self.view.vantages.values_mut() {
            let at_s = known.announced.map_or(s, |at| (at - self.start).as_secs_f64());
            known.announced_s = self.quartz.at(at_s);
        }
    }

    pub fn kill_agent(&mut self, name: &str, s: f64, down_s: f64) {
        let agent = self.agents.get_mut(name).unwrap();
        let fresh = Agent::new(&mut self.rng);
        *agent = Agent {
            quartz: agent.quartz,
            way_s: agent.way_s,
            plan: agent.kept.clone(),
            kept: agent.kept.clone(),
            process: agent.process + 1,
            down_until_s: s + down_s,
            cut_until_s: agent.cut_until_s,
            ..fresh
        };
    }

    /// Most messages take milliseconds, some take seconds.
    fn delay_s(rng: &mut StdRng) -> f64 {
        if rng.random_bool(0.1) { rng.random_range(0.1..8.0) } else { rng.random_range(0.01..0.1) }
    }

    /// Simulates one second with the present faults.
    pub fn step(&mut self, second: u64) {
        let s = second as f64;
        let mut is_news = second.is_multiple_of(4);
        for (name, agent) in &mut self.agents {
            if s < agent.down_until_s {
                continue;
            }
            if agent.is_reached(s) {
                agent.receive(s);
            }
            agent.pace(&self.config, s, self.rng.random());
            let follows = agent.version().filter(|_| s < agent.expires_s());
            if agent.is_reached(s) && (follows != agent.follows || s >= agent.announced_s + 20.0) {
                (agent.follows, agent.announced_s, agent.announced) = (follows, s, agent.announced + 1);
                let candidate =
                    |n: usize| Candidate { name: format!("s{n}"), interval_s: BUDGET_S, ..Candidate::default() };
                let presence = Presence {
                    session: agent.process.to_string(),
                    number: agent.announced,
                    follows,
                    clock: Some(AgentClock { sent_s: agent.quartz.at(s), ..agent.clock.clone() }),
                    servers: (0..SERVERS).map(candidate).collect(),
                    ..Presence::default()
                };
                let arrives_s = s + Self::delay_s(&mut self.rng);
                let (process, name) = (agent.process, name.clone());
                self.coming.push(Announcement { arrives_s, sent_s: s, process, name, presence });
            }
            let is_unplanned = agent.plan.as_ref().is_none_or(|plan| plan.line.is_none());
            let (arrivals_s, unplanned) = (&mut self.arrivals_s, &mut self.unplanned);
            agent.poll(s, &mut self.rng, &mut |server, at_s| {
                if is_unplanned {
                    *unplanned += 1;
                } else {
                    arrivals_s.entry(server.to_string()).or_default().push(at_s);
                }
            });
        }
        let mut arrived: Vec<_> = self.coming.extract_if(.., |coming| coming.arrives_s <= s + 1.0).collect();
        arrived.sort_by(|a, b| a.arrives_s.total_cmp(&b.arrives_s));
        for Announcement { arrives_s, sent_s, process, name, presence } in arrived {
            let known = self.view.vantages.get_mut(&name).unwrap();
            let at = self.start + Duration::from_secs_f64(arrives_s);
            (known.heard, known.announced, known.announced_s) = (Some(at), Some(at), self.quartz.at(arrives_s));
            is_news |= known.presence.as_ref().map(|before| before.follows) != Some(presence.follows);
            known.presence = Some(Arc::new(presence));
            self.answers.insert(name, (process, sent_s));
        }
        if is_news {
            self.plan(s + 1.0);
        }
    }

    fn plan(&mut self, s: f64) {
        let (now, now_s) = (self.at(s), self.quartz.at(s));
        self.planner.turn(&self.view, &self.judge.roster(), now, now_s);
        let validity_s = self.config.fleet.as_ref().unwrap().plan_ends_after().as_secs_f64();
        for (name, agent) in &mut self.agents {
            let Some(current) = self.planner.current(name).cloned() else { continue };
            let (clock, line) = self.planner.times(name, now_s);
            let is_due = self.documents.get(name).is_none_or(|(document, written_s)| {
                (document.revision, document.number) != (self.lease, current.number)
                    || document.line.is_some() != line.is_some()
                    || s >= written_s + validity_s / 3.0
            });
            if is_due {
                self.planner.written(name, self.lease, self.view.vantages[name].announced, now);
                let document = PlanDocument {
                    v: 1,
                    hub: "h".into(),
                    revision: self.lease,
                    number: current.number,
                    answers: None,
                    clock: Some(clock),
                    line,
                    group: None,
                    validity_s,
                    servers: Some(current.planned),
                    stored: Vec::new(),
                    caught_up: true,
                };
                let answers = self.answers.get(name).copied();
                agent.coming = Some((s + Self::delay_s(&mut self.rng), document.clone(), answers));
                self.documents.insert(name.clone(), (document, s));
            }
        }
    }

    /// Arrivals at each server in order of time.
    pub fn arrivals_s(&self) -> BTreeMap<String, Vec<f64>> {
        let mut all = self.arrivals_s.clone();
        all.values_mut().for_each(|arrivals_s| arrivals_s.sort_by(f64::total_cmp));
        all
    }
}
