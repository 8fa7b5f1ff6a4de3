//! Canaries: no value of an argument, no token and no secret is ever in a log, a metric, the trail or an answer that the
//! gateway itself words.

use serde_json::json;
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{ALICE, BOB, CREDENTIAL, Request, World};

use super::{RULES, ask, call};

/// A word that must be nowhere but where it was put.
const VALUE: &str = "canary-in-a-value";

fn requests(session: &str) -> Vec<Request> {
    let arguments = json!({
        "lead_id": VALUE, "id": VALUE, "limit": VALUE, "query": VALUE,
        "nested": {"deep": [VALUE, {"deeper": VALUE}]}, "text": format!("a\n{VALUE}\u{2028}{VALUE}"),
    });
    let mut requests = Vec::new();
    let tools = [
        "get_leads",
        "get_lead",
        "get_lead",
        "update_lead",
        "run_salesbot",
        "move_lead",
        "stop_bot",
        "nowhere",
    ];
    for tool in tools {
        requests.push(call(BOB, tool, &arguments));
        requests.push(Request::session_call(ALICE, Some(session), tool, &arguments));
    }
    let prompt = json!({"name": "summary", "arguments": {"lead": VALUE}});
    let with_context =
        json!({"name": "get_leads", "arguments": {}, "_meta": {"secret": VALUE, "traceparent": VALUE}});
    requests.extend([
        Request::modern(BOB, "prompts/get", prompt),
        Request::modern(BOB, "tools/call", with_context),
        Request::modern(BOB, "nonsense", json!({"secret": VALUE})),
        call(&format!("{VALUE}-token"), "get_leads", &arguments),
        call(&format!("{VALUE}.{VALUE}.{VALUE}"), "get_leads", &arguments),
        call(BOB, "get_leads", &arguments).with("cookie", VALUE).with("x-secret", VALUE),
        call(BOB, "get_leads", &arguments).to(&format!("/mcp?token={VALUE}")),
        call(BOB, "get_leads", &arguments).with("origin", &format!("https://{VALUE}.example")),
        Request::session_call(ALICE, Some(VALUE), "get_leads", &arguments),
        call(BOB, "get_leads", &arguments).saying(format!("{{\"a\":\"{VALUE}\",\"a\":\"{VALUE}\"}}")),
        call(BOB, "get_leads", &arguments).saying(format!("{VALUE} is no JSON")),
    ]);
    requests
}

#[tokio::test]
async fn no_value_and_no_secret_is_in_a_log_a_metric_the_trail_or_an_error() {
    let world = World::start_with(Answers::Json, RULES, "trace", &[]).await.expect("a world");
    let session = world.gateway.open_session(ALICE).await.expect("a session");
    let requests = requests(&session);
    let mut worded = Vec::new();
    for request in &requests {
        let reached = world.stand_in.record().len();
        let answer = ask(&world, request).await;
        if world.stand_in.record().len() == reached {
            worded.push(format!("{:?} {}", answer.headers, answer.text()));
        }
    }
    // The server is gone: what is told of that comes from the gateway, too.
    let mut world = world;
    let stand_in =
        std::mem::replace(&mut world.stand_in, World::stand_in(Answers::Json).await.expect("another"));
    drop(stand_in);
    for request in &requests[..4] {
        let answer = ask(&world, request).await;
        worded.push(format!("{:?} {}", answer.headers, answer.text()));
    }
    let admin = world.gateway.admin();
    for path in ["/livez", "/readyz", "/metrics", "/revision", "/nowhere"] {
        worded.push(admin.get(path).await.expect("an answer").text());
    }
    assert!(worded.len() > requests.len() / 2, "most of these never reach the server");
    world.gateway.terminate().await.expect("is told");
    world.gateway.ended().await.expect("ends");
    let (log, trail) = (world.gateway.log().text(), world.gateway.audit().text());
    assert!(trail.contains("\"argumentKeys\":[\"id\",\"lead_id\",\"limit\",\"nested\",\"query\",\"text\"]"));
    assert!(log.contains("decided"), "the log is as loud as can be");
    for secret in [VALUE, ALICE, BOB, CREDENTIAL, &session] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!trail.contains(secret), "{secret} is in the trail");
        for text in &worded {
            assert!(!text.contains(secret), "{secret} is told: {text}");
        }
    }
}
