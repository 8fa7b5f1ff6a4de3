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
    let deeper = ["metrics.", "metrics.service.", "log.", "resources."];
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
    let switches: [(&str, &[&str]); 5] = [
        ("crds.enabled=false", &["CustomResourceDefinition"]),
        ("admission.enabled=false", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        ("rbac.create=false", &["ClusterRole", "ClusterRoleBinding"]),
        ("metrics.service.enabled=false", &["Service"]),
        ("serviceAccount.create=false,serviceAccount.name=mine", &["ServiceAccount"]),
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
    let digest = format!("sha256:{}", "0".repeat(64));
    let values = [
        "watchNamespaces={shop,desk}",
        "gateway.image.registry=registry.example",
        &format!("gateway.image.digest={digest}"),
        "gateway.image.pullPolicy=Never",
        "gateway.imagePullSecrets[0].name=pull",
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
}

#[test]
fn rights_end_where_the_operators_namespaces_end() {
    let Some(helm) = helm("rights_end_where_the_operators_namespaces_end") else { return };
    let objects = rendered(&helm, &["watchNamespaces={shop,desk}"]);
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    let bindings = of_kind(&objects, "RoleBinding");
    let namespaces: Vec<&Value> = bindings.iter().map(|binding| &binding["metadata"]["namespace"]).collect();
    assert_eq!(namespaces, ["shop", "desk"]);
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
        "request.userInfo.username == 'system:serviceaccount:guards:guard-toolgate-operator'"
    );
    assert_eq!(
        operator(&["serviceAccount.name=warden"]),
        "request.userInfo.username == 'system:serviceaccount:guards:warden'"
    );
}

#[test]
fn the_operators_pod_has_as_few_rights_as_it_needs() {
    let Some(helm) = helm("the_operators_pod_has_as_few_rights_as_it_needs") else { return };
    let objects = rendered(&helm, &[]);
    let deployment = of_kind(&objects, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0]["securityContext"];
    assert_eq!(container["allowPrivilegeEscalation"], false);
    assert_eq!(container["readOnlyRootFilesystem"], true);
    assert_eq!(container["capabilities"]["drop"][0], "ALL");
}

#[test]
fn common_labels_are_on_every_object() {
    let Some(helm) = helm("common_labels_are_on_every_object") else { return };
    for object in rendered(&helm, &["commonLabels.team=crm"]) {
        let name = &object["metadata"]["name"];
        assert_eq!(object["metadata"]["labels"]["team"], "crm", "{} {name}", object["kind"]);
    }
}
