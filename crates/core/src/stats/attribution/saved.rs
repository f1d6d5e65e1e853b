//! The state of the analysis in a binary form. Its next verdicts depend only on this state and the samples that follow.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Attribution;
use crate::stats::verdict::Verdict;

/// What the derived form of the analysis leaves out.
#[derive(Serialize, Deserialize)]
struct Form<A> {
    attribution: A,
    /// Not part of a verdict's JSON.
    suspended: bool,
    differs: bool,
}

/// The binary form of an analysis that holds back no sample and whose events were taken.
pub(in crate::stats) fn serialize<S: Serializer>(attribution: &Attribution, to: S) -> Result<S::Ok, S::Error> {
    let Verdict { suspended, differs, .. } = **attribution.verdict();
    Form { attribution, suspended, differs }.serialize(to)
}

pub(in crate::stats) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Attribution, D::Error> {
    let Form::<Attribution> { mut attribution, suspended, differs } = Form::deserialize(from)?;
    let verdict = Arc::make_mut(&mut attribution.verdict);
    (verdict.suspended, verdict.differs) = (suspended, differs);
    attribution.rebuild_index();
    Ok(attribution)
}
