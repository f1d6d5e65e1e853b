//! Keeps the lease and, while this hub has it, writes the document of each vantage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use slog::info;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Hub;
use super::consume::within;
use crate::fleet::lease::{Holder, RENEW};
use crate::fleet::link::{Link, LinkError, Names};
use crate::fleet::plan::{PlanDocument, Stored, VERSION};
use crate::store::Seqs;

/// Ranges of stored samples in one document.
const RANGES: usize = 64;
/// What is stored is told to the vantage at most this often.
const TELL_EVERY: Duration = Duration::from_secs(4);

/// What was written last for a vantage.
struct Written {
    plan: PlanDocument,
    at: Instant,
}

impl Hub {
    pub(super) async fn speak(&self, link: &Link) -> Result<(), LinkError> {
        let mut holder = Holder::open(link, &self.fleet.name).await?;
        let mut turn = interval(RENEW);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = BTreeMap::new();
        loop {
            turn.tick().await;
            let lease = holder.turn().await;
            let held = lease.held(Instant::now());
            let before = std::mem::replace(&mut self.state.lock().speaks, held);
            if before.is_some() != held.is_some() {
                info!(self.log, "the lease of the fleet changed"; "speaks" => held.is_some());
            }
            if held.is_none() {
                written.clear();
                continue;
            }
            for vantage in self.vantages().await? {
                // Each write takes time, and the lease may end meanwhile.
                let Some(revision) = lease.held(Instant::now()) else { break };
                self.write(link, &vantage, revision, &mut written).await?;
            }
        }
    }

    /// The vantages that announced themselves or sent samples.
    async fn vantages(&self) -> Result<BTreeSet<String>, LinkError> {
        let stored = self.store.read(|reader| reader.fleet_vantages()).await;
        let stored = stored.map_err(|why| LinkError(why.to_string()))?;
        let heard: Vec<String> = self.state.lock().vantages.keys().cloned().collect();
        Ok(stored.into_iter().map(|row| row.vantage).chain(heard).collect())
    }

    async fn write(
        &self,
        link: &Link,
        vantage: &str,
        revision: u64,
        written: &mut BTreeMap<String, Written>,
    ) -> Result<(), LinkError> {
        let plan = self.document(vantage, revision).await?;
        let now = Instant::now();
        if let Some(last) = written.get(vantage) {
            let renewal = self.fleet.plan_validity.div_f64(3.0);
            let is_due = now - last.at >= renewal || (last.plan != plan && now - last.at >= TELL_EVERY);
            if !is_due {
                return Ok(());
            }
        }
        let text = serde_json::to_vec(&plan).map_err(|why| LinkError(why.to_string()))?;
        let subject = Names::put(&link.names.plans(), vantage);
        let put = async { link.jetstream.publish(subject, text.into()).await?.await };
        within("write a plan", put).await?.map_err(|why| link.fault("write a plan", &why))?;
        written.insert(vantage.to_owned(), Written { plan, at: now });
        Ok(())
    }

    async fn document(&self, vantage: &str, revision: u64) -> Result<PlanDocument, LinkError> {
        let asked = vantage.to_owned();
        let stored = self.store.read(move |reader| reader.fleet_ranges(&asked, RANGES)).await;
        let stored = stored.map_err(|why| LinkError(why.to_string()))?;
        Ok(PlanDocument {
            v: VERSION,
            hub: self.fleet.name.clone(),
            revision,
            number: 0,
            answers: self.state.lock().vantages.get(vantage).and_then(|known| known.answers()),
            validity_s: self.fleet.plan_validity.as_secs_f64(),
            servers: self.plans.borrow().get(vantage).cloned(),
            stored: stored.into_iter().map(as_stored).collect(),
            caught_up: self.state.lock().is_caught_up,
        })
    }
}

fn as_stored(seqs: Seqs) -> Stored {
    Stored { incarnation: seqs.incarnation, first: seqs.first, end: seqs.end }
}
