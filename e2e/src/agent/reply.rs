//! What came back for one tool call, and what it means.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The key under `_meta` of a gateway's own answers.
pub const VERDICT_KEY: &str = "toolgate.dev/verdict";

/// The JSON-RPC code of a call that names no listed tool.
const UNKNOWN_TOOL_CODE: i32 = -32602;

/// What came back for one tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// The tool that was called.
    pub tool: String,
    /// What the reply means.
    pub outcome: Outcome,
    /// Whether the result says that the call failed.
    pub is_error: bool,
    /// The result's text blocks, joined by line breaks.
    pub text: String,
    /// The result's `_meta`.
    pub meta: Option<Map<String, Value>>,
    /// What came instead of a result.
    pub error: Option<ReplyError>,
}

/// What came instead of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyError {
    /// The JSON-RPC code; absent if no JSON-RPC answer came at all.
    pub code: Option<i32>,
    /// The error's message.
    pub message: String,
}

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server did what was asked.
    Allowed,
    /// The gateway's verdict: denied.
    Denied,
    /// The gateway's verdict: a limit is used up.
    Limited,
    /// Policy has a limit for the call, and the store that counts it is away.
    Uncounted,
    /// The gateway's verdict: waits for approval.
    Held,
    /// The gateway answered as for a tool that does not exist.
    Unknown,
    /// The credential was refused, HTTP 401.
    Unauthorized,
    /// The call was let through and the tool itself failed.
    ToolError,
    /// Anything else: another error, or no answer.
    Failed,
}

impl Outcome {
    /// The name in scripts, on the command line and in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Uncounted => "uncounted",
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Unauthorized => "unauthorized",
            Self::ToolError => "tool-error",
            Self::Failed => "failed",
        }
    }
}

impl Reply {
    /// The reply of a result.
    pub(super) fn result(tool: &str, is_error: bool, text: String, meta: Option<Map<String, Value>>) -> Self {
        let verdict = meta.as_ref().and_then(|meta| meta.get(VERDICT_KEY));
        let outcome = match (is_error, verdict.map(|verdict| verdict["outcome"].as_str().unwrap_or_default()))
        {
            (false, None) => Outcome::Allowed,
            (true, None) => Outcome::ToolError,
            (true, Some("denied")) => Outcome::Denied,
            (true, Some("limited")) => Outcome::Limited,
            (true, Some("uncounted")) => Outcome::Uncounted,
            (true, Some("held")) => Outcome::Held,
            // A verdict on a success, or one of another name, is no answer that a gateway gives.
            (_, Some(_)) => Outcome::Failed,
        };
        Self { tool: tool.to_owned(), outcome, is_error, text, meta, error: None }
    }

    /// The reply of a JSON-RPC error.
    pub(super) fn rpc_error(tool: &str, code: i32, message: &str) -> Self {
        // The server behind the gateway words it differently, so its own error is not taken for the gateway's.
        let is_unknown = code == UNKNOWN_TOOL_CODE && message == format!("Unknown tool: {tool}");
        let outcome = if is_unknown { Outcome::Unknown } else { Outcome::Failed };
        Self::error(tool, outcome, Some(code), message.to_owned())
    }

    /// The reply of a call that got no JSON-RPC answer.
    pub(super) fn no_answer(tool: &str, outcome: Outcome, message: String) -> Self {
        Self::error(tool, outcome, None, message)
    }

    fn error(tool: &str, outcome: Outcome, code: Option<i32>, message: String) -> Self {
        let error = Some(ReplyError { code, message });
        Self { tool: tool.to_owned(), outcome, is_error: false, text: String::new(), meta: None, error }
    }

    /// The rule that the gateway's verdict names.
    pub fn rule(&self) -> Option<&str> {
        self.meta.as_ref()?.get(VERDICT_KEY)?.get("rule")?.as_str()
    }

    /// What the agent reads: the result's text, or the error's message.
    pub fn words(&self) -> &str {
        self.error.as_ref().map_or(&self.text, |error| &error.message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(value: &Value) -> Option<Map<String, Value>> {
        value.as_object().cloned()
    }

    #[test]
    fn results_mean_what_their_verdict_and_flag_say() {
        let verdict = |outcome: &str| meta(&json!({VERDICT_KEY: {"outcome": outcome, "rule": "p/tools/t"}}));
        let other = meta(&json!({"io.modelcontextprotocol/serverInfo": {}}));
        let cases = [
            (false, None, Outcome::Allowed),
            (false, other.clone(), Outcome::Allowed),
            (true, None, Outcome::ToolError),
            (true, other, Outcome::ToolError),
            (true, verdict("denied"), Outcome::Denied),
            (true, verdict("limited"), Outcome::Limited),
            (true, verdict("uncounted"), Outcome::Uncounted),
            (true, verdict("held"), Outcome::Held),
            (true, verdict("perhaps"), Outcome::Failed),
            (false, verdict("denied"), Outcome::Failed),
            (true, meta(&json!({VERDICT_KEY: "denied"})), Outcome::Failed),
        ];
        for (is_error, meta, expected) in cases {
            let reply = Reply::result("t", is_error, String::new(), meta.clone());
            assert_eq!(reply.outcome, expected, "{is_error} {meta:?}");
        }
        assert_eq!(Reply::result("t", true, String::new(), verdict("denied")).rule(), Some("p/tools/t"));
    }

    #[test]
    fn only_the_gateways_words_mean_an_unknown_tool() {
        let outcome = |code, message| Reply::rpc_error("move_lead", code, message).outcome;
        assert_eq!(outcome(-32602, "Unknown tool: move_lead"), Outcome::Unknown);
        assert_eq!(outcome(-32602, "Unknown tool: Move_lead"), Outcome::Failed);
        assert_eq!(outcome(-32602, "Tool move_lead not found"), Outcome::Failed);
        assert_eq!(outcome(-32601, "Unknown tool: move_lead"), Outcome::Failed);
    }

    #[test]
    fn a_reply_is_one_flat_object() {
        let reply = Reply::rpc_error("move_lead", -32602, "Unknown tool: move_lead");
        assert_eq!(
            json!(reply),
            json!({
                "tool": "move_lead", "outcome": "unknown", "isError": false, "text": "", "meta": null,
                "error": {"code": -32602, "message": "Unknown tool: move_lead"},
            })
        );
    }

    #[test]
    fn names_are_the_serialised_ones() {
        for outcome in <Outcome as clap::ValueEnum>::value_variants() {
            assert_eq!(json!(outcome), outcome.name());
        }
    }
}
