//! How many calls fail while all gateways of a server are replaced, again and again.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::agent::{Outcome, StepReport};
use crate::cluster::{Caller, Error, POLICY, SERVER, Stage, Store, converse_at_once};

/// How many gateways there are.
const GATEWAYS: u32 = 3;
/// How many agents call.
const AGENTS: u32 = 4;

pub(super) fn measure(stage: &Stage<'_>, calls: u32) -> Result<Value, Error> {
    Store::run(stage)?;
    let edits = [(SERVER, Store::patch(GATEWAYS)), (POLICY, r#"{"spec": {"allTools": null}}"#.to_owned())];
    for (object, patch) in edits {
        stage.kubectl.run(&["patch", object, "--type", "merge", "--patch", &patch])?;
    }
    rolled_out(stage)?;
    let caller = stage.caller()?;
    let each = calls.div_ceil(AGENTS);
    let script = json!([{"call": "get_lead", "arguments": {"id": 1001}, "times": each}]).to_string();
    let callers: Vec<(String, Caller<'_>)> =
        (0..AGENTS).map(|index| (format!("caller-{index}"), caller.clone())).collect();
    let began = Instant::now();
    let (rounds, reports) = thread::scope(|scope| {
        let calling = scope.spawn(|| converse_at_once(&callers, &script));
        let mut rounds = 0;
        let replaced = loop {
            if calling.is_finished() {
                break Ok(());
            }
            if let Err(error) = replace(stage, rounds) {
                break Err(error);
            }
            rounds += 1;
        };
        let reports = calling.join().map_err(|_| Error::Broken("an agent panicked".to_owned()))?;
        replaced.and(reports).map(|reports| (rounds, reports))
    })?;
    let allowed: u32 = reports.iter().map(|report| count(report, Outcome::Allowed)).sum();
    let made: u32 = reports.iter().flat_map(|report| report.counts.values()).sum();
    Ok(json!({
        "gateways": GATEWAYS, "replacedTimes": rounds, "calls": made, "failed": made - allowed,
        "seconds": began.elapsed().as_secs(),
    }))
}

fn count(report: &StepReport, outcome: Outcome) -> u32 {
    report.counts.get(&outcome).copied().unwrap_or_default()
}

fn replace(stage: &Stage<'_>, round: u32) -> Result<(), Error> {
    let patch = json!({"spec": {"gateway": {"annotations": {"example.com/round": round.to_string()}}}});
    stage.kubectl.run(&["patch", SERVER, "--type", "merge", "--patch", &patch.to_string()])?;
    rolled_out(stage)
}

fn rolled_out(stage: &Stage<'_>) -> Result<(), Error> {
    stage.kubectl.wait("condition=Ready", &[SERVER])?;
    stage.rolled_out(usize::try_from(GATEWAYS).unwrap_or_default())
}
