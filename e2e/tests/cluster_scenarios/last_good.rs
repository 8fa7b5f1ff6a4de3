//! Where admission is off, a bad edit gets in and does not count: the last good version stays in force, also over a
//! restart of the operator, and the status says so. A policy that never was good refuses every call.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Caller, Error, POLICY, SERVER, Stage, World, eventually, promise};

use crate::leaving::condition;

/// The sample grant.
const GRANT: &str = "toolgrant/sales-agent";

/// The sample policy with keys that nothing knows. Read without care, it would hide nothing and limit nothing.
const UNKNOWN_KEYS: Bad = Bad {
    manifest: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-sales}
hides: ['stop_*']
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  defualt: deny
  tools:
    '*': {action: allow}
    move_lead: {limit: [{counter: move_lead_rate, window: minute, max: 30, scope: grant}]}
",
    told: &[
        "hides: unknown field",
        "spec.defualt: unknown field; did you mean default?",
        "spec.tools.move_lead.limit: unknown field; did you mean limits?",
    ],
};

/// The same with what no schema can see.
const MEANINGLESS: Bad = Bad {
    manifest: "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-sales}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  tools:
    '*': {action: allow}
    get_lead: {require: [{path: args.id, op: eq}]}
    get_leads: {denyIf: [{path: 'args..page', op: exists}]}
",
    told: &["spec.tools.get_lead.require[0]", "spec.tools.get_leads.denyIf[0].path"],
};

/// An edit that is refused, and what the status has to tell of it.
struct Bad {
    manifest: &'static str,
    told: &'static [&'static str],
}

const NEVER_GOOD: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: never-good}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  defualt: allow
";

/// A bad edit of the sample grant. What is mistyped may be what was to close it, so it opens nothing.
const BAD_GRANT: &str = r#"{"spec": {"suspend": true}}"#;

/// It is repaired.
const GOOD_GRANT: &str = r#"{"spec": {"suspend": null}}"#;

/// A bad edit of the sample server.
const BAD_SERVER: &str =
    r#"{"spec": {"upstream": {"service": {"name": "elsewhere", "port": 1, "path": "/mcp"}}}}"#;

/// The sample policy, repaired and edited.
const REPAIRED: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-sales}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  default: deny
  tools:
    get_leads: {}
";

pub(crate) fn a_bad_edit_keeps_the_last_good(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    world.operator.without_admission(|| {
        let caller = stage.caller()?;
        for bad in [&UNKNOWN_KEYS, &MEANINGLESS] {
            the_bad_edit(&stage, bad)?;
            the_last_good_holds(&stage, &caller)?;
        }
        world.operator.restart()?;
        the_last_good_holds(&stage, &caller)?;
        the_repaired_edit(&stage, &caller)?;
        a_bad_grant_opens_nothing(&stage, &caller)?;
        a_bad_server_keeps_its_last_good(&stage, &caller)?;
        the_policy_that_never_was_good(&stage, &caller)
    })
}

fn the_bad_edit(stage: &Stage<'_>, bad: &Bad) -> Result<(), Error> {
    stage.kubectl.apply(bad.manifest)?;
    eventually("the status speaks of the bad edit", || {
        let policy = stage.kubectl.get(&[POLICY])?;
        Ok(policy["status"]["observedGeneration"] == policy["metadata"]["generation"])
    })?;
    stage.kubectl.wait("condition=Stalled", &[POLICY])?;
    let policy = stage.kubectl.get(&[POLICY])?;
    let accepted = condition(&policy, "Accepted");
    promise(accepted["status"] == "False", || format!("a bad edit is accepted: {accepted}"))?;
    let message = accepted["message"].as_str().unwrap_or_default();
    let told: Vec<&str> = bad.told.iter().filter(|told| !message.contains(**told)).copied().collect();
    promise(told.is_empty(), || format!("the status does not tell of {told:?}: {message:?}"))?;
    let said = message.starts_with("generation 1 stays in force");
    promise(said, || format!("the status does not say what is in force: {message:?}"))
}

fn the_last_good_holds(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    let generation = stage.kubectl.value(SERVER, ".status.policies[0].generation")?;
    promise(generation == "1", || format!("generation {generation} is said to be enforced"))?;
    caller.expect("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    caller.expect("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
    caller.expect("create_lead", &json!({"name": "New"}), Outcome::Unknown)?;
    Ok(())
}

fn the_repaired_edit(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    stage.kubectl.apply(REPAIRED)?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    caller.expect("get_lead", &json!({"id": 1001}), Outcome::Unknown)?;
    caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
    let policy = stage.kubectl.get(&[POLICY])?;
    promise(condition(&policy, "Stalled").is_null(), || "the repaired policy is still Stalled".to_owned())
}

fn a_bad_grant_opens_nothing(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    let patch = |patch| stage.kubectl.run(&["patch", GRANT, "--type", "merge", "--patch", patch]);
    patch(BAD_GRANT)?;
    stage.kubectl.wait("condition=Stalled", &[GRANT])?;
    stalled(stage, GRANT, "it opens nothing; spec.suspend: unknown field; did you mean suspended?")?;
    caller.until("get_leads", &json!({}), Outcome::Unauthorized)?;
    patch(GOOD_GRANT)?;
    stage.kubectl.wait("condition=Programmed", &[GRANT])?;
    caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
    Ok(())
}

fn a_bad_server_keeps_its_last_good(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    stage.kubectl.run(&["patch", SERVER, "--type", "merge", "--patch", BAD_SERVER])?;
    stage.kubectl.wait("condition=Stalled", &[SERVER])?;
    let told = "generation 1 stays in force; spec.upstream: must have exactly one of url and service";
    stalled(stage, SERVER, told)?;
    caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
    Ok(())
}

fn stalled(stage: &Stage<'_>, object: &str, told: &str) -> Result<(), Error> {
    let found = stage.kubectl.get(&[object])?;
    let message = condition(&found, "Accepted")["message"].as_str().unwrap_or_default();
    promise(message == told, || format!("{object} says {message:?}, and not {told:?}"))
}

fn the_policy_that_never_was_good(stage: &Stage<'_>, caller: &Caller<'_>) -> Result<(), Error> {
    stage.kubectl.apply(NEVER_GOOD)?;
    stage.kubectl.wait("condition=Stalled", &["toolpolicy/never-good"])?;
    let sighting = caller.until("get_leads", &json!({}), Outcome::Denied)?;
    let told = sighting.last.words().contains("never-good");
    promise(told, || format!("the refusal does not name the policy: {}", sighting.last.words()))?;
    stage.kubectl.run(&["delete", "toolpolicy", "never-good"])?;
    eventually("the deleted policy is gone from the server's status", || {
        let names = stage.kubectl.value(SERVER, ".status.policies[*].name")?;
        Ok(names == "kommo-sales")
    })?;
    caller.expect("get_leads", &json!({}), Outcome::Allowed)?;
    Ok(())
}
