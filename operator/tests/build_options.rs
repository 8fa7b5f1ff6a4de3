//! What a server says of its gateway's pods, and the objects that come and go with it.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use serde_json::{Value, json};
use toolgate_crds::{McpServer, strict};
use toolgate_operator::child::ChildKind;
use toolgate_operator::reconcile::build::{GatewaySettings, build};
use toolgate_policy::{Candidate, Inputs, Packed, render};
use world::{CHILD, NAMESPACE, SERVER, SERVER_UID, UPSTREAM, observed, server, settings};

/// What makes several pods possible.
const SHARED: &str = "counters: {redis: {url: 'redis://store:6379'}}";

/// The child of a kind that a server gets for these words about its gateway.
fn child(gateway: &str, kind: ChildKind) -> Option<Value> {
    child_with(gateway, kind, &settings())
}

fn child_with(gateway: &str, kind: ChildKind, settings: &GatewaySettings) -> Option<Value> {
    let server = server(1, &format!("{UPSTREAM}\n{SHARED}\ngateway: {gateway}")).whole();
    let spec = strict::parse::<McpServer>(&server);
    let server = Candidate { spec, ..Candidate::server(&server) };
    assert_eq!(server.errors(), [], "{gateway}");
    let inputs = Inputs { server: &server, policies: &[], grants: &[], previous: None, revision_floor: 0 };
    let bundle = render(&inputs).bundle.unwrap();
    let mut children = build(&bundle, &Packed::of(&bundle).unwrap(), settings).children();
    children.retain(|child| child.kind == kind);
    let mut object = children.pop()?.object;
    let annotations = object["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("toolgate.dev/applied");
    if annotations.is_empty() {
        object["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    Some(object)
}

fn pod(gateway: &str) -> Value {
    child(gateway, ChildKind::Deployment).unwrap()["spec"]["template"]["spec"].clone()
}

fn selector() -> Value {
    json!({"matchLabels": {
        "app.kubernetes.io/name": "toolgate",
        "app.kubernetes.io/component": "gateway",
        "toolgate.dev/server-uid": SERVER_UID,
    }})
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "namespace": NAMESPACE,
        "labels": {
            "app.kubernetes.io/name": "toolgate",
            "app.kubernetes.io/instance": SERVER,
            "app.kubernetes.io/component": "gateway",
            "app.kubernetes.io/managed-by": "toolgate-operator",
            "toolgate.dev/server": SERVER,
            "toolgate.dev/server-uid": SERVER_UID,
        },
        "ownerReferences": [{
            "apiVersion": "toolgate.dev/v1alpha1", "kind": "McpServer", "name": SERVER, "uid": SERVER_UID,
            "controller": true, "blockOwnerDeletion": true,
        }],
    })
}

#[test]
fn pods_are_placed_as_the_server_says() {
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}],
    }}});
    let toleration = json!({"key": "agents", "operator": "Exists", "effect": "NoSchedule"});
    let gateway = json!({
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [toleration],
        "affinity": affinity,
        "priorityClassName": "calls-first",
        "topologySpreadConstraints": [
            {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"},
            {"maxSkew": 1, "topologyKey": "row", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}},
        ],
    });
    let pod = pod(&gateway.to_string());
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
    assert_eq!(pod["tolerations"], json!([toleration]));
    assert_eq!(pod["affinity"], affinity);
    assert_eq!(pod["priorityClassName"], "calls-first");
    let spread = &pod["topologySpreadConstraints"];
    assert_eq!(
        spread[0]["labelSelector"],
        selector(),
        "one without a selector is about the gateway's own pods"
    );
    assert_eq!(spread[1]["labelSelector"], json!({"matchLabels": {"a": "b"}}));
    assert_eq!(self::pod("{topologySpreadConstraints: []}")["topologySpreadConstraints"], Value::Null);
}

#[test]
fn more_pods_leave_the_first_one_as_it_is() {
    assert_eq!(pod("{replicas: 1}"), pod("{replicas: 5}"));
}

