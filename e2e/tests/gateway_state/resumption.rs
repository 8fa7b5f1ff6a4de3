//! Streams that break and are resumed: judged like those that did not.

use toolgate_e2e::process::{PATIENCE, Socket};

use super::{ALICE, Answer, BOB, Request, Seen, Stage, Step, Value, json};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nmcp-session-id: server-session\r\nconnection: close\r\n\r\n";

fn tools() -> Value {
    let tools =
        ["work", "other", "secret"].map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
    json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools}})
}

/// A server whose streams break off after their first event, and go on where they are resumed.
async fn stage() -> Stage {
    Stage::new(|seen: &Seen| {
        let resumed = seen.head.to_ascii_lowercase().contains("last-event-id: event-1\r\n");
        let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let events = match asked["method"].as_str() {
            Some("initialize") => {
                let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}});
                format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": 7, "result": result}))
            }
            Some(_) => "id: event-1\nretry: 1500\ndata:\n\n".to_owned(),
            None if resumed => format!("id: event-2\ndata: {}\n\n", tools()),
            // A session's own stream.
            None => {
                let notice = json!({"jsonrpc": "2.0", "method": "notifications/prompts/list_changed"});
                format!("id: event-1\ndata: {notice}\n\n")
            }
        };
        vec![Step::Send([STREAM.as_bytes(), events.as_bytes()].concat()), Step::Close]
    })
    .await
}

/// The value of the first field of this name in a stream.
fn field(answer: &Answer, name: &str) -> Option<String> {
    let text = answer.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
}

fn stream(token: &str, session: &str) -> Request {
    let request = Request::session(token, Some(session), "none", &json!({})).by("GET").saying("");
    request.without("content-type").instead("accept", "text/event-stream")
}

fn list(session: &str) -> Request {
    Request::session(ALICE, Some(session), "tools/list", &json!({}))
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_resumed_and_filtered() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let broken = stage.ask(&list(&session)).await;
    assert_eq!(broken.messages(), [Value::Null; 0], "no error in the answer's place: {}", broken.text());
    assert_eq!(field(&broken, "retry").as_deref(), Some("1500"));
    let id = field(&broken, "id").expect("a place to resume from");
    assert!(!id.contains("event-1"));
    let resumed = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
    assert!(stage.last().0.contains("last-event-id: event-1\r\n"), "the server's own id: {}", stage.last().0);
    let listed = resumed.json();
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!((listed["id"].as_i64(), names), (Some(7), vec!["work", "other"]), "{}", resumed.text());
    assert!(field(&resumed, "id").is_some_and(|next| next != id));
}

#[tokio::test]
async fn a_resumed_list_is_of_the_policy_that_holds_now() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let id = field(&stage.ask(&list(&session)).await, "id").expect("an id");
    stage.edit("default: deny\ntools: {other: {}}").await;
    let resumed = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
    assert!(!resumed.text().contains("work") && resumed.text().contains("other"), "{}", resumed.text());
    stage.configuration.grant("alice", ALICE, "suspended: true").expect("is written");
    let suspended = |answer: &Answer| answer.json()["grants"].to_string().contains("alice");
    stage.gateway.admin().until("/revision", "the grant", suspended).await.expect("is told");
    let mut answer = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
    let started = tokio::time::Instant::now();
    while answer.status == 200 {
        assert!(started.elapsed() < PATIENCE, "who is suspended is served still");
        answer = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
    }
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test]
async fn what_is_denied_by_now_is_not_fetched_by_resuming_its_stream() {
    let stage = stage().await;
    let rules = |action: &str| {
        format!(
            "default: deny\ntools: {{work: {action}}}\nprompts: {{p: {action}}}\nresources: {{'x://r': {action}}}"
        )
    };
    stage.edit(&rules("{}")).await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let ask = |method: &str, params: Value| Request::session(ALICE, Some(&session), method, &params);
    let mut ids = Vec::new();
    for (method, params) in [
        ("tools/call", json!({"name": "work", "arguments": {}})),
        ("prompts/get", json!({"name": "p"})),
        ("resources/read", json!({"uri": "x://r"})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {}})),
    ] {
        let id = field(&stage.ask(&ask(method, params)).await, "id").expect("an id");
        let resumed = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
        assert_eq!(resumed.error_code(), None, "{method}: {}", resumed.text());
        assert!(resumed.text().contains("result"), "{method}: {}", resumed.text());
        ids.push((method, id));
    }
    stage.edit(&rules("{action: deny}")).await;
    for (method, id) in ids {
        let resumed = stage.refused(method, &stream(ALICE, &session).with("last-event-id", &id)).await;
        let messages = resumed.messages();
        assert_eq!(messages.len(), 1, "{method}: {}", resumed.text());
        let error = &messages[0]["error"]["data"]["toolgate.dev/verdict"];
        assert_eq!(
            (&messages[0]["id"], &error["outcome"]),
            (&json!(7), &json!("denied")),
            "{method}: {}",
            resumed.text()
        );
    }
}

