//! How much may go on at a time: of one grant, and of all.

use serde_json::{Value, json};
use toolgate_e2e::process::{
    ALICE, Answer, BOB, Configuration, Gateway, Request, Socket, Start, Step, Upstream,
};

const RULES: &str = "default: deny\ntools: {get_leads: {}}";

/// A gateway before a scripted server, with caps.
async fn before(upstream: &Upstream, concurrency: &str) -> (Configuration, Gateway) {
    let configuration = Configuration::new(&upstream.url()).expect("files");
    let server = configuration.read("kommo-server.yaml").expect("is read");
    let server = format!("{server}  gateway: {{concurrency: {concurrency}}}\n");
    configuration.write("kommo-server.yaml", &server).expect("is written");
    configuration.policy("kommo-sales", RULES).expect("is written");
    configuration.grant("alice", ALICE, "").expect("is written");
    configuration.grant("bob", BOB, "").expect("is written");
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    (configuration, Gateway::ready(start).await.expect("a gateway"))
}

fn call(token: &str) -> Request {
    Request::modern_call(token, "get_leads", &json!({}))
}

fn listen(token: &str) -> Request {
    Request::modern(token, "subscriptions/listen", json!({"notifications": {}}))
}

async fn begin(gateway: &Gateway, request: &Request) -> Socket {
    let mut socket = Socket::open(gateway.address()).await.expect("connects");
    socket.send(&request.bytes()).await.expect("is sent");
    socket
}

async fn until_in_flight(gateway: &Gateway, kind: &str, count: usize) {
    let line = format!("toolgate_in_flight{{kind=\"{kind}\",server=\"kommo\"}} {count}\n");
    let told = |answer: &Answer| answer.text().contains(&line);
    gateway.admin().until("/metrics", &line, told).await.expect("as many");
}

/// `429 grant` or `503 server`, of a refusal that is whole.
fn told(answer: &Answer, kind: &str) -> String {
    let verdict = &answer.json()["error"]["data"]["toolgate.dev/verdict"];
    assert_eq!(answer.json()["id"], json!(7), "{}", answer.text());
    assert_eq!(answer.error_code(), Some(i64::from(answer.status)));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!((&verdict["outcome"], &verdict["limit"]["concurrency"]), (&json!("limited"), &json!(kind)));
    format!(
        "{} {} {}",
        answer.status,
        verdict["limit"]["scope"].as_str().unwrap_or_default(),
        verdict["limit"]["max"]
    )
}

fn answer() -> Step {
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [], "resultType": "complete"}}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Step::Send((head + &body).into_bytes())
}

#[tokio::test]
async fn as_many_requests_as_may_be_of_a_grant_and_of_all_and_one_more() {
    let upstream = Upstream::start(|_| vec![Step::Wait, answer()]).await.expect("a server");
    let (_files, gateway) = before(&upstream, "{requests: {grant: 2, server: 3}}").await;
    let mut open = [begin(&gateway, &call(ALICE)).await, begin(&gateway, &call(ALICE)).await];
    upstream.until_seen(2).await.expect("both reach the server");
    let refused = gateway.ask(&call(ALICE)).await.expect("an answer");
    assert_eq!(told(&refused, "requests"), "429 grant 2");
    let mut of_bob = begin(&gateway, &call(BOB)).await;
    upstream.until_seen(3).await.expect("the neighbour is served");
    assert_eq!(told(&gateway.ask(&call(BOB)).await.expect("an answer"), "requests"), "503 server 3");
    until_in_flight(&gateway, "requests", 3).await;

    // Of one that is too large to be read for its id, nothing is read.
    let mut unread = Socket::open(gateway.address()).await.expect("connects");
    unread.send(&call(ALICE).with("content-length", "20000").head()).await.expect("is sent");
    let refused = unread.answer().await.expect("an answer");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert!(refused.text().starts_with("the grant has 2 requests open"), "{}", refused.text());

    upstream.go_on();
    for socket in open.iter_mut().chain([&mut of_bob]) {
        assert_eq!(socket.answer().await.expect("an answer").status, 200);
    }
    until_in_flight(&gateway, "requests", 0).await;
    assert_eq!(gateway.ask(&call(ALICE)).await.expect("an answer").status, 200);
    assert_eq!(upstream.seen().len(), 4, "no refused one reached the server");
    let metrics = gateway.admin().metrics().await.expect("metrics");
    let rejected = metrics.by("toolgate_requests_rejected_total", &["reason"]);
    let count = |reason: &str| rejected.get(&vec![reason.to_owned()]).copied().unwrap_or_default();
    assert!(
        (count("grant_busy") - 2.0).abs() < f64::EPSILON && (count("server_busy") - 1.0).abs() < f64::EPSILON
    );
}

