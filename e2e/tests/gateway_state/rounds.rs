//! Calls in several rounds: the server's state comes back for the same call of the same caller, or not at all.

use super::{ALICE, BOB, Request, Stage, Value, json};

/// A server that asks for a name before it answers.
async fn stage() -> Stage {
    Stage::answering(|asked| {
        if asked["params"]["inputResponses"].is_object() {
            return json!({"resultType": "complete", "content": [{"type": "text", "text": "thank you"}]});
        }
        json!({
            "resultType": "input_required",
            "requestState": "own state",
            "inputRequests": {"name": {"method": "elicitation/create", "params": {"message": "?"}}},
        })
    })
    .await
}

fn arguments() -> Value {
    json!({"b": [1, {"c": null}], "a": 1.50})
}

async fn first_round(stage: &Stage, token: &str) -> String {
    let answer = stage.ask(&Request::modern_call(token, "work", &arguments())).await;
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", answer.text());
    assert!(result["inputRequests"]["name"].is_object());
    result["requestState"].as_str().expect("a state").to_owned()
}

fn round(token: &str, tool: &str, arguments: &Value, state: &Value) -> Request {
    let answers = json!({"name": {"action": "accept", "content": {"name": "Ada"}}});
    let params =
        json!({"name": tool, "arguments": arguments, "requestState": state, "inputResponses": answers});
    Request::modern(token, "tools/call", params)
}

#[tokio::test]
async fn the_servers_state_comes_back_as_it_was() {
    let stage = stage().await;
    let kept = first_round(&stage, ALICE).await;
    assert!(!kept.contains("own state"));
    let answer = stage.ask(&round(ALICE, "work", &arguments(), &json!(kept))).await;
    assert_eq!(answer.json()["result"]["resultType"], "complete", "{}", answer.text());
    let params = stage.last().1["params"].clone();
    assert_eq!((&params["requestState"], &params["arguments"]), (&json!("own state"), &arguments()));
    // In another order it is the same call.
    let turned = r#"{"a":1.5,"b":[1,{"c":null}]}"#;
    let plain = arguments().to_string();
    let again = round(ALICE, "work", &arguments(), &json!(kept));
    let again = if plain == turned { again } else { again.replacing(&plain, turned) };
    assert_eq!(stage.ask(&again).await.error_code(), None);
}

#[tokio::test]
async fn a_state_is_of_one_call_of_one_caller() {
    let stage = stage().await;
    let kept = first_round(&stage, ALICE).await;
    let (own, changed) = (arguments(), json!({"b": [1, {"c": null}], "a": 2}));
    for (what, request) in [
        ("another grant", round(BOB, "work", &own, &json!(kept))),
        ("another tool", round(ALICE, "other", &own, &json!(kept))),
        ("other arguments", round(ALICE, "work", &changed, &json!(kept))),
        ("no arguments", round(ALICE, "work", &json!({}), &json!(kept))),
        ("a state of its own make", round(ALICE, "work", &own, &json!("own state"))),
        ("half a state", round(ALICE, "work", &own, &json!(kept[1..]))),
        ("no text", round(ALICE, "work", &own, &json!(7))),
        ("nothing", round(ALICE, "work", &own, &Value::Null)),
    ] {
        let answer = stage.refused(what, &request).await;
        assert_eq!(answer.error_code(), Some(-32602), "{what}: {}", answer.text());
    }
}

#[tokio::test]
async fn every_round_is_decided_again() {
    let stage = stage().await;
    let kept = json!(first_round(&stage, ALICE).await);
    let metrics = stage.gateway.admin().metrics().await.expect("metrics");
    let allowed = |metrics: &toolgate_e2e::process::Metrics| {
        metrics.sum("toolgate_tool_calls_total", &[("tool", "work"), ("verdict", "allowed")])
    };
    assert!((allowed(&metrics) - 1.0).abs() < f64::EPSILON);
    assert_eq!(stage.ask(&round(ALICE, "work", &arguments(), &kept)).await.error_code(), None);
    let metrics = stage.gateway.admin().metrics().await.expect("metrics");
    assert!((allowed(&metrics) - 2.0).abs() < f64::EPSILON, "each round is a call");
    stage
        .edit("default: deny\ntools: {work: {action: deny, reason: no more}}\nserverRequests: [elicitation]")
        .await;
    let answer = stage.refused("a round after the deny", &round(ALICE, "work", &arguments(), &kept)).await;
    assert_eq!(answer.verdict().as_deref(), Some("denied"));
}

#[tokio::test]
async fn nobody_answers_what_no_server_may_ask() {
    let stage = stage().await;
    stage.edit("default: allow").await;
    let asked = stage.ask(&Request::modern_call(ALICE, "work", &arguments())).await;
    assert_eq!(asked.status, 502, "the server may not ask: {}", asked.text());
    let answers = json!({"name": "work", "arguments": arguments(), "inputResponses": {"name": {}}});
    let request = Request::modern(ALICE, "tools/call", answers);
    assert_eq!(stage.refused("answers that nobody asked for", &request).await.error_code(), Some(-32602));
}

#[tokio::test]
async fn a_state_of_what_is_no_call_does_not_pass() {
    let stage =
        Stage::answering(|_| json!({"resultType": "complete", "tools": [], "requestState": "s"})).await;
    assert_eq!(stage.ask(&Request::modern(ALICE, "tools/list", json!({}))).await.status, 502);
}
