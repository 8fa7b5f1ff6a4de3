//! The stage of limits: which counters a call charges, how much, and whether all have room.

use toolgate_crds::Scope;

use super::{Call, refusal};
use crate::Now;
use crate::compile::{CompiledPolicy, Counter};
use crate::counters::{Charge, CounterKey, Counters, NoRoom};
use crate::law::Caller;
use crate::verdict::{Exhausted, Outcome, Refusal};
use crate::window::Full;

/// A limit that a call has to have room in.
struct Applied<'a> {
    policy: &'a CompiledPolicy,
    counter: &'a Counter,
    cost: u128,
    pointer: String,
}

/// The charges of a call, all of which have room.
pub(super) fn room(
    policies: &[&CompiledPolicy],
    caller: &Caller,
    call: &Call<'_>,
    counters: &mut Counters,
    now: Now,
) -> Result<Vec<Charge>, Refusal> {
    let limits = applied(policies, call)?;
    let charges: Vec<Charge> = limits.iter().map(|limit| limit.charge(caller)).collect();
    match counters.room(&charges, now.monotonic) {
        Ok(()) => Ok(charges),
        Err(NoRoom::Full(index, full)) => Err(limits[index].full(full)),
        Err(NoRoom::TooMany(index)) => Err(limits[index].uncounted()),
    }
}

// One for each counter: entries that name the same counter charge it once, at the largest cost.
fn applied<'a>(policies: &[&'a CompiledPolicy], call: &Call<'a>) -> Result<Vec<Applied<'a>>, Refusal> {
    let (mut all, mut unknown): (Vec<Applied<'a>>, Vec<Refusal>) = (Vec::new(), Vec::new());
    for policy in policies {
        let first = all.len();
        for (pointer, narrowing) in policy.narrowings(call.target, call.name) {
            for charging in &narrowing.limits {
                let counter = &policy.counters[charging.counter];
                let pointer = format!("{pointer}/limits/{}", counter.name);
                match charging.cost.of(call.arguments) {
                    Some(cost) => merge(&mut all, first, Applied { policy, counter, cost, pointer }),
                    None => unknown.push(refusal(Outcome::Denied, policy, pointer, UNKNOWN_COST.to_owned())),
                }
            }
        }
    }
    let key = |refusal: &Refusal| (refusal.rule.policy.clone(), refusal.rule.pointer.clone());
    if let Some(refusal) = unknown.into_iter().min_by_key(key) {
        return Err(refusal);
    }
    // A cost of zero charges nothing.
    all.retain(|limit| limit.cost > 0);
    all.sort_by(|left, right| (&left.policy.name, &left.pointer).cmp(&(&right.policy.name, &right.pointer)));
    Ok(all)
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

impl Applied<'_> {
    fn charge(&self, caller: &Caller) -> Charge {
        let grant = match self.counter.scope {
            Scope::Grant => Some(caller.grant_name().clone()),
            Scope::Server => None,
        };
        let key = CounterKey { policy: self.policy.name.clone(), counter: self.counter.name.clone(), grant };
        Charge { key, bounds: self.counter.bounds.clone(), cost: self.cost }
    }

    fn full(&self, full: Full) -> Refusal {
        let (window, max) = self.counter.written[full.bound].clone();
        let pointer = self.pointer.clone();
        let Some(wait) = full.wait else {
            let reason = format!("the call costs more than the limit of {max} per {window}");
            return refusal(Outcome::Denied, self.policy, pointer, reason);
        };
        let reason = format!("limit reached: at most {max} per {window}");
        let exhausted = Exhausted { counter: self.counter.name.to_string(), window, max, retry_after: wait };
        let refusal = refusal(Outcome::Limited, self.policy, pointer, reason);
        Refusal { exhausted: Some(Box::new(exhausted)), ..refusal }
    }

    fn uncounted(&self) -> Refusal {
        let reason = "there is no room to count another caller".to_owned();
        refusal(Outcome::Denied, self.policy, self.pointer.clone(), reason)
    }
}
