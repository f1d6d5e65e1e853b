//! How requests get to InfluxDB: through a proxy, with certificates of an authority of one's own.

use std::collections::BTreeMap;

use crate::common::receiver::{Receiver, status};
use ntp_monitor::config::{Environment, Influx, load};
use ntp_monitor::sinks::influx::{InfluxClient, LineWriter, WriteOutcome};

const LINE: &[u8] = b"m v=1 1\n";

/// `[influxdb]` with these settings and variables of the environment.
fn influx(settings: &[(&str, &str)], variables: &[(&str, &str)]) -> Influx {
    let mut environment: Environment = BTreeMap::from([("NTP_SERVER", "192.0.2.1"), ("INFLUX_TOKEN", "hush")])
        .into_iter()
        .chain(variables.iter().copied())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (key, value) in [("org", "o"), ("bucket", "b")].iter().chain(settings) {
        environment.insert(format!("NTP_MONITOR__INFLUXDB__{}", key.to_uppercase()), (*value).to_owned());
    }
    load(None, &environment, &[]).unwrap_or_else(|why| panic!("{why}")).config.influxdb.unwrap()
}

async fn write(config: &Influx) -> WriteOutcome {
    InfluxClient::new(config).unwrap().write(LINE.to_vec()).await
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_with_its_password() {
    let proxy = Receiver::start(|_| status(204));
    let url = format!("http://me:p%40ss@{}", proxy.address);
    let config = influx(&[("url", "http://influx.invalid:8086"), ("proxy", &url)], &[]);
    assert_eq!(write(&config).await, WriteOutcome::Done);
    let seen = &proxy.seen()[0];
    assert!(seen.line().starts_with("POST http://influx.invalid:8086/api/v2/write?"), "{}", seen.head);
    assert_eq!(seen.header("proxy-authorization").as_deref(), Some("Basic bWU6cEBzcw=="));
    assert!(seen.header("user-agent").unwrap().starts_with("ntp-monitor/"));
    assert!(!format!("{config:?}").contains("p%40ss"));
}

#[tokio::test]
async fn https_asks_the_proxy_to_connect_and_says_if_it_refuses() {
    for (code, part) in [(407, "proxy authorization required"), (403, "unsuccessful")] {
        let proxy = Receiver::start(move |_| status(code));
        let config = influx(&[("url", "https://influx.invalid"), ("proxy", &proxy.url(""))], &[]);
        let WriteOutcome::Retry { reason, .. } = write(&config).await else { panic!("taken") };
        assert!(reason.contains("proxy") && reason.contains(part), "{reason}");
        assert_eq!(proxy.seen()[0].line(), "CONNECT influx.invalid:443");
    }
}

#[tokio::test]
async fn environment_names_the_proxy_only_where_configured() {
    let (proxy, direct) = (Receiver::start(|_| status(204)), Receiver::start(|_| status(204)));
    let url = direct.url("");
    let http_proxy = proxy.url("");
    let variables = [("http_proxy", http_proxy.as_str())];
    for (settings, variables, by_proxy) in [
        (vec![("url", url.as_str())], variables.to_vec(), false),
        (vec![("url", url.as_str()), ("proxy", "environment")], variables.to_vec(), true),
        (
            vec![("url", url.as_str()), ("proxy", "environment")],
            [&variables[..], &[("NO_PROXY", "127.0.0.0/8")]].concat(),
            false,
        ),
        (vec![("url", url.as_str()), ("proxy", "environment")], vec![], false),
    ] {
        let before = (proxy.count(), direct.count());
        assert_eq!(write(&influx(&settings, &variables)).await, WriteOutcome::Done);
        let expected = if by_proxy { (before.0 + 1, before.1) } else { (before.0, before.1 + 1) };
        assert_eq!((proxy.count(), direct.count()), expected, "{settings:?} {variables:?}");
    }
}
