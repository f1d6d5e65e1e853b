//! Packs the journal into blocks, moves the samples of earlier releases there, and reports damaged parts.

use slog::{debug, info};

use super::Writer;
use crate::sinks::worker::Incident;
use crate::store::error::StoreError;
use crate::store::samples::Samples;

/// The journal is packed after this many ticks, which are seconds, even if it holds few samples.
const PACK_TICKS: u32 = 7200;
/// Progress of the move is logged after this many ticks.
const LOG_TICKS: u32 = 60;

impl Writer {
    /// Packs the journal if it holds enough samples, or was not packed for long enough. Called once per tick.
    pub(super) fn pack_when_due(&mut self) -> Result<(), StoreError> {
        self.since_pack += 1;
        if self.cache.samples.is_step_due(true) {
            self.pack_step()
        } else if self.cache.samples.is_due() || self.since_pack >= PACK_TICKS {
            self.pack()
        } else {
            Ok(())
        }
    }

    /// Moves the samples of the journal into blocks: at once if they are few, otherwise some series per second, so that
    /// no batch waits for long. If the process is killed between two steps, the next process continues.
    fn pack(&mut self) -> Result<(), StoreError> {
        let damage = self.damage.clone();
        self.transact("pack samples", |tx, cache, _| {
            let samples = Samples::new(tx, &damage);
            if !cache.samples.is_waiting(samples)? {
                return Ok(());
            }
            if !samples.is_packing()? && cache.samples.begin_packing().is_some() {
                return samples.begin_packing();
            }
            samples.pack()?;
            cache.samples.packed();
            Ok(())
        })?;
        self.since_pack = 0;
        Ok(())
    }

    fn pack_step(&mut self) -> Result<(), StoreError> {
        let damage = self.damage.clone();
        self.transact("pack some samples", |tx, cache, _| {
            let samples = Samples::new(tx, &damage);
            match cache.samples.next_step() {
                Some(ids) => samples.pack_step(ids),
                None => {
                    samples.end_steps()?;
                    cache.samples.ended_steps();
                    Ok(())
                }
            }
        })
    }

    /// Packs after a batch, so that the journal stays short at any rate of samples. A failure is reported by the next
    /// tick, which tries again; the batch itself is stored.
    pub(super) fn pack_if_due(&mut self) {
        let done = if self.cache.samples.is_step_due(false) {
            self.pack_step()
        } else if self.cache.samples.is_due() {
            self.pack()
        } else {
            Ok(())
        };
        if let Err(why) = done {
            debug!(self.log, "samples stay in the journal"; "reason" => %why);
        }
    }

    /// Moves some samples of an earlier release into blocks.
    pub(super) fn move_some(&mut self) -> Result<(), StoreError> {
        if self.cache.mover.is_done() {
            return Ok(());
        }
        let damage = self.damage.clone();
        self.transact("move samples of an earlier release", |tx, cache, _| {
            cache.mover.step(Samples::new(tx, &damage))
        })?;
        let gauge = self.cache.mover.gauge();
        self.progress.set(gauge);
        if gauge.series > 0 && (self.ticks.is_multiple_of(LOG_TICKS) || gauge.left == 0) {
            info!(self.log, "moving samples of an earlier release to the new format";
                "series" => gauge.series, "left" => gauge.left, "moved" => gauge.moved);
        }
        Ok(())
    }

    /// Reports what could not be decoded since the last call, by the writer or by a reader.
    pub(super) fn note_damage(&mut self) {
        let found = self.damage.take_fresh().into_iter();
        self.incidents.extend(found.map(|what| Incident { what, lost: 0 }));
    }
}
