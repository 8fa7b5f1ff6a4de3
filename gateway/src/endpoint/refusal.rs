//! What a caller hears of a refusal: words for the model, data for programs.

use serde_json::{Value, json};
use toolgate_policy::{Outcome, Refusal};

use crate::correlation::Correlation;
use crate::wire::answer::{self, Answer};
use crate::wire::era::Era;
use crate::wire::message::{Id, shown};

/// The JSON-RPC code of what policy refuses and is no tool call. Outside the range that JSON-RPC and MCP keep.
pub(crate) const POLICY_DENIED: i64 = 403;

/// The answer to a refused call.
pub(super) fn answer(era: Era, id: &Id, tool: &str, refusal: &Refusal, of: &Correlation) -> Answer {
    match refusal.outcome {
        // The bytes do not tell a hidden tool from one that is nowhere.
        Outcome::Hidden | Outcome::Unlisted => answer::unknown_tool(id, tool),
        _ => answer::refusal(era, id, &text(refusal), &verdict(refusal, of)),
    }
}

/// The answer to a refused call that asked for a task.
pub(super) fn of_task(id: &Id, tool: &str, refusal: &Refusal, of: &Correlation) -> Answer {
    match refusal.outcome {
        Outcome::Hidden | Outcome::Unlisted => answer::unknown_tool(id, tool),
        _ => answer::refused_method(id, POLICY_DENIED, &text(refusal), &verdict(refusal, of)),
    }
}

/// The answer to a refused request for a resource or a prompt.
pub(super) fn of_request(id: &Id, refusal: &Refusal, of: &Correlation) -> Answer {
    match refusal.outcome {
        Outcome::Hidden | Outcome::Unlisted => answer::invalid_params(id, &shown(&refusal.reason)),
        _ => answer::refused_method(id, POLICY_DENIED, &text(refusal), &verdict(refusal, of)),
    }
}

/// The answer to a request whose method is refused.
pub(super) fn method(id: &Id, reason: &str, of: &Correlation) -> Answer {
    let request = of.request.to_string();
    let verdict = json!({"outcome": Outcome::Denied.as_str(), "reason": reason, "requestId": request});
    answer::refused_method(id, POLICY_DENIED, &format!("[POLICY DENIED] {reason}"), &verdict)
}

fn text(refusal: &Refusal) -> String {
    let reason = &refusal.reason;
    match refusal.outcome {
        Outcome::Limited => {
            let advice = refusal.retry_after_seconds().map(|seconds| match seconds {
                1 => " Retry after 1 second.".to_owned(),
                seconds => format!(" Retry after {seconds} seconds."),
            });
            format!("[RATE LIMITED] {reason}.{}", advice.unwrap_or_default())
        }
        Outcome::Uncounted => format!("[UNAVAILABLE] {reason}. Nothing was sent; try again later."),
        Outcome::Held => format!("[APPROVAL REQUIRED] {reason}"),
        _ => format!("[POLICY DENIED] {reason}"),
    }
}

fn verdict(refusal: &Refusal, of: &Correlation) -> Value {
    let mut verdict = json!({
        "outcome": refusal.outcome.as_str(),
        "rule": refusal.rule.to_string(),
        "reason": refusal.reason,
        "requestId": of.request.to_string(),
    });
    if let Some(exhausted) = &refusal.exhausted {
        verdict["limit"] = json!({
            "counter": exhausted.counter,
            "window": exhausted.window,
            "max": exhausted.max,
            "remaining": exhausted.remaining,
        });
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        verdict["retryAfterSeconds"] = seconds.into();
    }
    verdict
}
