//! Counters whose labels policies, grants and servers have a say in: only so many series, and none for ever of what is gone.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prometheus::{IntCounter, IntCounterVec};

use super::OTHER;

/// The most series of a gateway that have a tool, a grant or a policy among their labels.
pub const SERIES_MAX: usize = 25_000;
/// How many more scrapes tell a series whose tool, grant or policy is gone: what it counted last is to be seen.
pub const FAREWELLS: u32 = 4;

/// How many series there may be, of several families together.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    taken: AtomicUsize,
}

/// Counters by labels. Some labels become [`OTHER`] where there is no room for another series.
pub(super) struct Family<const N: usize> {
    counters: IntCounterVec,
    folds: [bool; N],
    room: Arc<Room>,
    hasher: RandomState,
    known: RwLock<Known<N>>,
    folded: Mutex<Vec<Series<N>>>,
}

/// Series by the hash of their labels.
type Known<const N: usize> = HashMap<u64, Vec<Series<N>>>;

struct Series<const N: usize> {
    labels: [Box<str>; N],
    counter: IntCounter,
    // How often it was told since it is gone.
    farewells: AtomicU32,
}

impl Room {
    pub(super) fn of(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: AtomicUsize::new(0) })
    }

    fn take(&self) -> bool {
        let more = |taken: usize| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, places: usize) {
        self.taken.fetch_sub(places, Ordering::Relaxed);
    }
}

impl<const N: usize> Family<N> {
    /// `folds` says which labels are folded.
    pub(super) fn new(counters: IntCounterVec, folds: [bool; N], room: Arc<Room>) -> Self {
        let (known, folded) = (RwLock::default(), Mutex::default());
        Self { counters, folds, room, hasher: RandomState::new(), known, folded }
    }

    /// The counter of these labels; without room for another, the one that they are folded into.
    pub(super) fn at(&self, labels: [&str; N]) -> IntCounter {
        let hash = self.hasher.hash_one(labels);
        let found = find(self.read().get(&hash), labels);
        found.unwrap_or_else(|| self.begin(hash, labels))
    }

    /// What was counted without a series of its own.
    pub(super) fn folded(&self) -> u64 {
        self.folds_read().iter().map(|series| series.counter.get()).sum()
    }

    /// To be called after each scrape: series that do not live any more are told [`FAREWELLS`] times, then dropped.
    pub(super) fn retire(&self, lives: impl Fn([&str; N]) -> bool) {
        // Most of it under a lock that holds up no call.
        let gone: Vec<u64> = {
            let known = self.read();
            let gone = known.iter().filter(|(_, all)| all.iter().any(|series| series.ages(&lives)));
            gone.map(|(hash, _)| *hash).collect()
        };
        if gone.is_empty() {
            return;
        }
        let mut known = self.write();
        for hash in gone {
            let Some(all) = known.get_mut(&hash) else { continue };
            all.retain(|series| {
                let stays = series.farewells.load(Ordering::Relaxed) <= FAREWELLS || lives(series.labels());
                if !stays {
                    // It is there: nobody else removes any.
                    let _removed = self.counters.remove_label_values(&series.labels());
                    self.room.give_back(1);
                }
                stays
            });
            if all.is_empty() {
                known.remove(&hash);
            }
        }
    }

    pub(super) fn counters(&self) -> &IntCounterVec {
        &self.counters
    }

    fn begin(&self, hash: u64, labels: [&str; N]) -> IntCounter {
        let mut known = self.write();
        // Somebody may have been faster.
        if let Some(counter) = find(known.get(&hash), labels) {
            return counter;
        }
        if !self.room.take() {
            drop(known);
            return self.fold(labels);
        }
        let series = Series::new(labels, &self.counters);
        let counter = series.counter.clone();
        known.entry(hash).or_default().push(series);
        counter
    }

    // There are few of these, and no room is wanted for them.
    fn fold(&self, labels: [&str; N]) -> IntCounter {
        let mut folded = labels;
        for (label, folds) in folded.iter_mut().zip(self.folds) {
            if folds {
                *label = OTHER;
            }
        }
        let mut all = self.folds_read();
        if let Some(series) = all.iter().find(|series| series.labels() == folded) {
            return series.counter.clone();
        }
        let series = Series::new(folded, &self.counters);
        let counter = series.counter.clone();
        all.push(series);
        counter
    }

