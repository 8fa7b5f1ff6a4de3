//! What a store of counters is asked, and what it answers. The law asks and concludes; a store only counts.
//!
//! Two stores answer the same question by the same rules: [`Counters`](crate::Counters) in the memory of one gateway,
//! and a shared one that all gateways of a server ask.

use std::sync::Arc;
use std::time::Duration;

/// Which counter of a server: policy, counter, and the grant if it counts per grant. Never an object's UID, its content or
/// a window: neither an edit nor a re-creation hands out quota.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// The policy's name.
    pub policy: Arc<str>,
    /// The counter's name in it.
    pub counter: Arc<str>,
    /// The caller's grant, if every grant has a counter of its own.
    pub grant: Option<Arc<str>>,
}

/// A window that a counter must have room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    /// Its length, in whole seconds.
    pub length: Duration,
    /// The most that any stretch of that length holds, in millionths, as costs are. At most 2^53 millions.
    pub max: u128,
}

/// What one call takes of one counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Charge {
    /// Which counter.
    pub key: CounterKey,
    /// Every window of it.
    pub bounds: Arc<[Bound]>,
    /// How much the call weighs, in millionths. Never zero.
    pub cost: u128,
}

/// Charges that are taken all together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Group {
    /// In the order in which rules are told; no counter twice.
    pub charges: Vec<Charge>,
    /// Whether they are taken if all have room; else it is only looked.
    pub take: bool,
}

/// What a store is asked of one call, in one step at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Demand {
    /// Of the policies that enforce.
    pub binding: Group,
    /// Of each policy that only watches. They are taken only if the binding group has room, and never refuse anything.
    pub watching: Vec<Group>,
}

/// What a store answers: for each group what was taken of it, which is nothing where it was only looked.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Of the binding group.
    pub binding: Result<Vec<Taken>, NoRoom>,
    /// Of the watching ones, in the order in which they were asked of.
    pub watching: Vec<Result<Vec<Taken>, NoRoom>>,
}

/// Why nothing of a group was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// A window is full: the charge's index in its group, and which window. Of several the one with the longest wait.
    Full(usize, Full),
    /// The store counts as many counters as it can already; the charge's index.
    TooMany(usize),
    /// The server is paused for so long still: it said that it takes no more calls for now.
    Paused(Duration),
    /// The store cannot be asked, so nobody knows.
    Away,
}

/// What a full window tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Which of the charge's bounds.
    pub bound: usize,
    /// How long until the same call would be admitted if nobody else called. None: never, it weighs too much.
    pub wait: Option<Duration>,
    /// What the window still has room for, in millionths.
    pub remaining: u128,
}

/// How full a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What it holds, in millionths. More than its maximum after an edit that lowered that.
    pub used: u128,
    /// How long until it has room for a call that weighs one. Zero: it has.
    pub wait: Duration,
}

/// Names one admission among all that a counter ever admitted, so that exactly it can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Admission(pub u64);

/// What was taken of one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which counter.
    pub key: CounterKey,
    /// Which admission.
    pub admission: Admission,
    /// How much, in millionths.
    pub cost: u128,
}

impl Demand {
    /// Whether there is nothing to ask a store for.
    pub fn is_empty(&self) -> bool {
        self.groups().all(|group| group.charges.is_empty())
    }

    /// Every group, the binding one first.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.binding).chain(&self.watching)
    }
}

impl Group {
    /// The answer to a group with a charge that no window could ever hold. A store need not be asked for it.
    pub fn never_fits(&self) -> Option<NoRoom> {
        let never = |charge: &Charge| charge.bounds.iter().rposition(|bound| charge.cost > bound.max);
        let found = self.charges.iter().enumerate().find_map(|(index, charge)| Some((index, never(charge)?)));
        found.map(|(index, bound)| NoRoom::Full(index, Full { bound, wait: None, remaining: 0 }))
    }
}

impl Reply {
    /// The answer of a store that cannot be asked. A group without charges wants nothing of it.
    pub fn away(demand: &Demand) -> Self {
        let answer =
            |group: &Group| if group.charges.is_empty() { Ok(Vec::new()) } else { Err(NoRoom::Away) };
        Self { binding: answer(&demand.binding), watching: demand.watching.iter().map(answer).collect() }
    }
}

impl Full {
    /// Orders full windows by their wait; never is the longest.
    pub fn weight(&self) -> (bool, Option<Duration>) {
        (self.wait.is_none(), self.wait)
    }
}
