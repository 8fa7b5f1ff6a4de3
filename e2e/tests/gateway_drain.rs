//! SIGTERM: what is open finishes, nothing new begins, and the process ends with success.

use serde_json::json;
use tokio::net::TcpStream;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{
    ALICE, Answer, Configuration, Gateway, PATIENCE, Request, Socket, Start, Step, Upstream, World,
};

const RULES: &str = "default: allow";

async fn gateway(upstream: &Upstream, more: &[&str]) -> (Configuration, Gateway) {
    let configuration = Configuration::new(&upstream.url()).expect("files");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more };
    let gateway = Gateway::ready(start).await.expect("a gateway");
    (configuration, gateway)
}

fn call() -> Request {
    Request::modern_call(ALICE, "get_leads", &json!({}))
}

async fn until_draining(gateway: &Gateway) {
    let draining = |answer: &Answer| answer.status == 503 && answer.text() == "not ready: draining\n";
    gateway.admin().until("/readyz", "draining", draining).await.expect("it is draining");
}

async fn until_refused(gateway: &Gateway) {
    let refused = async { while TcpStream::connect(gateway.address()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("new connections are refused");
}

#[tokio::test]
async fn an_open_answer_finishes_and_nothing_new_begins() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: working\n\n";
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [], "resultType": "complete"}});
    let steps = vec![Step::Send(stream.into()), Step::Wait, Step::Send(format!("data: {answer}\n\n").into())];
    let upstream = Upstream::start(move |_| steps.clone()).await.expect("a server");
    let (_configuration, mut gateway) = gateway(&upstream, &[]).await;
    let mut idle = Socket::open(gateway.address()).await.expect("connects");
    idle.send(&call().by("PUT").bytes()).await.expect("is sent");
    assert_eq!(idle.answer().await.expect("an answer").status, 405);
    let mut open = Socket::open(gateway.address()).await.expect("connects");
    open.send(&call().bytes()).await.expect("is sent");
    open.until(":\n\n").await.expect("it has begun");

    gateway.terminate().await.expect("is told");
    until_draining(&gateway).await;
    until_refused(&gateway).await;
    assert_eq!(gateway.admin().get("/livez").await.expect("an answer").status, 200);
    assert!(idle.closes().await, "an idle connection is closed");
    upstream.go_on();
    let finished = open.answer().await.expect("the whole answer");
    assert_eq!(finished.json(), answer);
    assert!(open.closes().await);
    let status = gateway.ended().await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", gateway.log().text());
}

#[tokio::test]
async fn who_only_listens_holds_no_end_up() {
    let upstream = Upstream::start(|seen| {
        if seen.head.starts_with("GET") {
            let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: here\n\n";
            return vec![Step::Send(stream.into()), Step::Hold];
        }
        let body = json!({"jsonrpc": "2.0", "id": 7, "result": {"protocolVersion": "2025-11-25", "capabilities": {}}});
        let body = body.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s";
        vec![Step::Send(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into())]
    });
    let upstream = upstream.await.expect("a server");
    let (_configuration, mut gateway) = gateway(&upstream, &[]).await;
    let session = gateway.open_session(ALICE).await.expect("a session");
    let listen = Request::session(ALICE, Some(&session), "x", &json!({}));
    let listen = listen.by("GET").saying("").instead("accept", "text/event-stream");
    let mut listening = Socket::open(gateway.address()).await.expect("connects");
    listening.send(&listen.bytes()).await.expect("is sent");
    listening.until(":\n\n").await.expect("it listens");
    gateway.terminate().await.expect("is told");
    let whole = listening.answer().await.expect("the stream ends as it should");
    assert_eq!(whole.status, 200);
    assert_eq!(gateway.ended().await.expect("it ends").code(), Some(0));
    assert!(!gateway.log().text().contains("cut off"), "{}", gateway.log().text());
}

#[tokio::test]
async fn calls_are_still_taken_while_others_learn_that_it_leaves() {
    let world =
        World::start_with(Answers::Json, RULES, "info", &["--drain-seconds", "2"]).await.expect("a world");
    let mut gateway = world.gateway;
    gateway.terminate().await.expect("is told");
    until_draining(&gateway).await;
    let answer = gateway.ask(&call()).await.expect("a new connection is taken");
    assert_eq!((answer.status, answer.verdict()), (200, None));
    until_refused(&gateway).await;
    assert_eq!(gateway.ended().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_caller_on_an_old_connection_is_sent_elsewhere_before_the_end() {
    let world =
        World::start_with(Answers::Json, RULES, "info", &["--drain-seconds", "2"]).await.expect("a world");
    let mut gateway = world.gateway;
    let mut old = Socket::open(gateway.address()).await.expect("connects");
    old.send(&call().bytes()).await.expect("is sent");
    let answer = old.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    gateway.terminate().await.expect("is told");
    until_draining(&gateway).await;
    old.send(&call().bytes()).await.expect("is sent");
    let answer = old.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.verdict(), answer.header("connection")), (200, None, Some("close")));
    assert!(old.closes().await);
    assert_eq!(gateway.ended().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_ends_as_well() {
    let configuration = Configuration::new("http://127.0.0.1:1/mcp").expect("files");
    let config = configuration.objects();
    let start = Start { config: &config, credentials: None, log: "info", more: &[] };
    // Told as soon as it listens: the signal is heard from the first moment on.
    for _ in 0..10 {
        let mut gateway = Gateway::start(start).await.expect("a gateway");
        gateway.terminate().await.expect("is told");
        assert_eq!(gateway.ended().await.expect("it ends").code(), Some(0));
    }
}
