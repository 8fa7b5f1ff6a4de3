//! Two operators: the one that leads is deleted without grace, and the other one takes over. (One that dies without a word
//! is followed at the end of its Lease; that is tried in paused time, before an API server in memory.)

use std::time::Instant;

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, POLICY, World, eventually, promise};

/// A merge patch of the sample policy.
const EDIT: &str = r#"{"spec": {"tools": {"get_leads": {"action": "deny", "reason": "closed"}}}}"#;

pub(crate) fn the_leader_is_taken_away(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    world.operator.scaled(2, || {
        let holder = || world.operator.leader();
        let before = holder()?;
        promise(before.starts_with("toolgate-operator-"), || format!("the Lease is held by {before:?}"))?;
        let began = Instant::now();
        world.operator.kubectl.run(&["delete", "pod", &before, "--grace-period=0", "--force"])?;
        stage.kubectl.run(&["patch", POLICY, "--type", "merge", "--patch", EDIT])?;
        eventually("another operator leads", || Ok(!["", &*before].contains(&holder()?.as_str())))?;
        let took_over = began.elapsed();
        stage.kubectl.wait("condition=Programmed", &[POLICY])?;
        caller.expect("get_leads", &json!({}), Outcome::Denied)?;
        println!(
            "the deleted leader was followed after {:.1} s, and the edit was enforced after {:.1} s",
            took_over.as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
        Ok(())
    })
}