#[test]
fn labels_and_annotations_are_added_and_our_own_stay() {
    let gateway = "{labels: {team: crm}, annotations: {example.com/scrape: 'yes'}}";
    let deployment = child(gateway, ChildKind::Deployment).unwrap();
    let service = child(gateway, ChildKind::Service).unwrap();
    let mut labels = metadata(CHILD)["labels"].clone();
    labels["team"] = json!("crm");
    let template = &deployment["spec"]["template"]["metadata"];
    for found in [&deployment["metadata"]["labels"], &service["metadata"]["labels"], &template["labels"]] {
        assert_eq!(*found, labels);
    }
    assert_eq!(template["annotations"], json!({"example.com/scrape": "yes"}));
    assert_eq!(deployment["metadata"].get("annotations"), None);
    // What holds the bundle is not disturbed by anything that a server wants for its pods.
    assert_eq!(child(gateway, ChildKind::ConfigMap).unwrap()["metadata"]["labels"].get("team"), None);
    assert_eq!(deployment["spec"]["selector"], selector());
}

#[test]
fn an_image_is_chosen_only_among_those_that_are_allowed() {
    let image = |gateway: &str| pod(gateway)["containers"][0]["image"].clone();
    assert_eq!(image("{}"), "registry.example/gate:7");
    let chosen = "registry.example/gate-of-ours@sha256:0";
    assert_eq!(image(&format!("{{image: '{chosen}'}}")), chosen);
    let errors = |image: &str| {
        let spec = format!("{UPSTREAM}\ngateway: {{image: '{image}'}}");
        let validated = world::validated(&observed(server(1, &spec)));
        assert!(validated.bundle.is_none());
        toolgate_crds::FieldError::join(&validated.server.errors)
    };
    assert_eq!(
        errors("registry.example/gate-of-theirs"),
        "spec.gateway.image: registry.example/gate-of-theirs is none of those that the platform allows: \
         registry.example/gate-of-ours@"
    );
    let nobody = GatewaySettings { allowed_images: Vec::new(), ..settings() };
    assert!(!nobody.allows(chosen));
    let exactly = GatewaySettings { allowed_images: vec!["a/gate".to_owned()], ..settings() };
    assert!(exactly.allows("a/gate") && !exactly.allows("a/gate-of-theirs"));
}

#[test]
fn a_disruption_budget_is_there_where_several_pods_may_be() {
    let budget = |gateway: &str| child(gateway, ChildKind::PodDisruptionBudget);
    let expected = |max: i32| {
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata(CHILD),
            "spec": {"maxUnavailable": max, "selector": selector(), "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        })
    };
    assert_eq!(budget("{replicas: 1}"), None);
    assert_eq!(budget("{replicas: 2}"), Some(expected(1)));
    assert_eq!(budget("{autoscaling: {type: External}}"), Some(expected(1)));
    assert_eq!(budget("{replicas: 9, podDisruptionBudget: {maxUnavailable: 3}}"), Some(expected(3)));
    assert_eq!(budget("{replicas: 9, podDisruptionBudget: {enabled: false}}"), None);
}

#[test]
fn an_autoscaler_takes_the_number_of_pods_over() {
    let external = "{autoscaling: {type: External}}";
    let own = "{autoscaling: {type: HorizontalPodAutoscaler, horizontalPodAutoscaler: {maxReplicas: 6}}}";
    for gateway in [external, own] {
        let deployment = child(gateway, ChildKind::Deployment).unwrap();
        assert_eq!(deployment["spec"].get("replicas"), None, "{gateway}");
        assert_eq!(deployment["metadata"]["annotations"]["toolgate.dev/autoscaled"], "true");
    }
    let plain = child("{}", ChildKind::Deployment).unwrap();
    assert_eq!((&plain["spec"]["replicas"], plain["metadata"].get("annotations")), (&json!(1), None));
    assert_eq!(child(external, ChildKind::HorizontalPodAutoscaler), None);
    let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
    assert_eq!(
        child(own, ChildKind::HorizontalPodAutoscaler),
        Some(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata(CHILD),
            "spec": {
                "minReplicas": 1,
                "maxReplicas": 6,
                "metrics": [{"type": "Resource", "resource": cpu}],
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": CHILD},
            },
        }))
    );
}

#[test]
fn the_service_takes_annotations() {
    let gateway = "{exposure: {service: {type: LoadBalancer, annotations: {example.com/internal: 'true'}}}}";
    let service = child(gateway, ChildKind::Service).unwrap();
    assert_eq!(service["metadata"]["annotations"], json!({"example.com/internal": "true"}));
    assert_eq!(service["spec"]["type"], "LoadBalancer");
}

