//! Until when the server is left alone, because it said that it is called too often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The end of the pause, in microseconds of the gateway's monotonic clock; zero before there ever was one.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: AtomicU64,
}

impl Pause {
    /// Lasts at least so long from now on.
    pub(super) fn extend(&self, now: Duration, length: Duration) {
        self.until.fetch_max(microseconds(now + length), Ordering::AcqRel);
    }

    /// How long it still lasts.
    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        let left = self.until.load(Ordering::Acquire).saturating_sub(microseconds(now));
        Some(Duration::from_micros(left)).filter(|left| !left.is_zero())
    }
}

fn microseconds(instant: Duration) -> u64 {
    u64::try_from(instant.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_and_a_shorter_one_shortens_none() {
        let (pause, at) = (Pause::default(), Duration::from_secs);
        assert_eq!(pause.left(at(0)), None);
        pause.extend(at(5), at(10));
        pause.extend(at(6), at(1));
        assert_eq!(pause.left(at(7)), Some(at(8)));
        assert_eq!(pause.left(at(15)), None);
    }
}
