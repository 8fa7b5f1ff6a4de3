//! Raw HTTP requests to a stand-in: no client of ours or of an SDK corrects them.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use toolgate_e2e::kommo::{self, Answers, Config, Eras, StandIn};

/// The stateless protocol revision.
pub(crate) const MODERN: &str = "2026-07-28";

/// A header's name and value.
pub(crate) type Header<'a> = (&'a str, &'a str);

/// One HTTP answer, read to its end.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a JSON body")
    }

    /// HTTP status and JSON-RPC error code.
    pub(crate) fn refusal(&self) -> (u16, i64) {
        (self.status.as_u16(), self.json()["error"]["code"].as_i64().unwrap_or_default())
    }
}

pub(crate) async fn send(
    stand_in: &StandIn,
    method: Method,
    path: &str,
    headers: &[Header<'_>],
    body: &str,
) -> Received {
    let stream = TcpStream::connect(stand_in.address()).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("http");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "kommo");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let (head, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Received { status: head.status, headers: head.headers, text }
}

pub(crate) const BASE: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

pub(crate) async fn post(stand_in: &StandIn, headers: &[Header<'_>], body: &str) -> Received {
    let all: Vec<(&str, &str)> = BASE.iter().chain(headers).copied().collect();
    send(stand_in, Method::POST, "/mcp", &all, body).await
}

/// A request of the modern era with proper `_meta`.
pub(crate) fn modern_body(method: &str, mut params: Value) -> String {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// A proper request of the modern era.
pub(crate) async fn modern(stand_in: &StandIn, method: &str, params: Value) -> Received {
    let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
    let body = modern_body(method, params);
    let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
    headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
    post(stand_in, &headers, &body).await
}

pub(crate) async fn started(eras: Eras, answers: Answers) -> StandIn {
    kommo::start(Config { eras, answers, ..Config::loopback() }).await.expect("a stand-in")
}

pub(crate) async fn initialized(stand_in: &StandIn, version: &str) -> (Received, String) {
    let params =
        json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    let received = post(stand_in, &[], &body).await;
    let session =
        received.headers.get("mcp-session-id").expect("a session").to_str().expect("ASCII").to_owned();
    (received, session)
}

pub(crate) fn request(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}).to_string()
}
