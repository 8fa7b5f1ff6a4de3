//! What one policy has to do with one call.

use serde::Serialize;
use toolgate_crds::{Action, Mode, Scope};

use super::Said;
use crate::Now;
use crate::compile::{CompiledPolicy, Counter, Entry};
use crate::condition::Truth;
use crate::decide::limits::{Applied, charged};
use crate::decide::{Call, Consulted, agrees, alone, definitions_of, evaluate, hidden_by, unlists};
use crate::decimal::MILLION;
use crate::law::Caller;
use crate::target::Target;

/// What one policy has to do with a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// The policy's name.
    pub policy: String,
    /// Whether it decides or only watches. None: it never was good, and refuses everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What it says by itself.
    pub verdict: Said,
    /// The pattern that hides the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_by: Option<String>,
    /// Whether nothing in it lists what is called, and something has to.
    pub unlisted: bool,
    /// Every entry that covers what is called.
    pub entries: Vec<EntryLooked>,
    /// To which definitions these entries agreed, and every item of `require` and `denyIf` of them and of `allTools`.
    pub conditions: Vec<ConditionLooked>,
    /// Every limit of these entries and of `allTools`.
    pub limits: Vec<LimitLooked>,
}

/// An entry that covers what is called.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryLooked {
    /// Where it is, such as `tools/move_lead`.
    pub entry: String,
    /// What it says.
    pub action: Action,
    /// Whether it lists what it covers, or only narrows what others list.
    pub lists: bool,
    /// Its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An item of `require` or `denyIf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionLooked {
    /// Where it is, such as `tools/move_lead/require/0`.
    pub rule: String,
    /// Whether it holds: `true`, `false` or `unknown`.
    pub holds: &'static str,
    /// Whether that lets the call pass.
    pub admits: bool,
    /// Its conditions, all of which have to hold.
    pub conditions: Vec<TestLooked>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestLooked {
    /// The condition as it was written, such as `args.amount lte 500`.
    pub condition: String,
    /// Whether it holds: `true`, `false` or `unknown`.
    pub holds: &'static str,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitLooked {
    /// Where it is, such as `tools/move_lead/limits/move_lead_rate`.
    pub rule: String,
    /// The counter.
    pub counter: String,
    /// Whether each grant counts for itself.
    pub scope: Scope,
    /// Every window of the counter, whichever entry gives it.
    pub windows: Vec<WindowLooked>,
    /// What the call costs, in plain decimals. None: it cannot be told, and the call is refused.
    pub cost: Option<String>,
}

/// A window of a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowLooked {
    /// The window as it was written.
    pub window: String,
    /// The most that it admits.
    pub max: u64,
}

impl Looked {
    pub(super) fn new(
        name: &str,
        policy: Option<&CompiledPolicy>,
        caller: &Caller,
        call: &Call<'_>,
        now: Now,
    ) -> Self {
        let said = policy
            .map_or_else(|| Err(crate::law::not_valid(name)), |policy| alone(policy, caller, call, now));
        let mut looked = Self {
            policy: name.to_owned(),
            mode: policy.map(CompiledPolicy::mode),
            verdict: Said::of(said.as_ref().err()),
            hidden_by: None,
            unlisted: false,
            entries: Vec::new(),
            conditions: Vec::new(),
            limits: Vec::new(),
        };
        if let Some(policy) = policy {
            looked.look(policy, call);
        }
        looked
    }

    fn look(&mut self, policy: &CompiledPolicy, call: &Call<'_>) {
        let hidden = hidden_by(policy, call.target, call.name);
        self.hidden_by = hidden.map(|pattern| pattern.as_str().to_owned());
        let consulted = Consulted::new(policy, call.target, call.name);
        self.unlisted = unlists(&consulted);
        let entries = consulted.entries.iter();
        self.entries = entries.map(|entry| EntryLooked::new(call.target, entry)).collect();
        for entry in &consulted.entries {
            let holds = agrees(entry, call.definition);
            let (Some(agreed), Some(holds)) = (agreed(entry), holds) else { continue };
            self.conditions.push(ConditionLooked {
                rule: definitions_of(entry),
                holds: holds.as_str(),
                admits: holds == Truth::True,
                conditions: vec![TestLooked { condition: agreed, holds: holds.as_str() }],
            });
        }
        evaluate(&consulted, call, &mut |found| {
            let parts = found.item.parts(call.arguments, found.field.quantifier());
            self.conditions.push(ConditionLooked {
                rule: found.pointer(),
                holds: found.truth.as_str(),
                admits: found.admits(),
                conditions: parts
                    .map(|(text, truth)| TestLooked { condition: text.to_owned(), holds: truth.as_str() })
                    .collect(),
            });
        });
        charged(&consulted, call, &mut |found| {
            self.limits.push(LimitLooked::new(found.pointer(), found.counter, found.cost.map(decimal)));
        });
    }
}

impl EntryLooked {
    pub(super) fn new(target: Target, entry: &Entry) -> Self {
        Self {
            entry: format!("{}/{}", target.member(), entry.key),
            action: entry.action,
            lists: entry.lists,
            reason: entry.reason.clone(),
        }
    }
}

impl LimitLooked {
    pub(super) fn new(rule: String, counter: &Counter, cost: Option<String>) -> Self {
        let windows = counter.written.iter();
        Self {
            rule,
            counter: counter.name.to_string(),
            scope: counter.scope,
            windows: windows
                .map(|(window, max)| WindowLooked { window: window.clone(), max: *max })
                .collect(),
            cost,
        }
    }

    pub(super) fn of_charge(charge: &Applied<'_>) -> Self {
        let rule = format!("{}/{}", charge.policy.name, charge.pointer());
        Self::new(rule, charge.counter, Some(decimal(charge.cost)))
    }
}

/// To which definitions of a tool an entry agreed. None: to any.
pub(super) fn agreed(entry: &Entry) -> Option<String> {
    let digests: Vec<String> = entry.definitions.as_ref()?.iter().map(ToString::to_string).collect();
    Some(format!("the tool's definition is {}", digests.join(" or ")))
}

// Costs are counted in millionths.
pub(super) fn decimal(cost: u128) -> String {
    let (whole, millionths) = (cost / MILLION, cost % MILLION);
    if millionths == 0 {
        return whole.to_string();
    }
    format!("{whole}.{millionths:06}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn costs_are_told_in_plain_decimals() {
        for (cost, told) in
            [(0, "0"), (1, "0.000001"), (990_000, "0.99"), (1_000_000, "1"), (12_500_000, "12.5")]
        {
            assert_eq!(decimal(cost), told);
        }
    }
}
