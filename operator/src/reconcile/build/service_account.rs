//! The ServiceAccount of a server's gateway pods.

use k8s_openapi::api::core::v1::ServiceAccount;
use toolgate_policy::BundledServer;

use super::metadata;

pub(super) fn build(server: &BundledServer) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(server),
        // Whatever else runs under this account gets no token unasked; the gateway's pods ask.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
