//! A release is upgraded, with a change of its CRDs, tested, and rolled back, and no call is lost meanwhile.

use std::thread;

use serde_json::json;

use toolgate_e2e::cluster::{Error, World, eventually, promise};

/// A call every so many milliseconds, for as long as the release changes: below the sample policy's limit on the server.
const CALLS: u32 = 300;
const EVERY_MS: u32 = 200;

/// What the other chart's CRD says in place of something.
const BEFORE: &str = "Narrows every tool; lists none.";
const AFTER: &str = "Narrows every tool and lists none, says the next version.";

/// Where the API server shows it.
const SHOWN: &str =
    ".spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.allTools.description";

pub(crate) fn a_release_is_upgraded_and_rolled_back(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let caller = stage.caller()?;
    let call = json!({
        "call": "get_lead", "arguments": {"id": 1001}, "times": CALLS, "everyMs": EVERY_MS,
        "expect": {"outcome": "allowed"},
    });
    let script = json!([call]).to_string();
    thread::scope(|scope| {
        let calling = scope.spawn(|| caller.converse("steady", &script, |_| Ok(())));
        let changed = change(world);
        calling.join().map_err(|_| Error::Broken("the conversation panicked".to_owned()))??;
        changed
    })?;
    // The operator of the last release works.
    stage.kubectl.run(&["delete", "service", "kommo-toolgate"])?;
    eventually("the Service comes back", || {
        Ok(stage.kubectl.run(&["get", "service", "kommo-toolgate"]).is_ok())
    })
}

fn change(world: &World<'_>) -> Result<(), Error> {
    let shown = || world.cluster.kubectl.value("crd/toolpolicies.toolgate.dev", SHOWN);
    let before = shown()?;
    promise(before.contains(BEFORE) && !before.contains(AFTER), || format!("another text: {before}"))?;
    let revision = world.operator.revision()?;
    world.operator.upgrade_changed(("files/crds/toolpolicies.toolgate.dev.yaml", BEFORE, AFTER))?;
    let after = shown()?;
    promise(after.contains(AFTER), || format!("the CRD was not upgraded: {after}"))?;
    world.operator.test()?;
    world.operator.roll_back(&revision)?;
    let back = shown()?;
    promise(back == before, || format!("the CRD was not rolled back: {back}"))?;
    world.operator.test()
}
