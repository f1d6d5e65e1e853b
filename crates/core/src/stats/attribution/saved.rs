//! The state of the analysis in a binary form. Its next verdicts depend only on this state and the samples that follow.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Attribution;

/// What the derived form of the analysis leaves out.
#[derive(Serialize, Deserialize)]
struct Form<A> {
    attribution: A,
    /// Not part of a verdict's JSON.
    suspended: bool,
}

/// The binary form of an analysis that holds back no sample and whose events were taken.
pub(in crate::stats) fn serialize<S: Serializer>(attribution: &Attribution, to: S) -> Result<S::Ok, S::Error> {
    Form { attribution, suspended: attribution.verdict.suspended }.serialize(to)
}

pub(in crate::stats) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Attribution, D::Error> {
    let Form::<Attribution> { mut attribution, suspended } = Form::deserialize(from)?;
    Arc::make_mut(&mut attribution.verdict).suspended = suspended;
    attribution.rebuild_index();
    Ok(attribution)
}
