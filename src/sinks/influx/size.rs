//! The number of lines in one request. Pure. It is halved when a request was too large or too slow, and raised while
//! requests are fast.

use std::time::Duration;

/// The limit for the next request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    limit: usize,
    /// The configured number of lines, the upper limit.
    full: usize,
    /// Whether the server limits the size of requests: then the limit is raised in small steps.
    is_capped: bool,
}

impl Size {
    pub(super) fn new(full: usize) -> Self {
        let full = full.max(1);
        Self { limit: full, full, is_capped: false }
    }

    /// Maximum number of lines of the next request.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Records that the server rejected a request of this many lines as too large.
    pub(super) fn too_large(&mut self, lines: usize) {
        self.limit = (lines / 2).max(1);
        self.is_capped = true;
    }

    /// Records that a request of this many lines was not answered in time.
    pub(super) fn too_slow(&mut self, lines: usize) {
        self.limit = (lines / 2).max(1);
    }

    /// Records that a request of this many lines was accepted after `took`. If it was full and took less than a quarter
    /// of the time-out, the next one may be larger.
    pub(super) fn accepted(&mut self, lines: usize, took: Duration, timeout: Duration) {
        if lines < self.limit || took > timeout / 4 {
            return;
        }
        let raised = if self.is_capped { self.limit + self.full.div_ceil(20) } else { self.limit * 2 };
        self.limit = raised.min(self.full);
        self.is_capped &= self.limit < self.full;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn slow_requests_shrink_until_they_fit() {
        // A path that carries 100 lines per second: 5000 lines never arrive in time.
        let mut size = Size::new(5000);
        let (mut sent, mut attempts) = (0, 0);
        while sent < 5000 {
            attempts += 1;
            let took = Duration::from_millis(size.limit() as u64 * 10);
            match took < TIMEOUT {
                true => {
                    sent += size.limit();
                    size.accepted(size.limit(), took, TIMEOUT);
                }
                false => size.too_slow(size.limit()),
            }
        }
        assert!(attempts < 15, "{attempts}");
    }

    #[test]
    fn size_recovers_after_an_outage() {
        let mut size = Size::new(5000);
        for _ in 0..20 {
            size.too_slow(size.limit());
        }
        assert_eq!(size.limit(), 1);
        for _ in 0..13 {
            size.accepted(size.limit(), Duration::ZERO, TIMEOUT);
        }
        assert_eq!(size.limit(), 5000);
    }

    #[test]
    fn limit_of_the_server_is_approached_in_small_steps() {
        let mut size = Size::new(1000);
        size.too_large(1000);
        size.accepted(500, Duration::ZERO, TIMEOUT);
        assert_eq!(size.limit(), 550);
        size.accepted(3, Duration::ZERO, TIMEOUT);
        assert_eq!(size.limit(), 550, "a small request shows nothing");
    }
}
