//! Objects come in any order, and go while nobody looks.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, POLICY, SERVER, World, eventually, promise, samples};

const ACCEPTED: &str = ".status.conditions[?(@.type==\"Accepted\")].reason";

pub(crate) fn a_policy_comes_before_its_server(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    let file = |object: &str| format!("{}/kommo-{object}.yaml", samples());
    stage.kubectl.run(&["apply", "--filename", &file("policy"), "--filename", &file("grant")])?;
    eventually("the policy says that its server is missing", || {
        Ok(stage.kubectl.value(POLICY, ACCEPTED)? == "TargetNotFound")
    })?;
    stage.kubectl.run(&["apply", "--filename", &file("server")])?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    stage.caller()?.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}

pub(crate) fn a_namespace_goes_while_the_operator_is_away(
    world: &World<'_>,
    name: &str,
) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    world.operator.away(|| {
        // No finalizer of ours holds it up.
        world.cluster.kubectl.run(&["delete", "namespace", name, "--wait=false"])?;
        world.cluster.kubectl.wait("delete", &[&format!("namespace/{name}")])?;
        Ok(())
    })?;
    let errors = || {
        world
            .operator
            .metrics()
            .map(|metrics| metrics.sum("toolgate_operator_reconciles_total", &[("outcome", "error")]))
    };
    promise(errors()? == 0, || "what is gone is reconciled all the same".to_owned())
}

/// A pod that a quota does not let in is told in the quota's own words, and comes when there is room.
pub(crate) fn a_quota_refuses_a_pod(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.kubectl.run(&["create", "quota", "full", "--hard=pods=2"])?;
    stage.kubectl.run(&["apply", "--filename", &samples()])?;
    let ready = ".status.conditions[?(@.type==\"Ready\")]";
    eventually("the server says that the quota is exceeded", || {
        let said = stage.kubectl.value(SERVER, ready)?;
        Ok(said.contains("NoGateways") && said.contains("exceeded quota: full"))
    })?;
    stage.kubectl.run(&["delete", "quota", "full"])?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    stage.caller()?.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}
