//! What the agent makes of a gateway's answers, over the wire: the gateway is a table of fixed answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use toolgate_e2e::agent::{
    Connection, Era, Listing, MAX_PAGES, Outcome, Reply, SessionVersion, Target, converse, parse,
};

/// How many pages of prompts there are.
static PROMPT_PAGES: AtomicUsize = AtomicUsize::new(1);

const RULE: &str = "kommo-sales/tools/move_lead/limits/move_lead_rate";

fn verdict(outcome: &str) -> Value {
    let verdict = json!({"outcome": outcome, "rule": RULE, "reason": "because", "retryAfterSeconds": 7});
    json!({"result": {
        "isError": true, "resultType": "complete",
        "content": [{"type": "text", "text": "[POLICY DENIED] because"}],
        "_meta": {"toolgate.dev/verdict": verdict},
    }})
}

/// The answer without its frame: by the method, and of a call by the tool.
fn answer(message: &Value) -> (StatusCode, Value) {
    let capabilities = json!({"tools": {}});
    let info = json!({"name": "gateway", "version": "1"});
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({"result": {
            "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "resultType": "complete",
            "ttlMs": 5000, "cacheScope": "private",
        }}),
        "initialize" => json!({"result": {
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info,
        }}),
        "prompts/list" => prompt_page(message["params"]["cursor"].as_str()),
        // Two pages, the first one emptied, and fresh for long: a list that is kept would hide an edit.
        "tools/list" if message["params"]["cursor"].is_null() => json!({"result": {
            "tools": [], "nextCursor": "2", "resultType": "complete", "ttlMs": 5000, "cacheScope": "private",
        }}),
        "tools/list" => json!({"result": {
            "tools": [{"name": message["id"].to_string(), "inputSchema": {"type": "object"}}],
            "resultType": "complete", "ttlMs": 5000, "cacheScope": "private",
        }}),
        _ => match message["params"]["name"].as_str().unwrap_or_default() {
            name @ ("denied" | "limited" | "uncounted" | "held") => verdict(name),
            "revoked" => return (StatusCode::UNAUTHORIZED, json!({})),
            name => json!({"error": {"code": -32602, "message": format!("Unknown tool: {name}")}}),
        },
    };
    (StatusCode::OK, result)
}

/// One of [`PROMPT_PAGES`] pages of one prompt each.
fn prompt_page(cursor: Option<&str>) -> Value {
    let number: usize = cursor.map_or(1, |cursor| cursor.parse().unwrap_or_default());
    let mut page = json!({"prompts": [{"name": number.to_string()}], "resultType": "complete"});
    if number < PROMPT_PAGES.load(Ordering::Relaxed) {
        page["nextCursor"] = json!((number + 1).to_string());
    }
    json!({"result": page})
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, mut answer) = match &message["id"] {
        Value::Null if message.is_object() => (StatusCode::ACCEPTED, json!({})),
        Value::Null => (StatusCode::METHOD_NOT_ALLOWED, json!({})),
        _ => answer(&message),
    };
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = message["id"].clone();
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = "Bearer resource_metadata=\"http://gateway/.well-known/oauth-protected-resource\"";
        response.headers_mut().insert("www-authenticate", challenge.parse().expect("a value"));
    }
    Ok(response)
}

/// Where it listens, and how many TCP connections it has accepted.
async fn gateway() -> (SocketAddr, Arc<AtomicUsize>) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(respond));
            tokio::spawn(serving);
        }
    });
    (address, accepted)
}

async fn opened(era: Era) -> Connection {
    opened_at(gateway().await.0, era).await
}

async fn opened_at(address: SocketAddr, era: Era) -> Connection {
    let url = format!("http://{address}/mcp");
    let target = Target { url, era, session_version: SessionVersion::default(), token: None };
    Connection::open(&target).await.expect("a connection")
}

async fn call(connection: &Connection, tool: &str) -> Reply {
    connection.call(tool, &Map::new()).await
}

#[tokio::test]
async fn every_verdict_is_told_apart_and_the_connection_goes_on() {
    for era in [Era::Modern, Era::Session] {
        let connection = opened(era).await;
        for (tool, outcome) in [
            ("denied", Outcome::Denied),
            ("limited", Outcome::Limited),
            ("uncounted", Outcome::Uncounted),
            ("held", Outcome::Held),
            ("hidden", Outcome::Unknown),
            ("revoked", Outcome::Unauthorized),
            ("denied", Outcome::Denied),
        ] {
            assert_eq!(call(&connection, tool).await.outcome, outcome, "{era:?} {tool}");
        }
        let reply = call(&connection, "limited").await;
        assert_eq!(
            (reply.is_error, reply.rule(), reply.words()),
            (true, Some(RULE), "[POLICY DENIED] because")
        );
        let meta = reply.meta.expect("a _meta");
        assert_eq!(meta["toolgate.dev/verdict"]["retryAfterSeconds"], 7);
        let hidden = call(&connection, "hidden").await;
        assert_eq!(hidden.words(), "Unknown tool: hidden");
        connection.close().await;
    }
}

#[tokio::test]
async fn calls_share_one_tcp_connection() {
    let (address, accepted) = gateway().await;
    let connection = opened_at(address, Era::Modern).await;
    for _ in 0..20 {
        call(&connection, "denied").await;
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
    connection.close().await;
}

#[tokio::test]
async fn lists_are_read_anew_and_over_all_pages() {
    for era in [Era::Modern, Era::Session] {
        let connection = opened(era).await;
        let first = connection.list(Listing::Tools).await.expect("a list");
        let second = connection.list(Listing::Tools).await.expect("a list");
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_ne!(first, second, "each answer names its own request");
        connection.close().await;
    }
}

#[tokio::test]
async fn as_many_pages_as_allowed_are_read_and_one_more_is_an_error() {
    let connection = opened(Era::Modern).await;
    PROMPT_PAGES.store(MAX_PAGES, Ordering::Relaxed);
    assert_eq!(connection.list(Listing::Prompts).await.expect("a list").len(), MAX_PAGES);
    PROMPT_PAGES.store(MAX_PAGES + 1, Ordering::Relaxed);
    assert!(connection.list(Listing::Prompts).await.is_err());
    connection.close().await;
}

#[tokio::test]
async fn scripts_expect_outcomes_texts_and_rules() {
    let connection = opened(Era::Modern).await;
    let script = format!(
        r#"[
        {{"call": "limited", "times": 2, "expect":
            {{"outcome": "limited", "textContains": "[POLICY DENIED]", "ruleEquals": "{RULE}"}}}},
        {{"call": "hidden", "expect": {{"outcome": "unknown", "textContains": "Unknown tool"}}}},
        {{"call": "denied", "expect": {{"outcome": "denied", "ruleEquals": "kommo-sales/default"}}}}
    ]"#
    );
    let mut problems = Vec::new();
    converse(&connection, &parse(&script).expect("a script"), |report| problems.push(report.problem.clone()))
        .await;
    let expected = format!("step 3, call 1 of 1: expected rule kommo-sales/default, got {RULE}");
    assert_eq!(problems, [None, None, Some(expected)]);
    connection.close().await;
}
