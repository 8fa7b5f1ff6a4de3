//! Why a call is decided as it is: the verdict of the law itself, and what its stages look at on the way.
//!
//! Nothing is decided here. The verdict is the decision's own, over counters that have counted nothing, and what is told
//! of each stage comes from the functions that the stage is made of; so the two cannot disagree.

mod looked;
mod view;

use serde::Serialize;

use crate::compile::CompiledPolicy;
use crate::counters::Counters;
use crate::decide::{Call, consult, limits};
use crate::law::{Caller, Law};
use crate::verdict::{Refusal, Verdict};
use crate::{Now, Unauthenticated};

pub use looked::{ConditionLooked, EntryLooked, LimitLooked, Looked, TestLooked, WindowLooked};
pub use view::{BoundPolicy, Narrowed, Row, View};

/// What becomes of a call whose grant opens nothing now.
pub const UNAUTHENTICATED: &str = "unauthenticated";

/// What would be decided of a call, and what was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The verdict.
    pub verdict: Said,
    /// What would be charged, each counter once. Nothing, if the call is refused.
    pub charged: Vec<LimitLooked>,
    /// Each policy that binds the caller, by name; those that only watch too.
    pub policies: Vec<Looked>,
    /// The server's policies that do not bind the caller.
    pub not_bound: Vec<String>,
}

/// A verdict, as people and programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// What becomes of the call: the name of an outcome, or [`UNAUTHENTICATED`].
    pub outcome: &'static str,
    /// The rule that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the caller hears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Law {
    /// Why a call of a grant's callers is decided as it is, if nothing was counted yet. None: there is no such grant.
    pub fn explain(&self, grant: &str, call: &Call<'_>, now: Now) -> Option<Explanation> {
        let (caller, lifeless) = self.caller_of(grant, now.wall)?;
        let enforcing = consult(self.enforcing(&caller), call.target, call.name);
        let decision = self.decide(&caller, call, &mut Counters::new(), now);
        let (verdict, charged) = match (lifeless, decision.verdict) {
            (Some(reason), _) => (Said::nobody(reason), Vec::new()),
            (None, Verdict::Allowed(_)) => {
                (Said::of(None), limits::applied(&enforcing, call).unwrap_or_default())
            }
            (None, Verdict::Refused(refusal)) => (Said::of(Some(&refusal)), Vec::new()),
        };
        let policies = self.bound_by_name(&caller);
        Some(Explanation {
            verdict,
            charged: charged.iter().map(LimitLooked::of_charge).collect(),
            policies: policies.map(|(name, policy)| Looked::new(name, policy, &caller, call, now)).collect(),
            not_bound: self.not_bound(&caller).map(str::to_owned).collect(),
        })
    }

    fn bound_by_name(&self, caller: &Caller) -> impl Iterator<Item = (&str, Option<&CompiledPolicy>)> {
        self.policies_of(caller).map(|index| {
            let (name, policy) = &self.policies[index];
            (&**name, policy.as_ref())
        })
    }

    fn not_bound(&self, caller: &Caller) -> impl Iterator<Item = &str> {
        let bound: Vec<usize> = self.policies_of(caller).collect();
        let others = self.policies.iter().enumerate().filter(move |(index, _)| !bound.contains(index));
        others.map(|(_, (name, _))| &**name)
    }
}

impl Said {
    fn of(refusal: Option<&Refusal>) -> Self {
        match refusal {
            None => Self { outcome: crate::Outcome::Allowed.as_str(), rule: None, reason: None },
            Some(refusal) => Self {
                outcome: refusal.outcome.as_str(),
                rule: Some(refusal.rule.to_string()),
                reason: Some(refusal.reason.clone()),
            },
        }
    }

    fn nobody(reason: Unauthenticated) -> Self {
        let reason = format!("the grant is {reason}, so its callers are nobody");
        Self { outcome: UNAUTHENTICATED, rule: None, reason: Some(reason) }
    }
}
