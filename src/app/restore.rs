//! Continues the verdict after a restart: from the state that the last process saved, and the samples stored since.

use slog::{Logger, info, warn};

use crate::store::read::Reader;
use crate::store::{StoreError, StoreHandle};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::stats::judgement::Judgement;

/// Samples of different servers are stored out of order by less than this.
const DISORDER_NS: i64 = 60 * 1_000_000_000;
/// Without a usable state, the verdict is computed again from the samples of this span …
const AGAIN_NS: i64 = 24 * 3600 * 1_000_000_000;
/// … if there are at most this many, which takes about a second.
const MOST: usize = 100_000;

/// The result of restoring.
struct Found {
    judgement: Judgement,
    /// Why the state of the last process could not be used.
    fault: Option<String>,
    /// Samples taken from the store.
    samples: usize,
}

/// The verdict, its history and its events as the last process would have them now, for the servers `names`. Samples
/// after `started` are not read, because this process measured them.
pub(super) async fn judgement(store: StoreHandle, started: Stamp, names: Vec<String>, log: Logger) -> Judgement {
    match store.read(move |reader| restore(reader, started, &names)).await {
        Ok(Found { judgement, fault, samples }) => {
            match fault {
                Some(why) => warn!(log, "the saved state of the verdict was unusable and has been recomputed";
                    "reason" => why, "samples" => samples),
                None => info!(log, "continuing the verdict from its saved state"; "samples" => samples),
            }
            judgement
        }
        Err(why) => {
            warn!(log, "the verdict starts without its saved state: cannot read the store"; "reason" => %why);
            Judgement::default()
        }
    }
}

fn restore(reader: &Reader, started: Stamp, names: &[String]) -> Result<Found, StoreError> {
    let again_ns = started.wall_ns - AGAIN_NS;
    let kept = reader.verdict_state()?.map(|state| Judgement::restore(&state));
    let (judgement, from_ns, fault) = match kept {
        Some(Ok(judgement)) => {
            let from_ns = judgement.last_wall_ns() - DISORDER_NS;
            (judgement, from_ns, None)
        }
        Some(Err(why)) => (Judgement::default(), again_ns, Some(why.to_string())),
        None => (Judgement::default(), again_ns, None),
    };
    let mut found = Found { judgement, fault, samples: 0 };
    for stored in reader.since_here(from_ns) {
        let sample = stored?.sample;
        if sample.at.wall_ns >= started.wall_ns || found.samples == MOST {
            break;
        }
        found.samples += usize::from(found.judgement.catch_up(&sample));
    }
    found.judgement.forget_all_but(names);
    Ok(found)
}
