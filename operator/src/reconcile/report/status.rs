//! The status of a server.

use toolgate_crds::FieldError;
use toolgate_crds::status::condition::{ACCEPTED, READY, STALLED};
use toolgate_crds::status::{EnforcedObject, McpServerStatus};
use toolgate_policy::{Bundle, InForce};

use super::{Enforcement, Reporting, counters, enforcement, reach};
use crate::conditions::{self, Wanted};
use crate::reconcile::apply::Cause;
use crate::reconcile::build;
use crate::reconcile::memory::Confirmed;

pub(super) fn status(
    reporting: &Reporting<'_>,
    enforcement: &Enforcement,
    confirmed: Option<&Confirmed>,
) -> McpServerStatus {
    let previous: McpServerStatus = reporting.observed.server.status();
    let generation = reporting.observed.server.generation();
    let counters = counters::available(reporting, enforcement, &previous.conditions);
    let reach = reach::reachable(reporting, enforcement, &previous.conditions);
    let wanted = wanted(reporting, enforcement).into_iter().chain(reach).chain(counters);
    let applied = reporting.applied.bundle.as_ref();
    let bundle = applied.map(|applied| &applied.bundle);
    let (policies, grants) = enforced(enforcement, confirmed, &previous);
    McpServerStatus {
        observed_generation: Some(generation),
        conditions: conditions::written(wanted.collect(), &previous.conditions, generation, reporting.now),
        url: bundle.map(|bundle| build::url(&bundle.server)),
        revision: bundle.map(|bundle| bundle.revision),
        hash: applied.map(|applied| applied.hash.clone()),
        replicas: bundle.map(|_| count(reporting.observed.pods_there)),
        ready_replicas: bundle.map(|_| count(reporting.observed.pods.len())),
        tool_count: bundle.and_then(|_| reach::tools(reporting)).or(previous.tool_count),
        policy_count: bundle.map(|bundle| count(bundle.policies.len())),
        grant_count: bundle.map(|bundle| count(bundle.grants.len())),
        policies,
        grants,
    }
}

fn wanted(reporting: &Reporting<'_>, enforcement: &Enforcement) -> Vec<Wanted> {
    let report = &reporting.validated.server;
    if !report.errors.is_empty() {
        let kept = match report.in_force {
            InForce::LastGood(generation) => format!("generation {generation} stays in force; "),
            InForce::This | InForce::Nothing => String::new(),
        };
        let invalid = Wanted::new(ACCEPTED, false, "Invalid", kept + &FieldError::join(&report.errors));
        let stalled = Wanted { holds: Some(true), ..invalid.renamed(STALLED) };
        return vec![invalid.clone(), invalid.renamed(READY), stalled];
    }
    let accepted = Wanted::new(ACCEPTED, true, "Accepted", "the server is valid");
    vec![accepted, ready(reporting, enforcement)]
}

fn ready(reporting: &Reporting<'_>, enforcement: &Enforcement) -> Wanted {
    let not = |reason: &'static str, message: String| Wanted::new(READY, false, reason, message);
    if let Some(failure) = reporting.applied.failures.first() {
        let reason = match failure.cause {
            Cause::Foreign => "NameConflict",
            Cause::TooLarge => "BundleTooLarge",
            Cause::Closing | Cause::Outdated | Cause::Refused => "ApplyFailed",
        };
        return not(reason, failure.to_string());
    }
    let bundle = reporting.applied.bundle.as_ref().map(|applied| &*applied.bundle);
    if let Some(name) = bundle.and_then(missing_required) {
        let message =
            format!("every call is refused: the required policy {name} is missing or never was valid");
        return not("RequiredPolicyMissing", message);
    }
    let generation = bundle.map(|bundle| bundle.server.generation);
    match enforcement {
        Enforcement::NotApplied => not("Pending", "nothing has been applied yet".to_owned()),
        Enforcement::NoGateways { detail } => not("NoGateways", none_ready(reporting, detail)),
        Enforcement::Current { .. } => enforced_by_all(reporting),
        Enforcement::Moving { server_generation, .. } if generation == Some(*server_generation) => {
            enforced_by_all(reporting)
        }
        Enforcement::Moving { progress, .. } | Enforcement::Behind { progress } => {
            not("Pending", progress.clone())
        }
    }
}

pub(super) fn none_ready(reporting: &Reporting<'_>, detail: &str) -> String {
    let waiting = &reporting.observed.waiting;
    match &waiting.needs {
        Some(needs) if waiting.troubles.is_empty() => format!("{detail}: {needs}"),
        _ => detail.to_owned(),
    }
}

// A rollout that is stuck leaves the pods that were Ready before: calls are served, so it turns no condition.
fn enforced_by_all(reporting: &Reporting<'_>) -> Wanted {
    let waiting = &reporting.observed.waiting;
    let stuck = || enforcement::deployment_says(reporting, "Progressing", "False").is_some();
    let needs = waiting.needs.iter().filter(|_| waiting.troubles.is_empty() && stuck());
    let told: Vec<&str> = waiting.troubles.iter().chain(needs).map(String::as_str).collect();
    if told.is_empty() {
        return Wanted::new(READY, true, "Ready", "every gateway pod enforces this server");
    }
    let message = format!("every gateway pod that is ready enforces this server; {}", told.join("; "));
    Wanted::new(READY, true, "Ready", message)
}

fn missing_required(bundle: &Bundle) -> Option<&str> {
    let good = |name: &str| bundle.policies.iter().any(|policy| policy.name == name && policy.spec.is_some());
    let required = &bundle.server.spec.required_policies;
    required.iter().map(toolgate_crds::ObjectName::as_str).find(|name| !good(name))
}

// Only what all gateways agree on. While they move, that is what they agreed on last: a deleted policy goes from the
// list when no gateway knows it any more, and a new one comes when all do.
fn enforced(
    enforcement: &Enforcement,
    confirmed: Option<&Confirmed>,
    previous: &McpServerStatus,
) -> (Vec<EnforcedObject>, Vec<EnforcedObject>) {
    match (enforcement, confirmed) {
        (Enforcement::NotApplied | Enforcement::NoGateways { .. }, _) => (Vec::new(), Vec::new()),
        (_, Some(confirmed)) => (confirmed.policies.clone(), confirmed.grants.clone()),
        // After a restart of the operator in the midst of a change: what was said before.
        (_, None) => (previous.policies.clone(), previous.grants.clone()),
    }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
