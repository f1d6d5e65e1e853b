//! Host names and their addresses.

use super::*;

#[actix_rt::test]
async fn every_address_of_a_name_gets_exactly_one_prober() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2), ip(2)]), ("alias", vec![ip(2), ip(3)])]);
    let servers = vec![named("pool", Addresses::All), named("alias", Addresses::First)];
    let world = World::with_names(servers, names, good);
    world.pass(Duration::from_secs(600)).await;
    for address in ["192.0.2.1:123", "192.0.2.2:123", "192.0.2.3:123"] {
        let requests = world.requests(address).len();
        // One a minute; the first few come 16 s apart.
        assert!((10..=13).contains(&requests), "{address}: {requests}");
    }
}

#[actix_rt::test]
async fn a_dropped_address_goes_to_the_server_that_waits_for_it() {
    let pool = || named("pool", Addresses::First);
    let world = World::with_names(vec![pool()], HashMap::from([("pool", vec![ip(1)])]), good);
    world.pass(Duration::from_secs(100)).await;
    world.set(vec![pool(), server(A)]);
    world.pass(Duration::from_secs(100)).await;
    assert!(matches!(&world.outcomes(A)[..], [Outcome::Fault(why)] if why.contains("polled already as pool")));
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(2 * 3600)).await;
    assert!(world.outcomes(A).contains(&Outcome::Sample), "{:?}", world.outcomes(A));
    assert!(world.requests(B).len() > 50, "the name has moved on");
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S));
}

/// Otherwise a part that keeps state for each series would create it again for a later sample.
#[actix_rt::test]
async fn series_is_forgotten_only_after_its_last_slow_sample() {
    let slow = Server { timeout: Duration::from_secs(30), ..server(A) };
    let world = World::start(vec![slow], |_, _| Act::Hang);
    world.pass(Duration::from_secs(5)).await;
    world.set(Vec::new());
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.outcomes(A).len(), 1);
    let forgotten = world.forgotten.lock().unwrap().clone();
    let of_address = forgotten.iter().find(|(key, _)| key.address.is_some()).unwrap();
    assert_eq!(of_address.1, 1, "{forgotten:?}");
}

#[actix_rt::test]
async fn unresolvable_name_is_an_outcome_and_affects_no_other() {
    let world = World::start(vec![named("nowhere", Addresses::First), server(B)], good);
    world.pass(Duration::from_secs(3600)).await;
    let outcomes = world.outcomes("nowhere");
    assert!(outcomes.len() >= 10 && outcomes.len() < 100, "{}", outcomes.len());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Dns(why) if why.contains("NXDOMAIN"))));
    assert!(world.requests(B).len() >= 52);
}

fn ip(host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, host])
}

/// The address `dead` answers with `end`, every other one with a sample.
fn dead(dead: &str, end: Outcome) -> impl Fn(SocketAddr, usize) -> Act + Send + Sync + 'static {
    let dead: SocketAddr = dead.parse().unwrap();
    move |address, _| Act::End(if address == dead { end.clone() } else { Outcome::Sample })
}

#[actix_rt::test]
async fn address_that_cannot_be_reached_is_left_after_one_failure() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let unusable = dead(A, Outcome::Fault("no route".into()));
    let world = World::with_names(vec![named("pool", Addresses::First)], names, unusable);
    world.pass(Duration::from_secs(5)).await;
    assert_eq!((world.requests(A).len(), world.requests(B).len()), (1, 1));
    world.pass(Duration::from_secs(86_400)).await;
    assert_eq!(world.requests(A).len(), 1, "an address that answers is kept");
}

#[actix_rt::test]
async fn addresses_that_all_fail_are_tried_in_turn_and_slower() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let servers = vec![named("pool", Addresses::First)];
    let world = World::with_names(servers, names, |_, _| Act::End(Outcome::Timeout));
    world.pass(Duration::from_secs(6 * 3600)).await;
    let polls = world.requests(A).len() + world.requests(B).len();
    assert!((330..=480).contains(&polls), "{polls}: about one a minute, whichever address");
    for address in [A, B] {
        assert!(gaps(&world.requests(address)).iter().all(|gap| *gap >= 16 * S), "{address}");
        assert!(world.requests(address).len() > 100, "{address}");
    }
}

