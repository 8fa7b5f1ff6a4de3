//! What a server says of its gateway's pods is taken by a real API server, and taken away again when it is said no more.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, SERVER, World, eventually, promise};

/// What comes and goes.
const KINDS: &str = "networkpolicies,ingresses,horizontalpodautoscalers,poddisruptionbudgets";

pub(crate) fn a_gateway_runs_as_its_server_says(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let not_here = json!([{"matchExpressions": [{"key": "nobody", "operator": "DoesNotExist"}]}]);
    let gateway = json!({
        "labels": {"team": "crm"},
        "annotations": {"example.com/note": "kept"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": not_here}}},
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}],
        "exposure": {
            "service": {"type": "NodePort", "annotations": {"example.com/note": "kept"}},
            "ingress": {"host": "kommo.example.com", "className": "outer", "tls": {"secretName": "kommo-tls"}},
        },
        "networkPolicy": {
            "from": [{"podSelector": {}}],
            "egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 3001}]}, {"ports": [{"port": 6443}]}],
            "serverPods": {"app": "kommo-mcp"},
        },
    });
    set(&stage.kubectl, &gateway)?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    let found = || stage.kubectl.run(&["get", KINDS, "--output", "name"]);
    eventually("everything is there", || Ok(found()?.lines().count() == 3))?;
    stage.rolled_out(1)?;
    let labels = stage.kubectl.run(&["get", "pods", "--selector=team=crm", "--output", "name"])?;
    promise(!labels.is_empty(), || "no gateway pod has the label".to_owned())?;
    stage.caller()?.until("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    stage.kubectl.run(&[
        "patch",
        SERVER,
        "--type=json",
        r#"--patch=[{"op": "remove", "path": "/spec/gateway"}]"#,
    ])?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    eventually("only the gateway's own NetworkPolicy is left", || {
        Ok(found()?.trim() == "networkpolicy.networking.k8s.io/kommo-toolgate")
    })?;
    set(&stage.kubectl, &json!({"networkPolicy": {"enabled": false}}))?;
    eventually("nothing is left", || Ok(found()?.is_empty()))
}

fn set(kubectl: &toolgate_e2e::cluster::Kubectl, gateway: &serde_json::Value) -> Result<(), Error> {
    let patch = format!("--patch={}", json!({"spec": {"gateway": gateway}}));
    kubectl.run(&["patch", SERVER, "--type=merge", &patch])?;
    Ok(())
}
