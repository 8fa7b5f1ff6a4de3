//! Sessions of the older revisions: whose they are, and how they end.

use serde_json::{Value, json};
use toolgate_e2e::process::{ALICE, Answer, BOB, Request, World};

use super::world;

/// Requests of a session, one of each kind that goes to the server.
fn requests(token: &str, session: &str) -> Vec<Request> {
    let of = |method: &str, params: Value| Request::session(token, Some(session), method, &params);
    vec![
        of("tools/call", json!({"name": "get_leads", "arguments": {}})),
        of("tools/call", json!({"name": "update_lead", "arguments": {}})),
        of("tools/list", json!({})),
        of("ping", json!({})),
    ]
}

fn ending(token: &str, session: &str) -> Request {
    Request::session(token, Some(session), "none", &json!({})).by("DELETE").saying("").without("content-type")
}

async fn ask(world: &World, request: Request) -> Answer {
    world.ask(&request).await.expect("an answer")
}

fn notification(token: &str, session: &str) -> Request {
    let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    Request::session(token, Some(session), "none", &json!({})).saying(body)
}

#[tokio::test]
async fn a_session_is_of_who_opened_it() {
    let world = world().await;
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    assert!(!format!("{:?}", world.stand_in.record()).contains(&session), "it is not the server's own id");
    assert_eq!(ask(&world, notification(ALICE, &session)).await.status, 202);
    let before = world.stand_in.record().len();
    let mine = requests(ALICE, &session);
    let theirs = requests(BOB, &session);
    for request in theirs.into_iter().chain([notification(BOB, &session), ending(BOB, &session)]) {
        let answer = ask(&world, request.clone()).await;
        assert_eq!(answer.status, 404, "{request:?}");
        assert!(answer.text().contains("Session not found"), "{}", answer.text());
    }
    assert_eq!(world.stand_in.record().len(), before, "nothing reached the server");
    for request in mine {
        assert_eq!(ask(&world, request).await.status, 200);
    }
    let metrics = world.gateway.admin().metrics().await.expect("metrics");
    let bobs = metrics.sum("toolgate_tool_calls_total", &[("grant", "bob")]);
    assert!(bobs.abs() < f64::EPSILON, "a session that is not his costs him nothing");
    let foreign = metrics.sum("toolgate_requests_rejected_total", &[("reason", "session")]);
    assert!((foreign - 6.0).abs() < f64::EPSILON, "{foreign}");
}

#[tokio::test]
async fn a_made_up_session_is_none() {
    let world = world().await;
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    let own = world.stand_in.record()[0].clone();
    assert_eq!(own.rpc_method.as_deref(), Some("initialize"));
    let before = world.stand_in.record().len();
    let (start, end) = session.split_at(session.len() / 2);
    let flipped = format!("{start}{}{}", if end.starts_with('A') { 'B' } else { 'A' }, &end[1..]);
    for made_up in ["", "1", "made-up", &flipped, &session[1..], &format!("{session}A"), &"A".repeat(3000)] {
        for request in requests(ALICE, made_up) {
            assert_eq!(ask(&world, request).await.status, 404, "{made_up}");
        }
    }
    let twice = requests(ALICE, &session).remove(0).with("mcp-session-id", &session);
    assert_eq!(ask(&world, twice).await.status, 404);
    assert_eq!(world.stand_in.record().len(), before);
}

#[tokio::test]
async fn an_ended_session_is_gone_and_another_one_is_not() {
    let world = world().await;
    let (first, second) = (
        world.gateway.open_session(ALICE).await.expect("a session"),
        world.gateway.open_session(ALICE).await.expect("a session"),
    );
    assert_eq!(ask(&world, ending(ALICE, &first)).await.status, 204);
    assert_eq!(ask(&world, requests(ALICE, &first).remove(0)).await.status, 404);
    assert_eq!(ask(&world, ending(ALICE, &first)).await.status, 404);
    assert_eq!(ask(&world, requests(ALICE, &second).remove(0)).await.status, 200);
    let none = Request::session(ALICE, None, "none", &json!({})).by("DELETE").saying("");
    assert_eq!(ask(&world, none).await.status, 405);
}

#[tokio::test]
async fn the_modern_era_knows_no_sessions() {
    let world = world().await;
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    for header in [session.as_str(), "made-up"] {
        for token in [ALICE, BOB] {
            let request = Request::modern_call(token, "get_leads", &json!({})).with("mcp-session-id", header);
            let answer = ask(&world, request).await;
            assert_eq!((answer.status, answer.verdict()), (200, None));
            assert_eq!(answer.header("mcp-session-id"), None);
        }
    }
    let mut calls = world.stand_in.record().into_iter().filter(|entry| entry.tool.is_some());
    assert!(calls.all(|entry| !entry.headers.contains_key("mcp-session-id")));
    let ended = ending(ALICE, &session).instead("mcp-protocol-version", "2026-07-28");
    assert_eq!(ask(&world, ended).await.status, 405);
}

#[tokio::test]
async fn an_initialize_belongs_to_no_session() {
    let world = world().await;
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    let again = ask(&world, Request::initialize(BOB).with("mcp-session-id", &session)).await;
    assert_eq!(again.status, 200);
    let new = again.header("mcp-session-id").expect("a session of his own");
    assert_ne!(new, session);
    assert_eq!(ask(&world, requests(BOB, new).remove(0)).await.status, 200);
}
