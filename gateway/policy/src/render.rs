//! From objects to a bundle: which version of what is in force.
//!
//! Validity is per object. A bad edit keeps that object's last good version in force, carried from the previous
//! bundle; a policy that never was good refuses what it would bind; a bad grant opens nothing. A deletion, a suspension
//! or a revocation is never held back by another object's fault.

use toolgate_crds::{FieldError, McpServerSpec, ToolGrantSpec, ToolPolicySpec};

use crate::bundle::{Bundle, BundledGrant, BundledPolicy, BundledServer, FORMAT};
use crate::candidate::Candidate;
use crate::compile::{GRANTS_MAX, POLICIES_MAX};

/// Everything that a bundle is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The server.
    pub server: &'a Candidate<McpServerSpec>,
    /// All policies of the server's namespace; those that target it are taken.
    pub policies: &'a [Candidate<ToolPolicySpec>],
    /// All grants of the server's namespace; those that open it are taken.
    pub grants: &'a [Candidate<ToolGrantSpec>],
    /// The bundle that is in force now, if it can be read.
    pub previous: Option<&'a Bundle>,
    /// The greatest revision that was ever seen for this server's UID, in the bundle, the status or the pods; 0 if none.
    pub revision_floor: i64,
}

/// A bundle, and what became of every object in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The bundle. None: the server never was good, so nothing can be in force.
    pub bundle: Option<Bundle>,
    /// What became of the server.
    pub server: Report,
    /// What became of each policy that targets the server, by name.
    pub policies: Vec<Report>,
    /// What became of each grant that opens the server, by name.
    pub grants: Vec<Report>,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The generation that was looked at.
    pub generation: i64,
    /// Which version is in force.
    pub in_force: InForce,
    /// Every fault of the generation that was looked at.
    pub errors: Vec<FieldError>,
}

/// Which version of an object is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// This very one.
    This,
    /// The last good one, of an earlier generation.
    LastGood(i64),
    /// None.
    Nothing,
}

/// Renders the bundle of one server.
///
/// A bundle equal to the previous one keeps its revision; any difference makes it one more than the greatest seen.
pub fn render(inputs: &Inputs<'_>) -> Rendered {
    let server = inputs.server;
    let previous = inputs.previous.filter(|previous| previous.server.uid == server.uid);
    let revision = inputs.revision_floor.max(previous.map_or(0, |previous| previous.revision)) + 1;
    let (bundled_server, server_report) = render_server(server, previous);
    let (policies, policy_reports) = render_policies(inputs, previous, revision);
    let (grants, grant_reports) = render_grants(inputs, previous, revision);
    let bundle = bundled_server.map(|server| Bundle { format: FORMAT, revision, server, policies, grants });
    Rendered {
        bundle: bundle.map(|bundle| unless_equal(bundle, previous)),
        server: server_report,
        policies: policy_reports,
        grants: grant_reports,
    }
}

fn unless_equal(bundle: Bundle, previous: Option<&Bundle>) -> Bundle {
    let Some(previous) = previous else { return bundle };
    let renumbered = Bundle { revision: previous.revision, ..bundle.clone() };
    if renumbered == *previous { renumbered } else { bundle }
}

fn render_server(
    server: &Candidate<McpServerSpec>,
    previous: Option<&Bundle>,
) -> (Option<BundledServer>, Report) {
    let bundled = match &server.spec {
        Ok(spec) => Some(BundledServer {
            namespace: server.namespace.clone(),
            name: server.name.clone(),
            uid: server.uid.clone(),
            generation: server.generation,
            spec: spec.clone(),
        }),
        Err(_) => previous.map(|previous| previous.server.clone()),
    };
    let in_force = match (&server.spec, &bundled) {
        (Ok(_), _) => InForce::This,
        (Err(_), Some(last)) => InForce::LastGood(last.generation),
        (Err(_), None) => InForce::Nothing,
    };
    (bundled, report(server, in_force))
}