#[actix_rt::test]
async fn dead_address_of_a_moved_name_is_left_at_the_new_answer() {
    let names = HashMap::from([("pool", vec![ip(1)])]);
    let alive: SocketAddr = A.parse().unwrap();
    let world = World::with_names(vec![named("pool", Addresses::First)], names, move |address, n| {
        Act::End(if address == alive && n > 3 { Outcome::Timeout } else { Outcome::Sample })
    });
    world.pass(Duration::from_secs(4 * 64)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(65 + 10)).await;
    assert!(!world.requests(B).is_empty(), "{:?}", world.outcomes("pool"));
    let polls = world.requests(A).len();
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(world.requests(A).len(), polls);
}

#[actix_rt::test]
async fn replaced_series_ends_where_its_successor_begins() {
    let names = HashMap::from([("pool", vec![ip(1)])]);
    let slow: SocketAddr = A.parse().unwrap();
    let server = Server { timeout: Duration::from_secs(30), ..named("pool", Addresses::First) };
    let world = World::with_names(vec![server], names, move |address, n| match (address == slow, n) {
        (true, 2..) => Act::Hang,
        _ => Act::End(Outcome::Sample),
    });
    // The name moves when its old address has drained, during a poll that hangs.
    world.pass(Duration::from_secs(10)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2)]);
    world.pass(Duration::from_secs(2 * 3600)).await;
    let samples = world.samples.lock().unwrap();
    let addresses: Vec<_> = samples.iter().map(|sample| sample.address.unwrap().to_string()).collect();
    let first_of_b = addresses.iter().position(|address| address == B).unwrap();
    assert!(addresses[first_of_b..].iter().all(|address| address == B), "{addresses:?}");
    let forgotten = world.forgotten.lock().unwrap();
    let ended: Vec<_> = forgotten.iter().filter(|(key, _)| key.address == Some(slow)).collect();
    assert!(matches!(ended[..], [(_, at)] if *at == first_of_b), "{forgotten:?}, first of B: {first_of_b}");
}

#[actix_rt::test]
async fn series_without_an_address_ends_when_the_name_resolves() {
    let world = World::with_names(vec![named("late", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(12)).await;
    world.names.lock().unwrap().insert("late", vec![ip(1)]);
    world.pass(Duration::from_secs(60)).await;
    let forgotten = world.forgotten.lock().unwrap();
    let failures = world.outcomes("late").iter().filter(|outcome| matches!(outcome, Outcome::Dns(_))).count();
    assert!(failures > 0 && matches!(&forgotten[..], [(key, at)] if key.address.is_none() && *at == failures));
}

#[actix_rt::test]
async fn changed_resolver_is_asked_again_at_once() {
    let world = World::with_names(vec![named("nowhere", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(3600)).await;
    world.names.lock().unwrap().insert("nowhere", vec![ip(1)]);
    world.resolver_changed.notify_one();
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.requests(A).len(), 1, "without waiting for the end of the pause after failures");
}

#[actix_rt::test]
async fn reload_resolves_every_name_again() {
    let world = World::with_names(vec![named("nowhere", Addresses::First)], HashMap::new(), good);
    world.pass(Duration::from_secs(3600)).await;
    world.names.lock().unwrap().insert("nowhere", vec![ip(1)]);
    world.set(vec![named("nowhere", Addresses::First)]);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.requests(A).len(), 1);
}

#[actix_rt::test]
async fn restarted_actor_keeps_the_selected_address() {
    let names = HashMap::from([("pool", vec![ip(1), ip(2)])]);
    let world = World::with_names(vec![named("pool", Addresses::First)], names, good);
    world.pass(Duration::from_secs(100)).await;
    world.names.lock().unwrap().insert("pool", vec![ip(2), ip(1)]);
    // As the supervisor starts it again, with the same ledger.
    let _again = Targets::new(world.tools.clone(), DeathNotice::unsupervised()).start();
    world.pass(Duration::from_secs(3600)).await;
    assert!(world.requests(B).is_empty() && world.requests(A).len() > 50);
}
