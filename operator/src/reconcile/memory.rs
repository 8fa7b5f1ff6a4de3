//! What a server's reconcile remembers for its next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use toolgate_crds::status::EnforcedObject;
use toolgate_policy::{Bundle, Packed};

use crate::child::ChildKind;

/// What a reconcile leaves to its next one. Empty at the start, and for a server with another UID.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The bundle that is in the ConfigMap, as far as this process knows.
    pub applied: Option<AppliedBundle>,
    /// The bundle that all gateways enforced when they last agreed.
    pub confirmed: Option<Arc<Confirmed>>,
    /// Policies that gateways may still enforce though the bundle has them no more: names and UIDs.
    pub leaving_policies: BTreeMap<String, String>,
    /// The same of grants.
    pub leaving_grants: BTreeMap<String, String>,
    /// What was written last to each child.
    pub written: BTreeMap<ChildKind, Written>,
    /// The greatest revision of a bundle that a gateway enforces and that is not ours; 0 if there is none.
    pub ahead: i64,
    /// How often gateways were asked since something changed.
    pub polls: u32,
}

/// A bundle that is in the ConfigMap.
#[derive(Clone, Debug)]
pub struct AppliedBundle {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// Its digest.
    pub hash: String,
    /// How it is kept there.
    pub packed: Arc<Packed>,
}

/// What was in force when all gateways agreed.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The bundle's revision.
    pub revision: i64,
    /// The bundle's digest.
    pub hash: String,
    /// The generation of the server in it.
    pub server_generation: i64,
    /// Its policies.
    pub policies: Vec<EnforcedObject>,
    /// Its grants.
    pub grants: Vec<EnforcedObject>,
}

/// A write, and what the API server made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of what was wanted.
    pub wanted: String,
    /// Digest of what came of it.
    pub result: String,
    /// Its version then.
    pub version: Option<u64>,
}

impl Confirmed {
    /// What a bundle confirms once all gateways enforce it.
    pub fn of(bundle: &Bundle, hash: &str) -> Self {
        let policies = bundle.policies.iter().map(|policy| EnforcedObject {
            name: policy.name.clone(),
            uid: policy.uid.clone(),
            generation: policy.generation,
            revision: policy.revision,
        });
        let grants = bundle.grants.iter().map(|grant| EnforcedObject {
            name: grant.name.clone(),
            uid: grant.uid.clone(),
            generation: grant.generation,
            revision: grant.revision,
        });
        Self {
            revision: bundle.revision,
            hash: hash.to_owned(),
            server_generation: bundle.server.generation,
            policies: policies.collect(),
            grants: grants.collect(),
        }
    }
}
