//! Records the input of the verdict from the kernel, the time daemon and the list of leap seconds, whenever it changes:
//! in the store, and beside the CSV files of samples. A row that cannot be written is retried with the next reading.

use std::collections::VecDeque;
use std::sync::Arc;

use slog::{Logger, warn};
use tokio::sync::watch::Receiver;

use crate::config::Config;
use crate::sinks::csv::append_local;
use crate::store::StoreHandle;
use ntp_monitor_core::clock::Clock;
use ntp_monitor_core::formats::local::LocalRow;
use ntp_monitor_core::stats::leap::LeapSource;
use ntp_monitor_core::stats::local::LocalState;

/// Number of rows that may wait for a disk; beyond it the oldest are dropped.
const WAITING: usize = 1000;

/// The inputs of the rows and their destinations.
#[derive(Clone)]
pub(super) struct LocalRows {
    pub(super) config: Receiver<Arc<Config>>,
    pub(super) local: Receiver<LocalState>,
    pub(super) leap: Receiver<LeapSource>,
    pub(super) store: StoreHandle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log: Logger,
}

impl LocalRows {
    /// Runs until its inputs end. The first row is written with the first reading of the kernel.
    pub(super) async fn run(mut self) {
        let (mut last, mut for_store, mut for_csv) = (None, VecDeque::new(), VecDeque::new());
        while self.local.changed().await.is_ok() {
            let row = {
                let (local, leap) = (self.local.borrow_and_update(), self.leap.borrow_and_update());
                LocalRow::of(self.clock.now().wall_ns, "", &local, &leap)
            };
            if last.as_ref().is_none_or(|last| row.differs_from(last)) {
                for_store.push_back(row.clone());
                for_csv.push_back(row.clone());
                last = Some(row);
            }
            self.store_rows(&mut for_store).await;
            self.append_rows(&mut for_csv).await;
        }
    }

    async fn store_rows(&self, waiting: &mut VecDeque<LocalRow>) {
        while let Some(row) = waiting.front() {
            if let Err(why) = self.store.record_local(row.clone()).await {
                return self.delayed(waiting, &why);
            }
            waiting.pop_front();
        }
    }

    async fn append_rows(&self, waiting: &mut VecDeque<LocalRow>) {
        let config = Arc::clone(&self.config.borrow());
        let Some(csv) = config.csv.clone() else { return waiting.clear() };
        let vantage = &config.monitor.vantage;
        while let Some(row) = waiting.front() {
            let (row, csv) = (LocalRow { vantage: vantage.clone(), ..row.clone() }, csv.clone());
            match tokio::task::spawn_blocking(move || append_local(&csv, &row)).await {
                Ok(Err(why)) => return self.delayed(waiting, &why),
                Ok(Ok(())) => drop(waiting.pop_front()),
                Err(_) => return,
            }
        }
    }

    fn delayed(&self, waiting: &mut VecDeque<LocalRow>, why: &dyn std::fmt::Display) {
        waiting.drain(..waiting.len().saturating_sub(WAITING));
        warn!(self.log, "cannot record a change in the state of this host's clock"; "reason" => %why);
    }
}
