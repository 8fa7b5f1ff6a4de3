//! Limits that are known to be full: a flood of the same refused call does not reach the store.
//!
//! What the store said of a group of charges holds until the first of them could leave: nobody can make room before
//! that but by giving back. So a refusal is remembered for [`REMEMBERED_MAX`] at most, counted from when the store was
//! asked, and a call that is given back elsewhere makes room here that much later. A remembered refusal never admits
//! anything; what it tells to wait is counted from when the answer came, so it is never too short.

use std::collections::HashMap;
use std::time::Duration;

use toolgate_policy::{Full, Group, NoRoom};

/// The longest that a refusal is remembered.
pub const REMEMBERED_MAX: Duration = Duration::from_millis(250);
/// The most refusals that are remembered.
pub const REMEMBERED_COUNT_MAX: usize = 4096;

/// What is known to be full. Instants are those of the gateway's monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    full: HashMap<Group, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    charge: usize,
    full: Full,
    holds_until: Duration,
    room_at: Duration,
}

impl Remembered {
    /// The store's last word on a group, while it holds.
    pub(super) fn of(&self, group: &Group, now: Duration) -> Option<NoRoom> {
        let known = self.full.get(group).filter(|known| now < known.holds_until)?;
        let wait = Some(known.room_at.saturating_sub(now));
        Some(NoRoom::Full(known.charge, Full { wait, ..known.full }))
    }

    /// Remembers what the store said, asked at one instant and heard at another.
    pub(super) fn note(&mut self, group: &Group, no_room: NoRoom, asked: Duration, heard: Duration) {
        let NoRoom::Full(charge, full) = no_room else { return };
        let Some(wait) = full.wait else { return };
        if self.full.len() >= REMEMBERED_COUNT_MAX {
            self.full.retain(|_, known| heard < known.holds_until);
        }
        if self.full.len() < REMEMBERED_COUNT_MAX {
            let holds_until = asked + wait.min(REMEMBERED_MAX);
            self.full.insert(group.clone(), Known { charge, full, holds_until, room_at: heard + wait });
        }
    }

    /// Forgets everything: something was given back.
    pub(super) fn clear(&mut self) {
        self.full.clear();
    }
}

#[cfg(test)]
mod tests {
    use toolgate_policy::{Bound, Charge, CounterKey};

    use super::*;

    fn group(counter: &str, cost: u128) -> Group {
        let key = CounterKey { policy: "p".into(), counter: counter.into(), grant: None };
        let bounds = [Bound { length: Duration::from_secs(1), max: 2 }].into();
        Group { charges: vec![Charge { key, bounds, cost }], take: true }
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn full(wait: u64) -> NoRoom {
        NoRoom::Full(0, Full { bound: 0, wait: Some(at(wait)), remaining: 0 })
    }

    #[test]
    fn a_refusal_holds_no_longer_than_it_is_certain_and_tells_no_wait_that_is_too_short() {
        let mut remembered = Remembered::default();
        remembered.note(&group("c", 1), full(100), at(1000), at(1010));
        assert_eq!(remembered.of(&group("c", 1), at(1010)), Some(full(100)));
        assert_eq!(remembered.of(&group("c", 1), at(1099)), Some(full(11)));
        assert_eq!(
            remembered.of(&group("c", 1), at(1100)),
            None,
            "asked at 1000, there is room from 1100 on"
        );
        assert_eq!(remembered.of(&group("c", 2), at(1010)), None, "another cost is another question");
        assert_eq!(remembered.of(&group("d", 1), at(1010)), None);
        remembered.note(&group("c", 1), full(60_000), at(2000), at(2010));
        assert!(remembered.of(&group("c", 1), at(2249)).is_some());
        assert_eq!(remembered.of(&group("c", 1), at(2250)), None, "something may have been given back");
    }

    #[test]
    fn as_many_refusals_as_are_remembered_and_one_more() {
        let mut remembered = Remembered::default();
        for index in 0..=REMEMBERED_COUNT_MAX {
            remembered.note(&group(&index.to_string(), 1), full(1000), at(0), at(0));
        }
        assert!(remembered.of(&group(&(REMEMBERED_COUNT_MAX - 1).to_string(), 1), at(1)).is_some());
        assert!(remembered.of(&group(&REMEMBERED_COUNT_MAX.to_string(), 1), at(1)).is_none());
        remembered.note(&group("later", 1), full(1000), at(250), at(250));
        assert!(remembered.of(&group("later", 1), at(251)).is_some(), "those that hold no more make place");
        remembered.clear();
        assert!(remembered.of(&group("later", 1), at(251)).is_none());
    }
}
