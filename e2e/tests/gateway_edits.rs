//! Edits of the files of a running gateway: good ones bite, bad ones do not, and none hands out quota.

use serde_json::{Value, json};
use toolgate_e2e::agent::{Connection, Era, Outcome};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Answer, Configuration, Gateway, Request, Start, World};

#[path = "gateway_edits/expiry.rs"]
mod expiry;
#[path = "gateway_edits/faults.rs"]
mod faults;
#[path = "gateway_edits/first_start.rs"]
mod first_start;
#[path = "gateway_edits/quota.rs"]
mod quota;

const RULES: &str = "default: deny\ntools:\n  get_leads: {}\n  get_lead: {}";
const DENIED: &str = "default: deny\ntools:\n  get_leads: {action: deny, reason: not now}\n  get_lead: {}";

fn get_leads() -> Request {
    Request::modern_call(ALICE, "get_leads", &json!({"limit": 1}))
}

async fn world() -> World {
    World::start(Answers::Json, RULES).await.expect("a world")
}

async fn until_revision(gateway: &Gateway, above: &Value) {
    let newer = |answer: &Answer| answer.json()["revision"].as_i64() > above.as_i64();
    gateway.admin().until("/revision", "a newer revision", newer).await.expect("a newer revision");
}

async fn revision(gateway: &Gateway) -> Value {
    gateway.admin().revision().await.expect("a revision")
}

async fn until_refused(gateway: &Gateway, part: &str) -> String {
    let refused = |answer: &Answer| answer.text().contains("refused: ") && answer.text().contains(part);
    let answer = gateway.admin().until("/readyz", part, refused).await.expect("is told");
    answer.text()
}

async fn until_gauge(gateway: &Gateway, refused: u8) {
    let line = format!("toolgate_config_refused{{server=\"kommo\"}} {refused}\n");
    let said = |answer: &Answer| answer.text().contains(&line);
    gateway.admin().until("/metrics", &line, said).await.expect("the gauge");
}

#[tokio::test]
async fn an_edit_changes_the_next_call_of_an_open_connection() {
    for era in [Era::Modern, Era::Session] {
        let world = world().await;
        let connection = Connection::open(&world.target(era, ALICE)).await.expect("a connection");
        let none = serde_json::Map::new();
        assert_eq!(connection.call("get_leads", &none).await.outcome, Outcome::Allowed);
        for (rules, outcome) in [(DENIED, Outcome::Denied), (RULES, Outcome::Allowed)] {
            let before = revision(&world.gateway).await;
            world.configuration.policy("kommo-sales", rules).expect("is written");
            until_revision(&world.gateway, &before).await;
            let reply = connection.call("get_leads", &none).await;
            assert_eq!(reply.outcome, outcome, "{era:?} {reply:?}");
        }
        assert!(!connection.is_closed());
        assert_eq!(world.reached().len(), 2);
    }
}

#[tokio::test]
async fn a_suspended_grant_ends_the_next_call() {
    let world = world().await;
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    assert_eq!(world.ask(&get_leads()).await.expect("an answer").status, 200);
    for (more, status) in [
        ("suspended: true", 401),
        ("", 200),
        ("expiresAt: \"2020-01-01T00:00:00Z\"", 401),
        ("suspended: false", 200),
    ] {
        let before = revision(&world.gateway).await;
        world.configuration.grant("alice", ALICE, more).expect("is written");
        until_revision(&world.gateway, &before).await;
        let in_session = Request::session_call(ALICE, Some(&session), "get_leads", &json!({}));
        for request in [get_leads(), in_session] {
            let answer = world.ask(&request).await.expect("an answer");
            assert_eq!(answer.status, status, "{more}: {}", answer.text());
        }
    }
    let before = revision(&world.gateway).await;
    world.configuration.remove("grant-alice.yaml").expect("is removed");
    until_revision(&world.gateway, &before).await;
    assert_eq!(world.ask(&get_leads()).await.expect("an answer").status, 401);
}

#[tokio::test]
async fn a_deleted_policy_leaves_its_callers_with_nothing() {
    let world = world().await;
    let before = revision(&world.gateway).await;
    world.configuration.remove("kommo-sales.yaml").expect("is removed");
    until_revision(&world.gateway, &before).await;
    let answer = world.ask(&get_leads()).await.expect("an answer");
    assert_eq!(answer.verdict().as_deref(), Some("denied"), "{}", answer.text());
    let listed = world.ask(&Request::modern(ALICE, "tools/list", json!({}))).await.expect("an answer");
    assert_eq!(listed.json()["result"]["tools"], json!([]));
    assert_eq!(world.reached(), [""; 0]);
}

#[tokio::test]
async fn one_more_policy_only_narrows() {
    let world = world().await;
    let before = revision(&world.gateway).await;
    world.configuration.policy("floor", "default: allow\nhide: [get_leads]").expect("is written");
    until_revision(&world.gateway, &before).await;
    let hidden = world.ask(&get_leads()).await.expect("an answer");
    assert_eq!(hidden.error_code(), Some(-32602));
    let not_opened = Request::modern_call(ALICE, "get_account", &json!({}));
    assert_eq!(world.ask(&not_opened).await.expect("an answer").error_code(), Some(-32602));
    let still = Request::modern_call(ALICE, "get_lead", &json!({"id": 1001}));
    assert_eq!(world.ask(&still).await.expect("an answer").verdict(), None);
    assert_eq!(world.reached(), ["get_lead"]);
}

async fn started(configuration: &Configuration, more: &[&str]) -> Gateway {
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more };
    Gateway::start(start).await.expect("a gateway")
}
