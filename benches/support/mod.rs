//! Shared parts of the benches of the whole service: peers on loopback, and configurations for them.

#![allow(dead_code, reason = "each bench uses the part that it needs")]

pub mod peers;
pub mod process;
pub mod program;
pub mod servers;
pub mod sink;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

pub type Failure = Box<dyn std::error::Error>;

/// The settings of a bench; other settings have their defaults.
pub struct Setting<'a> {
    pub data_dir: &'a Path,
    pub servers: &'a [Ipv4Addr],
    pub port: u16,
    pub own: bool,
    pub poll: &'a str,
    /// Further sections.
    pub more: &'a str,
}

impl Setting<'_> {
    /// Writes the configuration as the TOML file of a user.
    pub fn write(&self) -> std::io::Result<PathBuf> {
        let mut text = format!(
            "[monitor]\nvantage = \"bench\"\ndata_dir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             [defaults]\npoll_interval = {:?}\ntimeout = \"250ms\"\nsheet = false\n{}\n",
            self.data_dir, self.poll, self.more
        );
        for (n, address) in self.servers.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "[[server]]\nname = \"server-{n:05}\"\naddress = \"{address}:{}\"\nown = {}\n",
                self.port, self.own
            );
        }
        let file = self.data_dir.join("servers.toml");
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

/// `count` loopback addresses: 127.NET.0.1 and so on.
pub fn addresses(net: u8, count: usize) -> Vec<Ipv4Addr> {
    (1..=count).map(|n| Ipv4Addr::new(127, net, (n / 250) as u8, (n % 250 + 1) as u8)).collect()
}
