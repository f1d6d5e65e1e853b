//! The parts of one message that a receiver has accepted, so that a retry sends only the others. A message has parts if
//! each alert needs a request, or if it goes to several mail addresses. Kept in the store with the message.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Failure, Retry, Sending};

/// After this many rejected parts in a row, with none accepted, the others are not tried.
const REJECTIONS: usize = 3;

/// The progress of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The parts that the receiver has accepted.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub taken: BTreeSet<String>,
    /// The parts that were rejected for good while others were accepted, each with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, String>,
    /// Mail addresses that have not accepted the message and are retried. Later messages do not wait for them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<String>,
    /// How often the message, or its current part, was fully sent without a usable response.
    #[serde(skip_serializing_if = "is_zero")]
    pub unanswered: u32,
    /// Mail addresses that have not accepted an earlier message yet, so this message must not be sent to them before
    /// that one.
    #[serde(skip)]
    pub behind: BTreeSet<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Progress {
    /// Restores a recorded progress. If it cannot be parsed, it counts as empty, so that parts are repeated, not lost.
    #[must_use]
    pub fn restored(text: Option<&str>, behind: BTreeSet<String>) -> Self {
        let progress = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Self { behind, ..progress }
    }

    /// The form to record; `None` if there is nothing to record.
    #[must_use]
    pub fn recorded(&self) -> Option<String> {
        let kept = Self { behind: BTreeSet::new(), ..self.clone() };
        if kept == Self::default() { None } else { serde_json::to_string(&kept).ok() }
    }

    /// Whether the part has neither been accepted nor rejected for good.
    #[must_use]
    pub fn is_open(&self, part: &str) -> bool {
        !self.taken.contains(part) && !self.rejected.contains_key(part)
    }

    /// Records that a part was accepted.
    pub fn take(&mut self, part: &str) {
        self.taken.insert(part.to_owned());
        self.missing.remove(part);
        self.unanswered = 0;
    }

    /// The rejected parts with their reasons; `None` if there are none.
    #[must_use]
    pub fn rejections(&self) -> Option<String> {
        (!self.rejected.is_empty()).then(|| listed(&self.rejected))
    }

    /// Sends the open parts of a message one after the other. `send` makes one attempt for the part with a number. A
    /// rejected part does not stop the others, any other failure does. Parts that are rejected while others are
    /// accepted are not retried.
    ///
    /// # Errors
    /// The failure that stopped it, or the rejection if no part was accepted.
    pub(super) async fn each<'a>(
        &mut self,
        parts: usize,
        send: impl Fn(usize) -> Sending<'a>,
    ) -> Result<String, Failure> {
        let (mut said, mut rejected) = (String::new(), BTreeMap::new());
        for n in 0..parts {
            let part = n.to_string();
            if !self.is_open(&part) {
                continue;
            }
            match send(n).await {
                Ok(answer) => {
                    said = answer;
                    self.take(&part);
                }
                Err(failure) if failure.retry == Retry::Refused && parts > 1 => {
                    rejected.insert(part, failure.why);
                    if self.taken.is_empty() && rejected.len() >= REJECTIONS {
                        break;
                    }
                }
                Err(failure) => {
                    self.reject(rejected);
                    return Err(failure);
                }
            }
        }
        match rejected.first_key_value() {
            Some((_, why)) if self.taken.is_empty() => Err(Failure::new(Retry::Refused, why.clone())),
            _ => {
                self.reject(rejected);
                Ok(said)
            }
        }
    }

    /// Records parts that were rejected, if others were accepted; otherwise the configuration may be at fault.
    pub(super) fn reject(&mut self, rejected: BTreeMap<String, String>) {
        if !self.taken.is_empty() {
            self.missing.retain(|part| !rejected.contains_key(part));
            self.rejected.extend(rejected);
        }
    }
}

/// Parts with their reasons, on one line.
pub(super) fn listed(parts: &BTreeMap<String, String>) -> String {
    let one = |(part, why): (&String, &String)| match part.parse::<usize>() {
        Ok(n) => format!("alert {}: {why}", n + 1),
        Err(_) => format!("{part}: {why}"),
    };
    crate::outbound::short(&parts.iter().map(one).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    async fn send(progress: &mut Progress, answers: &[Result<&str, Retry>]) -> (Vec<usize>, Result<String, Failure>) {
        let asked = std::sync::Mutex::new(Vec::new());
        let result = progress.each(answers.len(), |n| {
            asked.lock().unwrap().push(n);
            Box::pin(ready(answers[n].map(str::to_owned).map_err(|retry| Failure::new(retry, "no"))))
        });
        let result = result.await;
        (asked.into_inner().unwrap(), result)
    }

    #[tokio::test]
    async fn retry_sends_only_the_parts_that_are_missing() {
        let mut progress = Progress::default();
        let (asked, result) = send(&mut progress, &[Ok("a"), Err(Retry::Backoff), Ok("c")]).await;
        assert_eq!((asked, result.unwrap_err().retry), (vec![0, 1], Retry::Backoff));
        let mut restored = Progress::restored(progress.recorded().as_deref(), BTreeSet::new());
        let (asked, result) = send(&mut restored, &[Ok("a"), Ok("b"), Ok("c")]).await;
        assert_eq!((asked, result.as_deref()), (vec![1, 2], Ok("c")));
    }

    #[tokio::test]
    async fn rejected_part_does_not_stop_the_others() {
        let mut progress = Progress::default();
        let (asked, result) = send(&mut progress, &[Err(Retry::Refused), Ok("b"), Ok("c")]).await;
        assert_eq!((asked, result.as_deref()), (vec![0, 1, 2], Ok("c")));
        assert_eq!(progress.rejections().as_deref(), Some("alert 1: no"));
    }

    #[tokio::test]
    async fn message_is_rejected_if_all_its_parts_are() {
        let mut progress = Progress::default();
        let (asked, result) = send(&mut progress, &[Err(Retry::Refused); 9]).await;
        assert_eq!((asked.len(), result.unwrap_err().retry), (REJECTIONS, Retry::Refused));
        assert_eq!(progress.recorded(), None);
    }

    #[test]
    fn unreadable_progress_counts_as_none() {
        assert_eq!(Progress::restored(Some("{"), BTreeSet::new()), Progress::default());
        assert_eq!(Progress::restored(Some(r#"{"later": 1}"#), BTreeSet::new()), Progress::default());
    }
}
