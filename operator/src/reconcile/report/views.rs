//! How a server views its policies and grants.

use std::collections::BTreeMap;

use toolgate_policy::{InForce, Report};

use super::{Enforcement, Leaving, Reporting};
use crate::view::{Member, Programmed, View, Views};

/// The version of an object in the applied bundle: its UID, generation, and the revision that brought it.
type Version<'a> = (&'a str, i64, i64);

pub(super) fn views(reporting: &Reporting<'_>, enforcement: &Enforcement, leaving: &Leaving) -> Views {
    let bundle = reporting.applied.bundle.as_ref().map(|applied| &applied.bundle);
    let policies: Vec<Version<'_>> = bundle
        .into_iter()
        .flat_map(|bundle| &bundle.policies)
        .map(|policy| (policy.uid.as_str(), policy.generation, policy.revision))
        .collect();
    let grants: Vec<Version<'_>> = bundle
        .into_iter()
        .flat_map(|bundle| &bundle.grants)
        .map(|grant| (grant.uid.as_str(), grant.generation, grant.revision))
        .collect();
    let pending = pending(reporting, enforcement);
    let all = |reports: &[Report], versions: &[Version<'_>], leaving: &BTreeMap<String, String>| {
        let left = leaving
            .iter()
            .map(|(name, uid)| (name.clone(), View::Leaving { uid: uid.clone(), message: pending.clone() }));
        let members = reports.iter().map(|report| {
            let programmed = programmed(report, versions, enforcement, &pending);
            (report.name.clone(), View::Member(member(report, programmed)))
        });
        left.chain(members).collect()
    };
    Views {
        policies: all(&reporting.validated.policies, &policies, &leaving.policies),
        grants: all(&reporting.validated.grants, &grants, &leaving.grants),
    }
}

fn member(report: &Report, programmed: Programmed) -> Member {
    Member {
        uid: report.uid.clone(),
        generation: report.generation,
        in_force: report.in_force,
        errors: report.errors.clone(),
        programmed,
    }
}

fn programmed(
    report: &Report,
    versions: &[Version<'_>],
    enforcement: &Enforcement,
    pending: &str,
) -> Programmed {
    let generation = match report.in_force {
        InForce::LastGood(generation) => generation,
        InForce::This | InForce::Nothing => report.generation,
    };
    let applied = versions.iter().find(|(uid, applied, _)| *uid == report.uid && *applied == generation);
    match (applied, enforcement) {
        (Some(_), Enforcement::Current { .. }) => Programmed::Yes,
        (Some(_), Enforcement::NoGateways { detail }) => Programmed::NoGateways(detail.clone()),
        // Nothing of this object has changed since all gateways agreed.
        (Some((_, _, revision)), Enforcement::Moving { confirmed, .. }) if revision <= confirmed => {
            Programmed::Yes
        }
        _ => Programmed::Pending(pending.to_owned()),
    }
}

// Why something is not enforced yet.
fn pending(reporting: &Reporting<'_>, enforcement: &Enforcement) -> String {
    let server = reporting.observed.server.name();
    if let Some(failure) = reporting.applied.failures.first() {
        return format!("the gateway of {server} is not up to date: {failure}");
    }
    match enforcement {
        Enforcement::Moving { progress, .. } | Enforcement::Behind { progress } => progress.clone(),
        Enforcement::NoGateways { detail } => detail.clone(),
        Enforcement::NotApplied => format!("the server {server} is not valid, so nothing is in force"),
        Enforcement::Current { .. } => format!("the gateway of {server} is being updated"),
    }
}
