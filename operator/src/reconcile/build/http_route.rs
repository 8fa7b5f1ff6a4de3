//! The HTTPRoute that leads to a server's gateways from a Gateway of the Gateway API.

use serde_json::{Value, json};
use toolgate_crds::ParentReference;
use toolgate_policy::BundledServer;

use super::{PUBLIC_PATHS, child_name, metadata, service_port};
use crate::http_route::HttpRoute;

pub(super) fn build(server: &BundledServer) -> Option<HttpRoute> {
    let wanted = server.spec.exposure()?.http_route.as_ref()?;
    let matches: Vec<Value> =
        PUBLIC_PATHS.iter().map(|path| json!({"path": {"type": "Exact", "value": path}})).collect();
    let backend = json!({"name": child_name(server), "port": service_port(server)});
    let mut spec = json!({
        "parentRefs": wanted.parent_refs.iter().map(parent).collect::<Vec<Value>>(),
        "rules": [{"matches": matches, "backendRefs": [backend]}],
    });
    if !wanted.hostnames.is_empty() {
        spec["hostnames"] = json!(wanted.hostnames);
    }
    Some(HttpRoute::new(metadata(server), spec))
}

fn parent(reference: &ParentReference) -> Value {
    let mut parent = json!({"name": reference.name});
    if let Some(namespace) = &reference.namespace {
        parent["namespace"] = json!(namespace);
    }
    if let Some(section) = &reference.section_name {
        parent["sectionName"] = json!(section);
    }
    if let Some(port) = reference.port {
        parent["port"] = json!(port);
    }
    parent
}
