//! Judges every object and renders the bundle. No client, no clock.

use toolgate_policy::{Bundle, Candidate, Inputs, Report, render};

use super::observe::Observed;

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
pub fn validate(observed: &Observed, revision_floor: i64) -> Validated {
    let server = Candidate::server(&observed.server.whole());
    let policies: Vec<_> =
        observed.policies.iter().map(|policy| Candidate::policy(&policy.whole())).collect();
    let grants: Vec<_> = observed.grants.iter().map(|grant| Candidate::grant(&grant.whole())).collect();
    let rendered = render(&Inputs {
        server: &server,
        policies: &policies,
        grants: &grants,
        previous: observed.previous.as_deref(),
        revision_floor,
    });
    let bundle = rendered.bundle.map(|bundle| {
        let hash = bundle.hash();
        (bundle, hash)
    });
    Validated { bundle, server: rendered.server, policies: rendered.policies, grants: rendered.grants }
}
