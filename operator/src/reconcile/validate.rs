//! Judges every object and renders the bundle. No client, no clock.

use std::sync::Arc;

use toolgate_crds::{FieldError, McpServerSpec, ToolPolicy, ToolPolicySpec};
use toolgate_policy::{Bundle, Candidate, Half, Inputs, Packed, Rendered, Report, TooLarge, render};

use super::build::GatewaySettings;
use super::observe::Observed;
use crate::candidates::Candidates;
use crate::raw::Raw;

/// A bundle, and how it is kept.
pub type Whole = (Arc<Bundle>, Arc<Packed>);

/// What is to be in force, and what became of every object.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The bundle, and how it is kept. None: the server never was good, so nothing can be in force.
    pub bundle: Option<Whole>,
    /// The bundle is too large, and not by what is new in it, so what was applied stays.
    pub too_large: Option<TooLarge>,
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
pub fn validate(
    observed: &Observed,
    candidates: &Candidates,
    settings: &GatewaySettings,
    revision_floor: i64,
) -> Validated {
    let server = choosing_no_foreign_image(Candidate::server(&observed.server.whole()), settings);
    let applied = observed.memory.applied.as_ref();
    let judged = |policy: &Arc<Raw<ToolPolicy>>| {
        Candidates::applied(policy, applied)
            .unwrap_or_else(|| Arc::unwrap_or_clone(candidates.policy(policy)))
    };
    let mut policies: Vec<_> = observed.policies.iter().map(judged).collect();
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
    match pack(&rendered, observed) {
        Ok(bundle) => validated(rendered, bundle, None),
        Err(too_large) => {
            refuse_new(&mut policies, observed.previous.as_deref(), &too_large);
            let rendered = render_with(&policies);
            match pack(&rendered, observed) {
                Ok(bundle) => validated(rendered, bundle, None),
                Err(too_large) => validated(rendered, None, Some(too_large)),
            }
        }
    }
}

// Whose programs hold a server's credential is the platform's to say.
fn choosing_no_foreign_image(
    mut server: Candidate<McpServerSpec>,
    settings: &GatewaySettings,
) -> Candidate<McpServerSpec> {
    let gateway = server.spec.as_ref().ok().and_then(|spec| spec.gateway.as_ref());
    let Some(image) = gateway.and_then(|gateway| gateway.image.as_ref()) else { return server };
    if !settings.allows(image) {
        let allowed = settings.allowed_images.join(", ");
        let message = match allowed.as_str() {
            "" => "the platform lets no server choose an image".to_owned(),
            allowed => format!("{image} is none of those that the platform allows: {allowed}"),
        };
        server.spec = Err(vec![FieldError::new("spec.gateway.image", message)]);
    }
    server
}

fn refuse_new(policies: &mut [Candidate<ToolPolicySpec>], previous: Option<&Bundle>, too_large: &TooLarge) {
    let known = |policy: &Candidate<ToolPolicySpec>| {
        let mut last = previous.iter().flat_map(|previous| &previous.policies);
        last.any(|last| last.uid == policy.uid && last.generation == policy.generation && last.spec.is_some())
    };
    for policy in policies.iter_mut().filter(|policy| policy.spec.is_ok()) {
        if !known(policy) {
            let message = format!("with it, the policies and grants of a server take {too_large}");
            policy.spec = Err(vec![FieldError::new("spec", message)]);
        }
    }
}

// Where a gateway is ahead, even a bundle that has not changed gets a new number, or it would never be taken.
fn pack(rendered: &Rendered, observed: &Observed) -> Result<Option<Whole>, TooLarge> {
    let Some(bundle) = &rendered.bundle else { return Ok(None) };
    let revision = bundle.revision.max(observed.memory.ahead + 1);
    // At rest nothing is packed anew.
    if let Some(applied) = &observed.memory.applied
        && revision == applied.bundle.revision
        && *bundle == *applied.bundle
    {
        return Ok(Some((applied.bundle.clone(), applied.packed.clone())));
    }
    let bundle = Bundle { revision, ..bundle.clone() };
    let packed = Packed::of(&bundle)?;
    let (bundle, packed) = match in_force(observed) {
        // Never over the shards that gateways are to read now.
        Some(last) if packed.is_sharded() && last != revision && Half::of(last) == Half::of(revision) => {
            let bundle = Bundle { revision: revision + 1, ..bundle };
            let packed = Packed::of(&bundle)?;
            (bundle, packed)
        }
        _ => (bundle, packed),
    };
    Ok(Some((Arc::new(bundle), Arc::new(packed))))
}

fn in_force(observed: &Observed) -> Option<i64> {
    observed.previous.as_ref().map(|previous| previous.revision)
}

fn validated(rendered: Rendered, bundle: Option<Whole>, too_large: Option<TooLarge>) -> Validated {
    let Rendered { bundle: _, server, policies, grants } = rendered;
    Validated { bundle, too_large, server, policies, grants }
}
