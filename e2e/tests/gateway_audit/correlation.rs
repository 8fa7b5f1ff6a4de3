//! One id ties together what a caller heard, what the trail says, and what the server saw.

use std::collections::HashSet;

use serde_json::{Value, json};
use toolgate_e2e::process::{ALICE, Answer, Request};

use super::{ask, call, world};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CONTEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

fn told(answer: &Answer) -> String {
    answer.header("toolgate-request-id").expect("every answer names its request").to_owned()
}

#[tokio::test]
async fn every_answer_names_its_request_and_so_does_the_trail() {
    let world = world().await;
    let requests = [
        call(ALICE, "get_leads", &json!({})),
        call(ALICE, "update_lead", &json!({})),
        call(ALICE, "nowhere", &json!({})),
        call("nobody", "get_leads", &json!({})),
        call(ALICE, "get_leads", &json!({})).to("/nowhere"),
    ];
    let mut answers = Vec::new();
    for request in &requests {
        answers.push(ask(&world, request).await);
    }
    let ids: Vec<String> = answers.iter().map(told).collect();
    let lines = world.gateway.audit().json_lines(requests.len()).await.expect("lines");
    let recorded: Vec<&str> = lines.iter().map(|line| line["requestId"].as_str().expect("an id")).collect();
    assert_eq!(recorded, ids);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    let in_refusal = &answers[1].json()["result"]["_meta"]["toolgate.dev/verdict"]["requestId"];
    assert_eq!(in_refusal.as_str(), Some(ids[1].as_str()));
    let unknown = answers[2].text();
    assert!(!unknown.contains(&ids[2]), "what does not exist is told in the same bytes each time: {unknown}");
}

#[tokio::test]
async fn the_server_gets_the_clients_trace_and_the_gateways_own_span() {
    let world = world().await;
    let plain = call(ALICE, "get_leads", &json!({}));
    let in_body = Request::modern(
        ALICE,
        "tools/call",
        json!({"name": "get_leads", "arguments": {}, "_meta": {"traceparent": OTHER, "tracestate": "a=b"}}),
    );
    let cases = [
        (plain.clone(), None, "00"),
        (plain.clone().with("traceparent", CONTEXT).with("tracestate", "x=canary"), Some(TRACE), "01"),
        (in_body.clone(), Some("11111111111111111111111111111111"), "00"),
        (in_body.with("traceparent", CONTEXT), Some("11111111111111111111111111111111"), "00"),
        (plain.clone().with("traceparent", "canary"), None, "00"),
        (plain.with("traceparent", CONTEXT).with("traceparent", OTHER), None, "00"),
    ];
    for (request, trace, flags) in &cases {
        let answer = ask(&world, request).await;
        let id = told(&answer);
        let seen = world.stand_in.record().pop().expect("it reached the server");
        let parts: Vec<&str> = seen.headers["traceparent"].split('-').collect();
        assert_eq!(parts, ["00", trace.unwrap_or(&id), &id[16..], flags], "{request:?}");
        assert!(!seen.headers.contains_key("tracestate"));
    }
    let sent: Value = serde_json::from_slice(&cases[2].0.body).expect("JSON");
    let seen: Value = serde_json::from_str(&world.stand_in.record()[2].body).expect("JSON");
    assert_eq!(seen["params"]["_meta"], sent["params"]["_meta"], "the body goes on as it is");
    let lines = world.gateway.audit().json_lines(cases.len()).await.expect("lines");
    for (line, (_, trace, _)) in lines.iter().zip(&cases) {
        assert_eq!(line["traceId"].as_str(), *trace);
    }
}
