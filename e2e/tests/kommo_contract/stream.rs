//! Answers that travel as server-sent events.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use toolgate_e2e::kommo::{Answers, Eras, StandIn};

use crate::raw::{BASE, MODERN, Received, initialized, modern, modern_body, post, request, started};

#[tokio::test]
async fn streams_carry_a_comment_progress_and_the_result() {
    let stand_in = started(Eras::Both, Answers::Sse).await;
    let params = json!({"name": "get_account", "arguments": {}, "_meta": {"progressToken": "p1"}});
    let received = modern(&stand_in, "tools/call", params.clone()).await;
    assert_eq!(received.headers["content-type"], "text/event-stream");
    let (_, session) = initialized_by_stream(&stand_in).await;
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let old = post(&stand_in, &headers, &request("tools/call", &params)).await;
    for received in [received, old] {
        let blocks: Vec<&str> = received.text.split_terminator("\n\n").collect();
        let [comment, progress, result] = blocks.as_slice() else { panic!("{}", received.text) };
        assert!(comment.starts_with(':'), "{comment}");
        assert_eq!(
            event(progress),
            json!({"jsonrpc": "2.0", "method": "notifications/progress",
                   "params": {"progressToken": "p1", "progress": 1, "total": 2}})
        );
        assert!(event(result)["result"]["content"].is_array());
    }
    let without_token =
        modern(&stand_in, "tools/call", json!({"name": "get_account", "arguments": {}})).await;
    assert_eq!(without_token.text.split_terminator("\n\n").count(), 1);
    let list = modern(&stand_in, "tools/list", json!({"_meta": {"progressToken": 1}})).await;
    assert_eq!(event(list.text.trim_end())["result"]["tools"].as_array().map(Vec::len), Some(23));
    let unknown = modern(&stand_in, "tools/call", json!({"name": "drop_leads"})).await;
    assert_eq!(event(unknown.text.trim_end())["error"]["code"], -32602);
}

async fn initialized_by_stream(stand_in: &StandIn) -> (Received, String) {
    let (received, session) = initialized(stand_in, "2025-11-25").await;
    assert_eq!(event(received.text.trim_end())["result"]["protocolVersion"], "2025-11-25");
    (received, session)
}

fn event(block: &str) -> Value {
    let data = block.strip_prefix("event: message\ndata: ").expect("an event");
    serde_json::from_str(data).expect("a JSON event")
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_stays_open() {
    let stand_in = started(Eras::Modern, Answers::Json).await;
    let stream = TcpStream::connect(stand_in.address()).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("http");
    tokio::spawn(connection);
    let wanted = json!({"toolsListChanged": true});
    let body = modern_body("subscriptions/listen", json!({"notifications": wanted}));
    let mut request =
        Request::post("/mcp").header("host", "kommo").header("mcp-method", "subscriptions/listen");
    for (name, value) in BASE.into_iter().chain([("mcp-protocol-version", MODERN)]) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    let mut response = sender.send_request(request).await.expect("an answer");
    let first = response.body_mut().frame().await.expect("a frame").expect("no error").into_data();
    let text = String::from_utf8(first.expect("data").to_vec()).expect("UTF-8");
    let acknowledged = event(text.trim_end());
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], wanted);
    assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    drop(stand_in);
    let end = response.body_mut().frame().await;
    assert!(end.is_none_or(|frame| frame.is_err()), "it ends with the server only");
}
