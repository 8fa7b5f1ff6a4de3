//! The operator that is away is not missed by any call, and what was written meanwhile is enforced when it is back.
//! It writes only what differs.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, POLICY, World, eventually, promise, still};

/// A merge patch of the sample policy.
const EDIT: &str = r#"{"spec": {"tools": {"get_leads": {"action": "deny", "reason": "closed"}}}}"#;

pub(crate) fn the_operator_is_away(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    world.operator.away(|| {
        caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
        caller.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
        stage.kubectl.run(&["patch", POLICY, "--type", "merge", "--patch", EDIT])?;
        // Nobody has told the gateways.
        caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
        Ok(())
    })?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    caller.expect("get_leads", &json!({}), Outcome::Denied)?;
    Ok(())
}

pub(crate) fn nothing_is_written_at_rest(world: &World<'_>, name: &str) -> Result<(), Error> {
    world.stage(name)?.apply_samples()?;
    let writes = || world.operator.writes();
    let written = || Ok::<_, Error>(world.operator.metrics()?.sum("toolgate_operator_writes_total", &[]));
    restarted(world)?;
    let (before, _) = still("the operator is at rest", || Ok((writes()?.len(), written()?)))?;
    // A restart looks at everything anew. All of it is as it should be.
    restarted(world)?;
    let (written, after) = (written()?, writes()?);
    promise(written == 0, || format!("it wrote {written} objects at rest: {:?}", &after[before..]))?;
    promise(after.len() == before, || format!("the API server saw writes at rest: {:?}", &after[before..]))
}

/// Starts the operator anew, and returns when it has looked at everything.
fn restarted(world: &World<'_>) -> Result<(), Error> {
    world.operator.restart()?;
    for (kind, resource) in
        [("McpServer", "mcpservers"), ("ToolPolicy", "toolpolicies"), ("ToolGrant", "toolgrants")]
    {
        let objects = world.cluster.kubectl.items(&[resource, "--all-namespaces"])?.len();
        promise(objects > 0, || format!("there are no {resource}"))?;
        eventually(&format!("the operator has looked at all {resource}"), || {
            let looked =
                world.operator.metrics()?.sum("toolgate_operator_reconciles_total", &[("kind", kind)]);
            Ok(looked >= objects as u64)
        })?;
    }
    Ok(())
}
