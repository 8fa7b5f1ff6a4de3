//! What the chart makes of its values.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/helm.rs"]
mod helm_program;

use std::collections::BTreeSet;
use std::process::Command;

use clap::Parser as _;
use helm_program::{chart, helm, of_kind, rendered, root, template};
use serde_json::Value;
use toolgate_operator::settings::Settings;
use toolgate_policy::Candidate;

fn file(path: &str) -> String {
    std::fs::read_to_string(chart().join(path)).unwrap()
}

/// The operator's settings, as its container in these objects has them.
fn settings(objects: &[Value]) -> Settings {
    let container = &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    Settings::try_parse_from(std::iter::once("toolgate-operator").chain(arguments)).unwrap()
}

#[test]
fn the_chart_has_the_programs_version() {
    let chart: Value = serde_yaml::from_str(&file("Chart.yaml")).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_a_hub_shows_of_the_chart_is_true() {
    let chart: Value = serde_yaml::from_str(&file("Chart.yaml")).unwrap();
    let list = |name: &str| -> Vec<Value> {
        serde_yaml::from_str(chart["annotations"][name].as_str().unwrap()).unwrap()
    };
    let mut told: Vec<String> = Vec::new();
    for crd in list("artifacthub.io/crds") {
        let name = crd["name"].as_str().unwrap();
        let generated: Value = serde_yaml::from_str(&file(&format!("files/crds/{name}.yaml"))).unwrap();
        assert_eq!(generated["spec"]["names"]["kind"], crd["kind"]);
        assert_eq!(generated["spec"]["versions"][0]["name"], crd["version"]);
        told.push(format!("{name}.yaml"));
    }
    let files = std::fs::read_dir(chart_folder("files/crds")).unwrap();
    let mut files: Vec<String> =
        files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    told.sort();
    assert_eq!(told, files);
    for mut example in list("artifacthub.io/crdsExamples") {
        example["metadata"]["namespace"] = "sales".into();
        example["metadata"]["uid"] = "u".into();
        let errors = match example["kind"].as_str().unwrap() {
            "McpServer" => Candidate::server(&example).errors().to_vec(),
            "ToolPolicy" => Candidate::policy(&example).errors().to_vec(),
            _ => Candidate::grant(&example).errors().to_vec(),
        };
        assert!(errors.is_empty(), "{example}: {errors:?}");
    }
}

fn chart_folder(path: &str) -> std::path::PathBuf {
    chart().join(path)
}

#[test]
fn several_operators_are_evicted_one_at_a_time_and_one_alone_at_any_time() {
    let Some(helm) = helm("several_operators_are_evicted_one_at_a_time_and_one_alone_at_any_time") else {
        return;
    };
    let budgets = |values: &[&str]| {
        let objects = rendered(&helm, values);
        of_kind(&objects, "PodDisruptionBudget").into_iter().cloned().collect::<Vec<_>>()
    };
    assert!(budgets(&[]).is_empty());
    assert!(budgets(&["replicaCount=2", "podDisruptionBudget.enabled=false"]).is_empty());
    let [budget] = &budgets(&["replicaCount=2"])[..] else { unreachable!() };
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let objects = rendered(&helm, &["replicaCount=2"]);
    let labels = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["metadata"]["labels"];
    for (key, value) in budget["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[key], *value, "{key}");
    }
}

#[test]
fn how_the_operator_is_replaced_and_asked_can_be_said() {
    let Some(helm) = helm("how_the_operator_is_replaced_and_asked_can_be_said") else { return };
    let said = [
        "strategy.rollingUpdate.maxSurge=2",
        "livenessProbe.failureThreshold=9",
        "terminationGracePeriodSeconds=5",
    ];
    let spec = |values: &[&str]| of_kind(&rendered(&helm, values), "Deployment")[0]["spec"].clone();
    let spec_said = spec(&said);
    assert_eq!(spec_said["strategy"]["rollingUpdate"]["maxSurge"], 2);
    let pod = &spec_said["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 5);
    assert_eq!(pod["containers"][0]["livenessProbe"]["failureThreshold"], 9);
    assert_eq!(pod["containers"][0]["livenessProbe"]["periodSeconds"], 10);
    let alone = spec(&["strategy.type=RollingUpdate", "leaderElection.enabled=false"]);
    assert_eq!(alone["strategy"]["type"], "Recreate", "never two that both write");
}

#[test]
fn every_value_is_documented_and_in_the_schema() {
    let text = file("values.yaml");
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    compare("", &values, &schema);
    let lines: Vec<&str> = text.lines().collect();
    let documented = lines.windows(2).filter(|pair| pair[0].trim_start().starts_with('#')).count();
    let comments = lines.iter().filter(|line| line.trim_start().starts_with("# -- ")).count();
    assert!(documented >= comments && comments == leaves(&values, &schema), "{comments} comments");
}

/// Both have the same keys, at every level that the schema closes.
fn compare(path: &str, values: &Value, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} is open");
    let mut known: BTreeSet<&String> = properties.keys().collect();
    known.remove(&"global".to_owned());
    let found: BTreeSet<&String> = values.as_object().unwrap().keys().collect();
    // What a container may use has no default for everything.
    if path != ".resources" {
        assert_eq!(found, known, "{path}");
    }
    for (key, value) in values.as_object().unwrap() {
        compare(&format!("{path}.{key}"), value, &properties[key]);
    }
}

/// How many values there are that are documented as a whole.
fn leaves(values: &Value, schema: &Value) -> usize {
    let whole = |key: &str| key == "resources" || schema["properties"][key]["properties"].is_null();
    let members = values.as_object().unwrap().iter();
    members.map(|(key, value)| if whole(key) { 1 } else { leaves(value, &schema["properties"][key]) }).sum()
}

#[test]
fn the_chart_passes_helms_own_check() {
    let Some(helm) = helm("the_chart_passes_helms_own_check") else { return };
    let output = Command::new(helm).args(["lint", "--strict"]).arg(chart()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_unknown_value_is_refused_at_every_level() {
    let Some(helm) = helm("an_unknown_value_is_refused_at_every_level") else { return };
    let levels =
        ["", "image.", "gateway.", "gateway.image.", "crds.", "admission.", "serviceAccount.", "rbac."];
    let deeper = [
        "metrics.",
        "metrics.service.",
        "log.",
        "resources.",
        "userRoles.",
        "networkPolicy.",
        "leaderElection.",
    ];
    for level in levels.into_iter().chain(deeper) {
        let error = template(&helm, &[&format!("{level}unheardOf=1")]).unwrap_err();
        assert!(error.contains("'unheardOf' not allowed"), "{level}: {error}");
    }
}

#[test]
fn the_definitions_are_the_generated_ones_and_are_kept() {
    let Some(helm) = helm("the_definitions_are_the_generated_ones_and_are_kept") else { return };
    let objects = rendered(&helm, &[]);
    let definitions = of_kind(&objects, "CustomResourceDefinition");
    assert_eq!(definitions.len(), 3);
    for definition in definitions {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let text = std::fs::read_to_string(root().join(format!("crds/generated/{name}.yaml"))).unwrap();
        let generated: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(with_floats(&definition["spec"]), with_floats(&generated["spec"]), "{name}");
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    let objects = rendered(&helm, &["crds.keep=false"]);
    for definition in of_kind(&objects, "CustomResourceDefinition") {
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], Value::Null);
    }
}

/// Helm's numbers are all floats.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(with_floats).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), with_floats(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn what_is_switched_off_is_not_there() {
    let Some(helm) = helm("what_is_switched_off_is_not_there") else { return };
    let no_roles = "rbac.create=false,userRoles.create=false";
    let switches: [(&str, &[&str]); 8] = [
        ("crds.enabled=false", &["CustomResourceDefinition"]),
        ("admission.enabled=false", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        (no_roles, &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
        ("leaderElection.enabled=false", &["Role", "RoleBinding"]),
        ("metrics.service.enabled=false", &["Service", "Pod"]),
        ("serviceAccount.create=false,serviceAccount.name=mine", &["ServiceAccount"]),
        ("networkPolicy.enabled=false", &["NetworkPolicy"]),
        ("tests.enabled=false", &["Pod"]),
    ];
    let all = rendered(&helm, &[]);
    for (switch, kinds) in switches {
        let objects = rendered(&helm, &[switch]);
        let gone: usize = kinds.iter().map(|kind| of_kind(&all, kind).len()).sum();
        assert!(gone > 0, "{switch}");
        assert_eq!(objects.len() + gone, all.len(), "{switch}");
        assert!(kinds.iter().all(|kind| of_kind(&objects, kind).is_empty()), "{switch}");
    }
    let error = template(&helm, &["serviceAccount.create=false"]).unwrap_err();
    assert!(error.contains("serviceAccount.name is needed"), "{error}");
}

#[test]
fn the_operator_is_started_with_flags_that_it_knows() {
    let Some(helm) = helm("the_operator_is_started_with_flags_that_it_knows") else { return };
    let plain = settings(&rendered(&helm, &[]));
    assert_eq!(plain.gateway_image, concat!("localhost/toolgate-gateway:", env!("CARGO_PKG_VERSION")));
    assert!(plain.watch_namespace.is_empty());
    assert_eq!(plain.gateways().traces, None);
    assert!(!plain.gateways().refuse_private_addresses);
    assert!(plain.gateways().network_policy && plain.gateways().allowed_images.is_empty());
    let peers = serde_json::json!(plain.gateways().admin_peers);
    assert_eq!(peers[0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], "guards");
    assert_eq!(peers[0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"], "operator");
    assert_eq!(peers[1]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], "prometheus");
    let digest = format!("sha256:{}", "0".repeat(64));
    let values = [
        "watchNamespaces={shop,desk}",
        "gateway.image.registry=registry.example",
        &format!("gateway.image.digest={digest}"),
        "gateway.image.pullPolicy=Never",
        "gateway.imagePullSecrets[0].name=pull",
        "gateway.audit=off",
        "gateway.traces=http://collector:4318",
        "gateway.allowedImages={registry.example/a@,registry.example/b:1}",
        "gateway.networkPolicy.enabled=false",
        "gateway.refusePrivateAddresses=true",
        "log.format=text",
        "log.filter=toolgate_operator=debug\\,warn",
    ];
    let objects = rendered(&helm, &values);
    let settings = settings(&objects);
    assert_eq!(settings.watch_namespace, ["shop", "desk"]);
    assert_eq!(settings.log, "toolgate_operator=debug,warn");
    let gateways = settings.gateways();
    assert_eq!(gateways.image, format!("registry.example/toolgate-gateway@{digest}"));
    assert_eq!(gateways.image_pull_policy, "Never");
    assert_eq!(gateways.image_pull_secrets, ["pull"]);
    assert_eq!(gateways.audit, "off");
    assert_eq!(gateways.traces.as_deref(), Some("http://collector:4318"));
    assert_eq!(gateways.allowed_images, ["registry.example/a@", "registry.example/b:1"]);
    assert!(!gateways.network_policy && gateways.refuse_private_addresses);
}

#[test]
fn rights_end_where_the_operators_namespaces_end() {
    let Some(helm) = helm("rights_end_where_the_operators_namespaces_end") else { return };
    let second =
        "watchNamespaces={shop,desk},crds.enabled=false,admission.enabled=false,userRoles.create=false";
    let objects = rendered(&helm, &[second, "leaderElection.enabled=false"]);
    let cluster_wide = objects.iter().filter(|object| object["metadata"]["namespace"].is_null());
    assert_eq!(cluster_wide.count(), 0, "a second release has nothing that is cluster-wide");
    let everywhere = rendered(&helm, &["userRoles.create=false"]);
    let rules = &of_kind(&everywhere, "ClusterRole")[0]["rules"];
    for role in of_kind(&objects, "Role") {
        assert_eq!(role["rules"], *rules);
    }
    let namespaces = |kind: &str| -> Vec<String> {
        let objects = of_kind(&objects, kind).into_iter();
        objects.map(|object| object["metadata"]["namespace"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (namespaces("Role"), namespaces("RoleBinding")),
        (vec!["shop".into(), "desk".into()], vec!["shop".into(), "desk".into()])
    );
    let bindings = of_kind(&objects, "RoleBinding");
    for binding in bindings {
        assert_eq!(binding["subjects"][0]["namespace"], "guards");
        assert_eq!(binding["subjects"][0]["name"], "guard-toolgate-operator");
    }
}

#[test]
fn only_the_operator_of_this_release_writes_bundles() {
    let Some(helm) = helm("only_the_operator_of_this_release_writes_bundles") else { return };
    let operator = |values: &[&str]| {
        let objects = rendered(&helm, values);
        let policies = of_kind(&objects, "ValidatingAdmissionPolicy");
        let policy = policies.iter().find(|policy| policy["metadata"]["name"] == "bundles.toolgate.dev");
        policy.unwrap()["spec"]["variables"][0]["expression"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        operator(&[]),
        "request.userInfo.username in ['system:serviceaccount:guards:guard-toolgate-operator']"
    );
    assert_eq!(
        operator(&["serviceAccount.name=warden"]),
        "request.userInfo.username in ['system:serviceaccount:guards:warden']"
    );
    assert_eq!(
        operator(&["serviceAccount.name=warden", "admission.operators={shop/second-operator}"]),
        "request.userInfo.username in ['system:serviceaccount:guards:warden', \
         'system:serviceaccount:shop:second-operator']"
    );
    assert!(template(&helm, &["admission.operators={second-operator}"]).is_err(), "it needs a namespace");
}

#[test]
fn the_operators_pod_has_as_few_rights_as_it_needs() {
    let Some(helm) = helm("the_operators_pod_has_as_few_rights_as_it_needs") else { return };
    let objects = rendered(&helm, &[]);
    let deployment = of_kind(&objects, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 1);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["capabilities"]["drop"][0], "ALL");
}

#[test]
fn one_of_several_operators_is_elected_in_the_releases_own_namespace() {
    let Some(helm) = helm("one_of_several_operators_is_elected_in_the_releases_own_namespace") else {
        return;
    };
    // Also where it looks after other namespaces only.
    let objects = rendered(&helm, &["replicaCount=3", "watchNamespaces={shop}"]);
    let deployment = of_kind(&objects, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    let campaign = settings(&objects).campaign("elsewhere").unwrap();
    assert_eq!((campaign.namespace.as_str(), campaign.lease.as_str()), ("guards", "guard-toolgate-operator"));
    let roles = of_kind(&objects, "Role");
    let role = roles.iter().find(|role| role["metadata"]["namespace"] == "guards").unwrap();
    assert_eq!(role["rules"][1]["resourceNames"][0], "guard-toolgate-operator");
    assert_eq!(role["rules"][1]["verbs"], serde_json::json!(["get", "update"]));

    let alone = rendered(&helm, &["leaderElection.enabled=false"]);
    assert_eq!(of_kind(&alone, "Deployment")[0]["spec"]["strategy"]["type"], "Recreate");
    assert!(settings(&alone).campaign("elsewhere").is_none());
    let error = template(&helm, &["replicaCount=2", "leaderElection.enabled=false"]).unwrap_err();
    assert!(error.contains("needs leaderElection.enabled"), "{error}");
}

#[test]
fn common_labels_are_on_every_object() {
    let Some(helm) = helm("common_labels_are_on_every_object") else { return };
    for object in rendered(&helm, &["commonLabels.team=crm"]) {
        let name = &object["metadata"]["name"];
        assert_eq!(object["metadata"]["labels"]["team"], "crm", "{} {name}", object["kind"]);
    }
}

#[test]
fn only_gateways_that_are_named_may_ask_whether_tokens_hold() {
    let Some(helm) = helm("only_gateways_that_are_named_may_ask_whether_tokens_hold") else { return };
    let token_review =
        |object: &&Value| object["metadata"]["name"].as_str().unwrap().ends_with("-token-review");
    let objects = rendered(&helm, &[]);
    assert_eq!(objects.iter().filter(token_review).count(), 0);
    let values =
        ["gateway.tokenReview.servers[0].namespace=sales", "gateway.tokenReview.servers[0].name=kommo"];
    let objects = rendered(&helm, &values);
    let found: Vec<&Value> = objects.iter().filter(token_review).collect();
    assert_eq!(found.len(), 2);
    let role = found.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
    let rules = serde_json::json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]);
    assert_eq!(role["rules"], rules);
    let binding = found.iter().find(|object| object["kind"] == "ClusterRoleBinding").unwrap();
    let subjects =
        serde_json::json!([{"kind": "ServiceAccount", "name": "kommo-toolgate", "namespace": "sales"}]);
    assert_eq!(binding["subjects"], subjects);
    for name in ["kommo.eu".to_owned(), "7".to_owned(), "a".repeat(55)] {
        let values = [values[0].to_owned(), format!("gateway.tokenReview.servers[0].name={name}")];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert!(template(&helm, &values).is_err(), "the gateway of {name} is called otherwise");
    }
}
