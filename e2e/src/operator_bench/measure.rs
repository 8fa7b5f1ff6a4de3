//! A start from nothing, a start where everything is as it should be, and rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};

use super::api;
use super::objects::{self, SERVERS_MAX};
use super::program::Operator;
use super::store::Store;

/// The pause between two looks at something that has no way to say that it changed.
const LOOK: Duration = Duration::from_millis(10);
/// How long nothing has to be written until everything is.
const QUIET: Duration = Duration::from_secs(2);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many policies there are.
    pub policies: usize,
    /// How often the operator is started where everything is as it should be.
    pub starts: usize,
    /// How long it rests.
    pub rest: Duration,
}

/// Measures a build of the operator.
///
/// # Errors
/// It does not start, does not come to rest, or writes where nothing is to be written.
pub async fn run(program: &Path, plan: Plan, told: impl Fn(&str)) -> anyhow::Result<Value> {
    let store = Store::default();
    objects::fill(&store, plan.policies);
    let api = api::serve(store.clone()).await?;
    told("a start from nothing: every child and every status is written");
    let first = first(program, api, &store).await?;
    let mut again = Vec::new();
    for number in 1..=plan.starts {
        told(&format!("start {number} of {} where everything is as it should be", plan.starts));
        again.push(start(program, api, &store, plan).await?);
    }
    told(&format!("rest, for {} s", plan.rest.as_secs()));
    let rest = rest(program, api, &store, plan).await?;
    Ok(json!({
        "policies": plan.policies, "servers": SERVERS_MAX.min(plan.policies.max(1)),
        "first": first, "again": again, "rest": rest,
    }))
}

async fn first(program: &Path, api: std::net::SocketAddr, store: &Store) -> anyhow::Result<Value> {
    let began = Instant::now();
    let mut operator = Operator::start(program, api)?;
    let (mut last, mut at) = (store.writes(), Instant::now());
    loop {
        operator.reconciled("McpServer")?;
        let writes = store.writes();
        if writes != last {
            (last, at) = (writes, Instant::now());
        }
        if !last.is_empty() && at.elapsed() > QUIET {
            break;
        }
        if began.elapsed() > PATIENCE {
            bail!("it does not come to rest: {last:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
    let seconds = (at - began).as_secs_f64();
    let resident = operator.megabytes("VmRSS")?;
    Ok(json!({
        "seconds": rounded(seconds), "writes": last.values().sum::<u64>(), "residentMegabytes": rounded(resident),
        "peakMegabytes": rounded(operator.megabytes("VmHWM")?), "cpuSeconds": rounded(operator.cpu_seconds()?),
    }))
}

async fn start(
    program: &Path,
    api: std::net::SocketAddr,
    store: &Store,
    plan: Plan,
) -> anyhow::Result<Value> {
    let before = store.writes();
    let began = Instant::now();
    let mut operator = Operator::start(program, api)?;
    until_all_is_looked_at(&mut operator, plan, began).await?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = operator.cpu_seconds()?;
    tokio::time::sleep(QUIET).await;
    nothing_written(&before, &store.writes())?;
    Ok(json!({
        "seconds": rounded(seconds), "residentMegabytes": rounded(operator.megabytes("VmRSS")?),
        "peakMegabytes": rounded(operator.megabytes("VmHWM")?), "cpuSeconds": rounded(cpu),
    }))
}

async fn rest(program: &Path, api: std::net::SocketAddr, store: &Store, plan: Plan) -> anyhow::Result<Value> {
    let mut operator = Operator::start(program, api)?;
    until_all_is_looked_at(&mut operator, plan, Instant::now()).await?;
    tokio::time::sleep(QUIET).await;
    let (before, cpu) = (store.writes(), operator.cpu_seconds()?);
    tokio::time::sleep(plan.rest).await;
    nothing_written(&before, &store.writes())?;
    let used = operator.cpu_seconds()? - cpu;
    Ok(json!({
        "seconds": plan.rest.as_secs(), "writes": 0, "cpuSeconds": rounded(used),
        "residentMegabytes": rounded(operator.megabytes("VmRSS")?),
    }))
}

// Each policy was judged, with all that its server has in force.
async fn until_all_is_looked_at(operator: &mut Operator, plan: Plan, began: Instant) -> anyhow::Result<()> {
    let servers = SERVERS_MAX.min(plan.policies.max(1)) as u64;
    let policies = plan.policies as u64;
    while operator.reconciled("McpServer")? < servers || operator.reconciled("ToolPolicy")? < policies {
        if began.elapsed() > PATIENCE {
            bail!("it does not look at everything in {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn nothing_written(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    if before != after {
        bail!("it wrote where everything was as it should be: {before:?} before, {after:?} after");
    }
    Ok(())
}

// More digits than were measured would only look exact.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
