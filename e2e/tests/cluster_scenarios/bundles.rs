//! What gateways enforce can be written by the operator alone, not even by an administrator; and what somebody
//! nevertheless takes away comes back.

use serde_json::{Value, json};

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, POLICY, SERVER, Stage, World, eventually, promise};

/// The ConfigMap with the bundle, as all children of the server are named.
const BUNDLE: &str = "configmap/kommo-toolgate";

/// Ways to rewrite it.
const FORGERIES: [&[&str]; 4] = [
    &["patch", BUNDLE, "--type", "merge", "--patch", r#"{"data": {"bundle.json": "{}"}}"#],
    &["label", BUNDLE, "toolgate.dev/bundle-"],
    &["annotate", BUNDLE, "--overwrite", "toolgate.dev/revision=99"],
    &["delete", BUNDLE],
];

pub(crate) fn only_the_operator_writes_bundles(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let version = || stage.kubectl.value(BUNDLE, ".metadata.resourceVersion");
    let before = version()?;
    for forgery in FORGERIES {
        let ran = stage.kubectl.attempt(forgery, "")?;
        let refused = !ran.succeeded() && ran.stderr.contains("only the operator of toolgate writes");
        promise(refused, || format!("kubectl {forgery:?} was not refused: {}", ran.output()))?;
    }
    let after = version()?;
    promise(after == before, || "the bundle was changed".to_owned())?;
    let uid = || stage.kubectl.value("service/kommo-toolgate", ".metadata.uid");
    let service = uid()?;
    stage.kubectl.run(&["delete", "service", "kommo-toolgate"])?;
    eventually("the Service comes back", || Ok(uid().is_ok_and(|uid| uid != service)))?;
    stage.caller()?.until("get_lead", &json!({"id": 1001}), Outcome::Allowed)?;
    Ok(())
}

/// So many policies of so many tools each, whose reasons nobody can compress into one ConfigMap.
const POLICIES: u64 = 200;
const TOOLS: u64 = 12;

pub(crate) fn a_bundle_may_be_larger_than_a_config_map(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    let lead = json!({"id": 1001});
    let before = stage.gateway()?;
    write(&stage, POLICIES)?;
    stage.kubectl.wait("condition=Programmed", &["toolpolicies", "--all"])?;
    let head: String = stage.kubectl.value(BUNDLE, ".data.bundle\\.shards\\.json")?;
    promise(head.contains("\"shards\":2"), || format!("the bundle is not in two parts: {head}"))?;
    let count = stage.kubectl.value(SERVER, ".status.policyCount")?;
    promise(count == (POLICIES + 1).to_string(), || format!("{count} policies are in the bundle"))?;
    caller.expect("get_lead", &lead, Outcome::Allowed)?;
    // An edit reaches those who run, also in parts.
    stage.kubectl.run(&["patch", POLICY, "--type", "merge", "--patch", CLOSED])?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    caller.expect("get_lead", &lead, Outcome::Denied)?;
    // Its pods were replaced, for the parts are mounted; and one that starts now knows all of it.
    eventually("the pod with all mounts is alone", || Ok(stage.gateway().is_ok_and(|pod| pod != before)))?;
    stage.kubectl.run(&["delete", "pod", &stage.gateway()?])?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    caller.until("update_lead", &json!({"id": 1001}), Outcome::Denied)?;
    caller.expect("get_lead", &lead, Outcome::Denied)?;
    // Small again, it is text again, and the parts are empty.
    stage.kubectl.run(&["delete", "toolpolicies", "--selector=noise=yes"])?;
    eventually("the bundle is in one", || {
        Ok(!stage.kubectl.value(BUNDLE, ".data.bundle\\.json")?.is_empty())
    })?;
    eventually("nothing is left of the parts", || {
        let parts = stage.kubectl.items(&["configmaps", "--selector=toolgate.dev/bundle"])?;
        let filled = parts.iter().filter(|part| part["binaryData"].is_object()).count();
        Ok(filled == 0 && parts.len() > 1)
    })?;
    stage.kubectl.run(&["patch", POLICY, "--type", "merge", "--patch", &CLOSED.replace("deny", "allow")])?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    caller.until("get_lead", &lead, Outcome::Allowed)?;
    Ok(())
}

const CLOSED: &str = r#"{"spec": {"tools": {"get_lead": {"action": "deny", "reason": "closed"}}}}"#;

/// They bind nobody who is there, so they cost no call anything.
fn write(stage: &Stage<'_>, count: u64) -> Result<(), Error> {
    let policies: Vec<Value> = (0..count)
        .map(|number| {
            let tools: serde_json::Map<String, Value> = (0..TOOLS)
                .map(|tool| (format!("t{tool}"), json!({"reason": noise(number * TOOLS + tool)})))
                .collect();
            let targets = json!([{"kind": "McpServer", "name": "kommo"}]);
            json!({
                "apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolPolicy",
                "metadata": {"name": format!("noise-{number}"), "labels": {"noise": "yes"}},
                "spec": {"targetRefs": targets, "grants": ["nobody"], "tools": tools},
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": policies}).to_string();
    stage.kubectl.attempt(&["create", "--filename", "-"], &list)?.success()?;
    Ok(())
}

fn noise(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letters = (0..1000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap_or_default())
    });
    letters.collect()
}
