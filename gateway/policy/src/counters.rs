//! Counters in memory: every log of one gateway.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::{Admission, Bound, Charge, CounterKey, Demand, Group, NoRoom, Reply, Taken, Usage};
use crate::window::Log;

/// The most counters that are kept. A call that would need one more is refused; none in use is ever dropped.
pub const COUNTERS_MAX: usize = 65_536;

/// All counters of one gateway.
#[derive(Debug, Default)]
pub struct Counters {
    // Names are those of policies and grants, which no caller makes up.
    logs: HashMap<CounterKey, Log, foldhash::fast::RandomState>,
    next: u64,
}

impl Counters {
    /// No counter has counted anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers what the law asks, at one instant.
    pub fn ask(&mut self, demand: &Demand, now: Duration) -> Reply {
        let binding = self.serve(&demand.binding, true, now);
        let admitted = binding.is_ok();
        let watching = demand.watching.iter().map(|group| self.serve(group, admitted, now)).collect();
        Reply { binding, watching }
    }

    /// Gives back exactly what was taken.
    pub fn give_back(&mut self, taken: Vec<Taken>) {
        for taken in taken {
            if let Some(log) = self.logs.get_mut(&taken.key) {
                log.give_back(taken.admission, taken.cost);
            }
        }
    }

    /// How full each window of a counter is. None: it counts nothing now.
    pub fn usage(&self, key: &CounterKey, bounds: &[Bound], now: Duration) -> Option<Vec<Usage>> {
        let log = self.logs.get(key)?;
        let usage: Vec<Usage> = bounds.iter().map(|bound| log.usage(*bound, now)).collect();
        usage.iter().any(|usage| usage.used > 0).then_some(usage)
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

    fn serve(&mut self, group: &Group, admitted: bool, now: Duration) -> Result<Vec<Taken>, NoRoom> {
        if let Some(no_room) = group.never_fits() {
            return Err(no_room);
        }
        self.room(&group.charges, now)?;
        if !(group.take && admitted) {
            return Ok(Vec::new());
        }
        Ok(group.charges.iter().map(|charge| self.take(charge, now)).collect())
    }

    // Whether all charges have room; else the one with the longest wait.
    fn room(&mut self, charges: &[Charge], now: Duration) -> Result<(), NoRoom> {
        let (mut unused, mut first_new) = (Log::default(), None);
        let full = charges.iter().enumerate().filter_map(|(index, charge)| {
            let log = self.logs.get_mut(&charge.key).unwrap_or_else(|| {
                first_new.get_or_insert(index);
                &mut unused
            });
            log.extend(&charge.bounds);
            log.room(&charge.bounds, charge.cost, now).err().map(|full| (index, full))
        });
        // Of equal waits the first: charges come in the order in which rules are told.
        if let Some((index, full)) = full.min_by_key(|(_, full)| std::cmp::Reverse(full.weight())) {
            return Err(NoRoom::Full(index, full));
        }
        first_new.map_or(Ok(()), |first_new| self.place_for(charges, first_new, now))
    }

    fn take(&mut self, charge: &Charge, now: Duration) -> Taken {
        // Of all counters, not of one log: a log is dropped when it ran out, and a number that came again would let
        // a call that is given back late strike out another one.
        let admission = Admission(self.next);
        self.next += 1;
        // Nearly always it is there, and looking it up by a borrowed key costs least.
        if let Some(log) = self.logs.get_mut(&charge.key) {
            log.admit(admission, &charge.bounds, charge.cost, now);
        } else {
            let log = self.logs.entry(charge.key.clone()).or_default();
            log.admit(admission, &charge.bounds, charge.cost, now);
        }
        Taken { key: charge.key.clone(), admission, cost: charge.cost }
    }

    fn place_for(&mut self, charges: &[Charge], first_new: usize, now: Duration) -> Result<(), NoRoom> {
        if self.logs.len() + charges.len() > COUNTERS_MAX {
            self.sweep(now);
        }
        if self.logs.len() + charges.len() > COUNTERS_MAX { Err(NoRoom::TooMany(first_new)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(counter: &str, cost: u128) -> Demand {
        let key = CounterKey { policy: "p".into(), counter: counter.into(), grant: None };
        let bounds = [Bound { length: Duration::from_mins(1), max: 2 }].into();
        let charges = vec![Charge { key, bounds, cost }];
        Demand { binding: Group { charges, take: true }, watching: Vec::new() }
    }

    #[test]
    fn as_many_counters_as_are_kept_and_one_more() {
        let mut counters = Counters::new();
        for index in 0..COUNTERS_MAX {
            counters.ask(&demand(&index.to_string(), 1), Duration::ZERO).binding.unwrap();
        }
        let (one_more, later) = (demand("one-more", 1), Duration::from_secs(59));
        assert_eq!(counters.ask(&one_more, later).binding, Err(NoRoom::TooMany(0)));
        assert!(counters.ask(&demand("7", 1), later).binding.is_ok(), "a counter in use goes on");
        let later = Duration::from_mins(1);
        assert!(counters.ask(&one_more, later).binding.is_ok(), "those that ran out make place");
    }

    #[test]
    fn a_counter_that_is_full_is_never_dropped() {
        let mut counters = Counters::new();
        counters.ask(&demand("full", 2), Duration::ZERO).binding.unwrap();
        counters.sweep(Duration::from_secs(59));
        assert!(counters.ask(&demand("full", 1), Duration::from_secs(59)).binding.is_err());
        counters.sweep(Duration::from_mins(1));
        assert!(counters.is_empty());
    }

    #[test]
    fn a_window_that_becomes_longer_hands_out_no_quota_while_calls_wait() {
        let mut counters = Counters::new();
        let of = |length: Duration| {
            let mut demand = demand("c", 1);
            demand.binding.charges[0].bounds = [Bound { length, max: 2 }].into();
            demand
        };
        let (short, long) = (of(Duration::from_secs(1)), of(Duration::from_mins(1)));
        counters.ask(&short, Duration::ZERO).binding.unwrap();
        counters.ask(&short, Duration::ZERO).binding.unwrap();
        assert!(counters.ask(&long, Duration::from_millis(500)).binding.is_err());
        counters.sweep(Duration::from_secs(30));
        assert!(counters.ask(&long, Duration::from_secs(30)).binding.is_err());
        assert!(counters.ask(&long, Duration::from_mins(1)).binding.is_ok());
    }

    #[test]
    fn what_is_given_back_after_its_window_ran_out_strikes_out_no_other_call() {
        let mut counters = Counters::new();
        let late = counters.ask(&demand("c", 2), Duration::ZERO).binding.unwrap();
        counters.sweep(Duration::from_mins(1));
        counters.ask(&demand("c", 2), Duration::from_mins(1)).binding.unwrap();
        counters.give_back(late);
        assert!(counters.ask(&demand("c", 1), Duration::from_mins(1)).binding.is_err());
    }
}
