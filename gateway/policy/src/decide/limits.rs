//! The stage of limits: which counters a call charges, how much, and whether all have room.

use std::cmp::Ordering;
use std::time::Duration;

use toolgate_crds::Scope;

use super::{Call, Consulted, Place, refusal};
use crate::compile::{CompiledPolicy, Counter};
use crate::decimal::MILLION;
use crate::law::Caller;
use crate::store::{Charge, CounterKey, Full, NoRoom};
use crate::verdict::{Exhausted, Outcome, Refusal, Rule};

/// A limit that a call has to have room in.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    pub policy: &'a CompiledPolicy,
    pub counter: &'a Counter,
    pub cost: u128,
    place: Place<'a>,
}

/// What one entry charges a counter for a call.
#[derive(Debug)]
pub(crate) struct Charged<'a> {
    pub counter: &'a Counter,
    place: Place<'a>,
    /// None: it cannot be told.
    pub cost: Option<u128>,
}

/// Everything that the entries of a policy charge for a call.
pub(crate) fn charged<'a>(consulted: &Consulted<'a>, call: &Call<'a>, found: &mut impl FnMut(Charged<'a>)) {
    for (place, narrowing) in consulted.narrowings(call.target) {
        for charging in &narrowing.limits {
            let counter = &consulted.policy.counters[charging.counter];
            found(Charged { counter, place, cost: charging.cost.of(call.arguments) });
        }
    }
}

/// The limits of a call, in the order in which rules are told. One for each counter: entries that name the same counter
/// charge it once, at the largest cost.
pub(crate) fn applied<'a>(policies: &[Consulted<'a>], call: &Call<'a>) -> Result<Vec<Applied<'a>>, Refusal> {
    let (mut all, mut unknown): (Vec<Applied<'a>>, Vec<Refusal>) = (Vec::new(), Vec::new());
    for consulted in policies {
        let (policy, first) = (consulted.policy, all.len());
        charged(consulted, call, &mut |charged| {
            let Charged { counter, place, cost: Some(cost) } = charged else {
                let pointer = charged.pointer();
                unknown.push(refusal(Outcome::Denied, policy, pointer, UNKNOWN_COST.to_owned()));
                return;
            };
            merge(&mut all, first, Applied { policy, counter, cost, place });
        });
    }
    let key = |refusal: &Refusal| (refusal.rule.policy.clone(), refusal.rule.pointer.clone());
    if let Some(refusal) = unknown.into_iter().min_by_key(key) {
        return Err(refusal);
    }
    // A cost of zero charges nothing.
    all.retain(|limit| limit.cost > 0);
    all.sort_by(|left, right| left.policy.name.cmp(&right.policy.name).then_with(|| left.cmp_pointer(right)));
    Ok(all)
}

/// The refusal of every call while the server takes none.
pub(super) fn busy(wait: Duration) -> Refusal {
    let rule = Rule { policy: String::new(), pointer: "(the server is busy)".to_owned() };
    let reason = "the server takes no more calls for now".to_owned();
    Refusal { outcome: Outcome::Limited, rule, reason, exhausted: None, retry_after: Some(wait) }
}

const UNKNOWN_COST: &str =
    "what the call costs cannot be told: an argument is missing, negative or no plain number";

fn merge<'a>(all: &mut Vec<Applied<'a>>, first: usize, limit: Applied<'a>) {
    match all[first..].iter_mut().find(|known| known.counter.name == limit.counter.name) {
        Some(known) if known.cost >= limit.cost => {}
        Some(known) => known.cost = limit.cost,
        None => all.push(limit),
    }
}

impl Charged<'_> {
    /// Where the limit is, from the policy's spec.
    pub(crate) fn pointer(&self) -> String {
        pointer(self.place, self.counter)
    }
}

fn pointer(place: Place<'_>, counter: &Counter) -> String {
    format!("{place}/limits/{}", counter.name)
}

impl Applied<'_> {
    /// Where the limit is, from the policy's spec.
    pub(crate) fn pointer(&self) -> String {
        pointer(self.place, self.counter)
    }

    fn cmp_pointer(&self, other: &Self) -> Ordering {
        self.place.cmp_limits(&self.counter.name, other.place, &other.counter.name)
    }

    pub(super) fn charge(&self, caller: &Caller) -> Charge {
        let grant = match self.counter.scope {
            Scope::Grant => Some(caller.grant_name().clone()),
            Scope::Server => None,
        };
        let key = CounterKey { policy: self.policy.name.clone(), counter: self.counter.name.clone(), grant };
        Charge { key, bounds: self.counter.bounds.clone(), cost: self.cost }
    }

    /// The refusal of a call that a store has no room for; this is the first of its limits.
    pub(super) fn refuse(&self, limits: &[Self], no_room: NoRoom) -> Refusal {
        let limit = |index: usize| limits.get(index).unwrap_or(self);
        match no_room {
            NoRoom::Full(index, full) => limit(index).full(full),
            NoRoom::TooMany(index) => {
                limit(index).uncounted("there are too many counters in use to count one more")
            }
            NoRoom::Paused(wait) => busy(wait),
            NoRoom::Away => self.uncounted("the store that counts it cannot be asked now"),
        }
    }

    fn full(&self, full: Full) -> Refusal {
        let pointer = self.pointer();
        let Some((window, max)) = self.counter.written.get(full.bound).cloned() else {
            return self.uncounted("the store that counts it speaks of a window that it has not");
        };
        let Some(wait) = full.wait else {
            let reason = format!("the call costs more than the limit of {max} per {window}");
            return refusal(Outcome::Denied, self.policy, pointer, reason);
        };
        let reason = format!("limit reached: at most {max} per {window}");
        let remaining = u64::try_from(full.remaining / MILLION).unwrap_or(u64::MAX);
        let counter = self.counter.name.to_string();
        let exhausted = Exhausted { counter, window, max, remaining };
        let refusal = refusal(Outcome::Limited, self.policy, pointer, reason);
        Refusal { exhausted: Some(Box::new(exhausted)), retry_after: Some(wait), ..refusal }
    }

    fn uncounted(&self, why: &str) -> Refusal {
        let reason = format!("the limit {} cannot be counted: {why}", self.counter.name);
        refusal(Outcome::Uncounted, self.policy, self.pointer(), reason)
    }
}
