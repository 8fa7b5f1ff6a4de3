//! Judges every object and renders the bundle. No client, no clock.

use std::sync::Arc;

use toolgate_crds::{FieldError, ToolPolicySpec};
use toolgate_policy::{Bundle, Candidate, Inputs, Rendered, Report, render};

use super::observe::Observed;
use crate::candidates::Candidates;

/// The most bytes of a bundle. A ConfigMap takes 1 MiB of data; the rest is for what it is wrapped in.
pub const BUNDLE_BYTES_MAX: usize = 1_000_000;

/// What is to be in force, and what became of every object.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The bundle and its digest. None: the server never was good, so nothing can be in force.
    pub bundle: Option<(Bundle, String)>,
    /// What became of the server.
    pub server: Report,
    /// What became of each policy.
    pub policies: Vec<Report>,
    /// What became of each grant.
    pub grants: Vec<Report>,
}

/// Judges what was observed. `revision_floor` is the greatest revision that was ever seen for this server's UID.
///
/// A bundle that is too large is the fault of the policies that are new in it: they are refused, so that everything else
/// (a revoked grant above all) still comes into force.
pub fn validate(observed: &Observed, candidates: &Candidates, revision_floor: i64) -> Validated {
    let server = Candidate::server(&observed.server.whole());
    let policies = observed.policies.iter().map(|policy| candidates.policy(policy));
    let mut policies: Vec<_> = policies.map(Arc::unwrap_or_clone).collect();
    let grants = observed.grants.iter().map(|grant| candidates.grant(grant));
    let grants: Vec<_> = grants.map(Arc::unwrap_or_clone).collect();
    let render_with = |policies: &[Candidate<ToolPolicySpec>]| {
        render(&Inputs {
            server: &server,
            policies,
            grants: &grants,
            previous: observed.previous.as_deref(),
            revision_floor,
        })
    };
    let rendered = render_with(&policies);
    let bytes = rendered.bundle.as_ref().map_or(0, |bundle| bundle.to_json().len());
    if bytes <= BUNDLE_BYTES_MAX {
        return validated(rendered);
    }
    refuse_new(&mut policies, observed.previous.as_deref(), bytes);
    validated(render_with(&policies))
}

fn refuse_new(policies: &mut [Candidate<ToolPolicySpec>], previous: Option<&Bundle>, bytes: usize) {
    let known = |policy: &Candidate<ToolPolicySpec>| {
        let mut last = previous.iter().flat_map(|previous| &previous.policies);
        last.any(|last| last.uid == policy.uid && last.generation == policy.generation && last.spec.is_some())
    };
    for policy in policies.iter_mut().filter(|policy| policy.spec.is_ok()) {
        if !known(policy) {
            let message = format!(
                "with it, the policies and grants of a server take {bytes} bytes; at most {BUNDLE_BYTES_MAX} fit"
            );
            policy.spec = Err(vec![FieldError::new("spec", message)]);
        }
    }
}

fn validated(rendered: Rendered) -> Validated {
    let Rendered { bundle, server, policies, grants } = rendered;
    let bundle = bundle.map(|bundle| {
        let hash = bundle.hash();
        (bundle, hash)
    });
    Validated { bundle, server, policies, grants }
}
