//! The server's status says whether its gateways reach it, what is in the way, and how many tools it has.

use toolgate_e2e::cluster::{Error, SERVER, Stage, World, eventually, promise};

pub(crate) fn what_is_in_the_way_is_said(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    let secret = stage.kubectl.run(&["get", "secret", "kommo-mcp", "--output", "yaml"])?;
    stage.kubectl.run(&["delete", "secret", "kommo-mcp"])?;
    let samples = toolgate_e2e::cluster::samples();
    stage.kubectl.run(&["apply", "--filename", &samples])?;
    says(&stage, "Unknown", "Pending", "the Secret kommo-mcp with authorization")?;
    stage.kubectl.attempt(&["apply", "--filename", "-"], &secret)?.success()?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    says(&stage, "True", "Reachable", "every gateway pod reaches the server")?;
    // Nobody has called, so nobody knows how many tools there are.
    let tools = || stage.kubectl.value(SERVER, ".status.toolCount");
    promise(tools()?.is_empty(), || "tools were counted without a list of them".to_owned())?;
    stage.kubectl.run(&["scale", "deployment", "kommo-mcp", "--replicas=0"])?;
    says(&stage, "False", "ConnectionRefused", "the server refuses connections")?;
    let ready = stage.kubectl.value(SERVER, ".status.conditions[?(@.type==\"Ready\")].status")?;
    promise(ready == "True", || format!("Ready is {ready}, though everything is enforced"))?;
    stage.kubectl.run(&["scale", "deployment", "kommo-mcp", "--replicas=1"])?;
    says(&stage, "True", "Reachable", "every gateway pod reaches the server")?;
    stage.caller()?.converse("lister", r#"[{"list": "tools"}]"#, |_| Ok(()))?;
    eventually("the tools are counted", || Ok(tools()? == "23"))?;
    let columns = stage.kubectl.run(&["get", SERVER])?;
    let row: Vec<&str> = columns.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    promise(row.len() > 4 && row[1..3] == ["True", "True"] && row[4] == "23", || {
        format!("kubectl get says:\n{columns}")
    })
}

fn says(stage: &Stage<'_>, status: &str, reason: &str, message: &str) -> Result<(), Error> {
    let path = ".status.conditions[?(@.type==\"Reachable\")]";
    let mut last = String::new();
    let said = eventually(message, || {
        last = stage.kubectl.value(SERVER, path)?;
        Ok([status, reason, message].iter().all(|part| last.contains(part)))
    });
    said.map_err(|_| Error::Broken(format!("Reachable is not {status}/{reason} ({message}): {last}")))
}
