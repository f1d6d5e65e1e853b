//! The document that a hub writes for each vantage: which servers it polls and how often, and which of its samples are
//! stored. It is JSON, so that a person can read it in the bucket.

use serde::{Deserialize, Serialize};

use crate::store::Seqs;
use ntp_monitor_core::fleet::plan::slots::{Class, Line};

/// The version of the document. An agent ignores documents of a later version.
pub const VERSION: u32 = 1;
/// Largest document, in bytes.
const MAX_BYTES: usize = 120 << 10;
/// Largest number of servers in a plan; an agent ignores larger plans.
pub const MAX_SERVERS: usize = 10_000;

/// The plan for one vantage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    pub v: u32,
    /// The hub that wrote it.
    pub hub: String,
    /// The revision of the hub's lease. While a plan is valid, its agent ignores plans of a lower revision.
    pub revision: u64,
    /// Counts the plans of that hub.
    #[serde(default)]
    pub number: u64,
    /// The announcement that the plan answers. An agent process follows only plans that answer one of its own
    /// announcements.
    #[serde(default)]
    pub answers: Option<Answers>,
    /// How long the plan is valid, counted by the agent's monotonic clock from when it sent the announcement.
    pub validity_s: f64,
    /// When the hub wrote it, on its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<HubClock>,
    /// The position of the slots on the agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<AgentLine>,
    /// The group in which the private addresses of the vantage are unique, as the hub knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which servers to poll; `None` when the hub does not plan.
    #[serde(default)]
    pub servers: Option<Vec<Planned>>,
    /// The samples of this vantage that the hub has stored: the agent may delete them.
    #[serde(default)]
    pub stored: Vec<Stored>,
    /// Whether the hub has read the whole stream.
    #[serde(default)]
    pub caught_up: bool,
}

/// One server of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The name of a server in the agent's configuration, or any name for a server that only `[fleet] allow` covers.
    pub name: String,
    /// `192.0.2.1:123`, for a server that is not in the agent's configuration.
    #[serde(default)]
    pub address: Option<String>,
    /// The mean interval in seconds while the plan is valid; `None` if only others poll the server. Agents of earlier
    /// releases, which do not know slots, poll at this interval.
    pub interval_s: Option<f64>,
    /// The interval in seconds once the plan has expired.
    #[serde(default)]
    pub fallback_s: Option<f64>,
    /// The length of the slots in seconds; absent in plans of earlier releases, which have no slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_s: Option<f64>,
    /// The slots in which it is polled while the plan is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Class>,
    /// The slots in which it is polled once the plan has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<Class>,
    /// The slots at further addresses of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<AddressSlots>,
}

/// The slots at one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddressSlots {
    pub address: String,
    #[serde(default)]
    pub slots: Vec<Class>,
    #[serde(default)]
    pub spare: Option<Class>,
}

/// An instant on the clock of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HubClock {
    /// Identifies the clock.
    pub id: String,
    pub sent_s: f64,
}

/// The position of the slots on the clock of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentLine {
    /// The identifier of the clock from the agent's announcement.
    pub clock: String,
    #[serde(flatten)]
    pub line: Line,
}

/// Identifies one announcement of one agent process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    pub session: String,
    pub number: u64,
}

impl Planned {
    fn is_sound(&self) -> bool {
        let intervals = [self.interval_s, self.fallback_s, self.slot_s].into_iter().flatten();
        intervals.into_iter().all(|seconds| seconds > 0.0 && seconds <= 1e9) && self.slots.len() <= MAX_SERVERS
    }
}

/// A range of stored samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub incarnation: String,
    pub first: u64,
    pub end: u64,
}

impl PlanDocument {
    /// The plan as JSON. Servers that do not fit into one message are left out: the agent does not poll them.
    ///
    /// # Errors
    /// Never for this type.
    pub fn text(&self) -> Result<Vec<u8>, String> {
        let mut plan = self.clone();
        loop {
            let text = serde_json::to_vec(&plan).map_err(|why| why.to_string())?;
            let servers = plan.servers.as_mut().filter(|servers| text.len() > MAX_BYTES && !servers.is_empty());
            let Some(servers) = servers else { return Ok(text) };
            servers.truncate(servers.len() * 3 / 4);
        }
    }

    /// Parses a document.
    ///
    /// # Errors
    /// Why the document is ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let plan: Self = serde_json::from_slice(bytes).map_err(|why| format!("the plan is malformed: {why}"))?;
        if plan.v > VERSION {
            return Err(format!("the plan has version {}; upgrade this agent", plan.v));
        }
        if !(plan.validity_s > 0.0 && plan.validity_s <= 86_400.0) {
            return Err("the plan says no sensible validity".to_owned());
        }
        let servers = plan.servers.as_deref().unwrap_or_default();
        if servers.len() > MAX_SERVERS || servers.iter().any(|server| !server.is_sound()) {
            return Err("the plan has too many servers, or an interval that is not positive".to_owned());
        }
        Ok(plan)
    }

    /// Whether both plans differ only in when their validity ends.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.asks_the_same(other) && self.stored == other.stored && self.caught_up == other.caught_up
    }

    /// Whether both plans ask the same agent process for the same polls.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let session = |plan: &Self| plan.answers.as_ref().map(|answers| answers.session.clone());
        let clock = |plan: &Self| plan.line.as_ref().map(|line| line.clock.clone());
        (self.revision, self.number) == (other.revision, other.number)
            && session(self) == session(other)
            && clock(self) == clock(other)
    }

    /// The stored ranges in the type that the journal takes.
    #[must_use]
    pub fn committed(&self) -> Vec<Seqs> {
        let seqs =
            |stored: &Stored| Seqs { incarnation: stored.incarnation.clone(), first: stored.first, end: stored.end };
        self.stored.iter().map(seqs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_the_releases_before_and_after_are_understood() {
        let older = r#"{"v":1,"hub":"h","revision":3,"validity_s":120,"servers":[{"name":"a","interval_s":64}]}"#;
        let newer = r#"{"v":1,"hub":"h","revision":3,"number":2,"validity_s":120,"later":{"x":1},
            "clock":{"id":"c","sent_s":5.5},"line":{"clock":"d","zero_s":1,"bound_s":0.1,"at_s":2},
            "servers":[{"name":"a","interval_s":64,"slot_s":17,"slots":[[6,3]],"spare":[48,5],"later":true}]}"#;
        let [older, newer] = [older, newer].map(|text| PlanDocument::parse(text.as_bytes()).unwrap());
        let first = |plan: &PlanDocument| plan.servers.clone().unwrap().remove(0);
        assert_eq!((first(&older).interval_s, first(&older).slot_s, older.number), (Some(64.0), None, 0));
        assert_eq!((first(&newer).interval_s, first(&newer).slot_s), (Some(64.0), Some(17.0)));
        assert_eq!(first(&newer).slots, [Class { cycle: 6, at: 3 }]);
        assert_eq!(newer.line.unwrap().line.at_s, 2.0);
        assert!(PlanDocument::parse(br#"{"v":2,"hub":"h","revision":3,"validity_s":120}"#).is_err());
    }

    #[test]
    fn plan_with_times_that_cannot_be_is_refused() {
        for server in [r#"{"name":"a","interval_s":0}"#, r#"{"name":"a","interval_s":64,"slot_s":-1}"#] {
            let text = format!(r#"{{"v":1,"hub":"h","revision":3,"validity_s":120,"servers":[{server}]}}"#);
            assert!(PlanDocument::parse(text.as_bytes()).is_err(), "{server}");
        }
    }
}
