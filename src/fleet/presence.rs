//! What a vantage says about itself every twenty seconds, as JSON in the bucket of presence.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time between two announcements.
pub const EVERY: Duration = Duration::from_secs(20);
/// Most servers that one vantage announces.
pub const MAX_SERVERS: usize = 10_000;
/// Largest announcement that a hub reads, in bytes.
const MAX_BYTES: usize = 128 << 10;

/// One announcement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Presence {
    /// Names the process, so that an answer to an earlier one is not taken for an answer to this one.
    pub session: String,
    /// Counts the announcements of the process.
    pub number: u64,
    /// Revision and number of the plan that it follows.
    pub follows: Option<(u64, u64)>,
    /// The version of the program.
    pub version: String,
    pub role: String,
    pub groups: Vec<String>,
    /// The wall clock of the vantage, in nanoseconds since 1970.
    pub wall_ns: i64,
    /// A short hash of what the configuration says about polling.
    pub configuration: String,
    /// Samples that no hub has stored yet.
    pub waiting: u64,
    /// Samples that the agent dropped since its start.
    pub dropped: u64,
    /// Whether it has a valid plan.
    pub planned: bool,
    /// What it refused to do.
    pub refusals: Vec<String>,
    /// The last error of its own clock, as its daemon states it, in seconds.
    pub clock_error_s: Option<f64>,
    pub servers: Vec<Candidate>,
}

/// A server that the agent's configuration allows to be polled.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Candidate {
    pub name: String,
    /// Host and port as configured.
    pub target: String,
    pub own: bool,
    /// The shortest interval that the agent's configuration allows, in seconds.
    pub interval_s: f64,
}

impl Presence {
    /// Parses an announcement.
    ///
    /// # Errors
    /// Why it is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("its announcement has {} bytes", bytes.len()));
        }
        let mut presence: Self =
            serde_json::from_slice(bytes).map_err(|why| format!("its announcement is malformed: {why}"))?;
        presence.servers.truncate(MAX_SERVERS);
        presence.refusals.truncate(100);
        Ok(presence)
    }
}
