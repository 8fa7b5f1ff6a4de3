//! The status of a grant. No client; time is an argument.

use k8s_openapi::jiff::Timestamp;
use toolgate_crds::status::ToolGrantStatus;
use toolgate_crds::status::condition::READY;
use toolgate_crds::{ToolGrant, ToolGrantSpec};
use toolgate_policy::Candidate;

use super::Target;
use super::standing::{Words, member, standing};
use crate::conditions::{self, Wanted};
use crate::raw::Raw;
use crate::view::Programmed;

const WORDS: Words =
    Words { enforced: "every gateway pod knows this generation", never_good: "it opens nothing" };

/// The status to write. None: a server has not looked at this generation yet.
pub fn status(
    grant: &Raw<ToolGrant>,
    candidate: &Candidate<ToolGrantSpec>,
    targets: &[Target],
    now: Timestamp,
) -> Option<ToolGrantStatus> {
    let generation = grant.generation();
    let mut wanted = standing(generation, candidate.errors(), targets, WORDS)?;
    let closed = candidate.spec.as_ref().ok().and_then(|spec| closed(spec, now));
    if let (Some(closed), Some(ready)) =
        (&closed, wanted.iter_mut().find(|wanted| wanted.type_ == READY && wanted.holds == Some(true)))
    {
        *ready = closed.clone();
    }
    let previous: ToolGrantStatus = grant.status();
    Some(ToolGrantStatus {
        observed_generation: Some(generation),
        conditions: conditions::written(wanted, &previous.conditions, generation, now),
        servers: if closed.is_some() { Vec::new() } else { opened(targets) },
    })
}

/// Whether a status says anything else than what is stored.
pub fn differs(grant: &Raw<ToolGrant>, status: &ToolGrantStatus) -> bool {
    let mut stored: ToolGrantStatus = grant.status();
    stored.conditions = conditions::ours(stored.conditions);
    stored != *status
}

/// When the grant expires, if it does.
pub fn expires_at(candidate: &Candidate<ToolGrantSpec>) -> Option<Timestamp> {
    candidate.spec.as_ref().ok()?.expires_at.as_ref()?.parse().ok()
}

// It is as its owner wants it, so it is ready, though it opens nothing.
fn closed(spec: &ToolGrantSpec, now: Timestamp) -> Option<Wanted> {
    if spec.suspended {
        return Some(Wanted::new(READY, true, "Suspended", "it is suspended and opens nothing"));
    }
    let expires_at: Timestamp = spec.expires_at.as_ref()?.parse().ok()?;
    (expires_at <= now).then(|| Wanted::new(READY, true, "Expired", "it has expired and opens nothing"))
}

fn opened(targets: &[Target]) -> Vec<String> {
    let opens = |target: &&Target| {
        member(target).is_some_and(|member| member.errors.is_empty() && member.programmed == Programmed::Yes)
    };
    targets.iter().filter(opens).map(|target| target.server.clone()).collect()
}
