//! The counters that policies, grants and servers have a say in.

use std::sync::Arc;

use prometheus::IntCounterVec;

use super::family::{Family, Room};

const CALLS: &str = "Tool calls by what was decided of them. Every decision is counted once.";
const REQUESTS: &str = "Requests for resources, prompts, completions and tasks by what was decided of them.";
const AUDITS: &str = "What policies in audit mode would have said of tool calls.";
const REFUSALS: &str = "What was refused, by the rule that refused it.";

pub(super) type Families = (Family<4>, Family<4>, Family<5>, Family<4>);

/// Registers them. They have so much room together.
pub(super) fn families(
    counters: impl Fn(&str, &str, &[&str]) -> Result<IntCounterVec, prometheus::Error>,
    room: &Arc<Room>,
) -> Result<Families, prometheus::Error> {
    let calls = counters("toolgate_tool_calls_total", CALLS, &["server", "tool", "grant", "verdict"])?;
    let requests = counters("toolgate_requests_total", REQUESTS, &["server", "method", "grant", "verdict"])?;
    let audits = &["server", "policy", "tool", "grant", "verdict"];
    let audits = counters("toolgate_audit_verdicts_total", AUDITS, audits)?;
    let refusals = counters("toolgate_refusals_total", REFUSALS, &["server", "policy", "rule", "verdict"])?;
    Ok((
        Family::new(calls, [false, true, true, false], room.clone()),
        Family::new(requests, [false, false, true, false], room.clone()),
        Family::new(audits, [false, true, true, true, false], room.clone()),
        Family::new(refusals, [false, true, true, false], room.clone()),
    ))
}
