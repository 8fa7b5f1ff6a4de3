//! A server that misbehaves, in every way that a script can say: nothing of it may reach a client that should not, and
//! nothing of it may hold the gateway up.

use serde_json::{Value, json};
use toolgate_e2e::process::{ALICE, Answer, Configuration, Gateway, Request, Seen, Start, Step, Upstream};

#[path = "gateway_upstream/answers.rs"]
mod answers;
#[path = "gateway_upstream/connections.rs"]
mod connections;
#[path = "gateway_upstream/definitions.rs"]
mod definitions;
#[path = "gateway_upstream/lists.rs"]
mod lists;
#[path = "gateway_upstream/streams.rs"]
mod streams;

const RULES: &str = "\
default: deny
tools:
  get_leads: {limits: [{counter: rate, window: hour, max: 1000, scope: grant}]}
  update_lead: {action: deny, reason: not this}
hide: [\"stop_*\"]";

/// A gateway before a scripted server.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
    configuration: Configuration,
}

impl Stage {
    async fn new(upstream: Upstream, rules: &str, more: &[&str]) -> Self {
        let (configuration, gateway) = before(&upstream.url(), rules, more).await;
        Self { upstream, gateway, configuration }
    }

    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::new(Upstream::answering(answer).await.expect("a server"), RULES, &[]).await
    }

    async fn doing(steps: Vec<Step>) -> Self {
        Self::scripted(move |_| steps.clone()).await
    }

    async fn scripted(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::new(Upstream::start(script).await.expect("a server"), RULES, &[]).await
    }

    async fn ask(&self, request: &Request) -> Answer {
        self.gateway.ask(request).await.expect("an answer")
    }

    async fn errors(&self, kind: &str) -> f64 {
        let metrics = self.gateway.admin().metrics().await.expect("metrics");
        metrics.sum("toolgate_upstream_errors_total", &[("kind", kind)])
    }
}

async fn before(url: &str, rules: &str, more: &[&str]) -> (Configuration, Gateway) {
    let configuration = Configuration::new(url).expect("files");
    configuration.policy("kommo-sales", rules).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more };
    let gateway = Gateway::ready(start).await.expect("a gateway");
    (configuration, gateway)
}

fn call() -> Request {
    Request::modern_call(ALICE, "get_leads", &json!({}))
}

fn list() -> Request {
    Request::modern(ALICE, "tools/list", json!({}))
}

/// A call of the session based era.
fn old_call() -> Request {
    Request::session_call(ALICE, None, "get_leads", &json!({}))
}

/// An HTTP answer with a length.
fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

fn as_json(body: &str) -> Vec<u8> {
    http("200 OK", "content-type: application/json\r\n", body)
}

/// The head of a stream that ends with its connection.
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

fn as_stream(events: impl AsRef<[u8]>) -> Vec<u8> {
    [STREAM.as_bytes(), events.as_ref()].concat()
}

/// A result of a tool call with this text.
fn result(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {
        "resultType": "complete", "content": [{"type": "text", "text": text}],
    }})
}

fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

/// A list with one tool of each kind: listed, denied, hidden, unlisted.
fn tools(id: u64) -> Value {
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
    let names = ["get_leads", "update_lead", "stop_salesbot", "get_account"];
    json!({"jsonrpc": "2.0", "id": id, "result": {
        "resultType": "complete", "tools": names.map(tool), "ttlMs": 3_600_000, "cacheScope": "public",
    }})
}

fn names(answer: &Answer) -> Vec<String> {
    let tools = answer.json()["result"]["tools"].as_array().cloned().unwrap_or_default();
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}
