//! Checks that the store is intact, and what is queued in it.

use crate::config::Config;
use crate::privilege::Refusal;
use crate::store::read::Reader;
use crate::store::upkeep::{self, Depth};

use super::finding::{Area, Finding};

const AREA: Area = Area("store");
/// A larger file takes minutes to read; `store check` does that.
const READ_UP_TO_BYTES: u64 = 512 << 20;

/// The finding if root must not open the store.
pub(super) fn refused(config: &Config, why: &Refusal) -> Finding {
    AREA.problem(config.store.path.display().to_string(), why.to_string(), "run this as the user of the service")
}

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let path = &config.store.path;
    let name = path.display().to_string();
    let Ok(meta) = std::fs::metadata(path) else {
        return vec![AREA.note(name, "does not exist yet; the service creates it")];
    };
    if meta.len() > READ_UP_TO_BYTES {
        let note = AREA.note(&name, format!("{} MiB, not checked", meta.len() >> 20));
        return vec![note.advising("ntp-monitor store check")];
    }
    match upkeep::check(path, Depth::Quick, |_| ()) {
        Err(why) => {
            vec![AREA.problem(name, why.to_string(), "run this as the user of the service, or restore a backup")]
        }
        Ok(checked) if !checked.faults.is_empty() => {
            let advice = "stop the service, then `ntp-monitor restore BACKUP`; or move the file away, and the service creates a new one";
            checked.faults.iter().map(|fault| AREA.problem(&name, fault, advice)).collect()
        }
        Ok(checked) if checked.version < checked.newest => {
            vec![
                AREA.note(name, format!("sound, of schema version {}", checked.version))
                    .advising("the service migrates it when it starts; make a backup before an upgrade"),
            ]
        }
        Ok(checked) => {
            let mut findings =
                vec![AREA.ok(name, format!("sound, {} MiB, {} samples", checked.bytes >> 20, checked.samples))];
            findings.extend(waiting(config));
            findings
        }
    }
}

fn waiting(config: &Config) -> Option<Finding> {
    let gauge = Reader::open(&config.store.path).and_then(|reader| reader.outbox_gauge()).ok()?;
    if gauge.lines == 0 {
        return None;
    }
    let what = format!("{} lines are queued for InfluxDB", gauge.lines);
    Some(match &config.influxdb {
        Some(_) => AREA.note("outbox", what),
        None => AREA.warning(
            "outbox",
            what,
            "InfluxDB is not configured any more: they are dropped when they are a month old",
        ),
    })
}
