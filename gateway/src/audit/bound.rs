//! How many rejections are recorded: whoever floods the gateway with bad tokens does not flood the trail.

use std::time::Duration;

use super::REJECTIONS_PER_SECOND_MAX;

/// What was recorded in the present second, and what was left out so far.
#[derive(Debug, Default)]
pub(super) struct Bound {
    second: u64,
    recorded: u32,
    omitted: u64,
}

/// What is done about a rejection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether it is recorded.
    pub admitted: bool,
    /// How many of earlier seconds were left out, and are told now.
    pub omitted: u64,
}

impl Bound {
    /// Looks at one rejection.
    pub(super) fn look(&mut self, now: Duration) -> Look {
        let omitted = self.settle(now);
        let admitted = self.recorded < REJECTIONS_PER_SECOND_MAX;
        if admitted {
            self.recorded += 1;
        } else {
            self.omitted += 1;
        }
        Look { admitted, omitted }
    }

    /// How many of earlier seconds were left out and are not told yet.
    pub(super) fn settle(&mut self, now: Duration) -> u64 {
        if now.as_secs() == self.second {
            return 0;
        }
        (self.second, self.recorded) = (now.as_secs(), 0);
        self.finish()
    }

    /// How many were left out and are not told yet, when there is no later second to tell them in.
    pub(super) fn finish(&mut self) -> u64 {
        std::mem::take(&mut self.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rejections_as_are_recorded_and_one_more() {
        let mut bound = Bound::default();
        let now = Duration::from_secs(9);
        for _ in 0..REJECTIONS_PER_SECOND_MAX {
            assert_eq!(bound.look(now), Look { admitted: true, omitted: 0 });
        }
        for _ in 0..3 {
            assert_eq!(bound.look(now + Duration::from_millis(999)), Look { admitted: false, omitted: 0 });
        }
        assert_eq!(bound.settle(now), 0, "the second is not over");
        let next = now + Duration::from_secs(1);
        assert_eq!(bound.look(next), Look { admitted: true, omitted: 3 }, "and nothing is told twice");
        assert_eq!(bound.settle(next + Duration::from_secs(1)), 0);
    }
}
