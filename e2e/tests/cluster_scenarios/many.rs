//! Fifty servers with a thousand policies, all of them enforced.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use toolgate_e2e::cluster::{Error, Stage, World, promise};

const SERVERS: usize = 50;
const POLICIES_EACH: usize = 20;
/// How long fifty gateways may take to start on one node that has other things to do.
const PATIENCE: Duration = Duration::from_mins(8);

pub(crate) fn fifty_servers_with_a_thousand_policies(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    let began = Instant::now();
    create(&stage, &(0..SERVERS).map(server).collect::<Vec<Value>>())?;
    let policies = |server: usize| (0..POLICIES_EACH).map(move |number| policy(server, number));
    create(&stage, &(0..SERVERS).flat_map(policies).collect::<Vec<Value>>())?;
    let written = began.elapsed();
    until_all(&stage, "toolpolicies", "Programmed", SERVERS * POLICIES_EACH)?;
    until_all(&stage, "mcpservers", "Ready", SERVERS)?;
    println!(
        "{SERVERS} servers with {} policies: written in {:.1} s, enforced by their gateways after {:.1} s",
        SERVERS * POLICIES_EACH,
        written.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    // They make room for what else is played here.
    stage.kubectl.run(&["delete", "mcpservers", "--all", "--wait=false"])?;
    Ok(())
}

fn create(stage: &Stage<'_>, objects: &[Value]) -> Result<(), Error> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    stage.kubectl.attempt(&["create", "--filename", "-"], &list)?.success()?;
    Ok(())
}

fn server(number: usize) -> Value {
    json!({
        "apiVersion": "toolgate.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": format!("server-{number}")},
        "spec": {
            "upstream": {"url": "http://kommo-mcp:3001/mcp"},
            "gateway": {"resources": {"requests": {"cpu": "1m", "memory": "8Mi"}}},
        },
    })
}

fn policy(server: usize, number: usize) -> Value {
    json!({
        "apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolPolicy",
        "metadata": {"name": format!("policy-{server}-{number}")},
        "spec": {
            "targetRefs": [{"kind": "McpServer", "name": format!("server-{server}")}],
            "default": "deny", "tools": {"get_leads": {}},
        },
    })
}

fn until_all(stage: &Stage<'_>, kind: &str, condition: &str, count: usize) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let objects = stage.kubectl.items(&[kind])?;
        let holds = objects.iter().filter(|object| {
            let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|found| found["type"] == condition && found["status"] == "True")
        });
        let holding = holds.count();
        if holding == count {
            return Ok(());
        }
        promise(began.elapsed() < PATIENCE, || {
            format!("{holding} of {count} {kind} are {condition} after {} s", PATIENCE.as_secs())
        })?;
        std::thread::sleep(Duration::from_millis(500));
    }
}
