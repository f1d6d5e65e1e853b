//! Moves the samples of earlier releases into blocks, some at a time, while the service runs. Each step is one
//! transaction, so after a crash every sample is in exactly one place, and the next start continues.

use std::sync::{Arc, Mutex, PoisonError};

use super::legacy::{self, Place};
use super::{Samples, blocks};

/// Largest number of rows of a step, which takes about 50 ms.
const ROWS: usize = 4096;

/// The shared [`MoveGauge`]. Cheap to clone; shared with the handle of the store.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Progress(Arc<Mutex<MoveGauge>>);

/// Progress of moving the samples of an earlier release to the format of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MoveGauge {
    /// Series that had such samples when the service started.
    pub series: u64,
    /// Series that still have some.
    pub left: u64,
    /// Samples moved since the start.
    pub moved: u64,
}

impl Progress {
    pub(in crate::store) fn get(&self) -> MoveGauge {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Must be called after the transaction of the step is committed.
    pub(in crate::store) fn set(&self, gauge: MoveGauge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = gauge;
    }
}

/// The state of the move. Must be reset after a transaction that did not commit: it then looks for rows again.
#[derive(Debug, Default)]
pub(in crate::store) struct Mover {
    /// The last row that was examined; `None` before the first step.
    place: Option<Place>,
    gauge: MoveGauge,
    is_done: bool,
}

impl Mover {
    pub(in crate::store) fn gauge(&self) -> MoveGauge {
        self.gauge
    }

    pub(in crate::store) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Moves the next samples.
    pub(in crate::store) fn step(&mut self, samples: Samples<'_>) -> rusqlite::Result<()> {
        if self.is_done {
            return Ok(());
        }
        let after = match self.place {
            Some(place) => place,
            None => {
                let series = legacy::count_series(samples.conn)?;
                self.gauge = MoveGauge { series, left: series, moved: 0 };
                Place::START
            }
        };
        match legacy::take(samples.conn, after, ROWS)? {
            None => {
                self.is_done = true;
                self.gauge.left = 0;
            }
            Some((records, place)) => {
                if let Some(first) = records.first() {
                    blocks::add(samples.conn, samples.damage, first.series_id, &records)?;
                }
                if self.place.is_some_and(|before| !before.is_of_same_series(place)) {
                    self.gauge.left = self.gauge.left.saturating_sub(1);
                }
                self.gauge.moved += records.len() as u64;
                self.place = Some(place);
            }
        }
        Ok(())
    }
}