#[test]
fn an_ingress_leads_to_the_service() {
    let gateway = "{exposure: {ingress: {host: crm.example.com, className: outer, annotations: {a.b/c: d}, tls: {secretName: crm-tls}}}}";
    let backend = json!({"service": {"name": CHILD, "port": {"number": 80}}});
    let path = |path: &str| json!({"path": path, "pathType": "Exact", "backend": backend});
    let mut metadata = metadata(CHILD);
    metadata["annotations"] = json!({"a.b/c": "d"});
    let paths = json!([path("/mcp"), path("/.well-known/oauth-protected-resource/mcp")]);
    assert_eq!(
        child(gateway, ChildKind::Ingress),
        Some(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": {
                "ingressClassName": "outer",
                "rules": [{"host": "crm.example.com", "http": {"paths": paths}}],
                "tls": [{"hosts": ["crm.example.com"], "secretName": "crm-tls"}],
            },
        }))
    );
    assert_eq!(child("{}", ChildKind::Ingress), None);
}

#[test]
fn an_http_route_leads_to_the_service() {
    let gateway = "{exposure: {httpRoute: {parentRefs: [{name: outer, namespace: edge, sectionName: https, port: 443}], hostnames: [crm.example.com]}}}";
    let matches = ["/mcp", "/.well-known/oauth-protected-resource/mcp"]
        .map(|path| json!({"path": {"type": "Exact", "value": path}}));
    assert_eq!(
        child(gateway, ChildKind::HttpRoute),
        Some(json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": metadata(CHILD),
            "spec": {
                "parentRefs": [{"name": "outer", "namespace": "edge", "sectionName": "https", "port": 443}],
                "hostnames": ["crm.example.com"],
                "rules": [{"matches": matches, "backendRefs": [{"name": CHILD, "port": 80}]}],
            },
        }))
    );
}

#[test]
fn a_network_policy_opens_the_endpoint_and_keeps_the_admin_port_for_those_who_are_named() {
    let prometheus: Value = json!({"podSelector": {"matchLabels": {"app": "prometheus"}}});
    let on = GatewaySettings {
        network_policy: true,
        admin_peers: vec![serde_json::from_value(prometheus.clone()).unwrap()],
        ..settings()
    };
    let policy = |gateway: &str| child_with(gateway, ChildKind::NetworkPolicy, &on);
    let tcp = |port: i32| json!({"port": port, "protocol": "TCP"});
    let expected = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(CHILD),
        "spec": {
            "podSelector": selector(),
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [tcp(8080)]}, {"from": [prometheus], "ports": [tcp(9090)]}],
        },
    });
    assert_eq!(policy("{}"), Some(expected.clone()));
    assert_eq!(policy("{networkPolicy: {enabled: false}}"), None);
    assert_eq!(child("{}", ChildKind::NetworkPolicy), None);
    // Nobody is named for the admin port, so it has no rule at all: an empty list of peers would be everybody.
    let nobody = child("{networkPolicy: {enabled: true}}", ChildKind::NetworkPolicy).unwrap();
    assert_eq!(nobody["spec"]["ingress"], json!([{"ports": [tcp(8080)]}]));
    let agents = json!({"namespaceSelector": {"matchLabels": {"agents": "yes"}}});
    let server = json!({"to": [{"podSelector": {}}], "ports": [tcp(3001)]});
    let narrow = json!({"networkPolicy": {"from": [agents], "egress": [server]}}).to_string();
    let narrow = policy(&narrow).unwrap();
    assert_eq!(narrow["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(narrow["spec"]["ingress"][0], json!({"from": [agents], "ports": [tcp(8080)]}));
    let names = json!({"ports": [{"port": 53, "protocol": "UDP"}, tcp(53)]});
    assert_eq!(narrow["spec"]["egress"], json!([names, server]));
}

#[test]
fn only_the_gateway_reaches_the_guarded_servers_pods() {
    let gateway = "{networkPolicy: {serverPods: {app: crm-mcp}}}";
    assert_eq!(
        child(gateway, ChildKind::ServerNetworkPolicy),
        Some(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata("crm-toolgate-server"),
            "spec": {
                "podSelector": {"matchLabels": {"app": "crm-mcp"}},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": selector()}]}],
            },
        }))
    );
    assert_eq!(child("{}", ChildKind::ServerNetworkPolicy), None);
}
