//! What the chart makes of these files: nothing unless it is asked to, and then exactly them.

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::files::{self, word};

/// Makes it a failure that there is no Helm, as the scenarios on a cluster do.
const REQUIRE: &str = "TOOLGATE_REQUIRE_CLUSTER";
const ALL: [&str; 4] = [
    "metrics.serviceMonitor.enabled=true",
    "metrics.podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "grafana.dashboards.enabled=true",
];

/// What `helm template` makes with these values, or what it complains of; nothing where there is no Helm.
fn template(values: &[&str]) -> Option<Result<Vec<Value>, String>> {
    let helm = files::root().join("e2e/cluster/.cache/bin/helm");
    if !helm.is_file() {
        let told =
            "\nNOT RUN: what the chart makes of alerts and dashboards: no Helm; e2e/cluster/build makes it\n";
        std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
        assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
        return None;
    }
    let mut command = Command::new(helm);
    command.arg("template").arg("toolgate").arg(files::chart()).args(["--namespace", "toolgate-system"]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().expect("Helm runs");
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let documents = serde_yaml::Deserializer::from_str(&text);
    let objects = documents.map(|document| Value::deserialize(document).expect("YAML"));
    Some(Ok(objects.filter(|object| !object.is_null()).collect()))
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn nothing_is_made_unless_it_is_asked_for() {
    let Some(objects) = template(&[]) else { return };
    let objects = objects.expect("is sound");
    let kinds: BTreeSet<&str> = objects.iter().map(|object| word(&object["kind"])).collect();
    assert!(kinds.contains("Deployment"));
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "GrafanaDashboard"] {
        assert!(!kinds.contains(kind), "{kind}");
    }
}

#[test]
fn alerts_and_dashboards_are_the_files() {
    let Some(objects) = template(&ALL) else { return };
    let objects = objects.expect("is sound");
    let [rule] = of_kind(&objects, "PrometheusRule")[..] else { panic!("one PrometheusRule") };
    assert_eq!(rule["spec"], files::rules());
    let mut made = Vec::new();
    for object in of_kind(&objects, "ConfigMap") {
        assert_eq!(object["metadata"]["labels"]["grafana_dashboard"], "1");
        assert_eq!(object["metadata"]["annotations"]["grafana_folder"], "Toolgate");
        for (name, text) in object["data"].as_object().expect("data") {
            made.push((name.clone(), serde_json::from_str(word(text)).expect("JSON")));
        }
    }
    assert_eq!(made, files::dashboards());
}

#[test]
fn refusing_rules_link_to_their_policy_where_it_can_be_looked_at() {
    let url = "https://headlamp.example/c/main/customresources/toolpolicies.toolgate.dev/{namespace}/{name}?a=1&b=2";
    let value = format!("grafana.dashboards.policyUrl={url}");
    let values: Vec<&str> = ALL.into_iter().chain([value.as_str()]).collect();
    let Some(objects) = template(&values) else { return };
    let objects = objects.expect("is sound");
    let mut linked = Vec::new();
    for object in of_kind(&objects, "ConfigMap") {
        let (_, text) = object["data"].as_object().expect("data").iter().next().expect("a file");
        let dashboard: Value = serde_json::from_str(word(text)).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            let links = panel["fieldConfig"]["overrides"][0]["properties"][0]["value"][0]["url"].as_str();
            linked.extend(
                links
                    .filter(|url| url.contains("headlamp"))
                    .map(|url| (panel["title"].clone(), url.to_owned())),
            );
        }
    }
    let wanted = "https://headlamp.example/c/main/customresources/toolpolicies.toolgate.dev/${__data.fields.Namespace}/${__data.fields.Policy}?a=1&b=2";
    assert_eq!(linked, [(Value::from("Top refusing rules"), wanted.to_owned())]);
}

