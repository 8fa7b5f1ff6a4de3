//! The two clocks: one for limits, one for expiry.

use std::time::Instant;

use toolgate_policy::Now;

/// Reads both clocks at once.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// The present instant.
    pub fn now(&self) -> Now {
        Now { monotonic: self.start.elapsed(), wall: jiff::Timestamp::now() }
    }
}
