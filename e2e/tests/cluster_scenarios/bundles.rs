//! What gateways enforce can be written by the operator alone, not even by an administrator; and what somebody
//! nevertheless takes away comes back.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, World, eventually, promise};

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
