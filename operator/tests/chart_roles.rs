//! What the chart's roles for people may do, and what else of it can be chosen.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]
#![allow(dead_code, reason = "the helpers know more")]

#[path = "support/helm.rs"]
mod helm_program;

use helm_program::{helm, of_kind, rendered};
use serde_json::{Value, json};

fn role<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let roles = of_kind(objects, "ClusterRole");
    roles.into_iter().find(|role| role["metadata"]["name"] == format!("guard-toolgate-{name}")).unwrap()
}

/// The resources on which a role may use a verb.
fn may(role: &Value, verb: &str) -> Vec<String> {
    let rules = role["rules"].as_array().unwrap().iter();
    let rules = rules.filter(|rule| rule["verbs"].as_array().unwrap().iter().any(|known| known == verb));
    rules
        .flat_map(|rule| rule["resources"].as_array().unwrap().clone())
        .map(|resource| resource.as_str().unwrap().to_owned())
        .collect()
}

/// The built-in roles that a role becomes part of.
fn part_of(role: &Value) -> Vec<String> {
    let labels = role["metadata"]["labels"].as_object().unwrap();
    let built_in =
        |key: &String| key.strip_prefix("rbac.authorization.k8s.io/aggregate-to-").map(str::to_owned);
    labels.keys().filter_map(built_in).collect()
}

#[test]
fn only_the_platform_writes_servers_and_no_built_in_role_gets_them_silently() {
    let Some(helm) = helm("only_the_platform_writes_servers_and_no_built_in_role_gets_them_silently") else {
        return;
    };
    for (values, author_is_part_of) in [("a", vec![]), ("userRoles.aggregateToEdit=true", vec!["edit"])] {
        let values = if values == "a" { vec![] } else { vec![values] };
        let objects = rendered(&helm, &values);
        let (platform, author, viewer) =
            (role(&objects, "platform-admin"), role(&objects, "policy-author"), role(&objects, "viewer"));
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            assert_eq!(may(platform, verb), ["mcpservers", "toolpolicies", "toolgrants"], "{verb}");
            assert_eq!(may(author, verb), ["toolpolicies", "toolgrants"], "{verb}");
            assert!(may(viewer, verb).is_empty(), "{verb}");
        }
        assert_eq!(may(viewer, "watch"), ["mcpservers", "toolpolicies", "toolgrants"]);
        assert_eq!(part_of(platform), Vec::<String>::new());
        assert_eq!(part_of(author), author_is_part_of);
        assert_eq!(part_of(viewer), ["view"]);
    }
    let objects = rendered(&helm, &["userRoles.aggregateToView=false"]);
    assert!(part_of(role(&objects, "viewer")).is_empty());
}

#[test]
fn the_operators_pod_is_placed_and_filled_as_the_values_say() {
    let Some(helm) = helm("the_operators_pod_is_placed_and_filled_as_the_values_say") else { return };
    let values = [
        "runtimeClassName=gvisor",
        "priorityClassName=high",
        "nodeSelector.disk=ssd",
        "tolerations[0].operator=Exists",
        "extraVolumes[0].name=more",
        "extraVolumeMounts[0].name=more,extraVolumeMounts[0].mountPath=/more",
        "extraEnv[0].name=A,extraEnv[0].value=b",
        "extraArgs={--log=warn}",
        "podAnnotations.note=x",
        "serviceAccount.automountServiceAccountToken=true",
    ];
    let objects = rendered(&helm, &values);
    let template = &of_kind(&objects, "Deployment")[0]["spec"]["template"];
    let pod = &template["spec"];
    assert_eq!(pod["runtimeClassName"], "gvisor");
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["nodeSelector"], json!({"disk": "ssd"}));
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["volumes"], json!([{"name": "more"}]));
    let container = &pod["containers"][0];
    assert_eq!(container["volumeMounts"], json!([{"name": "more", "mountPath": "/more"}]));
    assert_eq!(container["env"].as_array().unwrap().last().unwrap(), &json!({"name": "A", "value": "b"}));
    assert_eq!(container["args"].as_array().unwrap().last().unwrap(), "--log=warn");
    assert_eq!(template["metadata"]["annotations"], json!({"note": "x"}));
    assert_eq!(of_kind(&objects, "ServiceAccount")[0]["automountServiceAccountToken"], true);
}

#[test]
fn more_objects_are_rendered_as_objects_or_as_text() {
    let Some(helm) = helm("more_objects_are_rendered_as_objects_or_as_text") else { return };
    let values = [
        "extraObjects[0].apiVersion=v1,extraObjects[0].kind=Secret,extraObjects[0].metadata.name={{ .Release.Name }}-one",
        "extraObjects[1]=kind: Secret\nmetadata: {name: \"{{ .Release.Name }}-two\"}",
    ];
    let objects = rendered(
        &helm,
        &values.map(|value| value.replace("{{", "\\{{").replace("}}", "\\}}")).each_ref().map(String::as_str),
    );
    let names: Vec<&Value> =
        of_kind(&objects, "Secret").iter().map(|secret| &secret["metadata"]["name"]).collect();
    assert_eq!(names, ["guard-one", "guard-two"]);
}

#[test]
fn the_test_of_a_release_asks_the_operator_by_its_own_program() {
    let Some(helm) = helm("the_test_of_a_release_asks_the_operator_by_its_own_program") else { return };
    let objects = rendered(&helm, &["metrics.service.port=9999"]);
    let pod = of_kind(&objects, "Pod")[0];
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    let container = &pod["spec"]["containers"][0];
    let operator = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], operator["image"]);
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(arguments[0], toolgate_operator::check::COMMAND);
    assert_eq!(arguments[2], "http://guard-toolgate-operator-metrics.guards.svc:9999/readyz");
    let policy = &of_kind(&objects, "NetworkPolicy")[0]["spec"]["ingress"][0]["from"];
    let (may, has) = (&policy[0]["podSelector"]["matchLabels"], &pod["metadata"]["labels"]);
    for (key, value) in may.as_object().unwrap() {
        assert_eq!(has[key], *value, "the test reaches the operator by {key}");
    }
}

#[test]
fn the_store_for_trying_is_off_and_reached_only_by_gateways() {
    let Some(helm) = helm("the_store_for_trying_is_off_and_reached_only_by_gateways") else { return };
    let of_store = |objects: Vec<Value>| -> Vec<Value> {
        let is = |object: &Value| object["metadata"]["labels"]["app.kubernetes.io/component"] == "redis";
        objects.into_iter().filter(is).collect()
    };
    assert!(of_store(rendered(&helm, &[])).is_empty());
    let objects = of_store(rendered(&helm, &["redis.enabled=true"]));
    let kinds: Vec<&Value> = objects.iter().map(|object| &object["kind"]).collect();
    assert_eq!(kinds, ["NetworkPolicy", "Service", "Deployment"]);
    let pod = &objects[2]["spec"]["template"];
    assert_eq!(pod["spec"]["containers"][0]["image"], "docker.io/valkey/valkey:8.1");
    let arguments = pod["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains(r#""--maxmemory-policy","noeviction""#), "{arguments}");
    let labels = pod["metadata"]["labels"].as_object().unwrap();
    for selector in [&objects[1]["spec"]["selector"], &objects[0]["spec"]["podSelector"]["matchLabels"]] {
        assert!(selector.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value), "{selector}");
    }
    let peer = &objects[0]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"];
    assert_eq!(peer["app.kubernetes.io/managed-by"], "toolgate-operator");
}
