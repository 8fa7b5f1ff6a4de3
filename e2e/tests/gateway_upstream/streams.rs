//! Streams that end badly, or not at all, or say more than they should.

use serde_json::{Value, json};
use toolgate_e2e::process::{Answer, Socket, Step, Upstream};

use super::{RULES, STREAM, Stage, as_stream, call, event, old_call, result};

/// A stream's last message is an error of the gateway's own.
fn ends_with_an_error(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{what}");
    let last = answer.json();
    assert_eq!(
        (&last["id"], &last["error"]["code"]),
        (&json!(7), &json!(-32603)),
        "{what}: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_stream_without_an_answer_ends_with_an_error() {
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    let half = format!("data: {}", result("fine"));
    for (what, kind, events) in [
        ("nothing", "unanswered", String::new()),
        ("only a notice", "unanswered", event(&progress)),
        ("half an event", "unanswered", half),
        ("another id", "unanswered", event(&json!({"jsonrpc": "2.0", "id": 8, "result": {}}))),
        ("no JSON", "unfit", "data: secret\n\n".to_owned()),
        ("a batch", "unfit", format!("data: [{}]\n\n", result("secret"))),
        ("no message", "unfit", "data: {\"jsonrpc\":\"2.0\"}\n\n".to_owned()),
    ] {
        let stage = Stage::doing(vec![Step::Send(as_stream(&events)), Step::Close]).await;
        for request in [call(), old_call()] {
            let answer = stage.ask(&request).await;
            ends_with_an_error(what, &answer);
            assert!(!answer.text().contains("secret"), "{what}");
        }
        assert!(stage.errors(kind).await > 1.5, "{what} is counted as {kind}");
    }
    let broken = Stage::doing(vec![Step::Send(as_stream(": x\n\n")), Step::Reset]).await;
    ends_with_an_error("a reset", &broken.ask(&call()).await);
    let not_text = [STREAM.as_bytes(), b"data: \xff\xfe\n\n"].concat();
    ends_with_an_error("no UTF-8", &Stage::answering(not_text).await.ask(&call()).await);
}

#[tokio::test]
async fn what_comes_after_the_answer_is_not_passed_on() {
    let events = event(&result("first")) + &event(&result("second"));
    let stage = Stage::answering(as_stream(events)).await;
    for request in [call(), old_call()] {
        let answer = stage.ask(&request).await;
        assert_eq!(answer.messages(), [result("first")]);
    }
    let other = json!({"jsonrpc": "2.0", "id": 8, "result": {"content": "of another request"}});
    let stage = Stage::answering(as_stream(event(&other) + &event(&result("mine")))).await;
    assert_eq!(stage.ask(&call()).await.messages(), [result("mine")]);
}

#[tokio::test]
async fn what_a_server_asks_on_a_stream_does_not_reach_the_client() {
    let ask =
        |method: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"prompt": "secret"}});
    let asked = ["sampling/createMessage", "elicitation/create", "roots/list", "x/unknown"].map(ask);
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}});
    let unknown = json!({"jsonrpc": "2.0", "method": "notifications/unknown", "params": {"text": "secret"}});
    let events: String = asked.iter().chain([&unknown, &progress, &result("fine")]).map(event).collect();
    let stage = Stage::scripted(move |seen| {
        // What the gateway answers in the client's place is a request of its own.
        if seen.body.contains("tools/call") {
            vec![Step::Send(as_stream(&events))]
        } else {
            vec![Step::Send(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec())]
        }
    })
    .await;
    for request in [call(), old_call()] {
        let answer = stage.ask(&request).await;
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        let messages = answer.messages();
        assert_eq!(messages.last(), Some(&result("fine")));
        assert_eq!(messages[0], progress, "a notice of progress passes");
        assert_eq!(messages.len(), 2);
    }
}

#[tokio::test]
async fn an_event_of_the_largest_size_and_one_past_it() {
    let bytes = 4 * 1024 * 1024;
    let room = format!("data: {}", result("")).len();
    for (length, passes) in [(bytes - room, true), (bytes - room + 1, false)] {
        let message = result(&"x".repeat(length));
        let stage = Stage::answering(as_stream(event(&message))).await;
        let answer = stage.ask(&call()).await;
        if passes {
            assert_eq!(answer.json()["result"], message["result"]);
        } else {
            ends_with_an_error("too large", &answer);
        }
    }
}

#[tokio::test]
async fn an_event_that_never_ends_is_cut_off() {
    let endless = vec![Step::Send(as_stream("data: ")), Step::SendForEver(vec![b'x'; 64 * 1024])];
    let stage = Stage::doing(endless).await;
    ends_with_an_error("an endless event", &stage.ask(&call()).await);
    stage.upstream.until_left(1).await.expect("the gateway leaves");
}

#[tokio::test]
async fn an_endless_stream_ends_with_its_client() {
    for event in [": still here\n\n".to_owned(), event(&progress())] {
        let endless = vec![Step::Send(STREAM.into()), Step::SendForEver(event.repeat(100).into_bytes())];
        let stage = Stage::doing(endless).await;
        let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
        socket.send(&call().bytes()).await.expect("is sent");
        assert_eq!(socket.head().await.expect("a head").status, 200);
        drop(socket);
        stage.upstream.until_left(1).await.expect("the gateway leaves");
    }
}

fn progress() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}})
}

#[tokio::test]
async fn before_2026_07_28_an_endless_stream_ends_a_while_after_its_client() {
    let endless = vec![Step::Send(STREAM.into()), Step::SendForEver(b": still here\n\n".repeat(10))];
    let upstream = Upstream::start(move |_| endless.clone()).await.expect("a server");
    let stage = Stage::new(upstream, RULES, &["--answer-seconds", "1"]).await;
    let mut socket = Socket::open(stage.gateway.address()).await.expect("connects");
    socket.send(&old_call().bytes()).await.expect("is sent");
    assert_eq!(socket.head().await.expect("a head").status, 200);
    drop(socket);
    stage.upstream.until_left(1).await.expect("the gateway leaves");
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_with_an_error() {
    let upstream =
        Upstream::start(|_| vec![Step::Send(as_stream(": x\n\n")), Step::Hold]).await.expect("a server");
    let stage = Stage::new(upstream, RULES, &["--answer-seconds", "1"]).await;
    ends_with_an_error("silence", &stage.ask(&call()).await);
    assert!(stage.errors("timeout").await > 0.5);
    stage.upstream.until_left(1).await.expect("the gateway leaves");
}
