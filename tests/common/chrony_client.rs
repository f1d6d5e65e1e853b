//! A chronyd that polls another one and does not set the clock, to compare measurements with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::authority::Authority;
use super::chronyd::{NtsServer, chronyc, program, user};
use super::wait::until;

/// A client that polls its server 16 times a second; killed and reaped when dropped.
pub struct ChronyClient {
    child: Child,
    dir: tempfile::TempDir,
    cpu_before_us: f64,
}

/// One line of `measurements.log`.
pub struct Sample {
    pub offset_s: f64,
    pub delay_s: f64,
    pub is_interleaved: bool,
}

impl ChronyClient {
    /// Starts one that polls `server`, with NTS if there is an authority, and waits for its first measurement.
    pub fn start(server: &NtsServer, authority: Option<&Authority>, is_interleaved: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("chrony.conf");
        std::fs::write(&config, configuration(server, authority, is_interleaved, dir.path())).unwrap();
        let mut command = Command::new(program());
        command.args(["-4", "-x", "-d", "-U", "-u"]).arg(user()).arg("-f").arg(&config);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut client = Self { child, dir, cpu_before_us: 0.0 };
        until("chronyd has measured", || !client.samples().is_empty());
        client.cpu_before_us = client.cpu_us();
        client
    }

    /// Processor time since the first measurement, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e3 - self.cpu_before_us
    }

    pub fn samples(&self) -> Vec<Sample> {
        let text = std::fs::read_to_string(self.dir.path().join("measurements.log")).unwrap_or_default();
        text.lines().filter_map(sample).collect()
    }

    /// The values of `chronyc ntpdata`, by name.
    pub fn ntpdata(&self) -> BTreeMap<String, String> {
        let output = chronyc(&self.dir.path().join("control")).arg("ntpdata").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once(" : "));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
    }
}

impl Drop for ChronyClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(server: &NtsServer, authority: Option<&Authority>, is_interleaved: bool, dir: &Path) -> String {
    let (mut text, dir_text) = (String::new(), dir.display());
    let port = server.chronyd.address.port();
    write!(text, "server localhost port {port} minpoll -4 maxpoll -4").unwrap();
    if let Some(authority) = authority {
        write!(text, " nts ntsport {}", server.key_exchange.port()).unwrap();
        std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    }
    let xleave = if is_interleaved { " xleave" } else { "" };
    writeln!(text, "{xleave}\nport 0\ncmdport 0\nbindcmdaddress {dir_text}/control").unwrap();
    if authority.is_some() {
        writeln!(text, "ntstrustedcerts {dir_text}/ca.pem").unwrap();
    }
    writeln!(text, "pidfile {dir_text}/pid\nlogdir {dir_text}\nlog rawmeasurements\nlogbanner 0").unwrap();
    text
}

/// A line with date, time, address, …, offset, delay, …, and the mode of the exchange.
fn sample(line: &str) -> Option<Sample> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (offset_s, delay_s) = (words.get(11)?.parse().ok()?, words.get(12)?.parse().ok()?);
    Some(Sample { offset_s, delay_s, is_interleaved: words.get(17)?.ends_with('I') })
}
