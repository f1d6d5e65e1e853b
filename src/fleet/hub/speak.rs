//! Takes and renews the lease. While this hub has it, writes the plan document of each vantage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use slog::info;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Hub;
use super::consume::within;
use crate::fleet::judge::group;
use crate::fleet::lease::{Holder, Lease, RENEW};
use crate::fleet::link::{Link, LinkError, Names};
use crate::fleet::plan::{PlanDocument, Stored, VERSION};
use crate::fleet::planner::Planner;
use crate::store::Seqs;

/// Largest number of ranges of stored samples in one document.
const RANGES: usize = 64;
/// Wait before plans are computed again because a vantage started or follows another plan.
const REST: Duration = Duration::from_millis(300);
/// A vantage is informed about newly stored samples at most this often.
const TELL_EVERY: Duration = Duration::from_secs(4);

/// The plan that was last written for a vantage.
struct Written {
    plan: PlanDocument,
    at: Instant,
}

/// The state of a hub while it has the lease.
struct Speaker {
    planner: Planner,
    written: BTreeMap<String, Written>,
}

impl Hub {
    pub(super) async fn speak(&self, link: &Link) -> Result<(), LinkError> {
        let mut holder = Holder::open(link, &self.fleet.name).await?;
        let mut turn = interval(RENEW);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut known, mut speaker) = (None, None);
        let mut lease = Lease::default();
        loop {
            tokio::select! {
                _ = turn.tick() => lease = holder.turn().await,
                () = self.news.notified() => sleep(REST).await,
            }
            let held = lease.held(Instant::now());
            self.state.lock().speaks_until = lease.until();
            if known != held {
                if let Some(log) = self.log.of("", "lease") {
                    info!(log, "the lease of the fleet changed"; "speaks" => held.is_some());
                }
                (known, speaker) = (held, None);
            }
            if held.is_none() {
                continue;
            }
            let vantages = self.vantages().await?;
            let speaker = match &mut speaker {
                Some(speaker) => speaker,
                none => none.insert(self.take_over(link, &vantages).await?),
            };
            let now_s = crate::clock::now().slot_s();
            speaker.planner.turn(&self.state.view(), &self.judge.roster(), Instant::now(), now_s);
            for vantage in &vantages {
                // The lease may expire while the plans are being written.
                let Some(revision) = lease.held(Instant::now()) else { break };
                self.write(link, vantage, revision, speaker).await?;
            }
            let plans = speaker.written.iter().map(|(vantage, written)| (vantage.clone(), written.plan.clone()));
            self.plans.send_replace(Arc::new(plans.collect()));
        }
    }

    /// A planner that takes the plans in the bucket into account, because agents may still follow them.
    async fn take_over(&self, link: &Link, vantages: &BTreeSet<String>) -> Result<Speaker, LinkError> {
        let (mut planner, view, now) = (Planner::new(&self.fleet), self.state.view(), Instant::now());
        for vantage in vantages {
            let subject = Names::get(&link.names.plans(), vantage);
            let asked = within("read a plan", link.client.request(subject, Bytes::new())).await?;
            let message = asked.map_err(|why| link.fault("read a plan", &why))?;
            if let (None, Ok(document)) = (message.status, PlanDocument::parse(&message.payload)) {
                let vantage: Arc<str> = vantage.as_str().into();
                planner.adopt(&vantage, &document, &group(&vantage, view.vantages.get(&*vantage)), now);
            }
        }
        Ok(Speaker { planner, written: BTreeMap::new() })
    }

    /// The vantages that announced themselves or sent samples.
    async fn vantages(&self) -> Result<BTreeSet<String>, LinkError> {
        let stored = self.store.read(|reader| reader.fleet_vantages()).await;
        let stored = stored.map_err(|why| LinkError(why.to_string()))?;
        let heard: Vec<String> = self.state.lock().vantages.keys().cloned().collect();
        Ok(stored.into_iter().map(|row| row.vantage).chain(heard).collect())
    }

    async fn write(&self, link: &Link, vantage: &str, revision: u64, speaker: &mut Speaker) -> Result<(), LinkError> {
        let mut plan = self.document(vantage, revision, &speaker.planner).await?;
        let (clock, line) = speaker.planner.times(vantage, crate::clock::now().slot_s());
        (plan.clock, plan.line) = (Some(clock), line);
        let now = Instant::now();
        if let Some(last) = speaker.written.get(vantage) {
            let renewal = self.fleet.plan_ends_after().div_f64(3.0);
            let is_news = !last.plan.says_the_same(&plan) && now - last.at >= TELL_EVERY;
            if !is_news && last.plan.asks_the_same(&plan) && now - last.at < renewal {
                return Ok(());
            }
        }
        let answered = self.state.lock().vantages.get(vantage).and_then(|known| known.announced);
        speaker.planner.written(vantage, revision, answered, now);
        let text = plan.text().map_err(LinkError)?;
        let subject = Names::put(&link.names.plans(), vantage);
        let put = async { link.jetstream.publish(subject, text.into()).await?.await };
        within("write a plan", put).await?.map_err(|why| link.fault("write a plan", &why))?;
        speaker.written.insert(vantage.to_owned(), Written { plan, at: now });
        Ok(())
    }

    async fn document(&self, vantage: &str, revision: u64, planner: &Planner) -> Result<PlanDocument, LinkError> {
        let asked = vantage.to_owned();
        let stored = self.store.read(move |reader| reader.fleet_ranges(&asked, RANGES)).await;
        let stored = stored.map_err(|why| LinkError(why.to_string()))?;
        let current = planner.current(vantage);
        let view = self.state.lock();
        Ok(PlanDocument {
            v: VERSION,
            hub: self.fleet.name.clone(),
            revision,
            number: current.map_or(0, |current| current.number),
            answers: view.vantages.get(vantage).and_then(|known| known.answers()),
            clock: None,
            line: None,
            group: Some(planner.group(&vantage.into()).to_string()),
            validity_s: self.fleet.plan_ends_after().as_secs_f64(),
            servers: current.map(|current| current.planned.clone()),
            stored: stored.into_iter().map(as_stored).collect(),
            caught_up: view.has_read(vantage),
        })
    }
}

fn as_stored(seqs: Seqs) -> Stored {
    Stored { incarnation: seqs.incarnation, first: seqs.first, end: seqs.end }
}
