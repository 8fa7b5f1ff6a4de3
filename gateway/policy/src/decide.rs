//! How a call is decided: in stages, each over all bound policies before the next begins.
//!
//! standing -> hidden -> unlisted -> denied -> room in all limits -> approval -> limits taken together.
//! The first refusal is the verdict. Policies come in the order of their names and entries in the order of their
//! pointers, so the same call always hears the same rule. A refused call takes nothing.

use toolgate_crds::{Action, Scope};

use crate::Now;
use crate::compile::{Charging, CompiledPolicy, Counter, Entry};
use crate::counters::{Charge, CounterKey, Counters, NoRoom};
use crate::json::Object;
use crate::law::{Caller, Law, Visibility};
use crate::verdict::{Exhausted, Outcome, Permit, Refusal, Rule, Verdict};

/// A call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The tool's name, exactly as it goes to the server.
    pub tool: &'a str,
    /// The arguments, exactly as they go to the server.
    pub arguments: Option<&'a Object<'a>>,
}

pub(crate) fn decide(
    law: &Law,
    caller: &Caller,
    call: &Call<'_>,
    counters: &mut Counters,
    now: Now,
) -> Verdict {
    match stages(law, caller, call, counters, now) {
        Ok(permit) => Verdict::Allowed(permit),
        Err(refusal) => Verdict::Refused(refusal),
    }
}

fn stages(
    law: &Law,
    caller: &Caller,
    call: &Call<'_>,
    counters: &mut Counters,
    now: Now,
) -> Result<Permit, Refusal> {
    law.standing(caller)?;
    if let Visibility::Absent(refusal) = law.visibility(caller, call.tool) {
        return Err(refusal);
    }
    denied(law, caller, call.tool)?;
    let limits = limits_of(law, caller, call.tool);
    let charges: Vec<Charge> = limits.iter().map(|limit| limit.charge(caller)).collect();
    counters.room(&charges, now.monotonic).map_err(|no_room| limited(&limits, &no_room))?;
    held(law, caller, call.tool)?;
    Ok(Permit::new(counters.take(charges, now.monotonic)))
}

fn denied(law: &Law, caller: &Caller, tool: &str) -> Result<(), Refusal> {
    match entries_with(law, caller, tool, Action::Deny) {
        None => Ok(()),
        Some((policy, entry)) => {
            let reason = entry.reason.clone().unwrap_or_else(|| format!("{tool} is denied"));
            Err(refusal(Outcome::Denied, policy, action_of(entry), reason))
        }
    }
}

// Nobody can approve yet: a call that needs it is refused, and says so.
fn held(law: &Law, caller: &Caller, tool: &str) -> Result<(), Refusal> {
    match entries_with(law, caller, tool, Action::Approve) {
        None => Ok(()),
        Some((policy, entry)) => {
            let reason =
                entry.reason.clone().unwrap_or_else(|| format!("{tool} needs the approval of a person"));
            let reason = format!("{reason} (approvals are not available here yet)");
            Err(refusal(Outcome::Held, policy, action_of(entry), reason))
        }
    }
}

fn entries_with<'a>(
    law: &'a Law,
    caller: &Caller,
    tool: &'a str,
    action: Action,
) -> Option<(&'a CompiledPolicy, &'a Entry)> {
    let all = law.bound(caller).flat_map(|policy| policy.entries(tool).map(move |entry| (policy, entry)));
    let matching = all.filter(|(_, entry)| entry.action == action);
    matching.min_by(|left, right| (&left.0.name, &left.1.key).cmp(&(&right.0.name, &right.1.key)))
}

fn action_of(entry: &Entry) -> String {
    format!("tools/{}/action", entry.key)
}

fn refusal(outcome: Outcome, policy: &CompiledPolicy, pointer: String, reason: String) -> Refusal {
    Refusal { outcome, rule: Rule { policy: policy.name.to_string(), pointer }, reason, exhausted: None }
}

/// A limit that a call has to have room in.
struct Applied<'a> {
    policy: &'a CompiledPolicy,
    counter: &'a Counter,
    cost: u64,
    pointer: String,
}

// One for each counter: entries that name the same counter charge it once, at the largest cost.
fn limits_of<'a>(law: &'a Law, caller: &Caller, tool: &'a str) -> Vec<Applied<'a>> {
    let mut applied: Vec<Applied<'a>> = Vec::new();
    for policy in law.bound(caller) {
        let first = applied.len();
        let all = policy.all_tools.iter().map(|charging| (charging, None));
        let entries =
            policy.entries(tool).flat_map(|entry| entry.limits.iter().map(move |limit| (limit, Some(entry))));
        for (charging, entry) in all.chain(entries) {
            merge(&mut applied, first, policy, *charging, entry);
        }
    }
    applied.retain(|limit| limit.cost > 0);
    applied
        .sort_by(|left, right| (&left.policy.name, &left.pointer).cmp(&(&right.policy.name, &right.pointer)));
    applied
}

fn merge<'a>(
    applied: &mut Vec<Applied<'a>>,
    first: usize,
    policy: &'a CompiledPolicy,
    charging: Charging,
    entry: Option<&'a Entry>,
) {
    let counter = &policy.counters[charging.counter];
    if let Some(known) = applied[first..].iter_mut().find(|known| known.counter.name == counter.name) {
        known.cost = known.cost.max(charging.cost);
        return;
    }
    let pointer = match entry {
        Some(entry) => format!("tools/{}/limits/{}", entry.key, counter.name),
        None => format!("allTools/limits/{}", counter.name),
    };
    applied.push(Applied { policy, counter, cost: charging.cost, pointer });
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
}

fn limited(limits: &[Applied<'_>], no_room: &NoRoom) -> Refusal {
    match no_room {
        NoRoom::Full(index, full) => {
            let limit = &limits[*index];
            let (max, window) =
                (limit.counter.bounds[full.bound].max, limit.counter.windows[full.bound].clone());
            let reason = format!("limit reached: at most {max} per {window}");
            let exhausted =
                Exhausted { counter: limit.counter.name.to_string(), window, max, retry_after: full.wait };
            let refusal = refusal(Outcome::Limited, limit.policy, limit.pointer.clone(), reason);
            Refusal { exhausted: Some(Box::new(exhausted)), ..refusal }
        }
        NoRoom::TooMany(index) => {
            let limit = &limits[*index];
            let reason = "there is no room to count another caller".to_owned();
            refusal(Outcome::Denied, limit.policy, limit.pointer.clone(), reason)
        }
    }
}
