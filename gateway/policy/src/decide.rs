//! How a call is decided: in stages, each over all bound policies before the next begins.
//!
//! standing -> hidden -> unlisted -> denied -> definitions -> require, denyIf -> room in all limits -> approval -> limits taken.
//! The first refusal is the verdict. Of several in one stage the policy's name, then the pointer decides, so the same
//! call always hears the same rule. A refused call takes nothing.
//!
//! The law only examines and concludes; in between a store of counters is asked, in memory or far away, in one step for
//! all stages that count. Whether the call would be held is known before, so that a held call only looks.
//!
//! A policy in audit mode goes through the same stages by itself. It never changes the verdict; it charges counters of
//! its own, and only for calls that are forwarded.

mod consulted;
pub(crate) mod limits;

use std::time::Duration;

use toolgate_crds::{Action, DefaultAction};

use crate::Now;
use crate::compile::{CompiledPolicy, Entry};
use crate::condition::{Item, Quantifier, Truth};
use crate::counters::Counters;
use crate::definition::Definition;
use crate::json::Object;
use crate::law::{Caller, Law};
use crate::pattern::Pattern;
use crate::store::{Demand, Group, NoRoom, Reply, Taken};
use crate::target::Target;
use crate::verdict::{Audited, Decision, Outcome, Permit, Refusal, Rule, Verdict};
use limits::Applied;

pub(crate) use consulted::{Consulted, Place, consult};

/// What a caller asks for: a call of a tool, a read of a resource, a prompt.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What kind of thing it is.
    pub target: Target,
    /// Its name or URI, exactly as it goes to the server.
    pub name: &'a str,
    /// The arguments, exactly as they go to the server.
    pub arguments: Option<&'a Object<'a>>,
    /// Of a tool, how the server defined it last. None: that is not known.
    pub definition: Option<Definition>,
}

/// How far a call can be decided without counting.
#[derive(Debug)]
#[must_use = "what was examined has to be concluded and counted"]
pub enum Examined<'a> {
    /// No counter has a say in it.
    Decided(Decision),
    /// A store of counters has to be asked.
    Pending(Pending<'a>),
}

/// A call that its counters decide.
#[derive(Debug)]
#[must_use = "what was examined has to be concluded and counted"]
pub struct Pending<'a> {
    demand: Demand,
    binding: Result<Looked<'a>, Refusal>,
    watching: Vec<(&'a CompiledPolicy, Result<Looked<'a>, Refusal>)>,
}

/// What a call that no earlier stage refused meets in the stages of limits and of approval.
#[derive(Debug)]
struct Looked<'a> {
    limits: Vec<Applied<'a>>,
    held: Option<Refusal>,
}

pub(crate) fn examine<'a>(
    law: &'a Law,
    caller: &Caller,
    call: &Call<'a>,
    paused: Option<Duration>,
) -> Examined<'a> {
    let looked = |policies: &[Consulted<'a>]| look(policies, call);
    let enforcing = consult(law.enforcing(caller), call.target, call.name);
    let binding = law.standing(caller).and_then(|()| looked(&enforcing));
    let binding = binding.and_then(|looked| paused.map_or(Ok(looked), |wait| Err(limits::busy(wait))));
    let forwarded = binding.as_ref().is_ok_and(|looked| looked.held.is_none());
    let watching = consult(law.auditing(caller), call.target, call.name);
    let watching: Vec<_> = watching
        .iter()
        .map(|consulted| (consulted.policy, looked(std::slice::from_ref(consulted))))
        .collect();
    let group = |looked: &Result<Looked<'_>, Refusal>, take: bool| match looked {
        Ok(looked) => looked.group(caller, take),
        Err(_) => Group::default(),
    };
    let demand = Demand {
        binding: group(&binding, forwarded),
        watching: watching.iter().map(|(_, looked)| group(looked, forwarded)).collect(),
    };
    let nothing_to_ask = demand.is_empty();
    let pending = Pending { demand, binding, watching };
    if !nothing_to_ask {
        return Examined::Pending(pending);
    }
    let nothing = Reply::away(pending.demand());
    Examined::Decided(pending.conclude(nothing))
}

impl Examined<'_> {
    /// Whether the call is refused whatever its counters say.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Decided(decision) => matches!(decision.verdict, Verdict::Refused(_)),
            Self::Pending(pending) => !pending.binding.as_ref().is_ok_and(|looked| looked.held.is_none()),
        }
    }
}

impl Pending<'_> {
    /// What the store is to be asked, once.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// The decision, by what the store answered to this very demand. What it left unanswered counts as not known.
    pub fn conclude(self, reply: Reply) -> Decision {
        let Self { demand: _, binding, watching } = self;
        let mut taken = Vec::new();
        let verdict = settle(binding, reply.binding, &mut taken);
        let answers = reply.watching.into_iter().chain(std::iter::repeat_with(|| Err(NoRoom::Away)));
        let audits = watching.into_iter().zip(answers).map(|((policy, looked), answer)| {
            let refusal = settle(looked, answer, &mut taken).err();
            Audited { policy: policy.name.to_string(), refusal }
        });
        let audits = audits.collect();
        let verdict = match verdict {
            Ok(()) => Verdict::Allowed(Permit::new(taken)),
            Err(refusal) => Verdict::Refused(refusal),
        };
        Decision { verdict, audits }
    }
}

