//! How long to wait after failures in a row.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// Doubles from the first wait to the last, and is up to a quarter longer by chance, so that those who failed together
/// do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait, but for chance.
    pub last: Duration,
}

impl Waits {
    /// The wait after so many failures in a row.
    pub fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = (self.first * (1 << doublings)).min(self.last);
        let chance = RandomState::new().build_hasher().finish() % 1000;
        wait + wait / 4000 * u32::try_from(chance).unwrap_or_default()
    }
}

/// Waits for a watch. A watch that worked for a while begins anew.
#[derive(Debug)]
pub struct WatchBackoff {
    waits: Waits,
    failures: u32,
    failed_at: Option<Instant>,
}

/// How long a watch has to work until its failures are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);

impl WatchBackoff {
    /// Waits like this.
    pub fn new(waits: Waits) -> Self {
        Self { waits, failures: 0, failed_at: None }
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let forgotten = self.failed_at.is_none_or(|at| now.duration_since(at) > FORGOTTEN_AFTER);
        self.failures = if forgotten { 1 } else { self.failures.saturating_add(1) };
        self.failed_at = Some(now);
        Some(self.waits.after(self.failures))
    }
}

impl kube::runtime::utils::Backoff for WatchBackoff {
    // A watch says that it begins before it knows whether it can, so that is no success.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Waits, WatchBackoff};

    const WAITS: Waits = Waits { first: Duration::from_secs(1), last: Duration::from_mins(5) };

    fn within(wait: Duration, base: Duration) -> bool {
        wait >= base && wait <= base + base / 4
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (11, 300), (u32::MAX, 300)] {
            let wait = WAITS.after(failures);
            assert!(within(wait, Duration::from_secs(seconds)), "{failures}: {wait:?}");
        }
    }

    #[test]
    fn those_who_failed_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<Duration> = (0..20).map(|_| WAITS.after(5)).collect();
        assert!(waits.len() > 1);
    }

    #[test]
    fn a_watch_that_keeps_failing_waits_longer() {
        let mut backoff = WatchBackoff::new(WAITS);
        let waits: Vec<Duration> = backoff.by_ref().take(3).collect();
        for (wait, seconds) in waits.into_iter().zip([1, 2, 4]) {
            assert!(within(wait, Duration::from_secs(seconds)), "{wait:?}");
        }
    }
}
