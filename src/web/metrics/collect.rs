//! Passes the values of the snapshots to the encoder.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Unit;

use super::families::FAMILIES;
use super::family::{Family, Kind, Values};
use super::scrape::Scrape;
use crate::stages::Times;
use crate::web::view::row::Row;
use crate::web::view::rows::Picture;

/// Labels with their values.
type Labels<'a> = Vec<(&'a str, &'a str)>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let rows = Picture::new(&self.config, &self.snapshot, &self.health).rows();
        for family in FAMILIES {
            encode_family(self, &rows, family, &mut encoder)?;
        }
        Ok(())
    }
}

/// A collector for some series without the metrics of the service.
#[derive(Debug)]
pub struct Servers(pub Vec<Row>);

impl Collector for Servers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let of_servers =
            |values: &Values| matches!(values, Values::Server(_) | Values::ServerBy(..) | Values::ServerInfo(..));
        for family in FAMILIES.iter().filter(|family| of_servers(&family.values)) {
            let unit = unit(family);
            let mut metric = encoder.encode_descriptor(family.name, family.help, unit.as_ref(), kind(family))?;
            encode_servers(&self.0, family, &mut metric)?;
        }
        Ok(())
    }
}

fn encode_family(scrape: &Scrape, rows: &[Row], family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let unit = unit(family);
    let mut metric = encoder.encode_descriptor(family.name, family.help, unit.as_ref(), kind(family))?;
    match &family.values {
        Values::One(value) => match value(scrape) {
            Some(value) => put(&mut metric, family.kind, &Labels::new(), value),
            None => Ok(()),
        },
        Values::By(label, values) => values(scrape)
            .into_iter()
            .try_for_each(|(name, value)| put(&mut metric, family.kind, &vec![(*label, name.as_str())], value)),
        Values::ByTwo(first, second, values) => values(scrape).into_iter().try_for_each(|(name, label, value)| {
            put(&mut metric, family.kind, &vec![(*first, name.as_str()), (*second, label.as_str())], value)
        }),
        Values::Info(labels) => metric.encode_info(&labels(scrape)),
        Values::Times(label, times) => {
            times().into_iter().try_for_each(|(name, times)| put_times(&mut metric, (*label, name), &times))
        }
        Values::Server(_) | Values::ServerBy(..) | Values::ServerInfo(..) => encode_servers(rows, family, &mut metric),
    }
}

fn encode_servers(rows: &[Row], family: &Family, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    for row in rows {
        match &family.values {
            Values::Server(value) => {
                if let Some(value) = value(row) {
                    put(metric, family.kind, &server_labels(row), value)?;
                }
            }
            Values::ServerBy(label, values) => {
                for (name, value) in values(row) {
                    let mut labels = server_labels(row);
                    labels.push((*label, name));
                    put(metric, family.kind, &labels, value)?;
                }
            }
            Values::ServerInfo(_, more) => {
                let Some(more) = more(row) else { continue };
                let mut labels = server_labels(row);
                labels.extend(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                metric.encode_info(&labels)?;
            }
            Values::One(_) | Values::By(..) | Values::ByTwo(..) | Values::Info(_) | Values::Times(..) => {}
        }
    }
    Ok(())
}

fn kind(family: &Family) -> MetricType {
    match family.kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
        Kind::Info => MetricType::Info,
        Kind::Histogram => MetricType::Histogram,
    }
}

fn unit(family: &Family) -> Option<Unit> {
    family.unit.map(|unit| Unit::Other(unit.to_owned()))
}

fn server_labels(row: &Row) -> Labels<'_> {
    vec![("server", row.name.as_str()), ("address", row.address.as_deref().unwrap_or_default())]
}

fn put(metric: &mut MetricEncoder<'_>, kind: Kind, labels: &Labels<'_>, value: f64) -> fmt::Result {
    if labels.is_empty() {
        return write(metric, kind, value);
    }
    write(&mut metric.encode_family(labels)?, kind, value)
}

fn write(metric: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        // Whole numbers are written without a fraction. Seconds have one.
        Kind::Counter if value.fract() == 0.0 => {
            metric.encode_counter(&(value as u64), None::<&Exemplar<NoLabelSet, f64>>)
        }
        Kind::Counter => metric.encode_counter(&value, None::<&Exemplar<NoLabelSet, f64>>),
        Kind::Gauge | Kind::Info | Kind::Histogram => metric.encode_gauge(&value),
    }
}

fn put_times(metric: &mut MetricEncoder<'_>, label: (&str, &str), times: &Times) -> fmt::Result {
    let limit_s = |limit: &Option<Duration>| limit.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
    let buckets: Vec<_> = times.buckets.iter().map(|(limit, count)| (limit_s(limit), *count)).collect();
    let labels = vec![label];
    metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), times.count, &buckets, None)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Example;

    impl Collector for Example {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            for (name, value) in [("polls", 3.0), ("cpu", 1.25)] {
                let mut metric = encoder.encode_descriptor(name, "Help", None, MetricType::Counter)?;
                put(&mut metric, Kind::Counter, &Labels::new(), value)?;
            }
            let mut metric = encoder.encode_descriptor("stage", "Help", None, MetricType::Histogram)?;
            let limit = Some(Duration::from_millis(2));
            let times = Times { count: 5, sum: Duration::from_millis(7), buckets: vec![(limit, 4), (None, 1)] };
            put_times(&mut metric, ("stage", "store"), &times)
        }
    }

    #[test]
    fn counters_keep_fractions_and_times_become_histograms() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Example));
        let mut body = String::new();
        text::encode(&mut body, &registry).unwrap();
        let expected = [
            "polls_total 3",
            "cpu_total 1.25",
            "stage_sum{stage=\"store\"} 0.007",
            "stage_count{stage=\"store\"} 5",
            "stage_bucket{le=\"0.002\",stage=\"store\"} 4",
            "stage_bucket{le=\"+Inf\",stage=\"store\"} 5",
        ];
        assert_eq!(body.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), expected, "{body}");
    }
}
