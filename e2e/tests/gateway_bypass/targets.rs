//! Other ways in: methods, paths, ports.

use serde_json::json;
use toolgate_e2e::process::{ALICE, BOB, Request, Socket};

use super::{Arena, Era, Told};

#[tokio::test]
async fn only_one_path_is_served() {
    let arena = Arena::new().await;
    let call = Era::Modern.saying("", "get_leads", Era::Modern.call("get_leads"));
    for target in [
        "/mcp/",
        "//mcp",
        "/MCP",
        "/Mcp",
        "/%6dcp",
        "/mcp%2f",
        "/mcp;x",
        "/mcp;/",
        "/./mcp",
        "/x/../mcp",
        "/mcp/.",
        "/mcp?",
        "/mcp?x=y",
        "/mcp/mcp",
        "/mcp%00",
        "/mcp%20",
        "/",
        "/sse",
        "/message",
        "/messages",
        "/register",
        "/record",
        "/record/counts",
        "/health",
        "/metrics",
        "/readyz",
        "/revision",
        "/.well-known/oauth-protected-resource",
        "http://127.0.0.1:1/mcp",
        "http://gateway/mcp",
    ] {
        arena.expect(&format!("38 {target}"), &call.clone().to(target), Told::Status(404)).await;
    }
    for target in ["mcp", "*", "/mcp#x"] {
        let mut socket = Socket::open(arena.world.gateway.address()).await.expect("connects");
        socket.send(&call.clone().to(target).bytes()).await.expect("is sent");
        let status = socket.answer().await.expect("an answer").status;
        // A fragment never belongs to a target; the HTTP library drops it before the path is compared.
        assert!(
            matches!((target, status), ("/mcp#x", 200 | 400 | 404) | (_, 400 | 404)),
            "{target}: {status}"
        );
    }
    assert!(arena.world.stand_in.record().iter().all(|entry| entry.path == "/mcp"));
}

#[tokio::test]
async fn only_methods_of_the_transport_are_served() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let call = era.saying(&arena.session, "get_leads", era.call("get_leads"));
        for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "post", "POSTX", "QUERY"] {
            arena.expect(&format!("18 {method}"), &call.clone().by(method), Told::Status(405)).await;
        }
    }
    let modern = Era::Modern.saying("", "update_lead", Era::Modern.call("update_lead"));
    for method in ["GET", "DELETE"] {
        arena.expect(&format!("18 {method}"), &modern.clone().by(method), Told::Status(405)).await;
        for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let overridden = modern.clone().by(method).with(header, "POST");
            arena.expect(&format!("18 {header}"), &overridden, Told::Status(405)).await;
        }
    }
}

#[tokio::test]
async fn a_stream_is_of_its_session_and_takes_nothing_from_the_client() {
    let arena = Arena::new().await;
    let stream = |token: &str, session: Option<&str>| {
        Request::session(token, session, "x", &json!({})).by("GET").instead("accept", "text/event-stream")
    };
    let session = Some(arena.session.as_str());
    arena.expect("42 another's stream", &stream(BOB, session), Told::Status(404)).await;
    arena.expect("42 a made-up stream", &stream(ALICE, Some("made-up")), Told::Status(404)).await;
    arena.expect("42 no session", &stream(ALICE, None), Told::Status(405)).await;
    let only_json = stream(ALICE, session).instead("accept", "application/json");
    arena.expect("no stream is read", &only_json, Told::Status(406)).await;
    // A body that looks like a call, and a place to resume from that is none: neither goes on. The stand-in has no such
    // stream.
    let call = Era::Session.call("get_leads");
    let with_body = stream(ALICE, session).saying(call);
    assert_eq!(arena.world.ask(&with_body).await.expect("an answer").status, 405);
    let resumed = with_body.with("last-event-id", "43-canary");
    arena.expect("43 a made-up event", &resumed, Told::Status(400)).await;
    let record = arena.world.stand_in.record();
    assert!(record.iter().all(|entry| entry.method == "GET" && entry.body.is_empty()), "{record:#?}");
    assert!(!format!("{record:?}").contains("43-canary"), "{record:#?}");
}

