//! The hub: reads the samples of all vantages, takes or renews the lease, reads announcements, and writes plans.
//!
//! The hub stores its position in the stream in the same transaction as the samples, so that a kill at any instant, a
//! restored backup and a repeated message are all harmless. The consumers on the server, one for each vantage, are created
//! again at each connection.

mod consume;
mod inbox;
mod speak;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use slog::{info, warn};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::judge::Judge;
use super::link::{Link, LinkError};
use super::member::{self, Member};
use super::plan::PlanDocument;
use super::presence::Presence;
use super::state::HubState;
use crate::config::Fleet;
use crate::log::LimitedLog;
use crate::store::StoreHandle;

/// The latest plan document of each vantage.
pub type Plans = BTreeMap<String, PlanDocument>;

/// The inputs and outputs of a hub.
pub struct Hub {
    pub fleet: Fleet,
    pub store: StoreHandle,
    pub state: Arc<HubState>,
    /// The plans that this hub wrote while it had the lease.
    pub plans: watch::Sender<Arc<Plans>>,
    pub judge: Arc<Judge>,
    /// Wakes the task that writes plans when a vantage has started, or follows another plan.
    pub news: Notify,
    pub log: LimitedLog,
}

impl Member for Hub {
    const WITHOUT: &'static str = "the hub reads no samples of the fleet";

    fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn log(&self) -> &LimitedLog {
        &self.log
    }

    async fn session(&mut self, link: &Link) -> LinkError {
        self.work(link).await
    }

    fn disconnected(&self, why: &LinkError) -> bool {
        let mut view = self.state.lock();
        let is_new = view.is_connected || view.last_error.as_deref() != Some(&why.0);
        (view.is_connected, view.speaks_until, view.unread) = (false, None, None);
        view.last_error = Some(why.0.clone());
        is_new
    }
}

impl Hub {
    /// Runs until it is dropped.
    pub async fn run(self) {
        member::run(self).await;
    }

    async fn work(&self, link: &Link) -> LinkError {
        if let Err(why) = link.create_all(self.fleet.nats.replicas).await {
            return why;
        }
        {
            let mut view = self.state.lock();
            (view.is_connected, view.last_error) = (true, None);
        }
        if let Some(log) = self.log.of("", "connected") {
            info!(log, "the hub is connected to the fleet");
        }
        let ended = async { Err::<(), _>(link.ended().await) };
        let work = futures_util::future::try_join4(self.consume(link), self.speak(link), self.listen(link), ended);
        match work.await {
            Ok(_) => LinkError("the connection to NATS ended".to_owned()),
            Err(why) => why,
        }
    }

    /// Follows the announcements of the vantages.
    async fn listen(&self, link: &Link) -> Result<(), LinkError> {
        let bucket = link.jetstream.get_key_value(link.names.presence()).await;
        let bucket = bucket.map_err(|why| link.fault("open the bucket of announcements", &why))?;
        // Announcements from before are delivered now, so their time shows nothing about the clock of the vantage.
        let old = bucket.stream.cached_info().state.last_sequence;
        let watch = bucket.watch_with_history(">").await;
        let mut watch = watch.map_err(|why| link.fault("follow the announcements", &why))?;
        let groups = self.store.read(|reader| reader.fleet_groups()).await;
        let mut groups = groups.map_err(|why| LinkError(why.to_string()))?;
        while let Some(entry) = watch.next().await {
            let entry = entry.map_err(|why| link.fault("follow the announcements", &why))?;
            let said = self.announced(&entry.key, &entry.value, entry.revision > old);
            if said.is_some_and(|said| groups.set(&entry.key, said.groups.first().map(String::as_str))) {
                self.store.keep_fleet_groups(&groups).await.map_err(|why| LinkError(why.to_string()))?;
            }
        }
        Err(LinkError("the announcements of the fleet ended".to_owned()))
    }

    /// Takes what a vantage says of itself, and returns it.
    fn announced(&self, vantage: &str, bytes: &[u8], is_new: bool) -> Option<Arc<Presence>> {
        // The key has expired.
        if bytes.is_empty() {
            return None;
        }
        match Presence::parse(bytes) {
            Ok(presence) => {
                let presence = Arc::new(presence);
                let ahead_ns = presence.wall_ns.saturating_sub(crate::clock::now().wall_ns);
                let mut view = self.state.lock();
                let known = view.vantages.entry(vantage.to_owned()).or_default();
                known.heard = Some(Instant::now());
                known.announced = known.heard;
                known.announced_s = crate::clock::now().slot_s();
                if is_new {
                    known.clock_ahead_ns = Some(ahead_ns);
                }
                let before = known.presence.replace(Arc::clone(&presence));
                let said = |it: &Presence| (it.session.clone(), it.follows);
                if before.as_deref().map(said) != known.presence.as_deref().map(said) {
                    self.news.notify_one();
                }
                Some(presence)
            }
            Err(why) => {
                if let Some(log) = self.log.of(vantage, "announcement") {
                    warn!(log, "ignored what a vantage says of itself"; "vantage" => vantage, "reason" => why);
                }
                None
            }
        }
    }
}
