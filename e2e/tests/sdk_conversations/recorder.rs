//! Stands between two sides, passes on every byte, and writes down what they say to each other.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::normal;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;

/// One request and what came back, as it came.
#[derive(Debug, Default)]
struct Heard {
    request: Value,
    status: u16,
    media: String,
    opens_session: bool,
    body: Vec<u8>,
}

/// A recorder before one endpoint.
#[derive(Debug)]
pub(crate) struct Recorder {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Recorder {
    pub(crate) async fn start(upstream: &str) -> Self {
        let upstream: Uri = upstream.parse().expect("a URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (client, record) = (Client::builder(TokioExecutor::new()).build_http(), heard.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, record, upstream) = (client.clone(), record.clone(), upstream.clone());
                let service = service_fn(move |request| {
                    let (client, record, upstream) = (client.clone(), record.clone(), upstream.clone());
                    async move { Ok::<_, Infallible>(pass(client, record, upstream, request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Every exchange by what was asked, in the order of those that asked the same.
    pub(crate) fn exchanges(&self) -> Vec<(String, Value)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether the answer to a cancelled request still comes depends on who is faster.
        let cancelled: Vec<&Value> = heard
            .iter()
            .map(|heard| &heard.request["body"])
            .filter(|body| body["method"] == "notifications/cancelled")
            .map(|body| &body["params"]["requestId"])
            .collect();
        let told = |heard: &Heard| heard.told(cancelled.contains(&&heard.request["body"]["id"]));
        let mut exchanges: Vec<(String, Value)> = heard.iter().map(told).collect();
        // At the end a client may try to resume a stream that its server has ended with the session, if it is fast.
        exchanges.retain(|(_, exchange)| {
            !resumes(&exchange["request"]) || exchange["answers"].to_string().contains("result")
        });
        exchanges.sort_by(|one, other| one.0.cmp(&other.0));
        exchanges
    }

    /// How many messages were said, both ways.
    pub(crate) fn messages(&self) -> usize {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = heard.iter().filter(|heard| !heard.request["body"].is_null()).count();
        asked + heard.iter().map(|heard| heard.answers().len()).sum::<usize>()
    }
}

async fn pass(
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
    record: Arc<Mutex<Vec<Heard>>>,
    upstream: Uri,
    request: Request<Incoming>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let place = {
        let mut heard = record.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(Heard {
            request: asked(parts.method.as_str(), &parts.headers, &bytes),
            ..Heard::default()
        });
        heard.len() - 1
    };
    let authority = upstream.authority().expect("the URL has one").as_str();
    parts.headers.insert(HOST, authority.parse().expect("a header"));
    parts.uri = upstream;
    let answer = client.request(Request::from_parts(parts, Full::new(bytes))).await;
    let Ok(answer) = answer else {
        let mut failed = Response::new(Full::default().map_err(|never| match never {}).boxed_unsync());
        *failed.status_mut() = hyper::StatusCode::BAD_GATEWAY;
        return failed;
    };
    let (parts, body) = answer.into_parts();
    {
        let heard = &mut record.lock().unwrap_or_else(PoisonError::into_inner)[place];
        heard.status = parts.status.as_u16();
        let media = text(&parts.headers, CONTENT_TYPE.as_str());
        media.split(';').next().unwrap_or_default().clone_into(&mut heard.media);
        heard.opens_session = parts.headers.contains_key("mcp-session-id");
    }
    let pieces = body.into_data_stream().map(move |piece| {
        if let Ok(bytes) = &piece {
            record.lock().unwrap_or_else(PoisonError::into_inner)[place].body.extend_from_slice(bytes);
        }
        piece.map(Frame::data)
    });
    Response::from_parts(parts, StreamBody::new(pieces).boxed_unsync())
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// What a request says, without what every hop writes for itself.
fn asked(method: &str, headers: &HeaderMap, body: &[u8]) -> Value {
    let body = serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
    // The gateway repeats every method of 2026-07-28 in a header; some clients leave it out with notifications.
    let left_out = |name: &str| name == "mcp-session-id" || name == "mcp-method" && body.get("id").is_none();
    let told = |name: &&str| *name == "last-event-id" || name.starts_with("mcp-") && !left_out(name);
    let mut repeated: Vec<(&str, String)> = headers
        .keys()
        .map(hyper::header::HeaderName::as_str)
        .filter(told)
        // An event has another id through the gateway, and the server's own behind it.
        .map(|name| (name, if name == "last-event-id" { "there".to_owned() } else { text(headers, name) }))
        .collect();
    repeated.sort_unstable();
    json!({
        "method": method,
        "headers": repeated,
        "session": headers.contains_key("mcp-session-id"),
        "body": body,
    })
}

impl Heard {
    /// The messages of the answer, with what frames them.
    fn answers(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body).replace("\r\n", "\n");
        if self.media != "text/event-stream" {
            return serde_json::from_str(&text).ok().into_iter().collect();
        }
        text.split("\n\n").filter_map(event).collect()
    }

    fn told(&self, cancelled: bool) -> (String, Value) {
        let body = &self.request["body"];
        let (method, id) = (body["method"].as_str().unwrap_or("-"), &body["id"]);
        let kind = self.request["method"].as_str().unwrap_or_default();
        // To listen and to resume are two questions, and a client that asks both at once asks them in any order.
        let resuming = if resumes(&self.request) { " again" } else { "" };
        let key = format!("{kind}{resuming} {method} {}", normal(id));
        let mut answers: Vec<Value> = self.answers();
        // The gateway does not let a client wait for what will not come: it says when a server ends a stream without an
        // answer, which servers do after a cancellation. The client has forgotten the request by then.
        answers
            .retain(|answer| answer["error"]["message"] != "the server ended its stream without an answer");
        if cancelled {
            answers.clear();
        }
        if self.request["method"] == "GET" {
            // The notices of one stream come in no particular order.
            answers.sort_by_key(Value::to_string);
        }
        // Where there is nothing to read, only whether it went well is of interest; and some servers say with every
        // answer which session it is of, which the protocol asks of the first alone.
        let taken =
            (200..300).contains(&self.status) && answers.is_empty() && self.media != "text/event-stream";
        let answer = json!({
            "request": self.request,
            "status": if taken { Value::String("taken".to_owned()) } else { self.status.into() },
            "media": if taken { "" } else { self.media.as_str() },
            "opens a session": method == "initialize" && self.opens_session,
            "answers": answers,
        });
        (key, normal(&answer))
    }
}

fn resumes(request: &Value) -> bool {
    request["headers"].to_string().contains("last-event-id")
}

// Comments are signs of life and come by the clock; an event without data says only from where to resume.
fn event(lines: &str) -> Option<Value> {
    let mut data = String::new();
    for line in lines.lines() {
        if let Some(rest) = line.strip_prefix("data:") {
            data.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        }
    }
    (!data.is_empty()).then(|| serde_json::from_str(&data).unwrap_or(Value::String(data)))
}
