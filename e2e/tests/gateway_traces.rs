//! Traces of the real gateway, as a collector gets them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, PATIENCE, Request, Seen, Step, Upstream, World};

const RULES: &str = "default: deny\ntools:\n  get_leads: {}\n  update_lead: {action: deny}\nresources: {\"kommo://account\": {}}";
const CONTEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// One span, its attributes as text.
#[derive(Debug)]
struct Span {
    span: Value,
    attributes: BTreeMap<String, String>,
}

impl Span {
    fn new(span: &Value) -> Self {
        let attributes = span["attributes"].as_array().expect("attributes").iter().map(|attribute| {
            let value = attribute["value"].as_object().expect("a value").values().next().expect("one value");
            (attribute["key"].as_str().expect("a key").to_owned(), value.as_str().expect("a text").to_owned())
        });
        Self { span: span.clone(), attributes: attributes.collect() }
    }

    fn text(&self, member: &str) -> &str {
        self.span[member].as_str().unwrap_or_default()
    }

    fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map(String::as_str).unwrap_or_default()
    }
}

async fn collector() -> Upstream {
    Upstream::answering("HTTP/1.1 200 ok\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        .await
        .expect("a collector")
}

fn spans(collector: &Upstream) -> Vec<Span> {
    let mut spans = Vec::new();
    for Seen { head, body } in collector.seen() {
        assert!(
            head.starts_with("POST /v1/traces HTTP/1.1") && head.contains("content-type: application/json"),
            "{head}"
        );
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "toolgate-gateway");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().expect("spans").iter().map(Span::new));
    }
    spans
}

async fn world(collector: &Upstream) -> World {
    let more = ["--traces", &collector.base()];
    World::start_with(Answers::Json, RULES, "trace", &more).await.expect("a world")
}

async fn end(world: &mut World) {
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
}

fn call(tool: &str) -> Request {
    Request::modern_call(ALICE, tool, &json!({"query": "canary-in-a-value"}))
}

async fn id(world: &World, request: &Request) -> String {
    let answer = world.ask(request).await.expect("an answer");
    answer.header("toolgate-request-id").expect("an id").to_owned()
}

#[tokio::test]
async fn a_call_is_a_span_with_the_servers_below_it_and_the_decision_in_it() {
    let collector = collector().await;
    let mut world = world(&collector).await;
    let id = id(&world, &call("get_leads").with("traceparent", CONTEXT)).await;
    let seen = world.stand_in.record().pop().expect("it reached the server");
    end(&mut world).await;
    let spans = spans(&collector);
    let [server, client] = spans.as_slice() else { panic!("{spans:?}") };
    for span in [server, client] {
        assert_eq!(span.text("traceId"), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.text("name"), "tools/call get_leads");
        assert_eq!(span.attribute("mcp.method.name"), "tools/call");
        assert_eq!(span.attribute("gen_ai.tool.name"), "get_leads");
        assert_eq!(span.attribute("gen_ai.operation.name"), "execute_tool");
        assert_eq!(span.attribute("mcp.protocol.version"), "2026-07-28");
        assert!(span.text("startTimeUnixNano") < span.text("endTimeUnixNano"));
        assert!(span.span.get("status").is_none() && !span.attributes.contains_key("error.type"));
    }
    assert_eq!((&server.span["kind"], &client.span["kind"]), (&json!(2), &json!(3)));
    assert_eq!((server.text("parentSpanId"), server.text("spanId")), ("b7ad6b7169203331", &id[..16]));
    assert_eq!((client.text("parentSpanId"), client.text("spanId")), (&id[..16], &id[16..]));
    assert_eq!(seen.headers["traceparent"], format!("00-{}-{}-01", client.text("traceId"), &id[16..]));
    for (key, value) in [
        ("toolgate.verdict", "allowed"),
        ("toolgate.grant", "alice"),
        ("toolgate.server", "kommo"),
        ("toolgate.namespace", "default"),
        ("toolgate.revision", "1"),
        ("toolgate.request_id", &id),
    ] {
        assert_eq!(server.attribute(key), value, "{key}");
    }
    assert_eq!(client.attribute("server.address"), "127.0.0.1");
}

