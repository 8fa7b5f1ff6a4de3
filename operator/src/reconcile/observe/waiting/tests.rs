use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{TROUBLES_MAX, Waiting};

const IS_CREATED: &str =
    "is being created, which takes the Secret ca, the Secret kommo-mcp with authorization";

fn pod(name: &str, status: &Value) -> Arc<Pod> {
    let spec = json!({"containers": [], "volumes": [
        {"name": "a", "secret": {"secretName": "kommo-mcp", "items": [{"key": "authorization", "path": "a"}]}},
        {"name": "b", "secret": {"secretName": "ca"}},
        {"name": "c", "secret": {"secretName": "unneeded", "optional": true}},
        {"name": "d", "configMap": {"name": "bundle"}},
    ]});
    Arc::new(
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec, "status": status})).unwrap(),
    )
}

fn container(state: &Value, restarts: i32, last: &Value) -> Value {
    json!({"containerStatuses": [{
        "name": "gateway", "image": "gate:7", "imageID": "", "ready": false, "restartCount": restarts,
        "state": state, "lastState": last,
    }]})
}

fn waits(reason: &str, message: &str) -> Value {
    container(&json!({"waiting": {"reason": reason, "message": message}}), 0, &json!({}))
}

fn unscheduled(message: &str) -> Value {
    json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]})
}

fn waiting(pods: &[(&str, Value)]) -> Waiting {
    Waiting::of(&pods.iter().map(|(name, status)| pod(name, status)).collect::<Vec<_>>())
}

#[test]
fn what_is_wrong_with_a_pod_is_told() {
    let cases = [
        (unscheduled("0/1 nodes are available"), "is not scheduled: 0/1 nodes are available"),
        (waits("ErrImagePull", "not found"), "cannot pull the image gate:7"),
        (waits("InvalidImageName", "no name"), "cannot start: InvalidImageName: no name"),
        (waits("CreateContainerError", ""), "cannot start: CreateContainerError"),
    ];
    for (status, expected) in cases {
        let expected = Waiting { troubles: vec![format!("pod crm-0 {expected}")], needs: None };
        assert_eq!(waiting(&[("crm-0", status.clone())]), expected, "{status}");
    }
}

#[test]
fn a_pod_that_is_created_is_no_trouble_but_what_it_needs_is_told() {
    for reason in ["ContainerCreating", "PodInitializing"] {
        let expected = Waiting { troubles: Vec::new(), needs: Some(format!("pod crm-0 {IS_CREATED}")) };
        assert_eq!(waiting(&[("crm-0", waits(reason, ""))]), expected);
    }
}

#[test]
fn nothing_is_told_of_a_pod_that_starts_is_ready_or_is_over() {
    let starts = container(&json!({"running": {}}), 0, &json!({}));
    let ready = json!({"podIP": "192.0.2.1", "conditions": [{"type": "Ready", "status": "True"}]});
    let mut evicted = unscheduled("too late");
    evicted["phase"] = json!("Failed");
    for status in [json!({}), starts, ready, evicted] {
        assert_eq!(waiting(&[("crm-0", status.clone())]), Waiting::default(), "{status}");
    }
    let mut leaves: Pod = (*pod("crm-0", &unscheduled("too late"))).clone();
    leaves.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(Waiting::of(&[Arc::new(leaves)]), Waiting::default());
}

#[test]
fn what_is_told_of_a_failing_pod_stands_still_from_attempt_to_attempt() {
    let ended = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
    let back_off = |message: &str| json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
    let attempts = [
        container(&back_off("back-off 10s"), 1, &ended),
        container(&json!({"running": {}}), 2, &ended),
        container(&ended, 2, &ended),
        container(&back_off("back-off 5m0s"), 7, &ended),
    ];
    for status in attempts {
        let expected = "pod crm-0 is started again and again: its container gateway ends (exit code 2)";
        assert_eq!(waiting(&[("crm-0", status)]).troubles, [expected]);
    }
    let pulls =
        ["ErrImagePull", "ImagePullBackOff"].map(|reason| waiting(&[("crm-0", waits(reason, reason))]));
    assert_eq!(pulls[0], pulls[1]);
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let killed = container(&json!({"running": {}}), 3, &killed);
    let expected = "pod crm-0 is started again and again: its container gateway ends (OOMKilled)";
    assert_eq!(waiting(&[("crm-0", killed)]).troubles, [expected]);
}

#[test]
fn of_several_pods_each_trouble_is_told_once_and_before_what_merely_starts() {
    let pods = [
        ("crm-0", waits("ContainerCreating", "")),
        ("crm-1", unscheduled("no room")),
        ("crm-2", unscheduled("no room")),
        ("crm-3", waits("ErrImagePull", "")),
    ];
    let told = waiting(&pods);
    let expected = ["pod crm-3 cannot pull the image gate:7", "pod crm-1 is not scheduled: no room"];
    assert_eq!(told.troubles, expected);
    assert_eq!(told.needs, Some(format!("pod crm-0 {IS_CREATED}")));
}

#[test]
fn so_many_troubles_are_told_and_not_one_more() {
    let told = |count: usize| {
        let pods: Vec<_> =
            (0..count).map(|index| ("crm", unscheduled(&format!("for reason {index}")))).collect();
        waiting(&pods).troubles.len()
    };
    assert_eq!((told(TROUBLES_MAX), told(TROUBLES_MAX + 1)), (TROUBLES_MAX, TROUBLES_MAX));
}
