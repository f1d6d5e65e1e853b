//! The writer's commands for a fleet: the journal of an agent, and the samples that a hub receives.

use std::sync::Arc;
use std::time::Duration;

use slog::warn;

use super::{PATIENCE, Takers, Writer, append};
use crate::sinks::worker::WriteError;
use crate::store::StoreError;
use crate::store::fleet::journal::Journal;
use crate::store::fleet::{Accepted, Batch, Packer, Seqs, received};
use crate::store::handle::StoreHandle;
use crate::store::nts::NtsCounters;
use crate::store::retention::before_ns;
use crate::store::samples::Samples;
use ntp_monitor_core::sample::Sample;

/// How long ranges are kept: longer than agents keep their journals by default (30 days).
const RANGES_FOR: Duration = Duration::from_secs(60 * 86_400);

impl Writer {
    /// Also writes each sample of this host into the journal from which it is sent to a hub.
    #[must_use]
    pub fn journalling(mut self, pack: Packer, max_age: Duration, max_bytes: u64, handle: &StoreHandle) -> Self {
        self.journal = Some(Journal::new(pack, max_age, max_bytes, handle.journal()));
        self
    }

    pub(super) fn settle_journal(&mut self, is_committed: bool) {
        match &mut self.journal {
            Some(journal) if is_committed => journal.committed(),
            Some(journal) => journal.restart(),
            None => {}
        }
    }

    pub(super) fn remove_committed(&mut self, ranges: &[Seqs]) -> Result<u64, StoreError> {
        let Some(mut journal) = self.journal.take() else { return Ok(0) };
        let result = self.transact("delete what a hub has stored", |tx, _, _| journal.remove(tx, ranges));
        self.journal = Some(journal);
        self.settle_journal(result.is_ok());
        result
    }

    /// Stores what a hub has read. A message that the store cannot take is refused, and stops no other one.
    pub(super) fn receive(&mut self, batch: &Batch) -> Result<Accepted, StoreError> {
        match self.receive_at_once(batch) {
            Err(why) if why.is_about_data() => self.receive_one_by_one(batch),
            result => result,
        }
    }

    fn receive_one_by_one(&mut self, batch: &Batch) -> Result<Accepted, StoreError> {
        let part = |received, refused| Batch { positions: Vec::new(), received, refused, own: batch.own.clone() };
        let mut all = Accepted::default();
        for received in &batch.received {
            match self.receive_at_once(&part(vec![received.clone()], Vec::new())) {
                Ok(accepted) => all.add(accepted),
                Err(why) if why.is_about_data() => {
                    all.refused
                        .push((received.vantage.as_ref().into(), format!("its message cannot be stored: {why}")));
                }
                Err(why) => return Err(why),
            }
        }
        let refused = batch.refused.iter().chain(&all.refused).cloned().collect();
        // The positions last: after a crash everything is read again, and what is stored counts as repeated.
        self.receive_at_once(&Batch { positions: batch.positions.clone(), ..part(Vec::new(), refused) })?;
        Ok(all)
    }

    fn receive_at_once(&mut self, batch: &Batch) -> Result<Accepted, StoreError> {
        self.check_files(PATIENCE)?;
        let mut encoder = self.encoder.take();
        let damage = self.damage.clone();
        let result = self.transact_unchecked("store samples of the fleet", |tx, cache, gauge| {
            let accepted = received::accept(tx, batch, crate::clock::now().wall_ns)?;
            let is_own = |sample: &Arc<Sample>| batch.own.as_ref() == Some(&sample.server.vantage);
            let others: Vec<_> = accepted.samples.iter().filter(|sample| !is_own(sample)).cloned().collect();
            // Samples of other vantages carry no NTS state.
            let takers = Takers { encoder: encoder.as_mut(), journal: None, nts: &mut NtsCounters::default() };
            append(Samples::new(tx, &damage), cache, takers, &others, gauge)?;
            Ok(accepted)
        });
        self.encoder = encoder;
        self.pack_if_due();
        result
    }

    /// Keeps the journal and the records of received samples within their bounds.
    pub(super) fn prune_fleet(&mut self) -> Result<(), WriteError> {
        let now_ns = crate::clock::now().wall_ns;
        self.transact("forget old ranges", |tx, _, _| received::prune(tx, before_ns(now_ns, RANGES_FOR)))?;
        self.bound_journal()
    }

    pub(super) fn bound_journal(&mut self) -> Result<(), WriteError> {
        let now_ns = crate::clock::now().wall_ns;
        let Some(mut journal) = self.journal.take() else { return Ok(()) };
        let result = self.transact("bound the journal", |tx, _, _| journal.enforce_bounds(tx, now_ns));
        self.journal = Some(journal);
        self.settle_journal(result.is_ok());
        let dropped = result?;
        if dropped > 0 {
            warn!(self.log, "dropped samples that no hub has stored: the journal is too old or too large";
                "samples" => dropped);
        }
        Ok(())
    }
}
