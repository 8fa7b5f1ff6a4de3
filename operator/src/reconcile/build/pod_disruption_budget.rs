//! How many of a server's gateway pods may be evicted at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_policy::BundledServer;

use super::metadata;
use crate::labels;

/// How many pods may be evicted at a time where the server does not say.
const MAX_UNAVAILABLE: i32 = 1;

/// There is none for a single pod: it would hold up every drain of a node for nothing.
pub(super) fn build(server: &BundledServer) -> Option<PodDisruptionBudget> {
    let gateway = server.spec.gateway.as_ref();
    let wanted = gateway.and_then(|gateway| gateway.pod_disruption_budget.as_ref());
    let enabled = wanted.and_then(|budget| budget.enabled).unwrap_or(true);
    if !enabled || !server.spec.may_have_several() {
        return None;
    }
    let max = wanted.and_then(|budget| budget.max_unavailable).unwrap_or(MAX_UNAVAILABLE);
    Some(PodDisruptionBudget {
        metadata: metadata(server),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(max)),
            selector: Some(LabelSelector {
                match_labels: Some(labels::selector(server)),
                ..LabelSelector::default()
            }),
            // A gateway that does not serve anyway must not hold up the drain of its node.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
