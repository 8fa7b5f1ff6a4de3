//! The session based revisions, request by request.

use hyper::Method;
use serde_json::json;
use toolgate_e2e::kommo::{Answers, Eras};

use crate::raw::{initialized, modern, post, request, send, started};

#[tokio::test]
async fn sessions_are_opened_used_and_ended() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    for (requested, agreed) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25")]
    {
        let (received, session) = initialized(&stand_in, requested).await;
        assert_eq!(received.json()["result"]["protocolVersion"], agreed);
        assert!(received.json()["result"].get("resultType").is_none());
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", agreed)];
        let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        let accepted = post(&stand_in, &headers, &notification).await;
        assert_eq!((accepted.status.as_u16(), accepted.text.as_str()), (202, ""));
        let ping = post(&stand_in, &headers, &request("ping", &json!({}))).await;
        assert_eq!(ping.json(), json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
        let unknown = post(&stand_in, &headers, &request("tools/call", &json!({"name": "drop_leads"}))).await;
        assert_eq!(unknown.refusal(), (200, -32602));
        assert_eq!(unknown.json()["error"]["message"], "Tool drop_leads not found");
        assert_eq!(send(&stand_in, Method::GET, "/mcp", &headers, "").await.status, 405);
        assert_eq!(send(&stand_in, Method::DELETE, "/mcp", &headers, "").await.status, 204);
        assert_eq!(send(&stand_in, Method::DELETE, "/mcp", &headers, "").await.status, 404);
        assert_eq!(post(&stand_in, &headers, &request("ping", &json!({}))).await.status, 404);
    }
}

#[tokio::test]
async fn a_session_and_its_version_are_demanded() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let (_, session) = initialized(&stand_in, "2025-06-18").await;
    let session = ("mcp-session-id", session.as_str());
    let call = request("tools/call", &json!({"name": "get_account", "arguments": {}}));
    let version = ("mcp-protocol-version", "2025-06-18");
    assert_eq!(post(&stand_in, &[version], &call).await.refusal(), (400, -32000));
    assert_eq!(
        post(&stand_in, &[version, ("mcp-session-id", "guess")], &call).await.refusal(),
        (404, -32001)
    );
    assert_eq!(post(&stand_in, &[session], &call).await.refusal(), (400, -32000));
    let other = ("mcp-protocol-version", "2025-11-25");
    assert_eq!(post(&stand_in, &[session, other], &call).await.refusal(), (400, -32000));
    assert_eq!(post(&stand_in, &[session, version], &call).await.status, 200);
}

#[tokio::test]
async fn the_session_era_alone_does_not_speak_the_modern_one() {
    let stand_in = started(Eras::Session, Answers::Json).await;
    assert_eq!(modern(&stand_in, "server/discover", json!({})).await.refusal(), (400, -32000));
    assert_eq!(modern(&stand_in, "tools/list", json!({})).await.refusal(), (400, -32000));
    initialized(&stand_in, "2025-11-25").await;
}
