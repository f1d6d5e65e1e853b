//! Changes of a server's certificate and of the algorithm of NTS.

use serde::{Deserialize, Serialize};

use super::{Event, EventKind};
use crate::nts::{Aead, Certificate};
use crate::sample::Sample;
use crate::stats::verdict::When;

/// What the last key exchange showed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct NtsWatch {
    /// Boxed, because most servers have none.
    certificate: Option<Box<Certificate>>,
    aead: Option<Aead>,
}

impl NtsWatch {
    /// Compares the state of NTS at a poll with that at the polls before.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        let Some(status) = &sample.nts else { return };
        let (name, at) = (&sample.server.name, When(sample.at.wall_ns));
        let mut push = |kind, detail, text| {
            events.push(Event::of(sample, kind, at, Some(at), detail, text));
        };
        if let Some(now) = status.certificate().filter(|now| self.certificate.as_deref() != Some(now))
            && let Some(before) = self.certificate.replace(Box::new(now.clone()))
        {
            let until = |it: &Certificate| it.not_after.to_string();
            let text = if before.issuer == now.issuer {
                format!("{name} has a new certificate for NTS, from {}, valid until {}.", now.issuer, until(now))
            } else {
                format!(
                    "{name} has a certificate for NTS from another issuer: from {} instead of {}, valid until {}.",
                    now.issuer,
                    before.issuer,
                    until(now)
                )
            };
            push(EventKind::NtsCertificate, format!("{} -> {}", until(&before), until(now)), text);
        }
        if let Some(now) = status.aead.filter(|now| self.aead != Some(*now))
            && let Some(before) = self.aead.replace(now)
        {
            let (before, now) = (before.label(), now.label());
            let text = format!("{name} negotiates {now} for NTS instead of {before}.");
            push(EventKind::NtsAead, format!("{before} -> {now}"), text);
        }
    }
}
