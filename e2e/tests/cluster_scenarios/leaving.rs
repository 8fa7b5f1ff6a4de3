//! What is deleted, suspended or taken back is acknowledged, and the next call obeys.

use serde_json::{Value, json};

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, OTHER_TOKEN, SERVER, Stage, World, eventually, promise, token_digest};

/// One more policy: it narrows.
const EXTRA: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: extra}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  default: allow
  tools:
    get_leads: {action: deny, reason: closed by one more policy}
";

/// A second caller. The digest is of the other token.
const OTHER: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: other-agent}
spec:
  servers: [{name: kommo}]
  subject:
    type: Token
    token: {sha256: 'DIGEST'}
";

/// The sample grant.
const GRANT: &str = "toolgrant/sales-agent";

pub(crate) fn what_leaves_is_acknowledged(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    a_deleted_policy(&stage)?;
    a_suspended_grant(&stage)?;
    a_deleted_grant(&stage)
}

fn a_deleted_policy(stage: &Stage<'_>) -> Result<(), Error> {
    let (caller, none) = (stage.caller()?, json!({}));
    stage.kubectl.apply(EXTRA)?;
    stage.kubectl.wait("condition=Programmed", &["toolpolicy/extra"])?;
    let reply = caller.expect("get_leads", &none, Outcome::Denied)?;
    promise(reply.rule() == Some("extra/tools/get_leads/action"), || format!("another rule: {reply:?}"))?;
    acknowledged(stage, "policies", &["extra", "kommo-sales"])?;
    stage.kubectl.run(&["delete", "toolpolicy", "extra"])?;
    acknowledged(stage, "policies", &["kommo-sales"])?;
    caller.expect("get_leads", &none, Outcome::Allowed)?;
    Ok(())
}

fn a_suspended_grant(stage: &Stage<'_>) -> Result<(), Error> {
    let (caller, lead) = (stage.caller()?, json!({"id": 1001}));
    stage.kubectl.apply(&OTHER.replace("DIGEST", &token_digest(OTHER_TOKEN)))?;
    stage.kubectl.wait("condition=Programmed", &["toolgrant/other-agent"])?;
    let suspend = |suspended: bool| {
        let patch = json!({"spec": {"suspended": suspended}}).to_string();
        stage.kubectl.run(&["patch", GRANT, "--type", "merge", "--patch", &patch])?;
        stage.kubectl.wait("condition=Programmed", &[GRANT])
    };
    suspend(true)?;
    caller.expect("get_lead", &lead, Outcome::Unauthorized)?;
    caller.with_token("other-agent").expect("get_lead", &lead, Outcome::Allowed)?;
    let grant = stage.kubectl.get(&[GRANT])?;
    let ready = condition(&grant, "Ready");
    promise(ready["reason"] == "Suspended", || {
        format!("the grant does not say that it is suspended: {ready}")
    })?;
    promise(grant["status"]["servers"].is_null(), || format!("a suspended grant opens {}", grant["status"]))?;
    suspend(false)?;
    caller.expect("get_lead", &lead, Outcome::Allowed)?;
    Ok(())
}

fn a_deleted_grant(stage: &Stage<'_>) -> Result<(), Error> {
    let (caller, lead) = (stage.caller()?, json!({"id": 1001}));
    acknowledged(stage, "grants", &["other-agent", "sales-agent"])?;
    stage.kubectl.run(&["delete", GRANT])?;
    acknowledged(stage, "grants", &["other-agent"])?;
    caller.expect("get_lead", &lead, Outcome::Unauthorized)?;
    caller.with_token("other-agent").expect("get_lead", &lead, Outcome::Allowed)?;
    Ok(())
}

/// Waits until the server's status names exactly these objects.
fn acknowledged(stage: &Stage<'_>, list: &str, names: &[&str]) -> Result<(), Error> {
    eventually(&format!("{SERVER} says that {list} are {names:?}"), || {
        let server = stage.kubectl.get(&[SERVER])?;
        let listed = server["status"][list].as_array().cloned().unwrap_or_default();
        Ok(listed.iter().map(|one| one["name"].as_str().unwrap_or_default()).eq(names.iter().copied()))
    })
}

pub(crate) fn condition<'o>(object: &'o Value, type_: &str) -> &'o Value {
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}
