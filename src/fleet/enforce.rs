//! Which servers an agent polls and how often: its configuration file sets the limits, a plan chooses within them.
//! Pure.
//!
//! A plan never makes an agent poll faster than its file and the minimum interval permit, nor any server that its file
//! does not name or allow. Without a valid plan, every server that is not the user's own is polled at the fallback
//! interval, so that all agents together stay within the budget while no hub can reach them.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::plan::{AddressSlots, PlanDocument, Planned};
use crate::config::{
    Allowed, EngineChoice, Family, Fleet, Host, Pace, PlanSource, Server, is_of_one_host, split_address,
};
use ntp_monitor_core::fleet::plan::slots::{Class, Slots};
use ntp_monitor_core::interleaved::Policy;
use ntp_monitor_core::sample::ServerIdent;

/// Refusals that are listed; the others are only counted.
const MOST_REFUSALS: usize = 20;

/// The servers that an agent polls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Enforced {
    pub servers: Vec<Arc<Server>>,
    /// The entries of the plan that are not followed, with the reason.
    pub refusals: Vec<String>,
    /// Whether a valid plan chose the servers.
    pub is_planned: bool,
    /// Revision and number of the plan.
    pub version: Option<(u64, u64)>,
}

/// The servers that an agent polls. `plan` is the last plan, valid or expired; `own` are the servers of the agent's
/// file.
#[must_use]
pub fn enforce(fleet: &Fleet, own: &[Arc<Server>], plan: Option<&PlanDocument>, is_valid: bool) -> Enforced {
    if fleet.plan == PlanSource::Local {
        return Enforced { servers: own.to_vec(), ..Enforced::default() };
    }
    let known = plan.and_then(|plan| plan.servers.as_deref());
    let Some(planned) = known.filter(|_| is_valid) else {
        let servers = own.iter().map(|server| fallback(fleet, server, known.unwrap_or_default()));
        return Enforced { servers: servers.collect(), ..Enforced::default() };
    };
    let version = plan.map(|plan| (plan.revision, plan.number));
    let mut result = Enforced { is_planned: true, version, ..Enforced::default() };
    let (mut taken, mut refused) = (HashSet::new(), Vec::new());
    for planned in planned {
        let Some(interval_s) = planned.interval_s else { continue };
        match server(fleet, own, planned, interval_s) {
            Ok(server) if taken.insert(Arc::clone(&server.ident.name)) => result.servers.push(server),
            Ok(_) => refused.push(format!("{}: planned twice", planned.name)),
            Err(why) => refused.push(format!("{}: {why}", planned.name)),
        }
    }
    // The user's own servers do not count towards any budget.
    let free = own.iter().filter(|server| fleet.is_free(server) && !taken.contains(&server.ident.name));
    result.servers.extend(free.cloned());
    let more = refused.len().saturating_sub(MOST_REFUSALS);
    refused.truncate(MOST_REFUSALS);
    if more > 0 {
        refused.push(format!("and {more} more"));
    }
    result.refusals = refused;
    result
}

/// A server while no plan is valid: polled in the spare slots of the last plan and at its fallback interval, or else at
/// that of the file.
fn fallback(fleet: &Fleet, server: &Arc<Server>, known: &[Planned]) -> Arc<Server> {
    let planned = known.iter().find(|planned| *planned.name == *server.ident.name);
    let slots = planned.map(|planned| slots(planned, &|slots| slots.spare.into_iter().collect())).unwrap_or_default();
    let interval = fallback_interval(fleet, planned);
    let pace = Pace { slots, otherwise: interval, ..Pace::default() };
    slowed(fleet, server, interval, pace)
}

fn fallback_interval(fleet: &Fleet, planned: Option<&Planned>) -> Duration {
    let seconds = planned.and_then(|planned| planned.fallback_s);
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(fleet.fallback_interval)
}

/// The slots of each address, without addresses that have none.
fn slots(planned: &Planned, which: &dyn Fn(&AddressSlots) -> Vec<Class>) -> BTreeMap<SocketAddr, Slots> {
    let length = planned.slot_s.and_then(|slot_s| Duration::try_from_secs_f64(slot_s).ok()).unwrap_or_default();
    let first = planned.address.clone().map(|address| AddressSlots {
        address,
        slots: planned.slots.clone(),
        spare: planned.spare,
    });
    let all = first.iter().chain(&planned.more).filter(|_| !length.is_zero());
    let each = all.filter_map(|slots| {
        let classes = which(slots);
        (!classes.is_empty()).then_some((slots.address.parse().ok()?, Slots { length, classes }))
    });
    each.collect()
}

