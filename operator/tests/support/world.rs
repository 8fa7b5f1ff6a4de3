//! Objects for tests. Their names are nobody's default, so that a swapped name shows.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Resource;
use serde_json::{Value, json};
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};
use toolgate_operator::candidates::Candidates;
use toolgate_operator::raw::Raw;
use toolgate_operator::reconcile::build::GatewaySettings;
use toolgate_operator::reconcile::memory::Memory;
use toolgate_operator::reconcile::observe::{Observed, Waiting};
use toolgate_operator::reconcile::validate::{Validated, validate};

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const SERVER: &str = "crm";
pub(crate) const SERVER_UID: &str = "uid-of-crm";
pub(crate) const CHILD: &str = "crm-toolgate";
pub(crate) const UPSTREAM: &str = "upstream: {url: http://crm-mcp:3001/mcp}";

/// An object as the API server stores it. Its UID is `uid-of-<name>`.
pub(crate) fn raw<K: Resource<DynamicType = ()>>(name: &str, generation: i64, spec: &str) -> Arc<Raw<K>> {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    let metadata = json!({
        "name": name, "namespace": NAMESPACE, "uid": format!("uid-of-{name}"), "generation": generation,
    });
    Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
}

pub(crate) fn server(generation: i64, spec: &str) -> Arc<Raw<McpServer>> {
    raw(SERVER, generation, spec)
}

/// A policy for the server; `spec` is the rest of it.
pub(crate) fn policy(name: &str, generation: i64, spec: &str) -> Arc<Raw<ToolPolicy>> {
    raw(name, generation, &format!("targetRefs: [{{kind: McpServer, name: {SERVER}}}]\n{spec}"))
}

/// A grant for the server; `spec` is the rest of it.
pub(crate) fn grant(name: &str, generation: i64, spec: &str) -> Arc<Raw<ToolGrant>> {
    let token = "0".repeat(64);
    let subject = format!("subject: {{type: Token, token: {{sha256: \"{token}\"}}}}");
    raw(name, generation, &format!("servers: [{{name: {SERVER}}}]\n{subject}\n{spec}"))
}

/// A server with nothing else.
pub(crate) fn observed(server: Arc<Raw<McpServer>>) -> Observed {
    Observed {
        server,
        policies: Vec::new(),
        grants: Vec::new(),
        children: BTreeMap::new(),
        pods: Vec::new(),
        pods_there: 0,
        waiting: Waiting::default(),
        previous: None,
        revision_floor: 0,
        memory: Memory::default(),
    }
}

pub(crate) fn validated(observed: &Observed) -> Validated {
    validate(observed, &Candidates::default(), &settings(), observed.revision_floor)
}

pub(crate) fn settings() -> GatewaySettings {
    GatewaySettings {
        image: "registry.example/gate:7".to_owned(),
        image_pull_policy: "Always".to_owned(),
        image_pull_secrets: Vec::new(),
        audit: "stdout".to_owned(),
        traces: None,
        allowed_images: vec!["registry.example/gate-of-ours@".to_owned()],
        refuse_private_addresses: false,
        network_policy: false,
        admin_peers: Vec::new(),
    }
}