#[tokio::test]
async fn an_event_is_of_one_session_of_one_caller() {
    let stage = stage().await;
    let open = async |token| stage.gateway.open_session(token).await.expect("a session");
    let (session, his) = (open(ALICE).await, open(BOB).await);
    let id = field(&stage.ask(&list(&session)).await, "id").expect("an id");
    for (what, request) in [
        ("another grant's event", stream(BOB, &his).with("last-event-id", &id)),
        ("another grant's session", stream(BOB, &session).with("last-event-id", &id)),
        ("the server's own id", stream(ALICE, &session).with("last-event-id", "event-1")),
        ("no id", stream(ALICE, &session).with("last-event-id", "")),
        ("half an id", stream(ALICE, &session).with("last-event-id", &id[1..])),
        ("two ids", stream(ALICE, &session).with("last-event-id", &id).with("last-event-id", &id)),
        ("a session for an event", stream(ALICE, &session).with("last-event-id", &session)),
    ] {
        let answer = stage.refused(what, &request).await;
        assert!(matches!(answer.status, 400 | 404), "{what}: {}", answer.status);
    }
}

#[tokio::test]
async fn a_sessions_own_stream_answers_nothing_that_was_asked_elsewhere() {
    let stage = stage().await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let own = stage.ask(&stream(ALICE, &session)).await;
    assert_eq!(own.messages().len(), 1, "{}", own.text());
    let id = field(&own, "id").expect("an id");
    // The server answers a request on it, with a list: whoever resumes this stream has not asked for one.
    let resumed = stage.ask(&stream(ALICE, &session).with("last-event-id", &id)).await;
    assert!(!resumed.text().contains("work"), "{}", resumed.text());
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_it_can_resume_leaves_nothing_open() {
    let stage = Stage::new(|seen: &Seen| {
        let events = if seen.body.contains("tools/call") { "id: event-1\ndata:\n\n" } else { "" };
        let body = json!({"jsonrpc": "2.0", "id": 7, "result": {"protocolVersion": "2025-11-25", "capabilities": {}}});
        let events = if events.is_empty() { format!("data: {body}\n\n") } else { events.to_owned() };
        vec![Step::Send([STREAM.as_bytes(), events.as_bytes()].concat()), Step::Hold]
    })
    .await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let left = stage.upstream.left();
    let mut socket = Socket::open(stage.gateway.address()).await.expect("a connection");
    socket
        .send(&Request::session_call(ALICE, Some(&session), "work", &json!({})).bytes())
        .await
        .expect("is sent");
    socket.until("id: ").await.expect("a place to resume from");
    drop(socket);
    stage.upstream.until_left(left + 1).await.expect("the server is left, too");
}

#[tokio::test]
async fn nothing_is_resumed_in_2026_07_28() {
    let stage = stage().await;
    let answer = stage.ask(&Request::modern(ALICE, "tools/list", json!({}))).await;
    assert_eq!((field(&answer, "id"), field(&answer, "retry")), (None, None), "{}", answer.text());
    assert_eq!(answer.error_code(), Some(-32603), "a stream without an answer ends with an error");
}

#[tokio::test]
async fn what_a_server_says_against_a_second_stream_reaches_the_client() {
    let error =
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "only one stream"}});
    let body = error.to_string();
    let stage = Stage::new(move |seen: &Seen| {
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}});
        let opened = json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
        let (status, said) =
            if seen.head.starts_with("GET") { ("409 Conflict", &body) } else { ("200 OK", &opened) };
        let head = "content-type: application/json\r\nmcp-session-id: server-session";
        let answer = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {}\r\n\r\n{said}", said.len());
        vec![Step::Send(answer.into_bytes())]
    })
    .await;
    let session = stage.gateway.open_session(ALICE).await.expect("a session");
    let answer = stage.ask(&stream(ALICE, &session)).await;
    assert_eq!((answer.status, answer.json()), (409, error));
}