/// The same server, polled in these slots and no faster than its file permits, without bursts, which would exceed the
/// budget. A server of the user's own is returned unchanged.
fn slowed(fleet: &Fleet, server: &Arc<Server>, interval: Duration, pace: Pace) -> Arc<Server> {
    if fleet.is_free(server) {
        return Arc::clone(server);
    }
    let (least, otherwise) = (server.poll_interval, server.poll_interval.max(pace.otherwise));
    let pace = Some(Arc::new(Pace { least, otherwise, ..pace }));
    let poll_interval = server.poll_interval.max(interval);
    // The plan does not account for the queries of the protocol sheet.
    Arc::new(Server { poll_interval, samples_per_poll: 1, sheet: false, pace, ..(**server).clone() })
}

fn server(fleet: &Fleet, own: &[Arc<Server>], planned: &Planned, interval_s: f64) -> Result<Arc<Server>, String> {
    let interval = Duration::try_from_secs_f64(interval_s).map_err(|_| "its interval cannot be".to_owned())?;
    let slots = slots(planned, &|slots| slots.slots.clone());
    // Hubs of earlier releases do not assign slots, and their interval is a minimum.
    let otherwise = if planned.slot_s.is_some() { fallback_interval(fleet, Some(planned)) } else { interval };
    let pace = Pace { slots, least: Server::FLOOR, otherwise, is_planned: true };
    if let Some(server) = own.iter().find(|server| *server.ident.name == *planned.name) {
        return Ok(slowed(fleet, server, interval, pace));
    }
    let target = planned.address.as_deref().ok_or("is not in this agent's configuration")?;
    let (host, port) = split_address(target).map_err(|_| "its address is malformed".to_owned())?;
    if !is_allowed(&fleet.allow, &host) {
        return Err(format!("{target} is not allowed by [fleet] allow"));
    }
    Ok(Arc::new(Server {
        ident: ServerIdent::named(&planned.name),
        host,
        port: port.unwrap_or(123),
        own: false,
        poll_interval: interval.max(Server::FLOOR),
        timeout: Duration::from_secs(3),
        engine: EngineChoice::default(),
        family: Family::default(),
        addresses: crate::config::Addresses::default(),
        samples_per_poll: 1,
        offset_warning: Duration::from_millis(25),
        offset_critical: Duration::from_millis(100),
        sheet: false,
        paused: false,
        nts: None,
        pace: Some(Arc::new(Pace { otherwise: pace.otherwise.max(Server::FLOOR), ..pace })),
        interleaved: Policy::default(),
    }))
}

