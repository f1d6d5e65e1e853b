//! The announcement that a vantage writes every twenty seconds as JSON into the presence bucket.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use ntp_monitor_core::sample::{Authentication, Sample};

/// Time between two announcements.
pub const EVERY: Duration = Duration::from_secs(20);
/// Largest number of servers that one vantage announces. The hub plans the others with default settings.
pub const MAX_SERVERS: usize = 1000;
/// Longest reason of a failed key exchange, in characters.
const LONGEST_FAULT: usize = 200;
/// Largest announcement, in bytes.
const MAX_BYTES: usize = 120 << 10;

/// One announcement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Presence {
    /// Identifies the process, so that an answer to an earlier process is not mistaken for an answer to this one.
    pub session: String,
    /// Counts the announcements of the process.
    pub number: u64,
    /// Revision and number of the plan that the vantage follows.
    pub follows: Option<(u64, u64)>,
    pub version: String,
    pub role: String,
    pub groups: Vec<String>,
    /// The wall clock of the vantage, in nanoseconds since 1970.
    pub wall_ns: i64,
    /// The clock by which the vantage keeps its slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<AgentClock>,
    /// A short hash of the polling settings.
    pub configuration: String,
    /// Samples that no hub has stored yet.
    pub waiting: u64,
    /// Samples that the agent dropped since its start, because its journal was full or they were too old.
    pub dropped: u64,
    /// Whether it has a valid plan.
    pub planned: bool,
    /// The entries of the plan that it does not follow, with the reason.
    pub refusals: Vec<String>,
    pub servers: Vec<Candidate>,
}

/// The clock of an agent when it sent an announcement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentClock {
    /// Identifies the clock.
    pub id: String,
    pub sent_s: f64,
    /// The clock of the hub that wrote the last received plan; when the plan was sent by that clock, and when it
    /// arrived by the agent's clock.
    pub hub: String,
    pub hub_sent_s: f64,
    pub received_s: f64,
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
    /// How NTS is doing, for a server that is configured for it and was polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nts: Option<NtsState>,
}

/// The state of NTS with one server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NtsState {
    /// Whether the latest sample was authenticated.
    pub authenticated: bool,
    /// Why the last key exchange failed; absent if it succeeded.
    pub fault: Option<String>,
    /// Key exchanges that failed since the last good one.
    pub failures: u32,
    pub cookies: usize,
    /// Days until the certificate of the key-exchange server expires.
    pub days_left: Option<f64>,
}

impl NtsState {
    /// The state from the latest samples of a server; `None` if the server is not configured for NTS.
    #[must_use]
    pub fn of(latest: &Sample, measured: Option<&Sample>, now: Timestamp) -> Option<Self> {
        let status = latest.nts.as_ref()?;
        let fault = status.fault().map(|fault| fault.text.chars().take(LONGEST_FAULT).collect());
        Some(Self {
            authenticated: measured.is_some_and(|sample| sample.authentication == Authentication::Nts),
            fault,
            failures: status.failures_in_row,
            cookies: status.cookies,
            days_left: status.certificate().map(|certificate| certificate.left_s(now) / 86_400.0),
        })
    }
}

impl Presence {
    /// The announcement as JSON, with as many servers as fit.
    ///
    /// # Errors
    /// Never for this type.
    pub fn text(mut self) -> Result<Vec<u8>, String> {
        loop {
            let text = serde_json::to_vec(&self).map_err(|why| why.to_string())?;
            if text.len() <= MAX_BYTES || self.servers.is_empty() {
                return Ok(text);
            }
            self.servers.truncate(self.servers.len() / 2);
        }
    }

    /// Parses an announcement.
    ///
    /// # Errors
    /// Why the announcement is ignored.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcement_fits_whatever_the_configuration_has() {
        let long = Candidate { name: "n".repeat(500), ..Candidate::default() };
        let presence = Presence { servers: vec![long; MAX_SERVERS], ..Presence::default() };
        let text = presence.text().unwrap();
        assert!(text.len() <= MAX_BYTES && Presence::parse(&text).unwrap().servers.len() > 50);
    }

    #[test]
    fn foreign_and_large_announcements_are_refused() {
        assert!(Presence::parse(b"{").is_err() && Presence::parse(&vec![b' '; MAX_BYTES + 1]).is_err());
        assert_eq!(Presence::parse(b"{\"new\":1}").unwrap(), Presence::default(), "fields of a newer release");
    }
}
