//! Checks the directories in which the service works.

use crate::config::Config;
use crate::privilege::{Plan, Refusal};
use crate::report::shelf::Shelf;

/// The user that the service has to become before it works in the directories of `config`.
///
/// # Errors
/// When root must not work in one of them.
pub fn plan(config: &Config) -> Result<Plan, Refusal> {
    let csv = config.csv.as_ref().map(|csv| csv.dir.as_path());
    let log = config.log.file.as_ref().map(|log| log.path.as_path());
    let reports = Shelf::of(&config.monitor.data_dir);
    let others = [config.monitor.data_dir.as_path(), reports.dir()].into_iter().chain(csv).chain(log);
    Plan::for_service(&config.store.path, others)
}
