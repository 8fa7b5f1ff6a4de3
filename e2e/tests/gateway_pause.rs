//! A server that says that it is called too often is left alone, at every gateway that shares the store.

use serde_json::{Value, json};
use toolgate_e2e::process::{
    ALICE, Answer, Configuration, Gateway, PATIENCE, Redis, Request, Seen, Start, Step, Upstream,
};

const TEXT: &str = "Too many requests: slow down";
const RULES: &str = "default: deny
tools:
  get_leads: {limits: [{counter: c, window: hour, max: 1000, scope: server}]}
  get_users: {}
";

fn answer(status: &str, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
    vec![Step::Send(format!("{head}{headers}\r\n{body}").into_bytes())]
}

fn result(content: &Value, is_error: bool) -> Vec<Step> {
    let result = json!({"resultType": "complete", "content": content, "isError": is_error});
    answer("200 OK", "", &json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string())
}

fn busy() -> Vec<Step> {
    answer("429 Too Many Requests", "retry-after: 2\r\n", "{}")
}

// What the caller's argument asks for.
fn server(seen: &Seen) -> Vec<Step> {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    match asked["params"]["arguments"]["do"].as_str().unwrap_or_default() {
        "429" => busy(),
        "say" => result(&text(TEXT), true),
        "succeed" => result(&text(TEXT), false),
        "quote" => result(&text(&format!("a note: {TEXT}")), true),
        "twice" => result(&json!([{"type": "text", "text": TEXT}, {"type": "text", "text": TEXT}]), true),
        _ => result(&text("fine"), false),
    }
}

async fn gateways(count: usize, upstream: &Upstream, redis: Option<&Redis>) -> (Configuration, Vec<Gateway>) {
    let configuration = Configuration::new(&upstream.url()).expect("files");
    let busy = format!("  upstream:\n    busy: {{text: '{TEXT}', pause: 2s}}\n");
    let server = configuration.read("kommo-server.yaml").expect("a file").replace("  upstream:\n", &busy);
    configuration.write("kommo-server.yaml", &server).expect("files");
    if let Some(redis) = redis {
        configuration.counters(&format!("{{url: '{}'}}", redis.url())).expect("files");
    }
    configuration.policy("kommo-sales", RULES).expect("files");
    configuration.grant("alice", ALICE, "").expect("files");
    let (objects, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start {
        config: &objects,
        credentials: Some(&credentials),
        log: "info",
        more: &["--counters-deadline-milliseconds", "1000"],
    };
    let mut gateways = Vec::new();
    for _ in 0..count {
        let gateway = Gateway::ready(start).await.expect("a gateway");
        if redis.is_some() {
            gateway.admin().until_it_counts().await.expect("a store");
        }
        gateways.push(gateway);
    }
    (configuration, gateways)
}

async fn ask(gateway: &Gateway, tool: &str, what: &str) -> Answer {
    gateway.ask(&Request::modern_call(ALICE, tool, &json!({"do": what}))).await.expect("an answer")
}

async fn until(gateway: &Gateway, tool: &str, wanted: Option<&str>) {
    let started = tokio::time::Instant::now();
    loop {
        let said = ask(gateway, tool, "").await.verdict();
        if said.as_deref() == wanted {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{tool} is {said:?}, not {wanted:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn is_told_to_wait(answer: &Answer) {
    let verdict = answer.json()["result"]["_meta"]["toolgate.dev/verdict"].clone();
    assert_eq!((&verdict["outcome"], &verdict["rule"]), (&json!("limited"), &json!("(the server is busy)")));
    assert!(matches!(verdict["retryAfterSeconds"].as_u64(), Some(1..=2)), "{verdict}");
    assert!(answer.text().contains("[RATE LIMITED]"), "{}", answer.text());
}

#[tokio::test]
async fn only_what_the_server_itself_says_pauses_it() {
    let upstream = Upstream::start(server).await.expect("a server");
    let (_configuration, gateways) = gateways(1, &upstream, None).await;
    let gateway = &gateways[0];
    for what in ["succeed", "quote", "twice"] {
        assert_eq!(ask(gateway, "get_leads", what).await.verdict(), None, "{what}");
        assert_eq!(ask(gateway, "get_leads", "").await.verdict(), None, "after {what}");
    }
    for (what, status) in [("say", 200), ("429", 503)] {
        let heard = ask(gateway, "get_leads", what).await;
        assert_eq!((heard.status, heard.verdict()), (status, None), "who asked hears what the server said");
        let reached = upstream.seen().len();
        is_told_to_wait(&ask(gateway, "get_leads", "").await);
        is_told_to_wait(&ask(gateway, "get_users", "").await);
        assert_eq!(upstream.seen().len(), reached, "nothing was sent");
        until(gateway, "get_leads", None).await;
    }
}

#[tokio::test]
async fn what_no_limit_bounds_pauses_nobody_and_is_not_sent_in_a_pause() {
    let upstream = Upstream::start(|seen: &Seen| {
        let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        if asked["method"] == "tools/call" { server(seen) } else { busy() }
    });
    let upstream = upstream.await.expect("a server");
    let (_configuration, gateways) = gateways(1, &upstream, None).await;
    let gateway = &gateways[0];
    let list = Request::modern(ALICE, "tools/list", json!({}));
    for _ in 0..3 {
        assert_eq!(gateway.ask(&list).await.expect("an answer").status, 503);
        assert_eq!(ask(gateway, "get_leads", "").await.verdict(), None, "a list keeps nobody out");
    }
    assert_eq!(ask(gateway, "get_leads", "429").await.status, 503);
    let reached = upstream.seen().len();
    let listed = gateway.ask(&list).await.expect("an answer");
    assert_eq!((listed.status, upstream.seen().len()), (503, reached), "{}", listed.text());
    assert!(listed.text().contains("takes no more requests for now"), "{}", listed.text());
}

#[tokio::test]
async fn gateways_that_share_a_store_leave_it_alone_together() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let upstream = Upstream::start(server).await.expect("a server");
    let (_configuration, gateways) = gateways(2, &upstream, Some(&redis)).await;
    // Both ways of hearing of it: by a question, and where no call asks the store, by looking after it.
    for tool in ["get_leads", "get_users"] {
        assert_eq!(ask(&gateways[0], tool, "say").await.verdict(), None);
        until(&gateways[1], tool, Some("limited")).await;
        until(&gateways[1], tool, None).await;
        until(&gateways[0], tool, None).await;
    }
}
