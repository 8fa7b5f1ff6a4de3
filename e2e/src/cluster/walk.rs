//! The walk: the samples, one conversation through all kinds of verdicts, one edit under traffic, and the books.
//!
//! The demo tells it and the tests play it. Whatever differs from the promise is an error.

use serde_json::json;

use crate::agent::{Outcome, StepReport};
use crate::kommo;

use super::agent::Caller;
use super::books::{Books, CALLS};
use super::edit::{Edit, Measured};
use super::second::second_agent;
use super::stage::{GRANT, POLICY, Stage};
use super::story::Story;
use super::{Error, promise};

/// The tools that the sample policy lets agents see.
pub const TOOLS_LISTED: [&str; 6] =
    ["get_lead", "get_leads", "get_pipelines", "move_lead", "run_salesbot", "update_lead"];

/// What the conversation is.
const SCRIPT: &str = include_str!("../../manifests/walk.json");

/// The sample policy.
const SAMPLE: &str = include_str!("../../../crds/samples/kommo-policy.yaml");

/// What the edit replaces.
const BEFORE: &str = "get_lead: {}";

/// What it replaces it with.
const AFTER: &str = "get_lead: {action: deny, reason: \"single leads are closed for the audit\"}";

/// Plays the walk on a stage that has the guarded server and the agent, and nothing of ours yet.
///
/// # Errors
///
/// If anything differs from what is promised.
pub fn walk(stage: &Stage<'_>, story: &Story) -> Result<(), Error> {
    story.chapter("The policy");
    stage.apply_samples()?;
    story.step(
        "kubectl apply -f crds/samples; kubectl wait --for=condition=Programmed toolpolicy/kommo-sales",
    );
    let caller = stage.caller()?;
    let mut books = Books::default();
    story.chapter("An agent in a pod calls through the gateway, with the official MCP client");
    caller.converse("conversation", SCRIPT, |report| {
        books.enter_step(&report);
        tell(story, &report)
    })?;
    story.chapter("One edit, while the agent calls");
    edit(stage, &caller, story, &mut books)?;
    story.chapter("What the cluster says");
    story.show(&stage.kubectl.run(&["get", "mcpservers,toolpolicies,toolgrants"])?);
    balance(stage, story, &books)?;
    second_agent(stage, story)
}

fn tell(story: &Story, report: &StepReport) -> Result<(), Error> {
    if let Some(names) = &report.names {
        let mut listed = names.clone();
        listed.sort();
        promise(listed == TOOLS_LISTED, || format!("other tools are listed than promised: {listed:?}"))?;
        let hidden = kommo::tool_names().filter(|name| !TOOLS_LISTED.contains(name)).count();
        story.step(format!("{:<16} {}", "tools/list", listed.join(" ")));
        story
            .step(format!("{:<16} {hidden} more are on the server and not shown, such as stop_salesbot", ""));
        return Ok(());
    }
    let what = report.what.trim_start_matches("call ");
    let counts = report.counts.iter().map(|(outcome, count)| format!("{count} {}", outcome.name()));
    let counts = counts.collect::<Vec<String>>().join(", ");
    let words = match report.outcome {
        None | Some(Outcome::Allowed) => String::new(),
        Some(_) => format!(": {}", report.text.as_deref().unwrap_or_default()),
    };
    story.step(format!("{what:<16} {counts}{words}"));
    Ok(())
}

fn edit(stage: &Stage<'_>, caller: &Caller<'_>, story: &Story, books: &mut Books) -> Result<(), Error> {
    let manifest = SAMPLE.replace(BEFORE, AFTER);
    promise(manifest != SAMPLE, || format!("the sample policy has no {BEFORE:?}"))?;
    let arguments = json!({"id": 1001});
    let edit =
        Edit { manifest: &manifest, tool: "get_lead", arguments: &arguments, outcome: Outcome::Denied };
    let Measured { applied, obeyed_sent, obeyed, programmed, sighting } = edit.measure(stage, caller)?;
    books.enter_wait(&sighting);
    // This call is sent after the wait returned: it has to obey.
    let sighting = caller.until("get_lead", &arguments, Outcome::Denied)?;
    promise(sighting.calls == 1, || format!("a call after Programmed did not obey: {sighting:?}"))?;
    books.enter_wait(&sighting);
    story.step(format!("kubectl apply: {AFTER}"));
    story.step(format!("{applied:>6} ms  kubectl apply returned (times from the moment it was started)"));
    story.step(format!("{obeyed_sent:>6} ms  the first call that obeys was sent, answered at {obeyed} ms"));
    story.step(format!("{programmed:>6} ms  kubectl wait --for=condition=Programmed {POLICY} returned"));
    story.step("a call after that obeys: Programmed means enforced");
    Ok(())
}

fn balance(stage: &Stage<'_>, story: &Story, books: &Books) -> Result<(), Error> {
    story.chapter("What the gateway counted");
    let page = stage.metrics_page()?;
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with(CALLS)).collect();
    story.show(&lines.join("\n"));
    let record = stage.record()?;
    books.balance(GRANT, &stage.metrics()?, &record)?;
    promise(record.dropped == 0, || "the stand-in's record is full".to_owned())?;
    story.chapter("The books balance");
    story.step(format!(
        "{} calls: the agent and the gateway counted the same verdicts, and exactly the {} allowed ones reached the server",
        books.calls(),
        books.forwarded()
    ));
    Ok(())
}
