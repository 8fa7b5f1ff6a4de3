//! How a call is decided: in stages, each over all bound policies before the next begins.
//!
//! standing -> hidden -> unlisted -> denied -> require, denyIf -> room in all limits -> approval -> limits taken.
//! The first refusal is the verdict. Of several in one stage the policy's name, then the pointer decides, so the same
//! call always hears the same rule. A refused call takes nothing.
//!
//! A policy in audit mode goes through the same stages by itself. It never changes the verdict; it charges counters of
//! its own, and only for calls that are forwarded.

mod limits;

use toolgate_crds::{Action, DefaultAction};

use crate::Now;
use crate::compile::{CompiledPolicy, Entry};
use crate::condition::{Item, Quantifier, Truth};
use crate::counters::{Charge, Counters};
use crate::json::Object;
use crate::law::{Caller, Law};
use crate::target::Target;
use crate::verdict::{Audited, Decision, Outcome, Permit, Refusal, Rule, Verdict};

/// What a caller asks for: a call of a tool, a read of a resource, a prompt.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What kind of thing it is.
    pub target: Target,
    /// Its name or URI, exactly as it goes to the server.
    pub name: &'a str,
    /// The arguments, exactly as they go to the server.
    pub arguments: Option<&'a Object<'a>>,
}

pub(crate) fn decide(
    law: &Law,
    caller: &Caller,
    call: &Call<'_>,
    counters: &mut Counters,
    now: Now,
) -> Decision {
    let enforcing: Vec<&CompiledPolicy> = law.enforcing(caller).collect();
    let decided = law.standing(caller).and_then(|()| stages(&enforcing, caller, call, counters, now));
    let mut taken = Vec::new();
    let forwarded = decided.is_ok();
    let verdict = decided.map(|charges| taken.extend(counters.take(charges, now.monotonic)));
    let mut audits = Vec::new();
    for policy in law.auditing(caller) {
        let said = stages(&[policy], caller, call, counters, now);
        audits.push(Audited { policy: policy.name.to_string(), refusal: said.as_ref().err().cloned() });
        if let (true, Ok(charges)) = (forwarded, said) {
            taken.extend(counters.take(charges, now.monotonic));
        }
    }
    let verdict = match verdict {
        Ok(()) => Verdict::Allowed(Permit::new(taken)),
        Err(refusal) => Verdict::Refused(refusal),
    };
    Decision { verdict, audits }
}

fn stages(
    policies: &[&CompiledPolicy],
    caller: &Caller,
    call: &Call<'_>,
    counters: &mut Counters,
    now: Now,
) -> Result<Vec<Charge>, Refusal> {
    mentionable(policies, call)?;
    conditions(policies, call)?;
    let charges = limits::room(policies, caller, call, counters, now)?;
    held(policies, call)?;
    Ok(charges)
}

/// The stages that look at the name alone.
pub(crate) fn mentionable(policies: &[&CompiledPolicy], call: &Call<'_>) -> Result<(), Refusal> {
    visible(policies, call.target, call.name)?;
    denied(policies, call)
}

/// Whether a target is neither hidden nor unlisted. Lists and calls both ask this, so they cannot disagree.
pub(crate) fn visible(policies: &[&CompiledPolicy], target: Target, name: &str) -> Result<(), Refusal> {
    let absent = |outcome, policy: &str, pointer| {
        let rule = Rule { policy: policy.to_owned(), pointer };
        Err(Refusal { outcome, rule, reason: target.unknown(name), exhausted: None })
    };
    if !target.can_be_named(name) {
        return absent(Outcome::Unlisted, "", target.no_name().to_owned());
    }
    for policy in policies.iter().filter(|_| target == Target::Tool) {
        if let Some(pattern) = policy.hide.iter().find(|pattern| pattern.matches(name)) {
            return absent(Outcome::Hidden, &policy.name, format!("hide/{}", pattern.as_str()));
        }
    }
    for policy in policies {
        if policy.default == DefaultAction::Deny
            && !policy.table(target).entries(name).any(|entry| entry.lists)
        {
            return absent(Outcome::Unlisted, &policy.name, "default".to_owned());
        }
    }
    Ok(())
}

fn denied(policies: &[&CompiledPolicy], call: &Call<'_>) -> Result<(), Refusal> {
    match entry_with(policies, call, Action::Deny) {
        None => Ok(()),
        Some((policy, entry)) => {
            let reason = entry.reason.clone().unwrap_or_else(|| format!("{} is denied", call.name));
            Err(refusal(Outcome::Denied, policy, action_of(call.target, entry), reason))
        }
    }
}

// Nobody can approve yet: a call that needs it is refused, and says so.
fn held(policies: &[&CompiledPolicy], call: &Call<'_>) -> Result<(), Refusal> {
    match entry_with(policies, call, Action::Approve) {
        None => Ok(()),
        Some((policy, entry)) => {
            let reason = entry
                .reason
                .clone()
                .unwrap_or_else(|| format!("{} needs the approval of a person", call.name));
            let reason = format!("{reason} (approvals are not available here yet)");
            Err(refusal(Outcome::Held, policy, action_of(call.target, entry), reason))
        }
    }
}

fn entry_with<'a>(
    policies: &[&'a CompiledPolicy],
    call: &Call<'a>,
    action: Action,
) -> Option<(&'a CompiledPolicy, &'a Entry)> {
    let all = policies
        .iter()
        .flat_map(|policy| policy.table(call.target).entries(call.name).map(move |entry| (*policy, entry)));
    let matching = all.filter(|(_, entry)| entry.action == action);
    matching.min_by(|left, right| (&left.0.name, &left.1.key).cmp(&(&right.0.name, &right.1.key)))
}

fn action_of(target: Target, entry: &Entry) -> String {
    format!("{}/{}/action", target.member(), entry.key)
}

fn conditions(policies: &[&CompiledPolicy], call: &Call<'_>) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    for policy in policies {
        for (pointer, narrowing) in policy.narrowings(call.target, call.name) {
            let mut look = |items: &[Item], field: &str, quantifier, wanted| {
                for (index, item) in items.iter().enumerate() {
                    let truth = item.evaluate(call.arguments, quantifier);
                    if truth != wanted {
                        let pointer = format!("{pointer}/{field}/{index}");
                        refusals.push(refusal(Outcome::Denied, policy, pointer, unmet(item, field, truth)));
                    }
                }
            };
            look(&narrowing.require, "require", Quantifier::All, Truth::True);
            look(&narrowing.deny_if, "denyIf", Quantifier::Any, Truth::False);
        }
    }
    let key = |refusal: &Refusal| (refusal.rule.policy.clone(), refusal.rule.pointer.clone());
    refusals.into_iter().min_by_key(key).map_or(Ok(()), Err)
}

fn unmet(item: &Item, field: &str, truth: Truth) -> String {
    let reason = item.reason.clone().unwrap_or_else(|| match field {
        "require" => format!("needs {item}"),
        _ => format!("refused if {item}"),
    });
    match truth {
        Truth::Unknown => format!("{reason} (an argument is missing or of another type)"),
        Truth::True | Truth::False => reason,
    }
}

fn refusal(outcome: Outcome, policy: &CompiledPolicy, pointer: String, reason: String) -> Refusal {
    Refusal { outcome, rule: Rule { policy: policy.name.to_string(), pointer }, reason, exhausted: None }
}
