//! The audit trail of the real gateway: a line for every decision, and nothing in it that must not be.

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, BOB, Request, World};

#[path = "gateway_audit/canaries.rs"]
mod canaries;
#[path = "gateway_audit/correlation.rs"]
mod correlation;
#[path = "gateway_audit/sinks.rs"]
mod sinks;

const RULES: &str = "\
default: deny
tools:
  get_leads: {}
  get_lead: {limits: [{counter: reads, window: day, max: 1, scope: grant}]}
  update_lead: {action: deny, reason: not this one}
  run_salesbot: {action: approve}
  move_lead: {require: [{path: args.lead_id, op: gt, value: 10}]}
hide: [\"stop_*\"]
prompts: {}
resources: {}";

async fn world() -> World {
    World::start(Answers::Json, RULES).await.expect("a world")
}

async fn ask(world: &World, request: &Request) -> Answer {
    world.ask(request).await.expect("an answer")
}

fn call(token: &str, tool: &str, arguments: &Value) -> Request {
    Request::modern_call(token, tool, arguments)
}

/// What a line says, without what differs each time.
fn said(line: &Value) -> Value {
    let mut line = line.clone();
    let members = line.as_object_mut().expect("a line is an object");
    for differing in ["time", "requestId", "argumentsDigest", "digestKey"] {
        members.remove(differing);
    }
    line
}

fn decision(grant: &str, tool: &str, verdict: &str, rule: Option<&str>, keys: &[&str]) -> Value {
    let mut line = json!({
        "audit": "toolgate.dev/v1", "event": "decision", "namespace": "default", "server": "kommo", "revision": 1,
        "grant": grant, "subject": "token", "protocol": "2026-07-28", "method": "tools/call", "target": "tool",
        "name": tool, "verdict": verdict, "argumentKeys": keys,
    });
    if let Some(rule) = rule {
        line["policy"] = "kommo-sales".into();
        line["rule"] = format!("kommo-sales/{rule}").into();
    }
    line
}

#[tokio::test]
async fn every_decision_is_one_line_that_says_who_what_and_why() {
    let world = world().await;
    let calls = [
        (ALICE, "get_leads", json!({"limit": 1, "a": 2}), "allowed", None, vec!["a", "limit"]),
        (ALICE, "get_lead", json!({"id": 1001}), "allowed", None, vec!["id"]),
        (ALICE, "get_lead", json!({"id": 1001}), "limited", Some("tools/get_lead/limits/reads"), vec!["id"]),
        (BOB, "update_lead", json!({}), "denied", Some("tools/update_lead/action"), vec![]),
        (BOB, "run_salesbot", json!({}), "held", Some("tools/run_salesbot/action"), vec![]),
        (
            BOB,
            "move_lead",
            json!({"lead_id": 3}),
            "denied",
            Some("tools/move_lead/require/0"),
            vec!["lead_id"],
        ),
        (BOB, "stop_salesbot", json!({}), "hidden", Some("hide/stop_*"), vec![]),
        (BOB, "nowhere", json!({}), "unlisted", Some("default"), vec![]),
    ];
    for (token, tool, arguments, ..) in &calls {
        ask(&world, &call(token, tool, arguments)).await;
    }
    ask(&world, &Request::modern(ALICE, "tools/list", json!({}))).await;
    ask(&world, &Request::modern(ALICE, "resources/read", json!({"uri": "kommo://account"}))).await;
    let lines = world.gateway.audit().json_lines(calls.len() + 1).await.expect("lines");
    assert_eq!(lines.len(), calls.len() + 1, "a list is no decision");
    for (line, (token, tool, _, verdict, rule, keys)) in lines.iter().zip(&calls) {
        let grant = if *token == ALICE { "alice" } else { "bob" };
        assert_eq!(said(line), decision(grant, tool, verdict, *rule, keys), "{tool}");
    }
    let read = lines.last().expect("a line");
    let told = ["method", "target", "name", "verdict"].map(|member| read[member].as_str().expect("a text"));
    assert_eq!(told, ["resources/read", "resource", "kommo://account", "unlisted"]);
    assert_eq!(lines[1]["argumentsDigest"], lines[2]["argumentsDigest"], "equal arguments can be told");
    assert_ne!(lines[0]["argumentsDigest"], lines[1]["argumentsDigest"]);
}

#[tokio::test]
async fn a_policy_that_only_watches_has_lines_of_its_own() {
    let world = world().await;
    let before = world.gateway.admin().revision().await.expect("a revision");
    let trial = "mode: audit\ndefault: allow\ntools: {get_leads: {action: deny}}";
    world.configuration.policy("trial", trial).expect("is written");
    let newer = |answer: &Answer| answer.json()["revision"] != before;
    world.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    ask(&world, &call(ALICE, "get_leads", &json!({}))).await;
    ask(&world, &call(ALICE, "get_lead", &json!({"id": 1001}))).await;
    let lines = world.gateway.audit().json_lines(4).await.expect("lines");
    let told: Vec<[&Value; 4]> =
        lines.iter().map(|line| ["event", "name", "verdict", "policy"].map(|member| &line[member])).collect();
    assert_eq!(
        told,
        [
            [&json!("decision"), &json!("get_leads"), &json!("allowed"), &Value::Null],
            [&json!("watched"), &json!("get_leads"), &json!("denied"), &json!("trial")],
            [&json!("decision"), &json!("get_lead"), &json!("allowed"), &Value::Null],
            [&json!("watched"), &json!("get_lead"), &json!("allowed"), &json!("trial")],
        ]
    );
    assert_eq!(lines[0]["requestId"], lines[1]["requestId"]);
}

#[tokio::test]
async fn what_is_refused_before_a_tool_is_known_is_in_the_trail() {
    let world = world().await;
    let before = world.gateway.admin().revision().await.expect("a revision");
    world.configuration.grant("bob", BOB, "suspended: true").expect("is written");
    let newer = |answer: &Answer| answer.json()["revision"] != before;
    world.gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
    let requests = [
        (call("nobody-knows-this", "get_leads", &json!({})), "unauthenticated", Some("unknown"), None),
        (call(ALICE, "t", &json!({})).without("authorization"), "unauthenticated", Some("missing"), None),
        (call(BOB, "get_leads", &json!({})), "unauthenticated", Some("suspended"), None),
        (call(ALICE, "get_leads", &json!({})).to("/nowhere"), "endpoint", None, None),
        (call(ALICE, "get_leads", &json!({})).with("origin", "null"), "origin", None, None),
        (call(ALICE, "get_leads", &json!({})).saying("{\"a\":1,\"a\":2}"), "malformed", None, Some("alice")),
        (Request::modern(ALICE, "nonsense", json!({})), "method", None, Some("alice")),
    ];
    for (request, ..) in &requests {
        ask(&world, request).await;
    }
    let lines = world.gateway.audit().json_lines(requests.len()).await.expect("lines");
    for (line, (_, reason, detail, grant)) in lines.iter().zip(&requests) {
        assert_eq!((&line["event"], &line["reason"]), (&json!("rejected"), &json!(reason)), "{line}");
        assert_eq!(line["detail"].as_str(), *detail, "{line}");
        assert_eq!(line["grant"].as_str(), *grant, "{line}");
        assert_eq!((&line["server"], &line["namespace"]), (&json!("kommo"), &json!("default")));
    }
}

#[tokio::test]
async fn a_name_that_a_caller_made_up_is_one_line_of_ascii_and_cut() {
    let world = world().await;
    let bent = "x\u{202e}\u{2028}\u{9b}31m\u{1f980}";
    let long = "y".repeat(5000);
    let mut names = vec![bent.to_owned(), "a\nb\rc\u{0}".to_owned(), long.clone()];
    for name in &names {
        // Headers repeat the name, and could not hold it plainly.
        let params = json!({"name": name, "arguments": {}});
        ask(&world, &Request::session(ALICE, None, "tools/call", &params)).await;
    }
    names[2] = format!("{}\u{2026}", &long[..256]);
    let lines = world.gateway.audit().json_lines(names.len()).await.expect("lines");
    assert!(world.gateway.audit().text().bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
    let told: Vec<&str> = lines.iter().map(|line| line["name"].as_str().expect("a name")).collect();
    assert_eq!(told, names);
}
