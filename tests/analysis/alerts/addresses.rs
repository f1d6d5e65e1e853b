//! Alerts of a server with several addresses.

use super::*;

/// A bench with one server: a pool whose addresses are the servers of the normal bench.
fn pool(addresses: usize) -> Bench {
    let world = World::ordinary(1, 3, 64.0, HOUR);
    let ident = ServerIdent::named("pool");
    let place: BTreeMap<_, _> = world.servers.iter().map(|it| Arc::clone(&it.ident.name)).zip(1_u8..).collect();
    let picture = |lost: Lost| {
        let silence = |server: &usize| Fault::Silence { server: Some(*server), from_s: HOUR / 2.0, until_s: HOUR };
        let world = World { faults: lost.iter().map(silence).collect(), ..world.clone() };
        let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
        for sample in world.samples().filter(|sample| usize::from(place[&sample.server.name]) <= addresses) {
            let address = Some(std::net::SocketAddr::from(([192, 0, 2, place[&sample.server.name]], 123)));
            analysis.observe(&Arc::new(Sample { server: Arc::clone(&ident), address, ..sample }));
        }
        analysis.snapshot(Stamp::new(0, 0, 0))
    };
    Bench {
        servers: vec![Arc::clone(&ident)],
        pictures: [NONE_LOST, FIRST, TWO].map(|lost| (lost, picture(lost))).into(),
    }
}

#[test]
fn addresses_of_a_name_share_one_alert_across_a_rotation() {
    let (three, two, one) = (pool(3), pool(2), pool(1));
    let mut engine = at_once(without_grace(), "{{ server }}");
    let mut told = Vec::new();
    for (bench, span, lost) in [(&three, 0..100, FIRST), (&one, 100..200, FIRST), (&two, 200..600, TWO)] {
        told.extend(bench.run(&mut engine, span, lost));
    }
    told.extend(two.run(&mut engine, 600..1000, NONE_LOST));
    let what: Vec<_> = told.iter().map(|(s, it)| (*s, it.status, it.alerts[0].server.as_deref())).collect();
    assert_eq!(what, [(30, Status::Firing, Some("pool")), (630, Status::Resolved, Some("pool"))]);
    assert_eq!(told[0].1.alerts[0].summary, "pool@192.0.2.1:123", "the address is a detail");
}

#[test]
fn silence_of_one_address_leaves_the_others() {
    let told = |silenced: &str, lost: Lost| {
        let mut engine = at_once(without_grace(), "{{ server }}");
        engine.set_silences(vec![Silence { servers: vec![silenced.to_owned()], ..silence(0, 3600) }]);
        let told = pool(2).run(&mut engine, 0..100, lost);
        told.iter().map(|(_, it)| it.alerts[0].summary.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("pool@192.0.2.1:123", FIRST), Vec::<String>::new());
    assert_eq!(told("pool@192.0.2.1:123", TWO), ["pool@192.0.2.2:123"]);
    assert_eq!(told("pool@192.0.2.2:123", FIRST), ["pool@192.0.2.1:123"]);
    assert_eq!(told("pool", TWO), Vec::<String>::new());
}

#[test]
fn alert_for_an_address_from_an_earlier_version_continues() {
    let bench = pool(2);
    let mut engine = at_once(without_grace(), "x");
    let outcomes: Vec<Outcome> = (0..100).step_by(10).map(|s| bench.step_at(&mut engine, at(s), FIRST)).collect();
    let by_name = remembered(&outcomes).remove(0);
    let saved = Saved { target: "pool@192.0.2.1:123".into(), ..by_name };
    let mut later = at_once(without_grace(), "x");
    assert!(later.restore(at(200), vec![saved]).is_empty());
    assert_eq!(bench.run(&mut later, 200..300, FIRST), Vec::new(), "it was sent before");
    let resolved = bench.run(&mut later, 300..700, NONE_LOST);
    assert!(matches!(&resolved[..], [(_, it)] if it.alerts[0].server.as_deref() == Some("pool")), "{resolved:?}");
}