fn is_allowed(allow: &[Allowed], host: &Host) -> bool {
    let within = |address: IpAddr| {
        is_of_one_host(address)
            && allow.iter().any(|allowed| matches!(allowed, Allowed::Network(network) if network.contains(address)))
    };
    match host {
        Host::Address(address) => within(*address),
        Host::Name(name) => {
            let name = name.to_ascii_lowercase();
            allow.iter().any(|allowed| matches!(allowed, Allowed::Name(allowed) if *allowed == name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn config(allow: &str) -> crate::config::Config {
        let settings = [
            ("NTP_SERVER", "a.example,b.example"),
            ("NTP_MONITOR__MONITOR__VANTAGE", "here"),
            ("NTP_MONITOR__NATS__URL", "nats://127.0.0.1"),
            ("NTP_MONITOR__FLEET__ROLE", "agent"),
            ("NTP_MONITOR__FLEET__ALLOW", allow),
        ];
        let all: Environment = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        load(None, &all, &[]).unwrap().config
    }

    fn plan(servers: &[(&str, Option<&str>, f64)]) -> PlanDocument {
        let planned = |(name, address, interval_s): &(&str, Option<&str>, f64)| Planned {
            name: (*name).to_owned(),
            address: Some(address.unwrap_or("198.51.100.9:123").to_owned()),
            interval_s: Some(*interval_s),
            fallback_s: Some(2.0 * interval_s),
            slot_s: Some(17.0),
            slots: vec![Class { cycle: 6, at: 1 }],
            spare: Some(Class { cycle: 48, at: 5 }),
            more: Vec::new(),
        };
        PlanDocument {
            v: 1,
            hub: "h".into(),
            revision: 1,
            number: 1,
            answers: None,
            clock: None,
            line: None,
            group: None,
            validity_s: 120.0,
            servers: Some(servers.iter().map(planned).collect()),
            stored: Vec::new(),
            caught_up: true,
        }
    }

    fn polled(enforced: &Enforced) -> Vec<(String, u64)> {
        enforced.servers.iter().map(|server| (server.ident.name.to_string(), server.poll_interval.as_secs())).collect()
    }

    #[test]
    fn plan_chooses_and_slows_down_but_never_speeds_up() {
        let config = config("");
        let fleet = config.fleet.clone().unwrap();
        let enforced = enforce(&fleet, &config.servers, Some(&plan(&[("b.example", None, 0.001)])), true);
        assert_eq!(polled(&enforced), [("b.example".to_owned(), 64)]);
        let enforced = enforce(&fleet, &config.servers, Some(&plan(&[("b.example", None, 300.0)])), true);
        assert_eq!(polled(&enforced), [("b.example".to_owned(), 300)]);
        let pace = enforced.servers[0].pace.clone().unwrap();
        assert_eq!(pace.slots[&([198, 51, 100, 9], 123).into()].classes, [Class { cycle: 6, at: 1 }]);
        let seconds = [pace.least, pace.otherwise].map(|interval| interval.as_secs());
        assert_eq!(seconds, [64, 600], "while it is not known where the slots are");
    }

    #[test]
    fn shared_servers_are_polled_without_bursts() {
        let mut config = config("");
        let fleet = config.fleet.clone().unwrap();
        config.servers[0] = Arc::new(Server { samples_per_poll: 4, ..(*config.servers[0]).clone() });
        let enforced = enforce(&fleet, &config.servers, Some(&plan(&[("a.example", None, 300.0)])), true);
        assert_eq!(enforced.servers[0].samples_per_poll, 1);
        let enforced = enforce(&fleet, &config.servers, None, false);
        assert!(enforced.servers.iter().all(|server| server.pace.is_some() && server.samples_per_poll == 1));
    }

    #[test]
    fn without_a_plan_shared_servers_have_the_fallback_pace() {
        let mut config = config("");
        let fleet = config.fleet.clone().unwrap();
        config.servers[1] = Arc::new(Server { own: true, ..(*config.servers[1]).clone() });
        let expected = [("a.example".to_owned(), 1800), ("b.example".to_owned(), 64)];
        assert_eq!(polled(&enforce(&fleet, &config.servers, None, false)), expected);
        let silent = PlanDocument { servers: None, ..plan(&[]) };
        assert_eq!(polled(&enforce(&fleet, &config.servers, Some(&silent), true)), expected);
        let own_only = enforce(&fleet, &config.servers, Some(&plan(&[])), true);
        assert_eq!(polled(&own_only), [("b.example".to_owned(), 64)], "one's own is polled freely");
    }

    #[test]
    fn servers_that_the_file_does_not_allow_are_refused_by_name() {
        let config = config("192.0.2.0/24,time.example,fd00::/8");
        let fleet = config.fleet.clone().unwrap();
        let asked = [
            ("in", Some("192.0.2.7:123"), 1.0),
            ("name", Some("Time.Example"), 64.0),
            ("out", Some("198.51.100.1"), 64.0),
            ("all", Some("255.255.255.255"), 64.0),
            ("many", Some("ff02::1"), 64.0),
            ("any", Some("0.0.0.0"), 64.0),
            ("unknown", None, 64.0),
            ("in", Some("192.0.2.8"), 64.0),
        ];
        let enforced = enforce(&fleet, &config.servers, Some(&plan(&asked)), true);
        assert_eq!(polled(&enforced), [("in".to_owned(), 16), ("name".to_owned(), 64)]);
        assert_eq!(enforced.refusals.len(), 6, "{:?}", enforced.refusals);
    }

    #[test]
    fn expired_plan_leaves_its_fallback_pace() {
        let config = config("");
        let fleet = config.fleet.clone().unwrap();
        let expired = plan(&[("a.example", None, 300.0)]);
        let enforced = enforce(&fleet, &config.servers, Some(&expired), false);
        assert_eq!(polled(&enforced), [("a.example".to_owned(), 600), ("b.example".to_owned(), 1800)]);
        assert!(!enforced.is_planned);
        let spare = enforced.servers[0].pace.as_ref().unwrap().slots.values().next().unwrap().classes.clone();
        assert_eq!(spare, [Class { cycle: 48, at: 5 }]);
    }

    #[test]
    fn own_budget_subjects_own_servers_to_the_plan() {
        let mut config = config("");
        let fleet = Fleet { own_budget: Some(Duration::from_secs(1)), ..config.fleet.clone().unwrap() };
        config.servers[0] = Arc::new(Server { own: true, ..(*config.servers[0]).clone() });
        let asked = plan(&[("a.example", None, 300.0)]);
        assert_eq!(polled(&enforce(&fleet, &config.servers, Some(&asked), true)), [("a.example".to_owned(), 300)]);
        assert_eq!(polled(&enforce(&fleet, &config.servers, None, false))[0], ("a.example".to_owned(), 1800));
    }

    #[test]
    fn local_plan_ignores_the_hub() {
        let config = config("");
        let fleet = Fleet { plan: PlanSource::Local, ..config.fleet.clone().unwrap() };
        let enforced = enforce(&fleet, &config.servers, Some(&plan(&[])), true);
        assert_eq!(enforced.servers, config.servers);
    }
}