#[tokio::test]
async fn a_client_that_leaves_leaves_its_slot() {
    let upstream =
        Upstream::start(|seen| if seen.body.contains("held") { vec![Step::Hold] } else { vec![answer()] })
            .await
            .expect("a server");
    let (_files, gateway) = before(&upstream, "{requests: {grant: 1}}").await;
    let held = begin(&gateway, &Request::modern_call(ALICE, "get_leads", &json!({"query": "held"}))).await;
    upstream.until_seen(1).await.expect("it reaches the server");
    assert_eq!(gateway.ask(&call(ALICE)).await.expect("an answer").status, 429);
    drop(held);
    upstream.until_left(1).await.expect("the server is left, too");
    until_in_flight(&gateway, "requests", 0).await;
    assert_eq!(gateway.ask(&call(ALICE)).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn streams_have_a_cap_of_their_own() {
    let upstream = Upstream::start(|seen| {
        if !seen.body.contains("subscriptions/listen") {
            return vec![answer()];
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n:\n\n";
        vec![Step::Send(head.as_bytes().to_vec()), Step::Hold]
    })
    .await
    .expect("a server");
    let (_files, gateway) =
        before(&upstream, "{requests: {grant: 1, server: 2}, streams: {grant: 1, server: 1}}").await;
    let mut stream = begin(&gateway, &listen(ALICE)).await;
    stream.until(":\n\n").await.expect("it listens");
    until_in_flight(&gateway, "requests", 0).await;
    assert_eq!(told(&gateway.ask(&listen(ALICE)).await.expect("an answer"), "streams"), "429 grant 1");
    assert_eq!(told(&gateway.ask(&listen(BOB)).await.expect("an answer"), "streams"), "503 server 1");
    assert_eq!(gateway.ask(&call(ALICE)).await.expect("an answer").status, 200, "it takes no request's slot");
    drop(stream);
    until_in_flight(&gateway, "streams", 0).await;
    let mut next = begin(&gateway, &listen(BOB)).await;
    next.until(":\n\n").await.expect("it listens");
}

#[tokio::test]
async fn caps_are_edited_while_the_gateway_runs() {
    let upstream = Upstream::start(|_| vec![Step::Wait, answer()]).await.expect("a server");
    let (configuration, gateway) = before(&upstream, "{requests: {grant: 1}}").await;
    let _open = begin(&gateway, &call(ALICE)).await;
    upstream.until_seen(1).await.expect("it reaches the server");
    assert_eq!(gateway.ask(&call(ALICE)).await.expect("an answer").status, 429);
    let before = gateway.admin().revision().await.expect("a revision");
    let server = configuration.read("kommo-server.yaml").expect("is read");
    configuration.write("kommo-server.yaml", &server.replace("grant: 1", "grant: 2")).expect("is written");
    let newer = |answer: &Answer| answer.json() != Value::Null && answer.json()["revision"] != before;
    gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    let _second = begin(&gateway, &call(ALICE)).await;
    upstream.until_seen(2).await.expect("it reaches the server");
}
