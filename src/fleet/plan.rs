//! The document that a hub writes for each vantage: which servers it polls and how often, and which of its samples are
//! stored. It is JSON, so that a person can read it in the bucket.

use serde::{Deserialize, Serialize};

use crate::store::Seqs;
use ntp_monitor_core::fleet::plan::slots::{Class, Line};

/// The version of the document. An agent ignores greater ones.
pub const VERSION: u32 = 1;
/// Largest document, in bytes.
const MAX_BYTES: usize = 120 << 10;
/// Most servers that an agent takes from a plan.
pub const MAX_SERVERS: usize = 10_000;

/// What a hub tells one vantage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    pub v: u32,
    /// The hub that wrote it.
    pub hub: String,
    /// The revision of the hub's lease. While a plan is valid, its agent ignores a lower one.
    pub revision: u64,
    /// Counts the plans of that hub.
    #[serde(default)]
    pub number: u64,
    /// The announcement that it answers. Without one of this process the plan is not valid.
    #[serde(default)]
    pub answers: Option<Answers>,
    /// How long it is valid, counted by the agent's monotonic clock from when it sent the announcement.
    pub validity_s: f64,
    /// When the hub wrote it, on its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<HubClock>,
    /// Where the agent finds the slots on its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<AgentLine>,
    /// The group in which the private addresses of the vantage are unique, as the hub knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which servers to poll; `None` when the hub does not plan.
    #[serde(default)]
    pub servers: Option<Vec<Planned>>,
    /// What of this vantage is stored: the agent may delete it.
    #[serde(default)]
    pub stored: Vec<Stored>,
    /// Whether the hub has read everything that the stream has.
    #[serde(default)]
    pub caught_up: bool,
}

/// One server of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The name of a server in the agent's configuration, or for a server that only `[fleet] allow` covers, any name.
    pub name: String,
    /// `192.0.2.1:123`, for a server that is not in the agent's configuration.
    #[serde(default)]
    pub address: Option<String>,
    /// The mean interval while the plan is valid; `None` when others poll the server. Agents that know no slots keep it.
    pub interval_s: Option<f64>,
    /// The interval once the plan has expired.
    #[serde(default)]
    pub fallback_s: Option<f64>,
    /// The length of the slots; absent in plans of earlier releases, which have none.
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
    /// Names the clock.
    pub id: String,
    pub sent_s: f64,
}

/// Where the slots are on the clock of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentLine {
    /// Names the clock, as its announcement did.
    pub clock: String,
    #[serde(flatten)]
    pub line: Line,
}

/// One announcement of one process.
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

/// Numbers that are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub incarnation: String,
    pub first: u64,
    pub end: u64,
}

impl PlanDocument {
    /// As JSON. Servers beyond what one message carries are left out: their agent does not poll them.
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
    /// Why it is ignored.
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

    /// Whether it tells its agent nothing new, beside a longer validity.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.asks_the_same(other) && self.stored == other.stored && self.caught_up == other.caught_up
    }

    /// Whether it asks the same process for the same polls.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let session = |plan: &Self| plan.answers.as_ref().map(|answers| answers.session.clone());
        let clock = |plan: &Self| plan.line.as_ref().map(|line| line.clock.clone());
        (self.revision, self.number) == (other.revision, other.number)
            && session(self) == session(other)
            && clock(self) == clock(other)
    }

    /// What is stored, as the journal wants it.
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
