//! The program in a separate process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// The running program; killed and reaped when dropped.
pub struct Program {
    child: Child,
    /// The address on which it answers HTTP.
    pub address: SocketAddr,
}

impl Program {
    /// Starts it with this configuration; its log is in `dir`.
    pub fn start(file: &Path, dir: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let log = dir.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ntp-monitor"));
        command.arg("--config").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(std::fs::File::create(&log)?).spawn()?;
        let mut program = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let text = std::fs::read_to_string(&log)?;
            let started = text.lines().find(|line| line.contains("\"started\""));
            if let Some(record) = started.and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
                let address = record["http"].as_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                program.address = address.parse()?;
                return Ok(program);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the program did not start".into())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; a failure here leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
