//! The status of a policy. No client; time is an argument.

use k8s_openapi::jiff::Timestamp;
use toolgate_crds::status::ToolPolicyStatus;
use toolgate_crds::{ToolPolicy, ToolPolicySpec};
use toolgate_policy::Candidate;

use super::Target;
use super::standing::{Words, standing};
use crate::conditions;
use crate::raw::Raw;

const WORDS: Words = Words {
    enforced: "every gateway pod enforces this generation",
    never_good: "every call that it would bind is refused",
};

/// The status to write. None: a server has not looked at this generation yet.
pub fn status(
    policy: &Raw<ToolPolicy>,
    candidate: &Candidate<ToolPolicySpec>,
    targets: &[Target],
    now: Timestamp,
) -> Option<ToolPolicyStatus> {
    let generation = policy.generation();
    let wanted = standing(generation, candidate.errors(), targets, WORDS)?;
    let previous: ToolPolicyStatus = policy.status();
    Some(ToolPolicyStatus {
        observed_generation: Some(generation),
        conditions: conditions::written(wanted, &previous.conditions, generation, now),
    })
}

/// Whether a status says anything else than what is stored.
pub fn differs(policy: &Raw<ToolPolicy>, status: &ToolPolicyStatus) -> bool {
    let mut stored: ToolPolicyStatus = policy.status();
    stored.conditions = conditions::ours(stored.conditions);
    stored != *status
}
