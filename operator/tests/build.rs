//! The objects of a server, whole.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use serde_json::{Value, json};
use toolgate_operator::child::ChildKind;
use toolgate_operator::names::{certificates_volume, credential_volume};
use toolgate_operator::reconcile::build::{GatewaySettings, Prepared, build};
use toolgate_operator::reconcile::observe::Observed;
use toolgate_policy::SHARDS_MAX;
use world::{
    CHILD, NAMESPACE, SERVER, SERVER_UID, UPSTREAM, grant, observed, policy, server, settings, validated,
};

fn prepared_with(spec: &str, settings: &GatewaySettings) -> Prepared {
    let observed = Observed {
        policies: vec![policy("narrow", 1, "tools: {read: {}}")],
        grants: vec![grant("robot", 1, "")],
        ..observed(server(1, spec))
    };
    let (bundle, packed) = validated(&observed).bundle.unwrap();
    build(&bundle, &packed, settings)
}

fn prepared(spec: &str) -> Prepared {
    prepared_with(spec, &settings())
}

fn labels() -> Value {
    json!({
        "app.kubernetes.io/name": "toolgate",
        "app.kubernetes.io/instance": SERVER,
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/managed-by": "toolgate-operator",
        "toolgate.dev/server": SERVER,
        "toolgate.dev/server-uid": SERVER_UID,
    })
}

fn selector() -> Value {
    json!({
        "app.kubernetes.io/name": "toolgate",
        "app.kubernetes.io/component": "gateway",
        "toolgate.dev/server-uid": SERVER_UID,
    })
}

fn metadata() -> Value {
    json!({
        "name": CHILD,
        "namespace": NAMESPACE,
        "labels": labels(),
        "ownerReferences": [{
            "apiVersion": "toolgate.dev/v1alpha1",
            "kind": "McpServer",
            "name": SERVER,
            "uid": SERVER_UID,
            "controller": true,
            "blockOwnerDeletion": true,
        }],
    })
}

#[test]
fn the_bundle_is_in_a_config_map_that_says_what_it_is() {
    let built = json!(prepared(UPSTREAM).config_map);
    let text = built["data"]["bundle.json"].as_str().unwrap();
    let bundle = toolgate_policy::Bundle::from_json(text).unwrap();
    let mut metadata = metadata();
    metadata["labels"]["toolgate.dev/bundle"] = json!("true");
    metadata["annotations"] = json!({"toolgate.dev/revision": "1", "toolgate.dev/hash": bundle.hash()});
    assert_eq!(
        built,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"bundle.json": text}})
    );
    assert_eq!((bundle.server.name.as_str(), bundle.policies.len(), bundle.grants.len()), (SERVER, 1, 1));
}

#[test]
fn the_account_may_watch_its_own_bundle_read_its_parts_and_nothing_else() {
    let Prepared { service_account, role, role_binding, .. } = prepared(UPSTREAM);
    assert_eq!(
        json!(service_account),
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(),
            "automountServiceAccountToken": false,
        })
    );
    let rule = |names: Value, verbs: &[&str]| json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": verbs});
    let parts: Vec<String> = ["even", "odd"]
        .into_iter()
        .flat_map(|half| (0..SHARDS_MAX).map(move |number| format!("{CHILD}-{half}-{number}")))
        .collect();
    assert_eq!(
        json!(role),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(),
            "rules": [rule(json!([CHILD]), &["get", "list", "watch"]), rule(json!(parts), &["get"])],
        })
    );
    assert_eq!(
        json!(role_binding),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": CHILD},
            "subjects": [{"kind": "ServiceAccount", "name": CHILD, "namespace": NAMESPACE}],
        })
    );
}

#[test]
fn the_service_leads_to_the_gateways() {
    let built = |spec: &str| json!(prepared(spec).service);
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(),
            "ports": [{"name": "mcp", "port": 80, "protocol": "TCP", "targetPort": "mcp"}],
        },
    });
    assert_eq!(built(UPSTREAM), expected);
    for type_ in ["ClusterIP", "NodePort", "LoadBalancer"] {
        let spec = format!("{UPSTREAM}\ngateway: {{exposure: {{service: {{type: {type_}}}}}}}");
        assert_eq!(built(&spec)["spec"]["type"], type_);
    }
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Value {
    json!({
        "httpGet": {"path": path, "port": "admin", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    })
}

fn spread(key: &str) -> Value {
    json!({
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector()},
        "matchLabelKeys": ["pod-template-hash"],
    })
}

#[test]
fn the_deployment_runs_the_gateway_with_as_few_rights_as_it_needs() {
    let container = json!({
        "name": "gateway",
        "image": "registry.example/gate:7",
        "imagePullPolicy": "Always",
        "args": [
            "--bundle", "/etc/toolgate/bundle/bundle.json",
            "--watch", "shop/crm-toolgate",
            "--credentials", "/etc/toolgate/credentials",
            "--certificates", "/etc/toolgate/certificates",
            "--listen", "0.0.0.0:8080",
            "--admin", "0.0.0.0:9090",
            "--drain-seconds", "5",
            "--audience", "http://crm-toolgate.shop.svc/mcp",
            "--audit", "stdout",
        ],
        "ports": [
            {"name": "mcp", "containerPort": 8080, "protocol": "TCP"},
            {"name": "admin", "containerPort": 9090, "protocol": "TCP"},
        ],
        "readinessProbe": probe("/readyz", 1, 2, 6),
        "livenessProbe": probe("/livez", 10, 5, 3),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "bundle", "mountPath": "/etc/toolgate/bundle", "readOnly": true}],
    });
    let expected = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector()},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels()},
                "spec": {
                    "serviceAccountName": CHILD,
                    "automountServiceAccountToken": true,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "volumes": [{"name": "bundle", "configMap": {"name": CHILD}}],
                    "containers": [container],
                    "topologySpreadConstraints": [
                        spread("topology.kubernetes.io/zone"),
                        spread("kubernetes.io/hostname"),
                    ],
                },
            },
        },
    });
    assert_eq!(json!(prepared(UPSTREAM).deployment), expected);
}

