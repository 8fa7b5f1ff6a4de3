//! What is secret, and what callers say, is told nowhere: no Event, no object, no metric and no log has it.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, RELEASE_NAMESPACE, SAMPLE_TOKEN, SERVER, World, eventually, promise};

/// The credential for the server: a wrong one, so that there is something to tell.
const CREDENTIAL: &str = "upstream-credential-canary";
/// The value of an argument.
const ARGUMENT: &str = "argument-value-canary";
/// Calls that the server refuses before the status says so.
const REFUSALS: usize = 3;
/// Everything that the operator and the gateway write, or that is written about them.
const OBJECTS: &str = "events,mcpservers,toolpolicies,toolgrants,configmaps,deployments,replicasets,pods,services,endpointslices,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets";

pub(crate) fn no_secret_is_told(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    let arguments = json!({"query": ARGUMENT, "id": ARGUMENT});
    caller.expect("update_lead", &arguments, Outcome::Denied)?;
    caller.expect("no_such_tool", &arguments, Outcome::Unknown)?;
    caller.call("get_leads", &arguments)?;

    let secret = format!("--from-literal=authorization=Bearer {CREDENTIAL}");
    stage.kubectl.run(&["create", "secret", "generic", "wrong", &secret])?;
    let header = json!({"name": "Authorization", "secretKeyRef": {"name": "wrong", "key": "authorization"}});
    let wrong = json!({"spec": {"upstream": {"headers": [header]}}}).to_string();
    stage.kubectl.run(&["patch", SERVER, "--type", "merge", "--patch", &wrong])?;
    stage.rolled_out(1)?;
    for _ in 0..REFUSALS {
        caller.expect("get_leads", &arguments, Outcome::Failed)?;
    }
    // The status is looked at each half minute, and Events come after it.
    let reachable = ".status.conditions[?(@.type==\"Reachable\")].reason";
    eventually("the status says that the server refuses the credential", || {
        Ok(stage.kubectl.value(SERVER, reachable)? == "CredentialRefused")
    })?;
    let told = || stage.kubectl.run(&["get", "events", "--output", "json"]);
    eventually("an Event tells that the server refuses the credential", || {
        Ok(told()?.contains("CredentialRefused"))
    })?;

    let (objects, gateway) = (["get", OBJECTS, "--output", "json"], stage.gateway()?);
    let operator = world.cluster.kubectl.in_namespace(RELEASE_NAMESPACE);
    let everything = [
        ("the objects", stage.kubectl.run(&objects)?),
        ("what kubectl describes", stage.kubectl.run(&["describe", SERVER])?),
        ("the operator's objects", operator.run(&objects)?),
        ("the operator's log", operator.run(&["logs", &world.operator.pod()?])?),
        ("the operator's metrics", operator.pod_port(&world.operator.pod()?, 8080, "/metrics")?),
        ("the gateway's log and audit trail", stage.kubectl.run(&["logs", &gateway])?),
        ("the gateway's metrics", stage.kubectl.pod_port(&gateway, 9090, "/metrics")?),
        ("the gateway's health", stage.kubectl.pod_port(&gateway, 9090, "/readyz")?),
    ];
    for (what, text) in everything {
        promise(!text.trim().is_empty(), || format!("{what}: nothing to look at"))?;
        for secret in [CREDENTIAL, ARGUMENT, SAMPLE_TOKEN] {
            promise(!text.contains(secret), || format!("{what}: {secret} is told: {text}"))?;
        }
    }
    Ok(())
}
