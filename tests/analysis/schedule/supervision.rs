//! Probers whose engine panics or hangs, and reloads.

use super::*;

#[actix_rt::test]
async fn panicking_engine_fails_only_its_own_poll() {
    let bad: SocketAddr = A.parse().unwrap();
    let world = World::start(vec![server(A), server(B)], move |address, n| {
        if address == bad && n % 2 == 1 { Act::Panic } else { Act::End(Outcome::Sample) }
    });
    world.pass(Duration::from_secs(3600)).await;
    let outcomes = world.outcomes(A);
    assert!(matches!(&outcomes[0], Outcome::Fault(why) if why.contains("panicked")), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Sample);
    assert!(world.outcomes(B).iter().all(|outcome| *outcome == Outcome::Sample));
    let child = world.census.get(&format!("prober/{A}/{A}")).unwrap();
    assert_eq!((child.state, child.restarts), (ChildState::Running, 0));
}

#[actix_rt::test]
async fn a_hung_engine_ends_at_its_deadline_and_is_asked_again() {
    let world = World::start(vec![server(A)], |_, n| if n == 1 { Act::Hang } else { Act::End(Outcome::Sample) });
    world.pass(Duration::from_secs(200)).await;
    let outcomes = world.outcomes(A);
    assert!(matches!(&outcomes[0], Outcome::Fault(why) if why.contains("deadline")), "{outcomes:?}");
    assert_eq!(outcomes[1], Outcome::Sample);
}

#[actix_rt::test]
async fn prober_that_keeps_panicking_keeps_the_minimum_interval() {
    // A prober panics when its clock does; the factory gives each incarnation the same clock.
    struct Bomb(SimClock);
    impl Clock for Bomb {
        fn now(&self) -> Stamp {
            let stamp = self.0.now();
            assert!(stamp.mono_ns < 10 * S, "the script makes the clock panic");
            stamp
        }
    }
    let world = World::start(vec![server(B)], good);
    let clock = Arc::new(Bomb(world.engine.clock));
    let tools = Tools { clock, ledger: Ledger::default(), ..world.tools.clone() };
    let doomed = Targets::new(tools, DeathNotice::unsupervised()).start();
    doomed.do_send(SetServers(vec![Arc::new(server(A))]));
    world.pass(Duration::from_secs(3600)).await;
    let child = world.census.get(&format!("prober/{A}/{A}")).unwrap();
    assert_eq!(child.state, ChildState::Crashed);
    assert!(child.panics > 50 && child.panics == child.restarts, "{child:?}");
    assert!(world.requests(A).len() <= 2);
    let undisturbed = world.requests(B).len();
    assert!((52..=60).contains(&undisturbed), "{undisturbed}");
}

#[actix_rt::test]
async fn a_reload_disturbs_only_what_changed_and_keeps_the_pace() {
    let world = World::start(vec![server(A), server(B)], good);
    world.pass(Duration::from_secs(70)).await;
    for _ in 0..30 {
        let flipped = Duration::from_secs(if world.requests(A).len().is_multiple_of(2) { 64 } else { 65 });
        world.set(vec![Server { poll_interval: flipped, ..server(A) }, server(B)]);
        world.pass(Duration::from_secs(3)).await;
    }
    world.pass(Duration::from_secs(600)).await;
    assert!(gaps(&world.requests(A)).iter().all(|gap| *gap >= 16 * S), "{:?}", gaps(&world.requests(A)));
    // The first polls of a new server come 16 s apart.
    assert!(gaps(&world.requests(B)).iter().skip(3).all(|gap| (60 * S..=69 * S).contains(gap)));
    world.set(vec![server(B)]);
    world.pass(Duration::from_secs(1)).await;
    let stopped = world.requests(A).len();
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.requests(A).len(), stopped);
}

#[actix_rt::test]
async fn removal_of_a_third_of_all_servers_delays_no_poll() {
    let at_16_s = |host: u16| {
        let [high, low] = host.to_be_bytes();
        Server { poll_interval: Duration::from_secs(16), ..server(&format!("192.0.{high}.{low}:123")) }
    };
    let world = World::start((0..900).map(at_16_s).collect(), good);
    world.pass(Duration::from_secs(60)).await;
    world.set((300..900).map(at_16_s).collect());
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(*world.removals.lock().unwrap(), 1, "all series end in one message");
    let forgotten = world.forgotten.lock().unwrap();
    let addresses = forgotten.iter().filter_map(|(key, _)| key.address).collect::<std::collections::HashSet<_>>();
    assert_eq!(addresses.len(), 300);
    let samples = world.samples.lock().unwrap();
    let last = forgotten.iter().map(|(_, so_far)| *so_far).max().unwrap();
    assert!(samples[last..].iter().all(|sample| sample.address.is_some_and(|address| !addresses.contains(&address))));
    for host in 300..900 {
        let polls = world.requests(&at_16_s(host).ident.name);
        // Interval and jitter, and a tick to which a poll is rounded up.
        assert!(gaps(&polls).iter().all(|gap| *gap <= 17 * S + S / 50) && polls.len() >= 7, "{host}: {polls:?}");
    }
}

#[actix_rt::test]
async fn reload_during_another_one_replaces_the_rest_of_it() {
    let many = |prefix: &'static str| {
        let one = move |host: u16| {
            let [high, low] = host.to_be_bytes();
            let at = server(&format!("192.0.{high}.{low}:123"));
            Server { ident: ServerIdent::named(&format!("{prefix}{host}")), ..at }
        };
        (0..900).map(one).collect::<Vec<_>>()
    };
    let world = World::start(many("a"), good);
    let polled = |prefix: &str| {
        let children = world.census.all();
        children.iter().filter(|(name, _)| name.starts_with(&format!("prober/{prefix}"))).count()
    };
    world.pass(Duration::from_secs(130)).await;
    world.set(many("b"));
    world.pass(Duration::from_micros(1500)).await;
    assert!(polled("a") > 0 && polled("b") > 0, "a change of many servers is made in steps");
    world.set(many("c"));
    world.pass(Duration::from_secs(130)).await;
    assert_eq!(["a", "b", "c"].map(polled), [0, 0, 900]);
    for server in many("c") {
        let address = format!("{}:123", server.host);
        assert!(gaps(&world.requests(&address)).iter().skip(3).all(|gap| (60 * S..=69 * S).contains(gap)), "{address}");
    }
}
