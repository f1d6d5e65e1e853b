//! Kinds of worlds in which this host's clock is steered because its oscillator is off, servers are polled at different
//! intervals, or the paths of all servers change at once.

use ntp_monitor_core::world::World;

use super::{Fault, Kind, NEVER, Party, guilty, healthy, internet, lan, onset, sign};

fn polled(mut world: World, seconds: &[f64]) -> World {
    world.servers.iter_mut().zip(seconds.iter().cycle()).for_each(|(server, poll_s)| server.poll_s = *poll_s);
    world
}

fn steered(mut world: World, seed: u64, ppm: f64) -> World {
    (world.has_raw, world.oscillator_ppm) = (true, ppm * sign(seed));
    world
}

/// At `at_s`, all paths get longer: by `longer_s` on the way out and back.
fn rerouted(mut world: World, at_s: f64, (out_s, back_s): (f64, f64)) -> World {
    let routes =
        (0..world.servers.len()).map(|server| Fault::Route { server, from_s: at_s, until_s: NEVER, out_s, back_s });
    world.faults.extend(routes.collect::<Vec<_>>());
    world
}

pub(super) const KINDS: &[Kind] = kinds! {
    true "healthy, steered by 45 ppm, LAN" |s| healthy(steered(lan(s, 64.0, 500.0, vec![]), s, 45.0));
    false "healthy, steered by 80 ppm, every 1024 s" |s| {
        healthy(steered(internet(s, 1024.0, 300.0, vec![]), s, 80.0))
    };
    true "healthy, steered by 150 ppm, every 16 s, LAN" |s| healthy(steered(lan(s, 16.0, 2000.0, vec![]), s, 150.0));
    false "healthy, every 16 to 1024 s, LAN" |s| {
        healthy(polled(lan(s, 16.0, 5400.0, vec![]), &[16.0, 16.0, 64.0, 256.0, 1024.0, 1024.0]))
    };
    true "healthy, every 64 and 1024 s, LAN" |s| healthy(polled(lan(s, 64.0, 1350.0, vec![]), &[64.0, 1024.0]));
    false "server step 20 ms, steered by 60 ppm, every 16 to 1024 s" |s| {
        let at_s = 30_000.0;
        let fault = Fault::ServerStep { server: 0, at_s, size_s: 0.02 * sign(s) };
        let world = polled(steered(internet(s, 64.0, 1000.0, vec![fault]), s, 60.0), &[64.0, 16.0, 256.0, 1024.0]);
        guilty(world, Party::Server(0), at_s, NEVER)
    };
    true "all paths longer, then a server 1 s off" |s| {
        let at_s = onset(s, 64.0) + 20_000.0;
        let fault = Fault::ServerStep { server: 1, at_s, size_s: sign(s) };
        guilty(rerouted(internet(s, 64.0, 700.0, vec![fault]), onset(s, 64.0), (0.02, 0.005)), Party::Server(1), at_s, NEVER)
    };
    false "all paths longer, later this host's clock 5 s off" |s| {
        let at_s = onset(s, 64.0) + 20_000.0;
        let fault = Fault::LocalStep { at_s, size_s: 5.0 * sign(s) };
        guilty(rerouted(internet(s, 64.0, 700.0, vec![fault]), onset(s, 64.0), (0.012, 0.012)), Party::Own, at_s, NEVER)
    };
};
