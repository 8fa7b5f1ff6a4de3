//! What a server says of its gateway's pods is refused with the field that is wrong.

use serde_json::{Value, json};
use toolgate_crds::FieldError;
use toolgate_policy::Candidate;

fn faults(gateway: &Value) -> String {
    let server = json!({
        "apiVersion": "toolgate.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "crm", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"upstream": {"url": "http://a/mcp"}, "gateway": gateway},
    });
    let errors: Vec<FieldError> = Candidate::server(&server).errors().to_vec();
    // Whether several pods may share counters is another test's matter.
    let errors: Vec<FieldError> =
        errors.into_iter().filter(|error| !error.message.contains("shared store")).collect();
    FieldError::join(&errors)
}

#[test]
fn an_autoscaler_is_one_of_the_two_and_goes_without_replicas() {
    let own = |scaling: Value| json!({"autoscaling": {"type": "HorizontalPodAutoscaler", "horizontalPodAutoscaler": scaling}});
    assert_eq!(faults(&own(json!({"maxReplicas": 3, "minReplicas": 3}))), "");
    assert_eq!(faults(&json!({"autoscaling": {"type": "External"}})), "");
    let path = "spec.gateway.autoscaling.horizontalPodAutoscaler";
    assert_eq!(
        faults(&own(json!({"maxReplicas": 3, "minReplicas": 4}))),
        format!("{path}.minReplicas: must be at most maxReplicas, 3")
    );
    assert_eq!(
        faults(&json!({"autoscaling": {"type": "HorizontalPodAutoscaler"}})),
        format!("{path}: is required for the type HorizontalPodAutoscaler")
    );
    assert_eq!(
        faults(&json!({"autoscaling": {"type": "External", "horizontalPodAutoscaler": {"maxReplicas": 2}}})),
        format!("{path}: does not belong to the type External")
    );
    assert_eq!(
        faults(&json!({"replicas": 2, "autoscaling": {"type": "External"}})),
        "spec.gateway.replicas: does not go with autoscaling, which decides it"
    );
}

#[test]
fn labels_and_annotations_leave_our_own_alone_and_are_such_as_kubernetes_takes() {
    assert_eq!(faults(&json!({"labels": {"team": "crm", "app.kubernetes.io/part-of": "shop"}})), "");
    for key in ["app.kubernetes.io/name", "app.kubernetes.io/managed-by"] {
        let told = format!("spec.gateway.labels[\"{key}\"]: is set by the operator");
        assert_eq!(faults(&json!({"labels": {key: "x"}})), told);
    }
    let own = "is the operator's own";
    assert_eq!(
        faults(&json!({"labels": {"toolgate.dev/server": "x"}})),
        format!("spec.gateway.labels[\"toolgate.dev/server\"]: {own}")
    );
    assert_eq!(
        faults(&json!({"annotations": {"toolgate.dev/applied": "x"}})),
        format!("spec.gateway.annotations[\"toolgate.dev/applied\"]: {own}")
    );
    assert_eq!(
        faults(&json!({"exposure": {"service": {"annotations": {"toolgate.dev/applied": "x"}}}})),
        format!("spec.gateway.exposure.service.annotations[\"toolgate.dev/applied\"]: {own}")
    );
    assert!(faults(&json!({"labels": {"team": "c r m"}})).starts_with("spec.gateway.labels.team: must be"));
    assert!(faults(&json!({"nodeSelector": {"a/b/c": "x"}})).starts_with("spec.gateway.nodeSelector"));
}

#[test]
fn a_mistyped_key_in_a_value_of_kubernetes_own_is_refused_at_every_depth() {
    let affinity = |term: Value| json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}});
    assert_eq!(
        faults(&affinity(json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}))),
        ""
    );
    let path = "spec.gateway.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    assert_eq!(
        faults(&affinity(json!({"topologyKey": "zone", "labelSelector": {"matchLabel": {"a": "b"}}}))),
        format!("{path}.labelSelector.matchLabel: unknown field; did you mean matchLabels?")
    );
    assert_eq!(
        faults(&json!({"tolerations": [{"key": "a", "opreator": "Exists"}]})),
        "spec.gateway.tolerations[0].opreator: unknown field; did you mean operator?"
    );
}

#[test]
fn as_many_entries_as_are_taken_and_one_more() {
    let tolerations = |count: usize| json!({"tolerations": vec![json!({"operator": "Exists"}); count]});
    assert_eq!(faults(&tolerations(toolgate_crds::ENTRIES_MAX)), "");
    assert_eq!(
        faults(&tolerations(toolgate_crds::ENTRIES_MAX + 1)),
        "spec.gateway.tolerations: must have at most 64 items, not 65"
    );
    let labels = |count: usize| {
        let labels: serde_json::Map<String, Value> =
            (0..count).map(|index| (format!("l{index}"), json!("x"))).collect();
        json!({"labels": labels})
    };
    assert_eq!(faults(&labels(toolgate_crds::ENTRIES_MAX)), "");
    assert_eq!(
        faults(&labels(toolgate_crds::ENTRIES_MAX + 1)),
        "spec.gateway.labels: must have at most 64 entries, not 65"
    );
}

#[test]
fn a_list_of_nobody_who_reaches_the_gateway_is_not_taken_for_everybody() {
    let told = faults(&json!({"networkPolicy": {"from": []}}));
    assert_eq!(told, "spec.gateway.networkPolicy.from: must name somebody; leave it out to let anybody in");
    assert_eq!(faults(&json!({"networkPolicy": {"from": [{"podSelector": {}}]}})), "");
}
