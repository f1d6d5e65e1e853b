//! Outputs to Prometheus, InfluxDB and Grafana.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)] // a failed unwrap is a failed test

#[path = "../common/mod.rs"]
mod common;

mod dashboards;
mod influx_answers;
mod influx_real;
mod influx_status;
mod influx_stop;
mod influx_way;
mod prometheus;
