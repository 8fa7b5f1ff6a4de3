//! The RoleBinding of a server's gateway pods.

use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use toolgate_policy::BundledServer;

use super::{child_name, metadata};

pub(super) fn build(server: &BundledServer) -> RoleBinding {
    let name = child_name(server);
    RoleBinding {
        metadata: metadata(server),
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name,
            namespace: Some(server.namespace.clone()),
            ..Subject::default()
        }]),
    }
}
