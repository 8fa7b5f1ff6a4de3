//! The Role of a server's gateway pods: to watch the one ConfigMap with their bundle, and nothing else.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use toolgate_policy::BundledServer;

use super::{child_name, metadata};

pub(super) fn build(server: &BundledServer) -> Role {
    Role {
        metadata: metadata(server),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![String::new()]),
            resources: Some(vec!["configmaps".to_owned()]),
            resource_names: Some(vec![child_name(server)]),
            // A watch that begins with a list needs all three, also for a single name.
            verbs: ["get", "list", "watch"].map(str::to_owned).into(),
            ..PolicyRule::default()
        }]),
    }
}
