//! What the API server has when the operator starts.

use serde_json::{Value, json};

use super::store::{Path, Store};

/// So many namespaces, a server in each.
pub(super) const SERVERS_MAX: usize = 50;

/// Fills the store: the policies are spread over the servers, and each server has a few grants.
pub(super) fn fill(store: &Store, policies: usize) {
    let servers = SERVERS_MAX.min(policies.max(1));
    for server in 0..servers {
        let namespace = format!("team-{server}");
        let spec = json!({"upstream": {"url": "http://kommo-mcp:3001/mcp"}});
        put(store, &namespace, "McpServer", "mcpservers", "kommo", &spec);
        for grant in 0..3 {
            let subject =
                json!({"type": "Token", "token": {"sha256": format!("{:064x}", server * 3 + grant + 1)}});
            let spec = json!({"servers": [{"name": "kommo"}], "subject": subject});
            put(store, &namespace, "ToolGrant", "toolgrants", &format!("agent-{grant}"), &spec);
        }
    }
    for policy in 0..policies {
        let namespace = format!("team-{}", policy % servers);
        put(store, &namespace, "ToolPolicy", "toolpolicies", &format!("policy-{policy}"), &rules(policy));
    }
}

// As the sample policy has them.
fn rules(number: usize) -> Value {
    json!({
        "targetRefs": [{"kind": "McpServer", "name": "kommo"}],
        "default": "deny",
        "tools": {
            "get_leads": {},
            "get_lead": {},
            "move_lead": {"limits": [{"counter": format!("rate-{number}"), "window": "minute", "max": 30, "scope": "grant"}]},
            "update_lead": {"action": "deny", "reason": "change leads by move_lead; for the rest ask sales operations"},
        },
        "hide": ["stop_*"],
    })
}

fn put(store: &Store, namespace: &str, kind: &str, plural: &str, name: &str, spec: &Value) {
    let path = format!("/apis/toolgate.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}");
    let last = json!({"spec": spec}).to_string();
    let metadata = json!({
        "namespace": namespace, "name": name, "uid": format!("uid-of-{namespace}-{plural}-{name}"), "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        // What kubectl and the API server add to each object.
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last},
        "managedFields": [{
            "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "toolgate.dev/v1alpha1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:default": {}, "f:hide": {}, "f:targetRefs": {}, "f:tools": {"f:get_leads": {}, "f:move_lead": {}}}},
        }],
    });
    let object =
        json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    if let Some(path) = Path::parse(&path) {
        store.put(&path, object);
    }
}
