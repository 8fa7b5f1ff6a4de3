//! What Prometheus would discover in Kubernetes by itself, as files: Debian's is built without that.
//!
//! Targets have the labels that its discovery gives them, so that monitors are read as they are.

use serde_json::{Map, Value, json};

/// Every port of every pod, as the role `pod` has it.
pub(super) fn pods(pods: &[Value]) -> Value {
    pods.iter().flat_map(|pod| ports(pod).into_iter().map(move |port| target(pod, &port))).collect()
}

/// Every port that Endpoints have, as the role `endpoints` has it; Endpoints have their Service's labels.
pub(super) fn endpoints(endpoints: &[Value], pods: &[Value]) -> Value {
    let mut targets = Vec::new();
    for one in endpoints {
        for subset in items(&one["subsets"]) {
            for (address, port) in items(&subset["addresses"])
                .iter()
                .flat_map(|address| items(&subset["ports"]).iter().map(move |port| (address, port)))
            {
                let is_it = |pod: &&Value| {
                    pod["metadata"]["name"] == address["targetRef"]["name"]
                        && pod["metadata"]["namespace"] == one["metadata"]["namespace"]
                };
                let Some(pod) = pods.iter().find(is_it) else { continue };
                let number = |found: &Port<'_>| *found.number == port["port"];
                let Some(found) = ports(pod).into_iter().find(|found| number(found)) else { continue };
                let mut target = target(pod, &found);
                let labels = target["labels"].as_object_mut();
                if let Some(labels) = labels {
                    add_labels(labels, "service", &one["metadata"]["labels"]);
                    labels.insert("__meta_kubernetes_endpoint_port_name".to_owned(), port["name"].clone());
                }
                targets.push(target);
            }
        }
    }
    Value::Array(targets)
}

struct Port<'p> {
    container: &'p Value,
    name: &'p Value,
    number: &'p Value,
}

fn ports(pod: &Value) -> Vec<Port<'_>> {
    let is_there = pod["status"]["podIP"].is_string() && pod["status"]["phase"] == "Running";
    let containers = items(&pod["spec"]["containers"]).iter().filter(|_| is_there);
    let of = |container: &'_ Value| container["ports"].as_array().map_or(0, Vec::len);
    containers
        .flat_map(|container| {
            (0..of(container)).map(move |index| Port {
                container: &container["name"],
                name: &container["ports"][index]["name"],
                number: &container["ports"][index]["containerPort"],
            })
        })
        .collect()
}

fn target(pod: &Value, port: &Port<'_>) -> Value {
    let mut labels = Map::new();
    for (name, value) in [
        ("namespace", &pod["metadata"]["namespace"]),
        ("pod_name", &pod["metadata"]["name"]),
        ("pod_container_name", port.container),
        ("pod_container_port_name", port.name),
    ] {
        labels.insert(format!("__meta_kubernetes_{name}"), value.clone());
    }
    labels.insert(
        "__meta_kubernetes_pod_container_port_number".to_owned(),
        Value::from(port.number.to_string()),
    );
    add_labels(&mut labels, "pod", &pod["metadata"]["labels"]);
    let address = format!("{}:{}", pod["status"]["podIP"].as_str().unwrap_or_default(), port.number);
    json!({"targets": [address], "labels": labels})
}

fn add_labels(to: &mut Map<String, Value>, object: &str, labels: &Value) {
    for (label, value) in labels.as_object().into_iter().flatten() {
        to.insert(format!("__meta_kubernetes_{object}_label_{}", sanitized(label)), value.clone());
    }
}

/// A label of Kubernetes' as Prometheus writes it.
pub(super) fn sanitized(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_endpoints_have_the_labels_that_prometheus_would_give_them() {
        let pod = json!({
            "metadata": {"name": "a", "namespace": "n", "labels": {"app.kubernetes.io/name": "toolgate"}},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": "10.0.0.1", "phase": "Running"},
        });
        let mut gone = pod.clone();
        gone["status"]["phase"] = json!("Failed");
        let labels = json!({
            "__meta_kubernetes_namespace": "n",
            "__meta_kubernetes_pod_name": "a",
            "__meta_kubernetes_pod_container_name": "c",
            "__meta_kubernetes_pod_container_port_name": "http",
            "__meta_kubernetes_pod_container_port_number": "8080",
            "__meta_kubernetes_pod_label_app_kubernetes_io_name": "toolgate",
        });
        let expected = json!({"targets": ["10.0.0.1:8080"], "labels": labels});
        assert_eq!(pods(&[pod.clone(), gone]), json!([expected]));

        let of_service = json!({
            "metadata": {"name": "s", "namespace": "n", "labels": {"part": "operator"}},
            "subsets": [{"addresses": [{"targetRef": {"name": "a"}}], "ports": [{"name": "web", "port": 8080}]}],
        });
        let mut expected = expected;
        expected["labels"]["__meta_kubernetes_service_label_part"] = json!("operator");
        expected["labels"]["__meta_kubernetes_endpoint_port_name"] = json!("web");
        assert_eq!(endpoints(&[of_service], &[pod]), json!([expected]));
    }
}
