//! Counters in memory: every log of one gateway.
//!
//! A counter is (policy's name, counter's name, grant if it counts per grant), never the object's UID, content or
//! window: neither an edit nor a re-creation hands out quota.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::window::{Admission, Bound, Full, Log};

/// The most counters that are kept. A call that would need one more is refused; none in use is ever dropped.
pub const COUNTERS_MAX: usize = 65_536;

/// Which counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CounterKey {
    pub policy: Arc<str>,
    pub counter: Arc<str>,
    pub grant: Option<Arc<str>>,
}

/// What one call takes of one counter.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub key: CounterKey,
    pub bounds: Arc<[Bound]>,
    pub cost: u128,
}

/// What was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    key: CounterKey,
    admission: Admission,
    cost: u128,
}

/// Why nothing was taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// A window is full: the charge's index, and which window.
    Full(usize, Full),
    /// There are [`COUNTERS_MAX`] counters in use already.
    TooMany(usize),
}

/// All counters of one gateway.
#[derive(Debug, Default)]
pub struct Counters {
    logs: HashMap<CounterKey, Log>,
}

impl Counters {
    /// No counter has counted anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether all charges have room; else the one with the longest wait. Takes nothing.
    pub(crate) fn room(&mut self, charges: &[Charge], now: Duration) -> Result<(), NoRoom> {
        let unused = Log::default();
        let full = charges.iter().enumerate().filter_map(|(index, charge)| {
            let log = self.logs.get(&charge.key).unwrap_or(&unused);
            log.room(&charge.bounds, charge.cost, now).err().map(|full| (index, full))
        });
        // Of equal waits the first: charges come in the order in which rules are told.
        if let Some((index, full)) = full.min_by_key(|(_, full)| std::cmp::Reverse(full.weight())) {
            return Err(NoRoom::Full(index, full));
        }
        self.has_place_for(charges, now)
    }

    /// Takes all charges together. The caller has seen that there is room, at the same instant.
    pub(crate) fn take(&mut self, charges: Vec<Charge>, now: Duration) -> Vec<Taken> {
        let take = |charge: Charge| {
            let log = self.logs.entry(charge.key.clone()).or_default();
            Taken {
                admission: log.admit(&charge.bounds, charge.cost, now),
                key: charge.key,
                cost: charge.cost,
            }
        };
        charges.into_iter().map(take).collect()
    }

    /// Gives back exactly what was taken.
    pub(crate) fn give_back(&mut self, taken: Vec<Taken>) {
        for taken in taken {
            if let Some(log) = self.logs.get_mut(&taken.key) {
                log.give_back(taken.admission, taken.cost);
            }
        }
    }

    /// Drops the counters whose windows have all run out. Call it now and then; it changes no decision.
    pub fn sweep(&mut self, now: Duration) {
        self.logs.retain(|_, log| !log.forget(now));
    }

    /// How many counters are kept.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether no counter is kept.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    fn has_place_for(&mut self, charges: &[Charge], now: Duration) -> Result<(), NoRoom> {
        let first_new = charges.iter().position(|charge| !self.logs.contains_key(&charge.key));
        let Some(first_new) = first_new else { return Ok(()) };
        if self.logs.len() + charges.len() > COUNTERS_MAX {
            self.sweep(now);
        }
        if self.logs.len() + charges.len() > COUNTERS_MAX { Err(NoRoom::TooMany(first_new)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(counter: &str, cost: u128) -> Charge {
        let key = CounterKey { policy: "p".into(), counter: counter.into(), grant: None };
        Charge { key, bounds: [Bound { length: Duration::from_mins(1), max: 2 }].into(), cost }
    }

    #[test]
    fn as_many_counters_as_are_kept_and_one_more() {
        let mut counters = Counters::new();
        for index in 0..COUNTERS_MAX {
            let charges = vec![charge(&index.to_string(), 1)];
            counters.room(&charges, Duration::ZERO).unwrap();
            counters.take(charges, Duration::ZERO);
        }
        let one_more = [charge("one-more", 1)];
        assert_eq!(counters.room(&one_more, Duration::from_secs(59)), Err(NoRoom::TooMany(0)));
        assert_eq!(
            counters.room(&[charge("7", 1)], Duration::from_secs(59)),
            Ok(()),
            "a counter in use goes on"
        );
        assert_eq!(counters.room(&one_more, Duration::from_mins(1)), Ok(()), "those that ran out make place");
    }

    #[test]
    fn a_counter_that_is_full_is_never_dropped() {
        let mut counters = Counters::new();
        counters.take(vec![charge("full", 2)], Duration::ZERO);
        counters.sweep(Duration::from_secs(59));
        assert!(counters.room(&[charge("full", 1)], Duration::from_secs(59)).is_err());
        counters.sweep(Duration::from_mins(1));
        assert!(counters.is_empty());
    }
}