fn settle(
    looked: Result<Looked<'_>, Refusal>,
    answer: Result<Vec<Taken>, NoRoom>,
    taken: &mut Vec<Taken>,
) -> Result<(), Refusal> {
    let looked = looked?;
    match (looked.limits.first(), answer) {
        (None, _) => {}
        (Some(_), Ok(all)) => taken.extend(all),
        (Some(first), Err(no_room)) => return Err(first.refuse(&looked.limits, no_room)),
    }
    looked.held.map_or(Ok(()), Err)
}

/// What one policy says of a call by itself, if nothing was counted yet.
pub(crate) fn alone(
    policy: &CompiledPolicy,
    caller: &Caller,
    call: &Call<'_>,
    now: Now,
) -> Result<(), Refusal> {
    let looked = look(&[Consulted::new(policy, call.target, call.name)], call);
    let binding = looked.as_ref().map(|looked| looked.group(caller, false)).unwrap_or_default();
    let reply = Counters::new().ask(&Demand { binding, watching: Vec::new() }, now.monotonic);
    settle(looked, reply.binding, &mut Vec::new())
}

fn look<'a>(policies: &[Consulted<'a>], call: &Call<'a>) -> Result<Looked<'a>, Refusal> {
    mentionable(policies, call)?;
    defined(policies, call.name, call.definition)?;
    conditions(policies, call)?;
    let limits = limits::applied(policies, call)?;
    Ok(Looked { limits, held: held(policies, call).err() })
}

impl Looked<'_> {
    fn group(&self, caller: &Caller, forwarded: bool) -> Group {
        let charges = self.limits.iter().map(|limit| limit.charge(caller)).collect();
        Group { charges, take: forwarded && self.held.is_none() }
    }
}