#[tokio::test]
async fn refusals_lists_and_names_that_nobody_knows() {
    let collector = collector().await;
    let mut world = world(&collector).await;
    let denied = id(&world, &call("update_lead")).await;
    let unknown = id(&world, &call("made_up_by_a_caller")).await;
    id(&world, &Request::modern(ALICE, "tools/list", json!({}))).await;
    id(&world, &Request::modern(ALICE, "resources/read", json!({"uri": "kommo://nowhere"}))).await;
    id(&world, &call("get_leads").with("traceparent", NOT_SAMPLED)).await;
    id(&world, &Request::modern_call("nobody", "get_leads", &json!({}))).await;
    end(&mut world).await;
    let told: Vec<(Span, String)> = spans(&collector).into_iter().map(|span| (span, String::new())).collect();
    let names: Vec<&str> = told.iter().map(|(span, _)| span.text("name")).collect();
    assert_eq!(
        names,
        ["tools/call update_lead", "tools/call _OTHER", "tools/list", "tools/list", "resources/read"],
        "what is not sampled and who is nobody leave no span"
    );
    let (first, second, read) = (&told[0].0, &told[1].0, &told[4].0);
    assert_eq!(first.text("traceId"), denied, "a trace of its own");
    assert_eq!(first.attribute("toolgate.rule"), "kommo-sales/tools/update_lead/action");
    assert_eq!((first.attribute("error.type"), &first.span["status"]["code"]), ("tool_error", &json!(2)));
    assert_eq!(
        (second.text("traceId"), second.attribute("toolgate.verdict")),
        (unknown.as_str(), "unlisted")
    );
    assert_eq!((read.attribute("error.type"), read.attribute("toolgate.verdict")), ("403", "unlisted"));
    let everything = format!("{:?}", collector.seen());
    for secret in ["canary", ALICE, "made_up_by_a_caller", "kommo://nowhere"] {
        assert!(!everything.contains(secret), "{secret} is in a trace");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_of_both_spans() {
    let collector = collector().await;
    let mut world = world(&collector).await;
    let another = World::stand_in(Answers::Json).await.expect("another");
    drop(std::mem::replace(&mut world.stand_in, another));
    id(&world, &call("get_leads")).await;
    end(&mut world).await;
    let spans = spans(&collector);
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert_eq!((span.attribute("error.type"), &span.span["status"]["code"]), ("unreachable", &json!(2)));
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_call_and_what_it_misses_is_counted() {
    let stuck = Upstream::start(|_: &Seen| vec![Step::Hold]).await.expect("a collector");
    let mut world = world(&stuck).await;
    for _ in 0..50 {
        let answer = world.ask(&call("update_lead")).await.expect("an answer");
        assert_eq!(answer.verdict().as_deref(), Some("denied"));
    }
    stuck.until_seen(1).await.expect("it was tried");
    let counted = |answer: &Answer| {
        let text = answer.text();
        let line = text.lines().find(|line| line.starts_with("toolgate_spans_dropped_total{"));
        line.is_some_and(|line| !line.ends_with(" 0"))
    };
    let counted = world.gateway.admin().until("/metrics", "dropped spans", counted);
    tokio::time::timeout(PATIENCE, counted).await.expect("in time").expect("they are counted");
    world.gateway.log().message(0, "spans are dropped").await.expect("it is said");
    end(&mut world).await;
}

#[tokio::test]
async fn a_collector_that_refuses_is_counted_and_one_that_is_not_there_too() {
    let refusing =
        Upstream::answering("HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n").await.expect("a collector");
    let nobody = "http://127.0.0.1:9".to_owned();
    for collector in [refusing.base(), nobody] {
        let more = ["--traces", &collector];
        let world = World::start_with(Answers::Json, RULES, "info", &more).await.expect("a world");
        id(&world, &call("update_lead")).await;
        let counted =
            |answer: &Answer| answer.text().contains("toolgate_spans_dropped_total{server=\"kommo\"} 1\n");
        world.gateway.admin().until("/metrics", "one dropped span", counted).await.expect("it is counted");
    }
}
