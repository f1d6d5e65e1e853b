//! A cluster of three NATS servers whose leader is killed.

use ntp_monitor::sim::Script;

use super::bus::Bus;
use super::{counted, home, member_at, restarted, samples};
use crate::common::monitor::own;
use crate::common::nats::Nats;
use crate::common::sim::Playground;
use crate::common::wait::{find, until};

/// The server that leads the stream of samples, by its number.
fn leader(nats: &[Nats]) -> usize {
    find("a leader of the stream", || {
        nats.iter().enumerate().filter(|(_, nats)| nats.is_running()).find_map(|(n, _)| {
            let bus = Bus::connect(&nats[n].url());
            let jetstream = bus.jetstream.clone();
            let leader = bus.run(async move {
                let stream = jetstream.get_stream("NTPM_SAMPLES").await.ok()?;
                stream.cached_info().cluster.as_ref()?.leader.clone()
            });
            leader?.strip_prefix('n')?.parse().ok()
        })
    })
}

#[test]
fn kill_of_the_leader_of_a_cluster_loses_and_doubles_no_sample() {
    let Some(mut nats) = Nats::cluster() else { return };
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let url = nats.iter().map(Nats::url).collect::<Vec<_>>().join(",");
    let replicated = |name: &str, role: &str| member_at(name, role, &url).replace("[fleet]", "replicas = 3\n[fleet]");
    let hub_home = home(&replicated("hub1", "hub"));
    let agent_home = home(&format!("{}{}", own("s", server.address()), replicated("ams", "agent")));
    let (mut hub, mut agent) = (hub_home.start(), agent_home.start());
    until("samples at the hub", || counted(&hub_home, "ams").0 > 10);
    let killed = leader(&nats);
    nats[killed].kill();
    let before = counted(&hub_home, "ams").0;
    until("samples through the others", || counted(&hub_home, "ams").0 > before + 20);
    assert_ne!(leader(&nats), killed);
    nats[killed].start_again();
    assert_eq!(agent.stop(), 0);
    let measured = samples(&agent_home, "");
    let mut agent = restarted(&agent_home);
    until("everything at the hub", || samples(&hub_home, "ams").is_superset(&measured));
    assert_eq!((agent.stop(), hub.stop()), (0, 0));
    assert!(samples(&hub_home, "ams").is_subset(&samples(&agent_home, "")));
    let (_, lost, refused) = counted(&hub_home, "ams");
    assert_eq!((lost, refused), (0, 0));
}
