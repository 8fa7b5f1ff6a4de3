//! One counter's log: exact sliding windows.
//!
//! A log holds the instants at which calls were admitted. A window of a given length is full when the entries younger
//! than that length, and the call that asks, weigh more than its maximum. So no stretch of that length, wherever it
//! begins, ever holds more; there is no calendar minute at whose edge twice as much would pass.

use std::collections::VecDeque;
use std::time::Duration;

use crate::decimal::MILLION;
use crate::store::{Admission, Bound, Full, Usage};

/// The most entries that a log holds. Beyond it the two oldest become one at the later of their instants: the log then
/// remembers longer than it must, and never admits too much.
pub const LOG_ENTRIES_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    // The total before the first entry.
    base: u128,
    // The longest window this counter ever had: an edit that shortens it for a while must not make it forget.
    horizon: Duration,
}

// Small, because a busy log holds many.
#[derive(Clone, Copy, Debug)]
struct Entry {
    admission: Admission,
    nanoseconds: u64,
    // Of this entry and all before it, so that a window's weight is one subtraction, and an entry's cost, too.
    total: u128,
}

impl Log {
    /// Remembers for as long as the longest of these windows, from now on: also for a call that is refused, or an edit that
    /// makes a window longer would hand out quota while the call waits.
    pub(crate) fn extend(&mut self, bounds: &[Bound]) {
        self.horizon = bounds.iter().map(|bound| bound.length).fold(self.horizon, Duration::max);
    }

    /// Whether every bound has room for `cost` more; else the fullest, the one with the longest wait.
    pub(crate) fn room(&self, bounds: &[Bound], cost: u128, now: Duration) -> Result<(), Full> {
        let full =
            bounds.iter().enumerate().filter_map(|(index, bound)| match self.look(*bound, cost, now) {
                Room::Free => None,
                Room::In { wait, remaining } => Some(Full { bound: index, wait: Some(wait), remaining }),
                Room::Never => Some(Full { bound: index, wait: None, remaining: 0 }),
            });
        full.max_by_key(Full::weight).map_or(Ok(()), Err)
    }

    /// Writes an admission down, whose number is greater than that of every other. The caller has seen that there is room.
    pub(crate) fn admit(&mut self, admission: Admission, bounds: &[Bound], cost: u128, now: Duration) {
        self.extend(bounds);
        self.forget(now);
        // What was before the oldest is before the second now, which so weighs as much as both.
        if self.entries.len() == LOG_ENTRIES_MAX {
            self.entries.pop_front();
        }
        let total = self.before(self.entries.len()) + cost;
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.entries.push_back(Entry { admission, nanoseconds, total });
    }

    /// Strikes one admission out, if the log still holds it by itself.
    pub(crate) fn give_back(&mut self, admission: Admission, cost: u128) {
        let Ok(index) = self.entries.binary_search_by_key(&admission, |entry| entry.admission) else {
            return;
        };
        let before = self.before(index);
        let given = cost.min(self.entries[index].total - before);
        for entry in self.entries.range_mut(index..) {
            entry.total -= given;
        }
        if self.entries[index].total == before {
            self.entries.remove(index);
        }
    }

    /// Drops what no window can see any more, and says whether nothing is left.
    pub(crate) fn forget(&mut self, now: Duration) -> bool {
        while let Some(oldest) = self.entries.front()
            && now.saturating_sub(oldest.at()) >= self.horizon
        {
            self.base = oldest.total;
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.base = 0;
        }
        self.entries.is_empty()
    }

    // The total before an entry.
    fn before(&self, index: usize) -> u128 {
        index
            .checked_sub(1)
            .and_then(|before| self.entries.get(before))
            .map_or(self.base, |entry| entry.total)
    }

    /// How full a window is.
    pub(crate) fn usage(&self, bound: Bound, now: Duration) -> Usage {
        let used = self.held(bound, now).map_or(0, |held| held.weight);
        let wait = match self.look(bound, MILLION, now) {
            Room::In { wait, .. } => wait,
            Room::Free | Room::Never => Duration::ZERO,
        };
        Usage { used, wait }
    }