/// The stages that look at the name alone.
pub(crate) fn mentionable(policies: &[Consulted<'_>], call: &Call<'_>) -> Result<(), Refusal> {
    visible(policies, call.target, call.name)?;
    denied(policies, call)
}

/// What a name alone decides, also whether it has to be approved.
pub(crate) fn by_name(policies: &[Consulted<'_>], call: &Call<'_>) -> Result<(), Refusal> {
    mentionable(policies, call)?;
    held(policies, call)
}

/// Whether a target is neither hidden nor unlisted. Lists and calls both ask this, so they cannot disagree.
pub(crate) fn visible(policies: &[Consulted<'_>], target: Target, name: &str) -> Result<(), Refusal> {
    let absent = |outcome, policy: &str, pointer| {
        let rule = Rule { policy: policy.to_owned(), pointer };
        Err(Refusal { outcome, rule, reason: target.unknown(name), exhausted: None, retry_after: None })
    };
    if !target.can_be_named(name) {
        return absent(Outcome::Unlisted, "", target.no_name().to_owned());
    }
    for Consulted { policy, .. } in policies {
        if let Some(pattern) = hidden_by(policy, target, name) {
            return absent(Outcome::Hidden, &policy.name, format!("hide/{}", pattern.as_str()));
        }
    }
    for consulted in policies {
        if unlists(consulted) {
            return absent(Outcome::Unlisted, &consulted.policy.name, "default".to_owned());
        }
    }
    Ok(())
}

/// The pattern of a policy that hides a tool.
pub(crate) fn hidden_by<'a>(policy: &'a CompiledPolicy, target: Target, name: &str) -> Option<&'a Pattern> {
    (target == Target::Tool).then(|| policy.hides(name)).flatten()
}

/// Whether a policy lists nothing of the name that it was asked of, and has to.
pub(crate) fn unlists(consulted: &Consulted<'_>) -> bool {
    let lists = consulted.entries.iter().any(|entry| entry.lists);
    consulted.policy.default == DefaultAction::Deny && !lists
}

fn denied(policies: &[Consulted<'_>], call: &Call<'_>) -> Result<(), Refusal> {
    match entry_with(policies, Action::Deny) {
        None => Ok(()),
        Some((policy, entry)) => {
            let reason = entry.reason.clone().unwrap_or_else(|| format!("{} is denied", call.name));
            Err(refusal(Outcome::Denied, policy, action_of(call.target, entry), reason))
        }
    }
}

/// Whether a tool is what every policy agreed to that it is. What is not known was not agreed to.
pub(crate) fn defined(
    policies: &[Consulted<'_>],
    name: &str,
    definition: Option<Definition>,
) -> Result<(), Refusal> {
    let differs = |entry: &&&Entry| agrees(entry, definition).is_some_and(|agrees| agrees != Truth::True);
    let differing = policies
        .iter()
        .find_map(|consulted| consulted.entries.iter().find(differs).map(|entry| (consulted.policy, *entry)));
    let Some((policy, entry)) = differing else { return Ok(()) };
    let reason = match definition {
        Some(definition) => format!("{name} is defined in another way than was agreed to ({definition})"),
        None => {
            format!("{name} is allowed as it was agreed to, and the server does not say how it is defined")
        }
    };
    Err(refusal(Outcome::Denied, policy, definitions_of(entry), reason))
}

/// Whether an entry agreed to a definition. None: it agrees to any.
pub(crate) fn agrees(entry: &Entry, definition: Option<Definition>) -> Option<Truth> {
    let agreed = entry.definitions.as_ref()?;
    Some(match definition {
        None => Truth::Unknown,
        Some(definition) if agreed.contains(&definition) => Truth::True,
        Some(_) => Truth::False,
    })
}

/// Where an entry says to which definitions it agreed.
pub(crate) fn definitions_of(entry: &Entry) -> String {
    format!("{}/{}/definitions", Target::Tool.member(), entry.key)
}

// Nobody can approve yet: a call that needs it is refused, and says so.
fn held(policies: &[Consulted<'_>], call: &Call<'_>) -> Result<(), Refusal> {
    match entry_with(policies, Action::Approve) {
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

fn entry_with<'a>(policies: &[Consulted<'a>], action: Action) -> Option<(&'a CompiledPolicy, &'a Entry)> {
    let all = policies
        .iter()
        .flat_map(|consulted| consulted.entries.iter().map(|entry| (consulted.policy, *entry)));
    let matching = all.filter(|(_, entry)| entry.action == action);
    matching.min_by(|left, right| (&left.0.name, &left.1.key).cmp(&(&right.0.name, &right.1.key)))
}

fn action_of(target: Target, entry: &Entry) -> String {
    format!("{}/{}/action", target.member(), entry.key)
}

/// An item of `require` or `denyIf` that a call meets, and what it says of it.
#[derive(Debug)]
pub(crate) struct Evaluated<'a> {
    place: Place<'a>,
    pub field: Field,
    index: usize,
    pub item: &'a Item,
    pub truth: Truth,
}

/// Which of the two lists of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Require,
    DenyIf,
}

/// Every item of a policy that a call meets.
pub(crate) fn evaluate(consulted: &Consulted<'_>, call: &Call<'_>, found: &mut impl FnMut(Evaluated<'_>)) {
    for (place, narrowing) in consulted.narrowings(call.target) {
        for (field, items) in [(Field::Require, &narrowing.require), (Field::DenyIf, &narrowing.deny_if)] {
            for (index, item) in items.iter().enumerate() {
                let truth = item.evaluate(call.arguments, field.quantifier());
                found(Evaluated { place, field, index, item, truth });
            }
        }
    }
}

fn conditions(policies: &[Consulted<'_>], call: &Call<'_>) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    for consulted in policies {
        evaluate(consulted, call, &mut |evaluated| {
            if !evaluated.admits() {
                let reason = unmet(&evaluated);
                refusals.push(refusal(Outcome::Denied, consulted.policy, evaluated.pointer(), reason));
            }
        });
    }
    let key = |refusal: &Refusal| (refusal.rule.policy.clone(), refusal.rule.pointer.clone());
    refusals.into_iter().min_by_key(key).map_or(Ok(()), Err)
}

fn unmet(evaluated: &Evaluated<'_>) -> String {
    let item = evaluated.item;
    let reason = item.reason.clone().unwrap_or_else(|| match evaluated.field {
        Field::Require => format!("needs {item}"),
        Field::DenyIf => format!("refused if {item}"),
    });
    match evaluated.truth {
        Truth::Unknown => format!("{reason} (an argument is missing or of another type)"),
        Truth::True | Truth::False => reason,
    }
}

impl Evaluated<'_> {
    /// Whether it lets the call pass.
    pub(crate) fn admits(&self) -> bool {
        self.truth == self.field.wanted()
    }

    /// Where it is, from the policy's spec.
    pub(crate) fn pointer(&self) -> String {
        format!("{}/{}/{}", self.place, self.field.name(), self.index)
    }
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::DenyIf => "denyIf",
        }
    }

    /// How the values at a path with `[*]` are put together.
    pub(crate) fn quantifier(self) -> Quantifier {
        match self {
            Self::Require => Quantifier::All,
            Self::DenyIf => Quantifier::Any,
        }
    }

    fn wanted(self) -> Truth {
        match self {
            Self::Require => Truth::True,
            Self::DenyIf => Truth::False,
        }
    }
}

fn refusal(outcome: Outcome, policy: &CompiledPolicy, pointer: String, reason: String) -> Refusal {
    let rule = Rule { policy: policy.name.to_string(), pointer };
    Refusal { outcome, rule, reason, exhausted: None, retry_after: None }
}
