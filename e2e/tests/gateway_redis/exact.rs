//! What several gateways share: what was counted, and sessions.

use std::time::Duration;

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, Gateway, Redis, Request, World};

use super::{Fleet, counted_call, outcome, until_it_counts};

const RULES: &str = "default: deny
tools:
  get_account: {limits: [{counter: few, window: hour, max: 5, scope: grant}]}
  get_leads: {limits: [{counter: pair, window: 2s, max: 2, scope: grant}]}
  get_users: {}
";

#[tokio::test]
async fn neither_another_gateway_nor_a_restart_nor_an_edit_gives_quota() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let mut fleet = Fleet::start(2, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    let mut said = Vec::new();
    for turn in 0..6 {
        said.push(counted_call(&fleet.gateways[turn % 2], "get_account").await);
    }
    assert_eq!(said.iter().filter(|said| *said == "allowed").count(), 5, "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("limited"));
    let fresh = fleet.another().await;
    until_it_counts(&fresh).await;
    fleet.gateways = vec![fresh];
    assert_eq!(counted_call(&fleet.gateways[0], "get_account").await, "limited", "a restart");
    let before = fleet.gateways[0].admin().revision().await.expect("a revision");
    fleet
        .configuration
        .policy("kommo-sales", &RULES.replace("window: hour, max: 5", "window: 2h, max: 6"))
        .unwrap();
    let newer = |answer: &toolgate_e2e::process::Answer| answer.json()["revision"] != before;
    fleet.gateways[0].admin().until("/revision", "an edit", newer).await.expect("is enforced");
    assert_eq!(
        counted_call(&fleet.gateways[0], "get_account").await,
        "allowed",
        "one more, as the edit says"
    );
    assert_eq!(counted_call(&fleet.gateways[0], "get_account").await, "limited", "and no more");
}

#[tokio::test]
async fn a_session_goes_on_at_another_gateway_and_for_nobody_else() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(2, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    let session = fleet.gateways[0].open_session(ALICE).await.expect("a session");
    let there = Request::session_call(ALICE, Some(&session), "get_users", &json!({}));
    assert_eq!(outcome(&fleet.gateways[1].ask(&there).await.expect("an answer")), "allowed");
    let another = Request::session_call(super::BOB, Some(&session), "get_users", &json!({}));
    assert_eq!(fleet.gateways[1].ask(&another).await.expect("an answer").status, 404);
}

#[tokio::test]
async fn a_caller_hears_what_is_left_and_a_flood_of_refused_calls_does_not_reach_the_store() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    let gateway = &fleet.gateways[0];
    for _ in 0..5 {
        assert_eq!(counted_call(gateway, "get_account").await, "allowed");
    }
    for _ in 0..200 {
        assert_eq!(counted_call(gateway, "get_account").await, "limited");
    }
    let asked = |result: &'static str| async move {
        let metrics = gateway.admin().metrics().await.expect("metrics");
        metrics.sum("toolgate_counter_store_requests_total", &[("result", result)])
    };
    assert!(asked("remembered").await > asked("answered").await);
    let request = Request::modern_call(ALICE, "get_account", &json!({}));
    let verdict = gateway.ask(&request).await.expect("an answer").json()["result"]["_meta"].clone();
    let verdict = &verdict["toolgate.dev/verdict"];
    assert_eq!(verdict["limit"], json!({"counter": "few", "window": "hour", "max": 5, "remaining": 0}));
    let seconds = verdict["retryAfterSeconds"].as_u64().expect("seconds");
    assert!((3000..=3600).contains(&seconds), "{seconds}");
}

/// Fills a limit of two calls in two seconds, waits as long as the refusal says, and calls again.
async fn waits_as_told(gateway: &Gateway, where_counted: &str) {
    let request = Request::modern_call(ALICE, "get_leads", &json!({}));
    for round in 0..3 {
        while counted_call(gateway, "get_leads").await == "allowed" {}
        let answer = gateway.ask(&request).await.expect("an answer");
        let verdict = &answer.json()["result"]["_meta"]["toolgate.dev/verdict"];
        // It may have had room by now; then there was nothing to wait for.
        let Some(seconds) = verdict["retryAfterSeconds"].as_u64() else { continue };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let said = counted_call(gateway, "get_leads").await;
        assert_eq!(said, "allowed", "{where_counted}, round {round}: {seconds} s were told");
    }
}

#[tokio::test]
async fn who_waits_for_the_seconds_that_he_was_told_is_admitted() {
    let world = World::start(Answers::Json, RULES).await.expect("a world");
    waits_as_told(&world.gateway, "in memory").await;
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let fleet = Fleet::start(1, &format!("{{url: '{}'}}", redis.url()), RULES).await;
    fleet.until_all_count().await;
    waits_as_told(&fleet.gateways[0], "in a store").await;
}
