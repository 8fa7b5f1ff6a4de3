//! Everything that is in force for one grant, in one view.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use toolgate_crds::{DefaultAction, Mode, ServerRequest};

use super::Said;
use super::looked::{EntryLooked, LimitLooked, agreed, decimal};
use crate::compile::CompiledPolicy;
use crate::cost::Weight;
use crate::decide::{Call, by_name, consult, definitions_of, visible};
use crate::law::{Caller, Law};
use crate::target::Target;

/// Everything that is in force for one grant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// The grant.
    pub grant: String,
    /// Why the grant opens nothing now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifeless: Option<&'static str>,
    /// Why every call is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Said>,
    /// Each policy that binds the grant's callers.
    pub policies: Vec<BoundPolicy>,
    /// The server's policies that do not.
    pub not_bound: Vec<String>,
    /// What becomes of each tool that an enforcing policy names.
    pub tools: Vec<Row>,
    /// The same of resources.
    pub resources: Vec<Row>,
    /// The same of prompts.
    pub prompts: Vec<Row>,
    /// Whether whatever no entry covers is listed.
    pub others_listed: bool,
    /// What the server may ask the client for.
    pub server_requests: Vec<ServerRequest>,
}

/// A policy that binds the grant's callers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundPolicy {
    /// The policy's name.
    pub policy: String,
    /// Whether it decides or only watches. None: it never was good, and refuses everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What becomes of what nothing in it lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultAction>,
    /// The patterns that hide tools.
    pub hide: Vec<String>,
    /// The entries that are globs: what they cover is not enumerated.
    pub globs: Vec<EntryLooked>,
}

/// What becomes of something that a policy names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The name or URI.
    pub name: String,
    /// Whether it is listed, if the server has it.
    pub listed: bool,
    /// What its name alone decides; `allowed` is still subject to conditions and limits.
    pub verdict: Said,
    /// The conditions that a call has to meet, each with where it is.
    pub conditions: Vec<Narrowed>,
    /// The limits that a call has to have room in; their cost is that of each call, or what it is taken from.
    pub limits: Vec<LimitLooked>,
}

/// A condition that a call has to meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Narrowed {
    /// Where it is, such as `kommo-sales/tools/move_lead/require/0`.
    pub rule: String,
    /// The condition as it was written.
    pub condition: String,
}

impl Law {
    /// Everything that is in force for a grant. None: there is no such grant.
    pub fn view(&self, grant: &str, wall: Timestamp) -> Option<View> {
        let (caller, lifeless) = self.caller_of(grant, wall)?;
        let standing = self.standing(&caller);
        let enforcing: Vec<&CompiledPolicy> = self.enforcing(&caller).collect();
        let rows = |target| rows(&enforcing, target);
        Some(View {
            grant: grant.to_owned(),
            lifeless: lifeless.map(crate::Unauthenticated::as_str),
            refused: standing.as_ref().err().map(|refusal| Said::of(Some(refusal))),
            policies: self
                .bound_by_name(&caller)
                .map(|(name, policy)| BoundPolicy::new(name, policy))
                .collect(),
            not_bound: self.not_bound(&caller).map(str::to_owned).collect(),
            tools: rows(Target::Tool),
            resources: rows(Target::Resource),
            prompts: rows(Target::Prompt),
            others_listed: standing.is_ok()
                && enforcing.iter().all(|policy| policy.default == DefaultAction::Allow),
            server_requests: self.opened(&caller),
        })
    }

    fn opened(&self, caller: &Caller) -> Vec<ServerRequest> {
        let all = [ServerRequest::Sampling, ServerRequest::Elicitation, ServerRequest::Roots];
        all.into_iter().filter(|request| self.opens(caller, *request)).collect()
    }
}

impl BoundPolicy {
    fn new(name: &str, policy: Option<&CompiledPolicy>) -> Self {
        let kinds = [Target::Tool, Target::Resource, Target::Prompt];
        let globs = kinds.into_iter().flat_map(|target| {
            let entries = policy.into_iter().flat_map(move |policy| policy.table(target).of_globs());
            entries.map(move |entry| EntryLooked::new(target, entry))
        });
        let hide = policy.into_iter().flat_map(|policy| &policy.hide);
        Self {
            policy: name.to_owned(),
            mode: policy.map(CompiledPolicy::mode),
            default: policy.map(|policy| policy.default),
            hide: hide.map(|pattern| pattern.as_str().to_owned()).collect(),
            globs: globs.collect(),
        }
    }
}

fn rows(policies: &[&CompiledPolicy], target: Target) -> Vec<Row> {
    let names: BTreeSet<&str> = policies.iter().flat_map(|policy| policy.named(target)).collect();
    names.into_iter().map(|name| Row::new(policies, target, name)).collect()
}

impl Row {
    fn new(policies: &[&CompiledPolicy], target: Target, name: &str) -> Self {
        let call = Call { target, name, arguments: None, definition: None };
        let policies = consult(policies.iter().copied(), target, name);
        let said = by_name(&policies, &call);
        let (mut conditions, mut limits) = (Vec::new(), Vec::new());
        for consulted in &policies {
            let policy = consulted.policy;
            conditions.extend(consulted.entries.iter().filter_map(|entry| {
                let rule = format!("{}/{}", policy.name, definitions_of(entry));
                Some(Narrowed { rule, condition: agreed(entry)? })
            }));
            for (place, narrowing) in consulted.narrowings(target) {
                let at = |field: &str, what: String| format!("{}/{place}/{field}/{what}", policy.name);
                for (field, items) in [("require", &narrowing.require), ("denyIf", &narrowing.deny_if)] {
                    conditions.extend(items.iter().enumerate().map(|(index, item)| Narrowed {
                        rule: at(field, index.to_string()),
                        condition: item.to_string(),
                    }));
                }
                limits.extend(narrowing.limits.iter().map(|charging| {
                    let counter = &policy.counters[charging.counter];
                    LimitLooked::new(
                        at("limits", counter.name.to_string()),
                        counter,
                        Some(told(&charging.cost)),
                    )
                }));
            }
        }
        let listed = visible(&policies, target, name).is_ok();
        Self { name: name.to_owned(), listed, verdict: Said::of(said.as_ref().err()), conditions, limits }
    }
}

fn told(cost: &Weight) -> String {
    match cost {
        Weight::Fixed(cost) => decimal(*cost),
        Weight::Sum(path) => format!("the sum of {path}"),
        Weight::Length(path) => format!("the length of {path}"),
    }
}