#[test]
fn dashboards_for_grafanas_operator_point_at_the_config_maps() {
    let more =
        ["grafana.dashboards.grafanaDashboard.enabled=true", "grafana.dashboards.namespace=monitoring"];
    let values: Vec<&str> = ALL.into_iter().chain(more).collect();
    let Some(objects) = template(&values) else { return };
    let objects = objects.expect("is sound");
    let pointed_at: Vec<(&Value, &Value)> = of_kind(&objects, "GrafanaDashboard")
        .into_iter()
        .map(|one| (&one["metadata"]["namespace"], &one["spec"]["configMapRef"]))
        .collect();
    let made = of_kind(&objects, "ConfigMap");
    assert_eq!(pointed_at.len(), made.len());
    for ((namespace, reference), map) in pointed_at.iter().zip(made) {
        assert_eq!(**namespace, map["metadata"]["namespace"]);
        assert_eq!(reference["name"], map["metadata"]["name"]);
        assert!(map["data"][word(&reference["key"])].is_string(), "{reference}");
    }
}

#[test]
fn the_monitors_find_the_operators_service_and_every_gateway() {
    let Some(objects) = template(&ALL) else { return };
    let objects = objects.expect("is sound");
    let [service] = of_kind(&objects, "Service")[..] else { panic!("one Service") };
    let [monitor] = of_kind(&objects, "ServiceMonitor")[..] else { panic!("one ServiceMonitor") };
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels") {
        assert_eq!(service["metadata"]["labels"][label], *value);
    }
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);

    let [monitor] = of_kind(&objects, "PodMonitor")[..] else { panic!("one PodMonitor") };
    assert_eq!(monitor["spec"]["namespaceSelector"]["any"], true);
    let narrow: Vec<&str> = ALL.into_iter().chain(["watchNamespaces={crm,shop}"]).collect();
    let objects = template(&narrow).expect("Helm is there").expect("is sound");
    let [monitor] = of_kind(&objects, "PodMonitor")[..] else { panic!("one PodMonitor") };
    assert_eq!(monitor["spec"]["namespaceSelector"], serde_json::json!({"matchNames": ["crm", "shop"]}));
}

#[test]
fn labels_and_intervals_are_the_users() {
    let more = [
        "metrics.serviceMonitor.labels.release=prometheus",
        "metrics.podMonitor.labels.release=prometheus",
        "prometheusRule.additionalLabels.release=prometheus",
        "metrics.serviceMonitor.interval=15s",
        "metrics.podMonitor.interval=15s",
        "grafana.dashboards.namespace=monitoring",
    ];
    let values: Vec<&str> = ALL.into_iter().chain(more).collect();
    let Some(objects) = template(&values) else { return };
    let objects = objects.expect("is sound");
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert_eq!(of_kind(&objects, kind)[0]["metadata"]["labels"]["release"], "prometheus", "{kind}");
    }
    assert_eq!(of_kind(&objects, "ServiceMonitor")[0]["spec"]["endpoints"][0]["interval"], "15s");
    assert_eq!(of_kind(&objects, "PodMonitor")[0]["spec"]["podMetricsEndpoints"][0]["interval"], "15s");
    assert!(of_kind(&objects, "ConfigMap").iter().all(|map| map["metadata"]["namespace"] == "monitoring"));
}

#[test]
fn what_cannot_work_is_refused() {
    for (values, fault) in [
        (
            vec!["metrics.serviceMonitor.enabled=true", "metrics.service.enabled=false"],
            "metrics.service.enabled",
        ),
        (vec!["metrics.podMonitor.interval=often"], "/metrics/podMonitor/interval"),
        (vec!["grafana.dashboard.enabled=true"], "dashboard"),
        (vec!["grafana.dashboards.policyUrl=https://nowhere/in/particular"], "policyUrl"),
        (
            vec!["grafana.dashboards.grafanaDashboard.enabled=true"],
            "grafana.dashboards.grafanaDashboard.enabled needs grafana.dashboards.enabled",
        ),
    ] {
        let Some(made) = template(&values) else { return };
        let complaint = made.expect_err(fault);
        assert!(complaint.contains(fault), "{complaint}");
    }
}
