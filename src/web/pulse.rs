//! Liveness of the web server's thread: it is asked periodically and answers between two requests. A handler that
//! blocks the thread prevents the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use ntp_monitor_core::clock::Stamp;

/// Asks the web server and records since when an answer is missing.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// The monotonic time of the newest question, in nanoseconds.
    asked_ns: Arc<watch::Sender<i64>>,
    /// The newest question that has been answered.
    answered_ns: Arc<AtomicI64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { asked_ns: Arc::new(watch::Sender::new(0)), answered_ns: Arc::default() }
    }
}

impl Pulse {
    /// Starts to answer on this thread, for as long as its runtime runs.
    pub(super) fn answer_here(&self) {
        let (mut asked, answered) = (self.asked_ns.subscribe(), Arc::clone(&self.answered_ns));
        actix_rt::spawn(async move {
            // Questions to the previous thread no longer count.
            asked.mark_changed();
            while asked.changed().await.is_ok() {
                answered.fetch_max(*asked.borrow_and_update(), Ordering::AcqRel);
            }
        });
    }

    /// How long the open question has been unanswered; asks a new one if none is open. `None` while no thread can
    /// answer, because the server has not started or is restarting its thread.
    #[must_use]
    pub fn silent_for(&self, now: Stamp) -> Option<Duration> {
        if self.asked_ns.receiver_count() == 0 {
            return None;
        }
        let asked_ns = *self.asked_ns.borrow();
        if self.answered_ns.load(Ordering::Acquire) >= asked_ns {
            self.asked_ns.send_replace(now.mono_ns);
            return Some(Duration::ZERO);
        }
        Some(Duration::from_nanos(u64::try_from(now.mono_ns.saturating_sub(asked_ns)).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn at(second: i64) -> Stamp {
        Stamp::new(0, second * 1_000_000_000, 0)
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..6000 {
            if condition() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {what}");
    }

    #[test]
    fn blocked_thread_has_an_open_question_until_it_continues() {
        let pulse = Pulse::default();
        assert_eq!(pulse.silent_for(at(1)), None);
        let (blocked, is_blocked) = mpsc::channel();
        let (unblock, is_unblocked) = mpsc::channel::<()>();
        let (stop, mut stopped) = tokio::sync::mpsc::channel::<()>(1);
        let answering = pulse.clone();
        let web = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                answering.answer_here();
                let handler = actix_rt::spawn(async move {
                    blocked.send(()).unwrap();
                    // A handler that never returns by itself.
                    let _ = is_unblocked.recv();
                });
                handler.await.unwrap();
                stopped.recv().await;
            });
        });
        is_blocked.recv().unwrap();
        assert_eq!(pulse.silent_for(at(2)), Some(Duration::ZERO), "it is asked");
        assert_eq!(pulse.silent_for(at(400)), Some(Duration::from_secs(398)));
        unblock.send(()).unwrap();
        until("the question is answered", || pulse.silent_for(at(400)) == Some(Duration::ZERO));
        drop(stop);
        web.join().unwrap();
        assert_eq!(pulse.silent_for(at(500)), None);
    }

    #[actix_rt::test]
    async fn new_thread_does_not_inherit_open_questions() {
        let pulse = Pulse::default();
        let first = pulse.asked_ns.subscribe();
        assert_eq!(pulse.silent_for(at(1)), Some(Duration::ZERO));
        drop(first);
        pulse.answer_here();
        let settled = async {
            while pulse.silent_for(at(100)) != Some(Duration::ZERO) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
    }
}
