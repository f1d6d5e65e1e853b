//! Events with start and end: changes in the replies of servers, bursts of packet loss, steps, route changes, pauses
//! and restarts of the monitor.
//!
//! A lasting event is reported when it begins (without an end), when its values are refined, and when it ends. The key
//! of an event is (kind, server, address, start). An event replaces an earlier one with the same key, or with the key
//! in [`Event::replaces`].
//!
//! No server can cause more than a few events. A change that recurs at many polls is one lasting event with its rate
//! ([`server::ServerWatch`]), and the [`Recorder`] limits all events per server and hour.

mod forged;
mod loss;
mod nts;
mod recorder;
mod recurring;
mod server;
mod sheet;
mod tracker;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verdict::When;
use crate::sample::Sample;
pub use recorder::{Moment, Recorder};
pub(super) use server::ServerWatch;
pub use sheet::sheet_changed;
pub(super) use tracker::{ENDING_BELOW, Finding, Times, Tracker};

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A server's stratum changed.
    Stratum,
    /// A server switched to another upstream (its reference identifier changed).
    Refid,
    /// A server's leap indicator changed.
    Leap,
    /// A server says that its clock was last set more than 36 hours ago.
    StaleReference,
    /// Three or more polls in a row without a valid reply (one that says "not synchronised" is valid); more of a server that is lossy.
    LossBurst,
    /// Polls without a valid reply keep recurring.
    Lossy,
    /// Replies that answer none of our requests keep arriving in the name of a server.
    SpoofedReplies,
    /// A server's clock stepped against the others.
    ServerStep,
    /// A server's clock changed its rate against the others.
    ServerDrift,
    /// The delay to a server changed lastingly, and its offset with it.
    RouteChange,
    /// The delays to most servers rose together.
    Congestion,
    /// This host's wall clock was stepped.
    ClockStep,
    /// This host's wall clock was slewed quickly.
    ClockSlew,
    /// This host's clock runs at a wrong rate.
    ClockDrift,
    /// The monitor was not running.
    MonitorPause,
    /// This host was restarted.
    MachineRestart,
    /// Some servers announce a leap second and others do not.
    LeapDisagreement,
    /// A leap second is announced for a month that cannot have one.
    LeapOutOfSeason,
    /// A leap second is announced that is not on the leap second list.
    LeapNotListed,
    /// A leap second is due within a day according to the list, but some servers do not announce it.
    LeapNotAnnounced,
    /// The leap second list has expired or will expire soon.
    LeapListExpiry,
    /// More events than are recorded one by one.
    ManyEvents,
    /// A server shows another certificate in the NTS key exchange.
    NtsCertificate,
    /// A server negotiates another algorithm for NTS.
    NtsAead,
    /// A property of a server's protocol sheet changed.
    ProtocolSheet,
}

impl EventKind {
    /// The name in the store and the API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Stratum => "stratum",
            Self::Refid => "refid",
            Self::Leap => "leap",
            Self::StaleReference => "stale_reference",
            Self::LossBurst => "loss_burst",
            Self::Lossy => "lossy",
            Self::SpoofedReplies => "spoofed_replies",
            Self::ServerStep => "server_step",
            Self::ServerDrift => "server_drift",
            Self::RouteChange => "route_change",
            Self::Congestion => "congestion",
            Self::ClockStep => "clock_step",
            Self::ClockSlew => "clock_slew",
            Self::ClockDrift => "clock_drift",
            Self::MonitorPause => "monitor_pause",
            Self::MachineRestart => "machine_restart",
            Self::LeapDisagreement => "leap_disagreement",
            Self::LeapOutOfSeason => "leap_out_of_season",
            Self::LeapNotListed => "leap_not_listed",
            Self::LeapNotAnnounced => "leap_not_announced",
            Self::LeapListExpiry => "leap_list_expiry",
            Self::ManyEvents => "many_events",
            Self::NtsCertificate => "nts_certificate",
            Self::NtsAead => "nts_aead",
            Self::ProtocolSheet => "protocol_sheet",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The kind of the event.
    pub kind: EventKind,
    /// The name of the server; absent for events of this host's clock and of the monitor.
    pub server: Option<String>,
    /// The address of the server.
    pub address: Option<String>,
    /// When the event began.
    pub start: When,
    /// When the event ended. Equal to the start for a momentary change; absent while the event lasts.
    pub end: Option<When>,
    /// The values in short form: `2 -> 3`, `+0.060 s`.
    pub detail: String,
    /// The event as a sentence.
    pub sentence: String,
    /// Kind and start of the earlier report of the same event, if they were refined since.
    #[serde(skip)]
    pub replaces: Option<(EventKind, When)>,
}

impl Event {
    /// Whether this is a later report of `earlier`.
    #[must_use]
    pub fn is_report_of(&self, earlier: &Self) -> bool {
        let known_as = |kind, start| earlier.kind == kind && earlier.start == start;
        earlier.server == self.server
            && earlier.address == self.address
            && (known_as(self.kind, self.start) || self.replaces.is_some_and(|(kind, start)| known_as(kind, start)))
    }

    /// Replaces the earlier report in `events`, or appends.
    pub fn upsert(self, events: &mut Vec<Self>) {
        match events.iter_mut().rev().find(|earlier| self.is_report_of(earlier)) {
            Some(old) => *old = self,
            None => events.push(self),
        }
    }

    /// An event of the server of `sample`.
    fn of(sample: &Sample, kind: EventKind, start: When, end: Option<When>, detail: String, sentence: String) -> Self {
        let server = Some(sample.server.name.to_string());
        let address = sample.address.map(|a| a.to_string());
        Self { kind, server, address, start, end, detail, sentence, replaces: None }
    }
}
