//! What the chart makes is what Kubernetes' own schemas say, strictly: no field that nobody knows, in any version that the
//! chart is for.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/helm.rs"]
mod helm_program;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use helm_program::{helm, rendered, root};
use serde_json::Value;

/// The oldest and the newest version of Kubernetes that it is held against.
const VERSIONS: [&str; 2] = ["1.33", "1.37"];

/// Groups whose kinds are in no schema of Kubernetes' own.
const FOREIGN: [&str; 2] = ["monitoring.coreos.com", "toolgate.dev"];

/// Values that between them make everything that the chart can make.
const VALUES: [&[&str]; 4] = [
    &[],
    &[
        "replicaCount=3",
        "strategy.rollingUpdate.maxSurge=2",
        "podLabels.team=platform",
        "podAnnotations.note=kept",
        "nodeSelector.disk=ssd",
        "tolerations[0].key=agents",
        "tolerations[0].operator=Exists",
        "topologySpreadConstraints[0].maxSkew=1",
        "topologySpreadConstraints[0].topologyKey=zone",
        "topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
        "priorityClassName=high",
        "runtimeClassName=gvisor",
        "imagePullSecrets[0].name=pull",
        "extraEnv[0].name=A",
        "extraEnv[0].value=b",
        "extraVolumes[0].name=a",
        "extraVolumes[0].emptyDir.medium=Memory",
        "extraVolumeMounts[0].name=a",
        "extraVolumeMounts[0].mountPath=/a",
    ],
    &[
        "watchNamespaces={sales,support}",
        "admission.enabled=false",
        "crds.enabled=false",
        "userRoles.create=false",
        "leaderElection.enabled=false",
        "gateway.tokenReview.servers[0].namespace=sales",
        "gateway.tokenReview.servers[0].name=kommo",
    ],
    &[
        "redis.enabled=true",
        "metrics.serviceMonitor.enabled=true",
        "metrics.podMonitor.enabled=true",
        "prometheusRule.enabled=true",
        "grafana.dashboards.enabled=true",
        "userRoles.aggregateToEdit=true",
    ],
];

fn validator() -> Option<PathBuf> {
    let program = root().join("target/schemas/python/bin/kubernetes-validate");
    if program.exists() {
        return Some(program);
    }
    // Past the test harness, which shows nothing of a test that succeeds.
    let line = "NOT RUN: the_chart_is_what_the_schemas_of_kubernetes_say: operator/tests/schemas/fetch brings them\n";
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

fn is_of_kubernetes(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
    !FOREIGN.contains(&group)
}

#[test]
fn the_chart_is_what_the_schemas_of_kubernetes_say() {
    let Some(helm) = helm("the_chart_is_what_the_schemas_of_kubernetes_say") else { return };
    let Some(validator) = validator() else { return };
    let folder = std::env::temp_dir().join(format!("toolgate-chart-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut files = Vec::new();
    for (number, values) in VALUES.iter().enumerate() {
        let objects = rendered(&helm, values);
        let objects: Vec<&Value> = objects.iter().filter(|object| is_of_kubernetes(object)).collect();
        assert!(objects.len() > 5, "{values:?} make {} objects", objects.len());
        for (index, object) in objects.into_iter().enumerate() {
            let file = folder.join(format!("{number}-{index}-{}.yaml", object["kind"].as_str().unwrap()));
            std::fs::write(&file, object.to_string()).unwrap();
            files.push(file);
        }
    }
    // It has to be able to fail.
    let wrong = folder.join("wrong.yaml");
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {portz: []}\n";
    std::fs::write(&wrong, text).unwrap();
    let check = |version: &str, files: &[PathBuf]| {
        let mut command = Command::new(&validator);
        command.args(["--strict", "--quiet", "--no-warn", "-k", version]).args(files).output().unwrap()
    };
    for version in VERSIONS {
        assert!(
            !check(version, std::slice::from_ref(&wrong)).status.success(),
            "{version}: nothing is ever wrong"
        );
        let told = check(version, &files);
        let words = [told.stdout, told.stderr].concat();
        assert!(told.status.success(), "{version}: {}", String::from_utf8_lossy(&words));
    }
    std::fs::remove_dir_all(folder).unwrap();
}
