//! Gathers what is known of a server: its objects, its children, its pods. From the caches; no API server is asked.

mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use toolgate_crds::status::McpServerStatus;
use toolgate_crds::{INTEGER_MAX, McpServer, ToolGrant, ToolPolicy};
use toolgate_policy::{
    BUNDLE_KEY, Bundle, GZIP_KEY, HEAD_KEY, Head, InvalidBundle, References, Shard, inflate,
};

use super::memory::Memory;
use crate::child::ChildKind;
use crate::gateways::ReadyPod;
use crate::raw::Raw;
use crate::stores::Stores;
use crate::{labels, names};

pub use waiting::{TROUBLES_MAX, Waiting};

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
    /// How many gateway pods there are that do not terminate, Ready or not.
    pub pods_there: usize,
    /// Why other gateway pods of it are not Ready.
    pub waiting: Waiting,
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
    let applied = memory.applied.as_ref().map(|applied| applied.bundle.clone());
    let stored_revision = config_map.as_deref().and_then(stored_revision);
    // What this process wrote itself is newer than any cache, unless another operator led in the meantime.
    let is_newer = |applied: &Arc<Bundle>| stored_revision.is_some_and(|stored| stored > applied.revision);
    let newer = config_map.as_deref().filter(|_| applied.as_ref().is_none_or(is_newer));
    let previous = newer.and_then(|config_map| stored_bundle(stores, &server, config_map)).or(applied);
    let child = |kind: ChildKind| {
        let name = kind.name(server.name(), server.uid());
        Some((kind, stores.child(kind, server.namespace(), &name)?))
    };
    let status: McpServerStatus = server.status();
    let pods = pods(stores, &server);
    Observed {
        policies: policies(stores, &server, previous.as_deref()),
        grants: grants(stores, &server),
        children: ChildKind::shards().chain(ChildKind::ALL).filter_map(child).collect(),
        pods: ready_pods(&pods),
        pods_there: pods.iter().filter(|pod| !waiting::is_over(pod)).count(),
        waiting: Waiting::of(&pods),
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

/// Whether references are for a server.
pub fn concern(references: &References, server: &Raw<McpServer>) -> bool {
    references.include(server.name(), server.labels())
}

fn own_config_map(stores: &Stores, server: &Raw<McpServer>, name: &str) -> Option<Arc<ConfigMap>> {
    let config_map = stores.config_maps.get(&ObjectRef::new(name).within(server.namespace()));
    config_map.filter(|config_map| is_controlled_by(config_map, server.uid()))
}

fn stored_bundle(stores: &Stores, server: &Raw<McpServer>, config_map: &ConfigMap) -> Option<Arc<Bundle>> {
    let lost = |error: &InvalidBundle| {
        tracing::warn!(config_map = config_map.metadata.name, %error, "what was in force before is lost");
    };
    let text = |key: &str| config_map.data.as_ref()?.get(key);
    let bytes = |key: &str| config_map.binary_data.as_ref()?.get(key);
    let read = if let Some(whole) = text(BUNDLE_KEY) {
        Bundle::from_json(whole)
    } else if let Some(ByteString(compressed)) = bytes(GZIP_KEY) {
        inflate(compressed).and_then(|whole| Bundle::from_json(&whole))
    } else {
        Head::from_json(text(HEAD_KEY)?).and_then(|head| head.join(&shards(stores, server, &head)))
    };
    read.inspect_err(lost).ok().map(Arc::new)
}

// As far as they are there.
fn shards(stores: &Stores, server: &Raw<McpServer>, head: &Head) -> Vec<Vec<u8>> {
    let part = |shard: Shard| {
        let name = ChildKind::Shard(shard).name(server.name(), server.uid());
        let config_map = own_config_map(stores, server, &name)?;
        Some(config_map.binary_data.as_ref()?.get(&shard.to_string())?.0.clone())
    };
    head.places().filter_map(part).collect()
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
            && (concern(&References::of_policy(&policy.spec("targetRefs")), server)
                || was_bound(policy.uid()))
    })
}

fn grants(stores: &Stores, server: &Raw<McpServer>) -> Vec<Arc<Raw<ToolGrant>>> {
    stores.grants.state_filter(|grant| {
        grant.namespace() == server.namespace()
            && concern(&References::of_grant(&grant.spec("servers")), server)
    })
}

// In the order of their names.
fn pods(stores: &Stores, server: &Raw<McpServer>) -> Vec<Arc<Pod>> {
    let of_server = |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        pod.metadata.namespace.as_deref() == Some(server.namespace())
            && labels.and_then(|labels| labels.get(labels::SERVER_UID)).is_some_and(|uid| uid == server.uid())
    };
    let mut pods = stores.pods.state_filter(of_server);
    pods.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
    pods
}

fn ready_pods(pods: &[Arc<Pod>]) -> Vec<ReadyPod> {
    pods.iter().filter_map(|pod| ReadyPod::of(pod)).collect()
}
