//! Says what is in force, of what was applied and what the gateways answered. No client; time is an argument.

mod counters;
mod enforcement;
mod reach;
mod status;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use toolgate_crds::status::McpServerStatus;

use super::RESYNC;
use super::apply::Applied;
use super::memory::{Confirmed, Memory};
use super::observe::Observed;
use super::validate::Validated;
use crate::gateways::Answer;
use crate::view::Views;

pub use enforcement::{Enforcement, POLLS_TOLERATED};

/// How often gateways are looked at: no event says that what they need went away or came back.
pub const LOOK: Duration = Duration::from_secs(30);
/// The same while a gateway does not know yet how it stands.
pub const LOOK_SOON: Duration = Duration::from_secs(1);

/// Everything that a report is made from.
#[derive(Clone, Copy, Debug)]
pub struct Reporting<'a> {
    /// What was observed.
    pub observed: &'a Observed,
    /// What is to be in force.
    pub validated: &'a Validated,
    /// What was applied.
    pub applied: &'a Applied,
    /// What the gateways say.
    pub answers: &'a [Answer],
    /// The time of day.
    pub now: Timestamp,
}

/// What is said of a server, and what is remembered.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The server's status.
    pub status: McpServerStatus,
    /// How it views its policies and grants.
    pub views: Views,
    /// For the next reconcile.
    pub memory: Memory,
    /// Whether its gateways are to be asked again soon, because they are on their way.
    pub ask_again: bool,
    /// How long nothing is looked at when nothing happens.
    pub rest: Duration,
}

/// Makes the report.
pub fn report(reporting: &Reporting<'_>) -> Reported {
    let memory = &reporting.observed.memory;
    let polls = polls(reporting);
    let enforcement = Enforcement::of(reporting, polls);
    let confirmed = match (&enforcement, &reporting.applied.bundle) {
        (Enforcement::Current { .. }, Some(applied)) => {
            Some(Arc::new(Confirmed::of(&applied.bundle, &applied.hash)))
        }
        _ => memory.confirmed.clone(),
    };
    let leaving = Leaving::of(reporting, &enforcement);
    let ask_again = matches!(enforcement, Enforcement::Moving { .. } | Enforcement::Behind { .. });
    Reported {
        status: status::status(reporting, &enforcement, confirmed.as_deref()),
        views: views::views(reporting, &enforcement, &leaving),
        memory: Memory {
            applied: reporting.applied.bundle.clone(),
            confirmed,
            leaving_policies: leaving.policies,
            leaving_grants: leaving.grants,
            written: reporting.applied.written.clone(),
            ahead: enforcement::ahead(reporting),
            polls: if ask_again { polls + 1 } else { 0 },
        },
        ask_again,
        rest: rest(reporting),
    }
}

// How long nothing is looked at when nothing happens.
fn rest(reporting: &Reporting<'_>) -> Duration {
    if reporting.answers.is_empty() {
        return RESYNC;
    }
    if counters::is_open(reporting) || reach::is_open(reporting) { LOOK_SOON } else { LOOK }
}

// A new bundle begins the count anew.
fn polls(reporting: &Reporting<'_>) -> u32 {
    let hash =
        |bundle: &Option<super::memory::AppliedBundle>| bundle.as_ref().map(|bundle| bundle.hash.clone());
    let memory = &reporting.observed.memory;
    if hash(&memory.applied) == hash(&reporting.applied.bundle) { memory.polls } else { 0 }
}

/// Objects that the bundle has no more but gateways may still enforce: UIDs by name.
#[derive(Debug, Default)]
struct Leaving {
    policies: BTreeMap<String, String>,
    grants: BTreeMap<String, String>,
}

impl Leaving {
    fn of(reporting: &Reporting<'_>, enforcement: &Enforcement) -> Self {
        let Some(applied) = &reporting.applied.bundle else { return Self::default() };
        if matches!(enforcement, Enforcement::Current { .. } | Enforcement::NoGateways { .. }) {
            return Self::default();
        }
        let memory = &reporting.observed.memory;
        let (mut policies, mut grants) = (memory.leaving_policies.clone(), memory.leaving_grants.clone());
        if let Some(previous) = &reporting.observed.previous {
            policies.extend(previous.policies.iter().map(|policy| (policy.name.clone(), policy.uid.clone())));
            grants.extend(previous.grants.iter().map(|grant| (grant.name.clone(), grant.uid.clone())));
        }
        policies.retain(|_, uid| !applied.bundle.policies.iter().any(|policy| policy.uid == *uid));
        grants.retain(|_, uid| !applied.bundle.grants.iter().any(|grant| grant.uid == *uid));
        Self { policies, grants }
    }
}
