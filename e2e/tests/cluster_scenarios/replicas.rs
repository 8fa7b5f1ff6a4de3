//! Several gateways in front of one server count as one, hold each other's sessions, and are replaced without a lost call.

use std::thread;

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{
    Caller, Error, Metrics, POLICY, SERVER, Stage, Store, World, converse_at_once, eventually, promise,
};

/// How many gateways there are.
const GATEWAYS: usize = 3;
/// The most calls of `move_lead` in a minute, as the sample policy has it.
const LIMIT: u64 = 30;
/// How many calls of it are sent to each gateway: together more than the limit, alone fewer.
const CALLS_EACH: u64 = 20;
/// The gateways' port for MCP, and that of metrics.
const MCP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9090;
/// A call every so many milliseconds, for as long as gateways are replaced.
const CALLS: u32 = 700;
const EVERY_MS: u32 = 50;

/// Without the limit on the whole server, which would mix into the count.
const WITHOUT_SERVER_LIMIT: &str = r#"{"spec": {"allTools": null}}"#;

pub(crate) fn several_gateways_count_as_one(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    Store::run(&stage)?;
    stage.apply_samples()?;
    patch(&stage, SERVER, &Store::patch(u32::try_from(GATEWAYS).unwrap_or(u32::MAX)))?;
    patch(&stage, POLICY, WITHOUT_SERVER_LIMIT)?;
    ready(&stage)?;
    stage.kubectl.run(&["get", "poddisruptionbudget", "kommo-toolgate"])?;
    the_limit_is_exact(&stage)?;
    no_call_is_lost(&stage)?;
    fewer_leave_nothing(&stage)
}

fn patch(stage: &Stage<'_>, object: &str, patch: &str) -> Result<(), Error> {
    stage.kubectl.run(&["patch", object, "--type", "merge", "--patch", patch])?;
    Ok(())
}

/// Waits until all gateways are of the last template, and all of them enforce everything.
fn ready(stage: &Stage<'_>) -> Result<(), Error> {
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    stage.rolled_out(GATEWAYS)?;
    stage.kubectl.wait("condition=Programmed", &[POLICY])?;
    eventually("the server has all its gateways", || {
        Ok(stage.kubectl.value(SERVER, ".status.replicas")? == GATEWAYS.to_string())
    })
}

fn the_limit_is_exact(stage: &Stage<'_>) -> Result<(), Error> {
    let caller = stage.caller()?;
    let arguments = json!({"lead_id": 1001, "status_id": 103, "confirm": true});
    let script = json!([{"call": "move_lead", "arguments": arguments, "times": CALLS_EACH}]).to_string();
    let pods = stage.gateways()?;
    let callers: Vec<(String, Caller<'_>)> = pods
        .iter()
        .enumerate()
        .map(|(index, pod)| {
            let address = pod["status"]["podIP"].as_str().unwrap_or_default();
            (format!("mover-{index}"), caller.at_url(format!("http://{address}:{MCP_PORT}/mcp")))
        })
        .collect();
    let (mut allowed, mut limited, mut uncounted) = (0, 0, 0);
    for report in converse_at_once(&callers, &script)? {
        allowed += u64::from(report.counts.get(&Outcome::Allowed).copied().unwrap_or_default());
        limited += u64::from(report.counts.get(&Outcome::Limited).copied().unwrap_or_default());
        uncounted += u64::from(report.counts.get(&Outcome::Uncounted).copied().unwrap_or_default());
    }
    let sent = CALLS_EACH * GATEWAYS as u64;
    // A busy machine may let the store answer past the deadline: such a call is refused, and may have been charged.
    let exact = allowed <= LIMIT && allowed + uncounted >= LIMIT && allowed + limited + uncounted == sent;
    promise(exact, || {
        format!(
            "of {sent} calls over {GATEWAYS} gateways {allowed} were allowed, {limited} limited, {uncounted} uncounted"
        )
    })?;
    let reached = stage.record()?.by_tool.get("move_lead").copied().unwrap_or_default();
    promise(reached == allowed, || format!("{reached} calls reached the server"))?;
    for pod in pods {
        let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
        let page = Metrics::read(&stage.kubectl.pod_port(pod, ADMIN_PORT, "/metrics")?);
        let counted = page.sum("toolgate_tool_calls_total", &[("tool", "move_lead")]);
        promise(counted == CALLS_EACH, || format!("{pod} counted {counted} of {CALLS_EACH} calls"))?;
    }
    Ok(())
}

/// Conversations in both eras go on while one gateway is deleted and then all are replaced. Every call has to be allowed.
fn no_call_is_lost(stage: &Stage<'_>) -> Result<(), Error> {
    let caller = stage.caller()?;
    let call = json!({
        "call": "get_lead", "arguments": {"id": 1001}, "times": CALLS, "everyMs": EVERY_MS,
        "expect": {"outcome": "allowed"},
    });
    let script = json!([call]).to_string();
    let callers = [("steady".to_owned(), caller.clone()), ("steady-session".to_owned(), caller.in_session())];
    let reports = thread::scope(|scope| {
        let calling = scope.spawn(|| converse_at_once(&callers, &script));
        let replaced = replace(stage);
        let reports = calling.join().map_err(|_| Error::Broken("a conversation panicked".to_owned()))?;
        replaced.and(reports)
    })?;
    for report in reports {
        promise(report.counts.get(&Outcome::Allowed) == Some(&CALLS), || {
            format!("calls were lost: {report:?}")
        })?;
    }
    Ok(())
}

fn replace(stage: &Stage<'_>) -> Result<(), Error> {
    for name in ["steady", "steady-session"] {
        eventually("both conversations have begun", || {
            Ok(stage
                .kubectl
                .value(&format!("pod/{name}"), ".status.phase")
                .is_ok_and(|phase| phase == "Running"))
        })?;
    }
    let pods = stage.gateways()?;
    let first = pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).unwrap_or_default();
    stage.kubectl.run(&["delete", "pod", first])?;
    ready(stage)?;
    patch(stage, SERVER, r#"{"spec": {"gateway": {"annotations": {"example.com/round": "two"}}}}"#)?;
    ready(stage)?;
    let rounds = "jsonpath={.items[*].metadata.annotations.example\\.com/round}";
    let of_gateways = "--selector=app.kubernetes.io/component=gateway";
    let rounds = stage.kubectl.run(&["get", "pods", of_gateways, "--output", rounds])?;
    promise(rounds.split_whitespace().eq(["two"; GATEWAYS]), || format!("not all were replaced: {rounds}"))
}

/// What several pods are for is taken away with them.
fn fewer_leave_nothing(stage: &Stage<'_>) -> Result<(), Error> {
    patch(stage, SERVER, r#"{"spec": {"gateway": {"replicas": 1}}}"#)?;
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    eventually("the disruption budget is gone", || {
        let found = stage.kubectl.run(&["get", "poddisruptionbudgets", "--output", "name"])?;
        Ok(found.is_empty())
    })
}
