//! Where gateway pods run.

use k8s_openapi::api::core::v1::{PodSpec, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use toolgate_crds::Gateway;
use toolgate_policy::BundledServer;

use crate::labels;

/// What pods are spread over where the server does not say.
const SPREAD_OVER: [&str; 2] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"];
/// The label by which the pods of one ReplicaSet are told from those of another.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// Places pods. The default spread is there for a single pod too: more of them must not replace the first.
pub(super) fn place(pod: PodSpec, server: &BundledServer) -> PodSpec {
    let none = Gateway::default();
    let gateway = server.spec.gateway.as_ref().unwrap_or(&none);
    let spread = match &gateway.topology_spread_constraints {
        Some(wanted) => wanted.iter().map(|constraint| about_own_pods(constraint.clone(), server)).collect(),
        None => SPREAD_OVER.map(|key| spread_over(key, server)).into(),
    };
    PodSpec {
        node_selector: (!gateway.node_selector.is_empty()).then(|| gateway.node_selector.clone()),
        tolerations: (!gateway.tolerations.is_empty()).then(|| gateway.tolerations.clone()),
        affinity: gateway.affinity.clone(),
        topology_spread_constraints: Some(spread).filter(|spread: &Vec<_>| !spread.is_empty()),
        priority_class_name: gateway.priority_class_name.as_ref().map(ToString::to_string),
        ..pod
    }
}

// A constraint without a selector would be about no pod at all.
fn about_own_pods(constraint: TopologySpreadConstraint, server: &BundledServer) -> TopologySpreadConstraint {
    let label_selector = constraint.label_selector.or_else(|| Some(own_pods(server)));
    TopologySpreadConstraint { label_selector, ..constraint }
}

fn spread_over(key: &str, server: &BundledServer) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(own_pods(server)),
        // In a rolling update the new pods are spread by themselves.
        match_label_keys: Some(vec![POD_TEMPLATE_HASH.to_owned()]),
        ..TopologySpreadConstraint::default()
    }
}

fn own_pods(server: &BundledServer) -> LabelSelector {
    LabelSelector { match_labels: Some(labels::selector(server)), ..LabelSelector::default() }
}
