//! A server that answers at once and always the same, so that nearly all that is measured is what stands before it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::kommo;

/// What every call of a tool is answered.
pub(super) const CALL_TEXT: &str = "lead 4711 is now in stage 143 of pipeline 7";
const SESSION: &str = "0c1b2a39-4857-6675-8493-a2b1c0d9e8f7";
/// How many bytes of a request tell what it asks for, however it was written anew on its way.
const METHOD_WITHIN: usize = 96;

struct Answers {
    call: Bytes,
    list: Bytes,
    initialize: Bytes,
}

/// Starts the server on a thread of its own, which lives as long as the program.
pub(super) fn start() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listen on the loopback interface")?;
    let address = listener.local_addr().context("tell the address of a listener")?;
    listener.set_nonblocking(true).context("listen without blocking")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    std::thread::spawn(move || runtime.block_on(serve(listener)));
    Ok(address)
}

async fn serve(listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let answers = Arc::new(Answers::new());
    while let Ok((stream, _)) = listener.accept().await {
        let _ignored = stream.set_nodelay(true);
        tokio::spawn(connection(stream, answers.clone()));
    }
}

async fn connection(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request| answer(request, answers.clone()));
    // A connection that breaks is seen by whoever waits for its answer.
    let _broken = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Answers>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Ok(body) = request.into_body().collect().await else { return Ok(status(StatusCode::BAD_REQUEST)) };
    let body = body.to_bytes();
    let head = &body[..body.len().min(METHOD_WITHIN)];
    let asks_for = |method: &str| head.windows(method.len()).any(|window| window == method.as_bytes());
    if asks_for("\"tools/call\"") {
        return Ok(json_answer(answers.call.clone()));
    }
    if asks_for("\"tools/list\"") {
        return Ok(json_answer(answers.list.clone()));
    }
    if asks_for("\"initialize\"") {
        let mut response = json_answer(answers.initialize.clone());
        response.headers_mut().insert("mcp-session-id", HeaderValue::from_static(SESSION));
        return Ok(response);
    }
    Ok(status(StatusCode::ACCEPTED))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn json_answer(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Answers {
    fn new() -> Self {
        let answer = |result: &Value| {
            Bytes::from(json!({"jsonrpc": "2.0", "id": super::question::ID, "result": result}).to_string())
        };
        let initialized = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "kommo-crm", "version": "1.0.0"},
        });
        Self {
            call: answer(&json!({"content": [{"type": "text", "text": CALL_TEXT}], "isError": false})),
            list: answer(&kommo::listed_tools()),
            initialize: answer(&initialized),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_as_long_as_that_of_a_real_server() {
        let answers = Answers::new();
        assert!((9_000..16_000).contains(&answers.list.len()), "{} bytes", answers.list.len());
        assert_eq!(kommo::tool_names().count(), 23);
    }
}