    // None: the window sees no entry.
    fn held(&self, bound: Bound, now: Duration) -> Option<Held> {
        let first = self.entries.partition_point(|entry| now.saturating_sub(entry.at()) >= bound.length);
        let newest = self.entries.back().filter(|_| first < self.entries.len())?;
        let before = self.before(first);
        Some(Held { before, weight: newest.total - before })
    }

    fn look(&self, bound: Bound, cost: u128, now: Duration) -> Room {
        if cost > bound.max {
            return Room::Never;
        }
        let Some(Held { before, weight }) = self.held(bound, now) else { return Room::Free };
        let Some(excess) = (weight + cost).checked_sub(bound.max).filter(|excess| *excess > 0) else {
            return Room::Free;
        };
        let remaining = bound.max.saturating_sub(weight);
        // As soon as this entry has left the window, enough has.
        let last_to_leave = self.entries.partition_point(|entry| entry.total < before + excess);
        let leaves_at = self.entries.get(last_to_leave).map(|entry| entry.at() + bound.length);
        leaves_at.map_or(Room::Never, |leaves_at| Room::In { wait: leaves_at.saturating_sub(now), remaining })
    }
}

impl Entry {
    fn at(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds)
    }
}

/// What a window sees of a log.
struct Held {
    /// The total before its first entry.
    before: u128,
    /// What its entries weigh.
    weight: u128,
}

/// What one window says.
enum Room {
    Free,
    In { wait: Duration, remaining: u128 },
    Never,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn take(log: &mut Log, bounds: &[Bound], cost: u128, now: Duration) -> Result<Admission, Full> {
        log.room(bounds, cost, now)?;
        let admission = Admission(log.entries.back().map_or(0, |newest| newest.admission.0 + 1));
        log.admit(admission, bounds, cost, now);
        Ok(admission)
    }

    #[test]
    fn the_thirty_first_call_waits_for_the_first_to_leave() {
        let (mut log, bounds) = (Log::default(), [Bound { length: MINUTE, max: 30 }]);
        for call in 0..30 {
            take(&mut log, &bounds, 1, at(call * 100)).unwrap();
        }
        let full = take(&mut log, &bounds, 1, at(3000)).unwrap_err();
        assert_eq!(full, Full { bound: 0, wait: Some(at(57_000)), remaining: 0 });
        assert!(take(&mut log, &bounds, 1, at(59_999)).is_err());
        assert!(take(&mut log, &bounds, 1, at(60_000)).is_ok());
        assert!(take(&mut log, &bounds, 1, at(60_000)).is_err());
    }

    #[test]
    fn of_two_full_windows_the_longer_wait_is_told() {
        let bounds = [Bound { length: at(1000), max: 1 }, Bound { length: MINUTE, max: 2 }];
        let mut log = Log::default();
        take(&mut log, &bounds, 1, at(0)).unwrap();
        assert_eq!(
            take(&mut log, &bounds, 1, at(10)).unwrap_err(),
            Full { bound: 0, wait: Some(at(990)), remaining: 0 }
        );
        take(&mut log, &bounds, 1, at(1000)).unwrap();
        assert_eq!(
            take(&mut log, &bounds, 1, at(1500)).unwrap_err(),
            Full { bound: 1, wait: Some(at(58_500)), remaining: 0 }
        );
    }

    #[test]
    fn what_weighs_more_than_the_maximum_never_fits() {
        let (mut log, bounds) = (Log::default(), [Bound { length: MINUTE, max: 5 }]);
        assert!(take(&mut log, &bounds, 5, at(0)).is_ok());
        assert_eq!(log.room(&bounds, 6, MINUTE).unwrap_err(), Full { bound: 0, wait: None, remaining: 0 });
    }