#[test]
fn an_edit_of_a_policy_leaves_the_pods_alone() {
    let deployment = |tools: &str| {
        let observed =
            Observed { policies: vec![policy("narrow", 2, tools)], ..observed(server(1, UPSTREAM)) };
        let (bundle, packed) = validated(&observed).bundle.unwrap();
        json!(build(&bundle, &packed, &settings()).deployment)
    };
    assert_eq!(deployment("tools: {read: {}}"), deployment("tools: {read: {action: deny}}"));
}

#[test]
fn secrets_are_mounted_by_name_and_only_the_keys_that_are_referenced() {
    let spec = r"
upstream:
  url: http://crm-mcp:3001/mcp
  headers:
    - {name: Authorization, secretKeyRef: {name: zeta.keys, key: token}}
    - {name: X-Account, secretKeyRef: {name: zeta.keys, key: account}}
    - {name: X-Region, secretKeyRef: {name: alpha, key: token}}
    - {name: X-Plain, value: plain}
";
    let pod = json!(prepared(spec).deployment)["spec"]["template"]["spec"].clone();
    let (alpha, zeta) = (credential_volume("alpha"), credential_volume("zeta.keys"));
    let item = |key: &str| json!({"key": key, "path": key});
    assert_eq!(
        pod["volumes"],
        json!([
            {"name": "bundle", "configMap": {"name": CHILD}},
            {"name": alpha, "secret": {"secretName": "alpha", "items": [item("token")]}},
            {"name": zeta, "secret": {"secretName": "zeta.keys", "items": [item("account"), item("token")]}},
        ])
    );
    assert_eq!(
        pod["containers"][0]["volumeMounts"],
        json!([
            {"name": "bundle", "mountPath": "/etc/toolgate/bundle", "readOnly": true},
            {"name": alpha, "mountPath": "/etc/toolgate/credentials/alpha", "readOnly": true},
            {"name": zeta, "mountPath": "/etc/toolgate/credentials/zeta.keys", "readOnly": true},
        ])
    );
}

#[test]
fn the_stores_password_and_whose_certificates_are_trusted_are_mounted_by_name() {
    let spec = r"
upstream:
  url: https://crm-mcp:3001/mcp
  certificateAuthority: {configMapKeyRef: {name: ours, key: server.crt}}
counters:
  redis:
    url: rediss://store:6379
    secretKeyRef: {name: store, key: password}
    certificateAuthority: {secretKeyRef: {name: store, key: ca.crt}}
gateway: {replicas: 3}
";
    let deployment = json!(prepared(spec).deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    let (store, ours) = (credential_volume("store"), certificates_volume("ours"));
    let item = |key: &str| json!({"key": key, "path": key});
    assert_eq!(
        pod["volumes"],
        json!([
            {"name": "bundle", "configMap": {"name": CHILD}},
            {"name": store, "secret": {"secretName": "store", "items": [item("ca.crt"), item("password")]}},
            {"name": ours, "configMap": {"name": "ours", "items": [item("server.crt")]}},
        ])
    );
    assert_eq!(
        pod["containers"][0]["volumeMounts"][2],
        json!({"name": ours, "mountPath": "/etc/toolgate/certificates/ours", "readOnly": true})
    );
    assert_eq!(deployment["spec"]["replicas"], 3);
}

#[test]
fn the_server_and_the_settings_say_how_pods_are_run() {
    let spec = format!(
        "{UPSTREAM}\ngateway: {{replicas: 0, resources: {{limits: {{memory: 99Mi}}, requests: {{cpu: 7m}}}}}}"
    );
    let settings = GatewaySettings { image_pull_secrets: vec!["pull".to_owned()], ..settings() };
    let deployment = json!(prepared_with(&spec, &settings).deployment);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(deployment["spec"]["replicas"], 0);
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(
        pod["containers"][0]["resources"],
        json!({"limits": {"memory": "99Mi"}, "requests": {"cpu": "7m"}})
    );
}

#[test]
fn every_child_carries_the_digest_of_what_is_wanted() {
    let children = prepared(UPSTREAM).children();
    let kinds: Vec<ChildKind> = children.iter().map(|child| child.kind).collect();
    let always: Vec<ChildKind> = ChildKind::ALL.into_iter().filter(|kind| kind.is_always_there()).collect();
    assert_eq!(kinds, always);
    for child in &children {
        assert_eq!(child.name(), CHILD);
        assert_eq!(child.object["metadata"]["annotations"]["toolgate.dev/applied"], json!(child.digest));
    }
    let edited = prepared(&format!("{UPSTREAM}\ngateway: {{replicas: 0}}")).children();
    assert_ne!(children[5].digest, edited[5].digest, "the Deployment differs");
    assert_eq!(children[4].digest, edited[4].digest, "the Service does not");
}
