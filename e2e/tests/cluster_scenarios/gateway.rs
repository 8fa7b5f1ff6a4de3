//! A gateway that goes is replaced, and comes back with what was in force, whoever else is away.

use std::time::{Duration, Instant};

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, Frozen, Outside, POLICY, World, promise, restart_container};

/// How long the API server is away.
const OUTAGE: Duration = Duration::from_mins(1);
/// A merge patch of the sample policy.
const EDIT: &str = r#"{"spec": {"tools": {"get_lead": {"action": "deny", "reason": "closed"}}}}"#;

pub(crate) fn a_gateway_is_replaced(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    let before = stage.gateway()?;
    stage.kubectl.run(&["delete", "pod", &before, "--wait=false"])?;
    // While it drains it still answers; from then on its successor does. Neither ever opens anything.
    caller.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
    stage.kubectl.wait("delete", &[&format!("pod/{before}")])?;
    caller.until("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    caller.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
    let after = stage.gateway()?;
    promise(after != before, || "the pod was not replaced".to_owned())
}

pub(crate) fn the_api_server_is_away(world: &World<'_>, name: &str) -> Result<(), Error> {
    if world.cluster.folder().is_none() {
        return Err(Error::NotUsable("the API server of a cluster of your own is not stopped".to_owned()));
    }
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let outside = Outside::of(&stage)?;
    let pod = stage.kubectl.get(&["pod", &stage.gateway()?])?;
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let calls = |outcome| outside.until("get_lead", &json!({"id": 1001}), outcome);
    calls(Outcome::Allowed)?;
    {
        let (_frozen, gone) = (Frozen::api_server(world.cluster)?, Instant::now());
        calls(Outcome::Allowed)?;
        restart_container(uid)?;
        calls(Outcome::Failed)?;
        calls(Outcome::Allowed)?;
        outside.until("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
        // Nothing comes true here: it is the outage itself that has to last.
        while gone.elapsed() < OUTAGE {
            calls(Outcome::Allowed)?;
        }
    }
    let back = Instant::now();
    // The new process follows the bundle as the old one did.
    stage.kubectl.run(&["patch", POLICY, "--type", "merge", "--patch", EDIT])?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    let (gone, back) = (OUTAGE.as_secs(), back.elapsed().as_secs_f64());
    println!(
        "after {gone} s without an API server the first edit was enforced {back:.1} s after it was back"
    );
    let sighting = calls(Outcome::Denied)?;
    promise(sighting.calls == 1, || format!("a call after Programmed did not obey: {sighting:?}"))
}