fn render_policies(
    inputs: &Inputs<'_>,
    previous: Option<&Bundle>,
    revision: i64,
) -> (Vec<BundledPolicy>, Vec<Report>) {
    let mut rendered = Vec::new();
    for policy in inputs.policies {
        let last = previous.and_then(|previous| {
            previous.policies.iter().find(|last| last.name == policy.name && last.uid == policy.uid)
        });
        let targets = policy.servers.include(&inputs.server.name, &inputs.server.labels);
        // A bad edit may have lost its targets: the last good version still binds those that it had.
        let kept = policy.spec.is_err() && last.is_some_and(|last| last.spec.is_some());
        if targets || kept {
            rendered.push(render_policy(policy, last, revision));
        }
    }
    rendered.sort_by(|(left, _), (right, _)| left.name.cmp(&right.name));
    let (bundled, mut reports): (Vec<_>, Vec<Report>) = rendered.into_iter().unzip();
    over_limit(&mut reports, POLICIES_MAX);
    (bundled, reports)
}

fn render_policy(
    policy: &Candidate<ToolPolicySpec>,
    last: Option<&BundledPolicy>,
    revision: i64,
) -> (BundledPolicy, Report) {
    let last_good = last.filter(|last| last.spec.is_some());
    let (generation, spec, in_force) = match (&policy.spec, last_good) {
        (Ok(spec), _) => (policy.generation, Some(spec.clone()), InForce::This),
        (Err(_), Some(last)) => (last.generation, last.spec.clone(), InForce::LastGood(last.generation)),
        (Err(_), None) => (policy.generation, None, InForce::Nothing),
    };
    let (name, uid) = (policy.name.clone(), policy.uid.clone());
    let mut bundled = BundledPolicy { name, uid, generation, revision, spec };
    if let Some(last) = last {
        let unchanged = BundledPolicy { revision: last.revision, ..bundled.clone() };
        bundled = if unchanged == *last { unchanged } else { bundled };
    }
    (bundled, report(policy, in_force))
}

fn render_grants(
    inputs: &Inputs<'_>,
    previous: Option<&Bundle>,
    revision: i64,
) -> (Vec<BundledGrant>, Vec<Report>) {
    let (mut bundled, mut reports) = (Vec::new(), Vec::new());
    let server = inputs.server;
    let opening = |grant: &&Candidate<ToolGrantSpec>| grant.servers.include(&server.name, &server.labels);
    let mut grants: Vec<&Candidate<ToolGrantSpec>> = inputs.grants.iter().filter(opening).collect();
    grants.sort_by(|left, right| left.name.cmp(&right.name));
    for grant in grants {
        if let Ok(spec) = &grant.spec {
            let last =
                previous.and_then(|previous| previous.grants.iter().find(|last| last.uid == grant.uid));
            bundled.push(render_grant(grant, spec, last, revision));
        }
        let in_force = if grant.spec.is_ok() { InForce::This } else { InForce::Nothing };
        reports.push(report(grant, in_force));
    }
    over_limit(&mut reports, GRANTS_MAX);
    (bundled, reports)
}

fn render_grant(
    grant: &Candidate<ToolGrantSpec>,
    spec: &ToolGrantSpec,
    last: Option<&BundledGrant>,
    revision: i64,
) -> BundledGrant {
    let bundled = BundledGrant {
        name: grant.name.clone(),
        uid: grant.uid.clone(),
        generation: grant.generation,
        revision,
        spec: spec.clone(),
    };
    match last {
        Some(last) if (BundledGrant { revision: last.revision, ..bundled.clone() }) == *last => last.clone(),
        _ => bundled,
    }
}

// A gateway refuses a bundle that is too large as a whole and keeps its last one; the objects past the limit say why.
fn over_limit(reports: &mut [Report], most: usize) {
    for report in reports.iter_mut().skip(most) {
        let message = format!("the server has more than {most} of these; its gateways keep what they had");
        report.errors.push(FieldError::new("metadata.name", message));
    }
}

fn report<S>(candidate: &Candidate<S>, in_force: InForce) -> Report {
    Report {
        name: candidate.name.clone(),
        uid: candidate.uid.clone(),
        generation: candidate.generation,
        in_force,
        errors: candidate.errors().to_vec(),
    }
}
