//! One counter's log: exact sliding windows.
//!
//! A log holds the instants at which calls were admitted. A window of a given length is full when the entries younger
//! than that length, and the call that asks, weigh more than its maximum. So no stretch of that length, wherever it
//! begins, ever holds more; there is no calendar minute at whose edge twice as much would pass.

use std::collections::VecDeque;
use std::time::Duration;

/// The most entries that a log holds. Beyond it the two oldest become one at the later of their instants: the log then
/// remembers longer than it must, and never admits too much.
pub const LOG_ENTRIES_MAX: usize = 65_536;

/// A window that a counter must have room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub length: Duration,
    /// In millionths, as costs are.
    pub max: u128,
}

/// What a full window tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// Which of the bounds.
    pub bound: usize,
    /// How long until the same call would be admitted if nobody else called. None: never, it weighs too much.
    pub wait: Option<Duration>,
}

/// Names one admission, so that exactly it can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission(u64);

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    next: u64,
    // The longest window this counter ever had: an edit that shortens it for a while must not make it forget.
    horizon: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    admission: Admission,
    at: Duration,
    cost: u128,
    // Of this entry and all before it, so that a window's weight is one subtraction.
    total: u128,
}

impl Log {
    /// Whether every bound has room for `cost` more; else the fullest, the one with the longest wait.
    pub(crate) fn room(&self, bounds: &[Bound], cost: u128, now: Duration) -> Result<(), Full> {
        let full =
            bounds.iter().enumerate().filter_map(|(index, bound)| match self.look(*bound, cost, now) {
                Room::Free => None,
                Room::In(wait) => Some(Full { bound: index, wait: Some(wait) }),
                Room::Never => Some(Full { bound: index, wait: None }),
            });
        full.max_by_key(Full::weight).map_or(Ok(()), Err)
    }

    /// Writes an admission down. The caller has seen that there is room.
    pub(crate) fn admit(&mut self, bounds: &[Bound], cost: u128, now: Duration) -> Admission {
        self.horizon = bounds.iter().map(|bound| bound.length).fold(self.horizon, Duration::max);
        self.forget(now);
        if self.entries.len() == LOG_ENTRIES_MAX
            && let Some(oldest) = self.entries.pop_front()
            && let Some(second) = self.entries.front_mut()
        {
            second.cost = second.cost.saturating_add(oldest.cost);
        }
        let admission = Admission(self.next);
        self.next += 1;
        let total = self.entries.back().map_or(0, |newest| newest.total) + cost;
        self.entries.push_back(Entry { admission, at: now, cost, total });
        admission
    }

    /// Strikes one admission out, if the log still holds it by itself.
    pub(crate) fn give_back(&mut self, admission: Admission, cost: u128) {
        let Ok(index) = self.entries.binary_search_by_key(&admission.0, |entry| entry.admission.0) else {
            return;
        };
        let given = cost.min(self.entries[index].cost);
        self.entries[index].cost -= given;
        for entry in self.entries.range_mut(index..) {
            entry.total -= given;
        }
        if self.entries[index].cost == 0 {
            self.entries.remove(index);
        }
    }

    /// Drops what no window can see any more, and says whether nothing is left.
    pub(crate) fn forget(&mut self, now: Duration) -> bool {
        while self.entries.front().is_some_and(|entry| now.saturating_sub(entry.at) >= self.horizon) {
            self.entries.pop_front();
        }
        self.entries.is_empty()
    }

    fn look(&self, bound: Bound, cost: u128, now: Duration) -> Room {
        if cost > bound.max {
            return Room::Never;
        }
        let first = self.entries.partition_point(|entry| now.saturating_sub(entry.at) >= bound.length);
        let Some((oldest, newest)) = self.entries.get(first).zip(self.entries.back()) else {
            return Room::Free;
        };
        let before = oldest.total - oldest.cost;
        let weight = newest.total - before + cost;
        let Some(excess) = weight.checked_sub(bound.max).filter(|excess| *excess > 0) else {
            return Room::Free;
        };
        // As soon as this entry has left the window, enough has.
        let last_to_leave = self.entries.partition_point(|entry| entry.total < before + excess);
        let leaves_at = self.entries.get(last_to_leave).map(|entry| entry.at + bound.length);
        leaves_at.map_or(Room::Never, |leaves_at| Room::In(leaves_at.saturating_sub(now)))
    }
}

/// What one window says.
enum Room {
    Free,
    In(Duration),
    Never,
}

impl Full {
    /// Orders full windows by their wait; never is the longest.
    pub(crate) fn weight(&self) -> (bool, Option<Duration>) {
        (self.wait.is_none(), self.wait)
    }
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
        Ok(log.admit(bounds, cost, now))
    }

    #[test]
    fn the_thirty_first_call_waits_for_the_first_to_leave() {
        let (mut log, bounds) = (Log::default(), [Bound { length: MINUTE, max: 30 }]);
        for call in 0..30 {
            take(&mut log, &bounds, 1, at(call * 100)).unwrap();
        }
        let full = take(&mut log, &bounds, 1, at(3000)).unwrap_err();
        assert_eq!(full, Full { bound: 0, wait: Some(at(57_000)) });
        assert!(take(&mut log, &bounds, 1, at(59_999)).is_err());
        assert!(take(&mut log, &bounds, 1, at(60_000)).is_ok());
        assert!(take(&mut log, &bounds, 1, at(60_000)).is_err());
    }

    #[test]
    fn of_two_full_windows_the_longer_wait_is_told() {
        let bounds = [Bound { length: at(1000), max: 1 }, Bound { length: MINUTE, max: 2 }];
        let mut log = Log::default();
        take(&mut log, &bounds, 1, at(0)).unwrap();
        assert_eq!(take(&mut log, &bounds, 1, at(10)).unwrap_err(), Full { bound: 0, wait: Some(at(990)) });
        take(&mut log, &bounds, 1, at(1000)).unwrap();
        assert_eq!(
            take(&mut log, &bounds, 1, at(1500)).unwrap_err(),
            Full { bound: 1, wait: Some(at(58_500)) }
        );
    }

    #[test]
    fn what_weighs_more_than_the_maximum_never_fits() {
        let (mut log, bounds) = (Log::default(), [Bound { length: MINUTE, max: 5 }]);
        assert!(take(&mut log, &bounds, 5, at(0)).is_ok());
        assert_eq!(log.room(&bounds, 6, MINUTE).unwrap_err(), Full { bound: 0, wait: None });
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