    #[test]
    fn how_full_a_window_is_told_with_the_time_until_there_is_room() {
        let bound = Bound { length: MINUTE, max: 3 * MILLION };
        let (mut log, bounds) = (Log::default(), [bound]);
        assert_eq!(log.usage(bound, at(0)), Usage { used: 0, wait: Duration::ZERO });
        take(&mut log, &bounds, MILLION, at(0)).unwrap();
        take(&mut log, &bounds, MILLION + 1, at(1000)).unwrap();
        // Less than one is left, and one more fits when the first has gone.
        assert_eq!(log.usage(bound, at(2000)), Usage { used: 2 * MILLION + 1, wait: at(58_000) });
        assert_eq!(log.usage(bound, at(60_000)), Usage { used: MILLION + 1, wait: Duration::ZERO });
        let lowered = Bound { max: MILLION, ..bound };
        assert_eq!(log.usage(lowered, at(60_000)), Usage { used: MILLION + 1, wait: at(1000) });
        assert_eq!(log.usage(bound, at(61_000)), Usage { used: 0, wait: Duration::ZERO });
    }

    #[test]
    fn what_is_given_back_is_that_very_call() {
        let (mut log, bounds) = (Log::default(), [Bound { length: MINUTE, max: 2 }]);
        let first = take(&mut log, &bounds, 1, at(0)).unwrap();
        take(&mut log, &bounds, 1, at(1)).unwrap();
        log.give_back(first, 1);
        log.give_back(first, 1);
        take(&mut log, &bounds, 1, at(2)).unwrap();
        assert_eq!(take(&mut log, &bounds, 1, at(3)).unwrap_err().wait, Some(at(59_998)));
    }

    #[test]
    fn a_window_that_was_shortened_for_a_while_has_forgotten_nothing() {
        let (hour, second) = (Bound { length: MINUTE * 60, max: 2 }, Bound { length: at(1000), max: 2 });
        let mut log = Log::default();
        take(&mut log, &[hour], 1, at(0)).unwrap();
        take(&mut log, &[second], 1, at(5000)).unwrap();
        assert!(take(&mut log, &[hour], 1, at(9000)).is_err());
    }

    #[test]
    fn a_full_log_forgets_too_late_and_never_too_early() {
        let bounds = [Bound { length: MINUTE * 60, max: LOG_ENTRIES_MAX as u128 + 1 }];
        let mut log = Log::default();
        for call in 0..=LOG_ENTRIES_MAX as u64 {
            take(&mut log, &bounds, 1, at(call)).unwrap();
        }
        assert_eq!(log.entries.len(), LOG_ENTRIES_MAX);
        let wait = take(&mut log, &bounds, 1, at(100_000)).unwrap_err().wait;
        assert_eq!(wait, Some(at(3_500_001)), "the first call leaves with the second");
    }

    proptest! {
        #[test]
        fn no_stretch_of_a_windows_length_ever_holds_more(
            calls in prop::collection::vec((0..400_u64, 0..4_u128), 1..300),
            max in 1..8_u128,
            length in 1..2000_u64,
        ) {
            let bounds = [Bound { length: at(length), max }, Bound { length: at(length * 7), max: max * 3 }];
            let (mut log, mut now, mut admitted) = (Log::default(), 0, Vec::new());
            for (pause, cost) in calls {
                now += pause;
                if take(&mut log, &bounds, cost, at(now)).is_ok() {
                    admitted.push((now, cost));
                }
            }
            for bound in bounds {
                for (from, _) in &admitted {
                    let until = from + u64::try_from(bound.length.as_millis()).unwrap();
                    let held: u128 = admitted.iter().filter(|(t, _)| (*from..until).contains(t)).map(|(_, c)| c).sum();
                    prop_assert!(held <= bound.max, "{held} in the stretch from {from}");
                }
            }
        }

        #[test]
        fn a_refused_call_is_admitted_after_the_wait_it_was_told_and_not_before(
            pauses in prop::collection::vec(0..300_u64, 1..60),
            max in 1..5_u128,
        ) {
            let bounds = [Bound { length: at(1000), max }, Bound { length: at(4000), max: max * 2 }];
            let (mut log, mut now) = (Log::default(), 0);
            for pause in pauses {
                now += pause;
                if let Err(full) = take(&mut log, &bounds, 1, at(now)) {
                    let wait = full.wait.unwrap();
                    prop_assert!(wait > Duration::ZERO);
                    prop_assert!(log.room(&bounds, 1, at(now) + wait).is_ok());
                    prop_assert!(log.room(&bounds, 1, at(now) + wait.saturating_sub(at(1))).is_err());
                }
            }
        }
    }
}
