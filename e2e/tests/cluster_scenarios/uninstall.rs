//! After `helm uninstall` calls go on as they were decided. The CRDs stay, and once the objects are deleted nothing of
//! ours is left.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, SERVER, World, eventually, promise};

/// Everything that the chart or the operator makes, in namespaces.
const NAMESPACED: &str =
    "pods,services,configmaps,serviceaccounts,deployments,replicasets,roles,rolebindings,endpointslices";

/// Everything that the chart makes outside of namespaces, except what it keeps.
const CLUSTER_WIDE: &str =
    "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";

pub(crate) fn nothing_is_left_behind(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    world.operator.uninstall()?;
    caller.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    caller.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
    let kubectl = &world.cluster.kubectl;
    let of_ours = "--selector=app.kubernetes.io/name=toolgate";
    let left = kubectl.run(&["get", CLUSTER_WIDE, of_ours, "--output", "name"])?;
    promise(left.is_empty(), || format!("helm uninstall left {left}"))?;
    let kept = kubectl.run(&["get", "crds", "--output", "name"])?;
    let kept = kept.lines().filter(|crd| crd.ends_with(".toolgate.dev")).count();
    promise(kept == 3, || format!("{kept} CRDs are left of 3"))?;
    stage.kubectl.run(&["get", SERVER])?;
    for kind in ["mcpservers", "toolpolicies", "toolgrants"] {
        kubectl.run(&["delete", kind, "--all", "--all-namespaces"])?;
    }
    eventually("nothing of ours is left", || {
        Ok(kubectl.run(&["get", NAMESPACED, "--all-namespaces", of_ours, "--output", "name"])?.is_empty())
    })
}
