//! What is asked again and again, and how its answer is known to be right.

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{rules, upstream};
use crate::kommo;

/// The id of every request; the answers of the upstream carry it.
pub(super) const ID: u64 = 1;

const SESSION: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";
/// How many entries the large arguments have, so that the message is about 8 kB.
const ITEMS: usize = 180;

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether it belongs to a session, which is opened first.
    pub session: bool,
    /// What the first answer has to hold, and every other one must be the same as the first.
    pub holds: Vec<String>,
    /// What it must not hold.
    pub lacks: Vec<String>,
    /// Whether answers differ, as those do that name their request or tell a time; then each has to hold what the first holds.
    pub differs: bool,
}

impl Question {
    /// A call of a tool with three arguments, in a session.
    pub(super) fn call() -> Self {
        Self::of_tool(rules::ALLOWED, &small()).holding(&[upstream::CALL_TEXT])
    }

    /// The same call without a session, in the newest revision.
    pub(super) fn modern_call() -> Self {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}});
        let params = json!({"name": rules::ALLOWED, "arguments": small(), "_meta": meta});
        let question = Self::post(MODERN, "tools/call", &params)
            .with("mcp-method", "tools/call")
            .with("mcp-name", rules::ALLOWED)
            .holding(&[upstream::CALL_TEXT]);
        Self { session: false, ..question }
    }

    /// A call with about 8 kB of arguments.
    pub(super) fn large_call() -> Self {
        let item = |index: usize| json!({"id": index, "name": format!("position {index}"), "price": 99.5});
        let mut arguments = small();
        arguments["items"] = (0..ITEMS).map(item).collect();
        Self::of_tool(rules::ALLOWED, &arguments).holding(&[upstream::CALL_TEXT])
    }

    /// A call that the gateway's policy denies.
    pub(super) fn denied_call() -> Self {
        let question = Self::of_tool(rules::DENIED, &small()).holding(&["[POLICY DENIED]"]);
        Self { differs: true, ..question }
    }

    /// A call for which the limit has no room.
    pub(super) fn limited_call() -> Self {
        let question = Self::of_tool(rules::EXHAUSTED, &small()).holding(&["[RATE LIMITED]"]);
        Self { differs: true, ..question }
    }

    /// A call of the tool whose entry is edited.
    pub(super) fn edited_call() -> Self {
        Self::of_tool(rules::EDITED, &json!({}))
    }

    /// The list of tools, whole.
    pub(super) fn whole_list() -> Self {
        let names: Vec<&str> = kommo::tool_names().collect();
        Self::post(SESSION, "tools/list", &json!({})).holding(&names)
    }

    /// The list of tools without those that the gateway's policy hides.
    pub(super) fn filtered_list() -> Self {
        let (hidden, listed): (Vec<&str>, Vec<&str>) =
            kommo::tool_names().partition(|name| rules::hides(name));
        let question = Self::post(SESSION, "tools/list", &json!({})).holding(&listed);
        Self { lacks: hidden.into_iter().map(quoted).collect(), ..question }
    }

    fn of_tool(tool: &str, arguments: &Value) -> Self {
        Self::post(SESSION, "tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    fn post(version: &'static str, method: &str, params: &Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": ID, "method": method, "params": params}).to_string();
        let (headers, body) = (headers(version), Bytes::from(body));
        Self { headers, body, session: true, holds: Vec::new(), lacks: Vec::new(), differs: false }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn holding(mut self, texts: &[&str]) -> Self {
        self.holds = texts.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// Whether an answer is one to this question.
    pub(super) fn is_answered_by(&self, body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        self.holds.iter().all(|held| text.contains(held.as_str()))
            && !self.lacks.iter().any(|lacking| text.contains(lacking.as_str()))
    }
}

/// The headers of every request.
pub(super) fn headers(version: &'static str) -> HeaderMap {
    let bearer = format!("Bearer {}", rules::TOKEN);
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).expect("the token is plain"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static(version));
    headers
}

/// What opens a session: a request, and a notification.
pub(super) fn opening() -> [(HeaderMap, Bytes); 2] {
    let client = json!({"name": "bench", "version": "1.0.0"});
    let params = json!({"protocolVersion": SESSION, "capabilities": {}, "clientInfo": client});
    let initialize = json!({"jsonrpc": "2.0", "id": ID, "method": "initialize", "params": params});
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    [initialize, initialized].map(|message| (headers(SESSION), Bytes::from(message.to_string())))
}

fn small() -> Value {
    json!({"lead_id": 4711, "status_id": 143, "pipeline_id": 7})
}

// As a name in a list: `stop` is part of many words.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_as_large_as_they_are_said_to_be() {
        assert!((120..180).contains(&Question::call().body.len()), "{}", Question::call().body.len());
        let large = Question::large_call().body.len();
        assert!((8_000..9_000).contains(&large), "{large}");
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let question = Question::filtered_list();
        let all: Vec<String> = kommo::tool_names().map(quoted).collect();
        let listed: Vec<String> =
            kommo::tool_names().filter(|name| !rules::hides(name)).map(quoted).collect();
        assert!(question.is_answered_by(listed.join(",").as_bytes()));
        assert!(!question.is_answered_by(all.join(",").as_bytes()));
        assert!(!question.is_answered_by(b"[]"));
    }
}
