//! Replaces one series of a server by another so that the two never exist at the same time: the old series is forgotten
//! just before the first sample of the new one, and later samples of the old address reach only the store.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntp_monitor_core::sample::SeriesKey;

/// The series of one server that are to be forgotten. Shared by its probers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Succession(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The only address whose samples count; `None` if all do.
    selected: Option<SocketAddr>,
    replaced: Vec<SeriesKey>,
}

impl Succession {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on only samples of this address count.
    pub(super) fn select(&self, address: SocketAddr) {
        self.state().selected = Some(address);
    }

    /// This series is forgotten when the next sample that counts arrives.
    pub(super) fn replace(&self, key: SeriesKey) {
        let mut state = self.state();
        if !state.replaced.contains(&key) {
            state.replaced.push(key);
        }
    }

    /// The series that wait to be forgotten; the caller forgets them.
    pub(super) fn take_replaced(&self) -> Vec<SeriesKey> {
        std::mem::take(&mut self.state().replaced)
    }

    /// The series that a sample of `address` replaces; `None` if the sample does not count.
    pub(super) fn arrive(&self, address: SocketAddr) -> Option<Vec<SeriesKey>> {
        let mut state = self.state();
        if state.selected.is_some_and(|selected| selected != address) {
            return None;
        }
        let mut replaced = std::mem::take(&mut state.replaced);
        replaced.retain(|key| key.address != Some(address));
        Some(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_of_the_new_address_replaces_the_old_series_once() {
        let (old, new): (SocketAddr, SocketAddr) = ("192.0.2.1:123".parse().unwrap(), "192.0.2.2:123".parse().unwrap());
        let key = SeriesKey::here(&"a".into(), Some(old));
        let succession = Succession::default();
        assert_eq!(succession.arrive(old), Some(Vec::new()));
        succession.select(new);
        succession.replace(key.clone());
        assert_eq!(succession.arrive(old), None);
        assert_eq!(succession.arrive(new), Some(vec![key.clone()]));
        assert_eq!(succession.arrive(new), Some(Vec::new()));
        succession.select(old);
        succession.replace(key);
        assert_eq!(succession.arrive(old), Some(Vec::new()), "it has come back before another one answered");
    }
}
