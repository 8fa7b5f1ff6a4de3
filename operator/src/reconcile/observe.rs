//! Gathers what is known of a server: its objects, its children, its pods. From the caches; no API server is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use toolgate_crds::status::McpServerStatus;
use toolgate_crds::{INTEGER_MAX, McpServer, ToolGrant, ToolPolicy};
use toolgate_policy::{Bundle, InvalidBundle};

use super::build::BUNDLE_KEY;
use super::memory::Memory;
use crate::child::ChildKind;
use crate::gateways::ReadyPod;
use crate::raw::Raw;
use crate::stores::Stores;
use crate::{labels, names};

/// Everything that a reconcile is made from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The server.
    pub server: Arc<Raw<McpServer>>,
    /// Policies of its namespace that concern it.
    pub policies: Vec<Arc<Raw<ToolPolicy>>>,
    /// Grants of its namespace that concern it.
    pub grants: Vec<Arc<Raw<ToolGrant>>>,
    /// Its children, as far as they carry our label.
    pub children: BTreeMap<ChildKind, Value>,
    /// Its gateway pods that are Ready and not terminating.
    pub pods: Vec<ReadyPod>,
    /// The bundle that is in force now, where it can be read.
    pub previous: Option<Arc<Bundle>>,
    /// The greatest revision in the ConfigMap and the status.
    pub revision_floor: i64,
    /// What the last reconcile left.
    pub memory: Memory,
}

/// Gathers what is known of a server.
pub fn observe(stores: &Stores, server: Arc<Raw<McpServer>>, memory: Memory) -> Observed {
    let name = names::child(server.name(), server.uid());
    let config_map = own_config_map(stores, &server, &name);
    // What this process wrote itself is newer than any cache, and nobody else has touched it.
    let applied = memory.applied.as_ref().map(|applied| applied.bundle.clone());
    let previous = applied.or_else(|| config_map.as_deref().and_then(stored_bundle));
    let stored_revision = config_map.as_deref().and_then(stored_revision);
    let child = |kind| Some((kind, stores.child(kind, server.namespace(), &name)?));
    let status: McpServerStatus = server.status();
    Observed {
        policies: policies(stores, &server, previous.as_deref()),
        grants: grants(stores, &server),
        children: ChildKind::ALL.into_iter().filter_map(child).collect(),
        pods: ready_pods(stores, &server),
        revision_floor: [stored_revision, status.revision]
            .into_iter()
            .flatten()
            .filter(sane)
            .max()
            .unwrap_or(0),
        previous,
        memory,
        server,
    }
}

/// Whether a revision can be one of ours. One that somebody wrote by hand must not use up all that follow.
pub fn sane(revision: &i64) -> bool {
    (0..INTEGER_MAX).contains(revision)
}

/// Whether a list of references names a server.
pub fn names_server(references: &Value, server: &str) -> bool {
    references.as_array().is_some_and(|references| {
        references.iter().any(|reference| reference["name"].as_str() == Some(server))
    })
}

fn own_config_map(stores: &Stores, server: &Raw<McpServer>, name: &str) -> Option<Arc<ConfigMap>> {
    let config_map = stores.config_maps.get(&ObjectRef::new(name).within(server.namespace()));
    config_map.filter(|config_map| is_controlled_by(config_map, server.uid()))
}

fn stored_bundle(config_map: &ConfigMap) -> Option<Arc<Bundle>> {
    let text = config_map.data.as_ref()?.get(BUNDLE_KEY)?;
    let lost = |error: &InvalidBundle| {
        tracing::warn!(config_map = config_map.metadata.name, %error, "what was in force before is lost");
    };
    Bundle::from_json(text).inspect_err(lost).ok().map(Arc::new)
}

// Also of a bundle that cannot be read: what follows must be newer than it.
fn stored_revision(config_map: &ConfigMap) -> Option<i64> {
    config_map.metadata.annotations.as_ref()?.get(labels::REVISION)?.parse().ok()
}

fn is_controlled_by(config_map: &ConfigMap, uid: &str) -> bool {
    let owners = config_map.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

fn policies(
    stores: &Stores,
    server: &Raw<McpServer>,
    previous: Option<&Bundle>,
) -> Vec<Arc<Raw<ToolPolicy>>> {
    // A bad edit may have lost its targets; the last good version still binds those that it had.
    let was_bound =
        |uid: &str| previous.is_some_and(|previous| previous.policies.iter().any(|last| last.uid == uid));
    stores.policies.state_filter(|policy| {
        policy.namespace() == server.namespace()
            && (names_server(policy.spec("targetRefs"), server.name()) || was_bound(policy.uid()))
    })
}

fn grants(stores: &Stores, server: &Raw<McpServer>) -> Vec<Arc<Raw<ToolGrant>>> {
    stores.grants.state_filter(|grant| {
        grant.namespace() == server.namespace() && names_server(grant.spec("servers"), server.name())
    })
}

fn ready_pods(stores: &Stores, server: &Raw<McpServer>) -> Vec<ReadyPod> {
    let of_server = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        pod.metadata.namespace.as_deref() == Some(server.namespace())
            && labels.and_then(|labels| labels.get(labels::SERVER_UID)).is_some_and(|uid| uid == server.uid())
    };
    let mut pods: Vec<ReadyPod> =
        stores.pods.state_filter(of_server).iter().filter_map(|pod| ReadyPod::of(pod)).collect();
    pods.sort();
    pods
}
