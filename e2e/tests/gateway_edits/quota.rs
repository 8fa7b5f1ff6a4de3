//! Quota: neither an edit nor a new object of the same name hands any out.

use serde_json::json;
use toolgate_e2e::process::{ALICE, Request, World};

use super::{revision, until_revision, world};

fn rules(window: &str, max: u32, extra: &str) -> String {
    let limit = format!("{{counter: rate, window: {window}, max: {max}, scope: grant}}");
    format!("default: deny\ntools:\n  get_leads: {{limits: [{limit}]}}\n  get_lead: {{}}\n{extra}")
}

/// How many of some calls were let through.
async fn admitted(world: &World, calls: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..calls {
        let request = Request::modern_call(ALICE, "get_leads", &json!({}));
        let answer = world.ask(&request).await.expect("an answer");
        admitted += usize::from(answer.verdict().is_none());
    }
    admitted
}

async fn edited(world: &World, rules: Option<&str>) {
    let before = revision(&world.gateway).await;
    match rules {
        Some(rules) => world.configuration.policy("kommo-sales", rules).expect("is written"),
        None => world.configuration.remove("kommo-sales.yaml").expect("is removed"),
    }
    until_revision(&world.gateway, &before).await;
}

#[tokio::test]
async fn neither_an_edit_nor_a_recreation_gives_quota() {
    let world = world().await;
    edited(&world, Some(&rules("hour", 3, ""))).await;
    assert_eq!(admitted(&world, 5).await, 3);
    edited(&world, Some(&rules("hour", 3, "hide: [nothing]"))).await;
    assert_eq!(admitted(&world, 2).await, 0, "an edit of something else");
    edited(&world, Some(&rules("90m", 3, ""))).await;
    assert_eq!(admitted(&world, 2).await, 0, "another window");
    edited(&world, Some(&rules("hour", 5, ""))).await;
    assert_eq!(admitted(&world, 4).await, 2, "a greater maximum is what is left of it");
    edited(&world, None).await;
    edited(&world, Some(&rules("hour", 5, ""))).await;
    assert_eq!(admitted(&world, 2).await, 0, "deleted and made anew");
    edited(&world, Some("default: deny\ntools: {get_leads: {}}")).await;
    edited(&world, Some(&rules("hour", 5, ""))).await;
    assert_eq!(admitted(&world, 2).await, 0, "the limit taken out and put back");
    world.configuration.grant("alice", ALICE, "suspended: true").expect("is written");
    edited(&world, Some(&rules("hour", 5, "hide: [x]"))).await;
    world.configuration.grant("alice", ALICE, "").expect("is written");
    edited(&world, Some(&rules("hour", 5, ""))).await;
    assert_eq!(admitted(&world, 2).await, 0, "the grant suspended and resumed");
    assert_eq!(world.reached().len(), 5);
}

#[tokio::test]
async fn a_rotated_token_is_no_new_quota() {
    let world = world().await;
    edited(&world, Some(&rules("hour", 2, ""))).await;
    assert_eq!(admitted(&world, 3).await, 2);
    let before = revision(&world.gateway).await;
    world.configuration.grant("alice", "another-token", "").expect("is written");
    until_revision(&world.gateway, &before).await;
    let old = world.ask(&Request::modern_call(ALICE, "get_leads", &json!({}))).await.expect("an answer");
    assert_eq!(old.status, 401);
    let new = Request::modern_call("another-token", "get_leads", &json!({}));
    assert_eq!(world.ask(&new).await.expect("an answer").verdict().as_deref(), Some("limited"));
}