#[tokio::test]
async fn methods_of_the_protocol_that_no_policy_opens() {
    let arena = Arena::new().await;
    for (method, params) in [
        ("resources/read", json!({"uri": "kommo://account"})),
        ("prompts/get", json!({"name": "pipeline_review"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
        ),
        ("tasks/get", json!({"taskId": "1"})),
        ("tasks/cancel", json!({"taskId": "1"})),
        ("sampling/createMessage", json!({})),
        ("elicitation/create", json!({})),
        ("roots/list", json!({})),
        ("x-vendor/anything", json!({})),
        ("", json!({})),
    ] {
        let modern = Request::modern(ALICE, method, params.clone());
        let modern = match params["taskId"].as_str() {
            Some(task) => modern.with("mcp-name", task),
            None => modern,
        };
        let session = Request::session(ALICE, Some(&arena.session), method, &params);
        for request in [modern, session] {
            let answer = arena.world.ask(&request).await.expect("an answer");
            assert!(answer.error_code().is_some(), "56 57 {method}: {} {}", answer.status, answer.text());
        }
    }
    for method in ["resources/subscribe", "tasks/list", "tasks/result"] {
        let params = json!({"uri": "kommo://account", "taskId": "1"});
        let request = Request::session(ALICE, Some(&arena.session), method, &params);
        let answer = arena.world.ask(&request).await.expect("an answer");
        assert!(answer.error_code().is_some(), "{method}: {}", answer.text());
    }
    assert_eq!(arena.world.stand_in.counts().total, 0, "{:?}", arena.world.stand_in.record());
}

#[tokio::test]
async fn the_admin_port_serves_nothing_of_the_server() {
    let arena = Arena::new().await;
    let call = Era::Modern.saying("", "get_leads", Era::Modern.call("get_leads"));
    for (target, status) in [("/mcp", 405), ("/livez", 405), ("/metrics", 405)] {
        let mut socket = Socket::open(arena.world.gateway.admin().address()).await.expect("connects");
        socket.send(&call.clone().to(target).bytes()).await.expect("is sent");
        assert_eq!(socket.answer().await.expect("an answer").status, status, "{target}");
    }
    assert_eq!(arena.world.gateway.admin().get("/mcp").await.expect("an answer").status, 404);
    assert_eq!(arena.world.stand_in.counts().total, 0);
}

#[tokio::test]
async fn one_host_and_no_other() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let call = era.saying(&arena.session, "get_leads", era.call("get_leads"));
        let twice = call.clone().with("host", "gateway").with("host", "elsewhere");
        arena.expect("14 two hosts", &twice, Told::Status(400)).await;
        let same = call.clone().with("host", "gateway").with("Host", "gateway");
        arena.expect("14 one host twice", &same, Told::Status(400)).await;
        let none = String::from_utf8(call.bytes()).expect("text").replacen("host: gateway\r\n", "", 1);
        let mut socket = Socket::open(arena.world.gateway.address()).await.expect("connects");
        socket.send(none.as_bytes()).await.expect("is sent");
        assert_eq!(socket.answer().await.expect("an answer").status, 400);
    }
    assert_eq!(arena.world.stand_in.counts().total, 0);
}

#[tokio::test]
async fn a_subscription_to_anything_but_a_list_of_names_is_refused() {
    let arena = Arena::new().await;
    for wanted in
        [json!("kommo://account"), json!({"0": "kommo://account"}), json!([["kommo://account"]]), json!(1)]
    {
        let params = json!({"notifications": {"resourceSubscriptions": wanted}});
        let request = Request::modern(ALICE, "subscriptions/listen", params);
        arena.expect(&wanted.to_string(), &request, Told::Error(200, -32602)).await;
    }
    let named = json!({"notifications": {"resourceSubscriptions": ["kommo://account"]}});
    let answer = arena.world.ask(&Request::modern(ALICE, "subscriptions/listen", named)).await;
    assert!(answer.expect("an answer").error_code().is_some(), "no policy opens it");
    assert_eq!(arena.world.stand_in.counts().total, 0);
}