    fn read(&self) -> RwLockReadGuard<'_, Known<N>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known<N>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn folds_read(&self) -> MutexGuard<'_, Vec<Series<N>>> {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<const N: usize>(all: Option<&Vec<Series<N>>>, labels: [&str; N]) -> Option<IntCounter> {
    let series = all?.iter().find(|series| series.labels() == labels)?;
    Some(series.counter.clone())
}

impl<const N: usize> Series<N> {
    fn new(labels: [&str; N], counters: &IntCounterVec) -> Self {
        let counter = counters.with_label_values(&labels);
        Self { labels: labels.map(Box::from), counter, farewells: AtomicU32::new(0) }
    }

    fn labels(&self) -> [&str; N] {
        self.labels.each_ref().map(|label| &**label)
    }

    // Counts a farewell, and says whether it was one too many.
    fn ages(&self, lives: &impl Fn([&str; N]) -> bool) -> bool {
        if lives(self.labels()) {
            self.farewells.store(0, Ordering::Relaxed);
            return false;
        }
        self.farewells.fetch_add(1, Ordering::Relaxed) >= FAREWELLS
    }
}

impl<const N: usize> fmt::Debug for Family<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Family")
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;
    use prometheus::core::Collector;

    use super::*;

    fn family(room: &Arc<Room>) -> Family<3> {
        let counters =
            IntCounterVec::new(Opts::new("calls_total", "Calls."), &["tool", "grant", "verdict"]).unwrap();
        Family::new(counters, [true, true, false], room.clone())
    }

    fn series(family: &Family<3>) -> usize {
        family.counters().collect().iter().map(|all| all.get_metric().len()).sum()
    }

    #[test]
    fn as_many_series_as_there_may_be_and_one_more_is_folded() {
        let room = Room::of(3);
        let (one, other) = (family(&room), family(&room));
        one.at(["a", "x", "allowed"]).inc();
        other.at(["a", "x", "allowed"]).inc();
        one.at(["b", "x", "allowed"]).inc();
        assert_eq!((series(&one), one.folded()), (2, 0), "as many as there may be, of both");
        for tool in 0..100 {
            one.at([&format!("tool_{tool}"), "x", "denied"]).inc();
        }
        one.at(["c", "y", "allowed"]).inc();
        assert_eq!((series(&one), one.folded()), (4, 101));
        assert_eq!(one.at([OTHER, OTHER, "denied"]).get(), 100);
        one.at(["a", "x", "allowed"]).inc();
        assert_eq!(one.at(["a", "x", "allowed"]).get(), 2, "what has a series keeps it");
        assert_eq!((series(&other), other.folded()), (1, 0));
    }

    #[test]
    fn what_is_gone_is_told_a_few_times_more_and_makes_room() {
        let room = Room::of(2);
        let family = family(&room);
        let lives = |[_, grant, _]: [&str; 3]| grant != "gone";
        family.at(["a", "gone", "allowed"]).inc();
        family.at(["a", "stays", "allowed"]).inc();
        for _ in 0..FAREWELLS {
            family.retire(lives);
            assert_eq!(series(&family), 2);
        }
        family.retire(lives);
        assert_eq!(series(&family), 1);
        family.at(["a", "new", "allowed"]).inc();
        assert_eq!((series(&family), family.folded()), (2, 0), "there is room again");
        family.at(["a", "one-more", "allowed"]).inc();
        assert_eq!(family.folded(), 1);
    }

    #[test]
    fn what_comes_back_in_time_has_lost_nothing() {
        let family = family(&Room::of(9));
        family.at(["a", "x", "allowed"]).inc();
        for _ in 0..10 * FAREWELLS {
            (0..FAREWELLS).for_each(|_| family.retire(|_| false));
            family.retire(|_| true);
        }
        assert_eq!(family.at(["a", "x", "allowed"]).get(), 1);
    }
}
