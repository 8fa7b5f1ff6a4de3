//! The stateless revision, request by request.

use hyper::{Method, StatusCode};
use serde_json::json;
use toolgate_e2e::kommo::{Answers, Eras};

use crate::raw::{
    BASE, Header, MODERN, Received, initialized, modern, modern_body, post, request, send, started,
};

#[tokio::test]
async fn discovery_says_the_one_version_and_what_changes() {
    let stand_in = started(Eras::Modern, Answers::Json).await;
    let received = modern(&stand_in, "server/discover", json!({})).await;
    assert_eq!(received.status, StatusCode::OK);
    assert_eq!(received.headers["content-type"], "application/json");
    let changes = json!({"listChanged": true});
    let info = json!({"name": "kommo-stand-in", "version": env!("CARGO_PKG_VERSION")});
    assert_eq!(
        received.json(),
        json!({"jsonrpc": "2.0", "id": 7, "result": {
            "supportedVersions": [MODERN],
            "capabilities": {"tools": changes, "resources": changes, "prompts": changes},
            "ttlMs": 0, "cacheScope": "private", "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/serverInfo": info},
        }})
    );
}

#[tokio::test]
async fn the_modern_era_alone_refuses_the_old_handshake() {
    let stand_in = started(Eras::Modern, Answers::Json).await;
    let received =
        post(&stand_in, &[], &request("initialize", &json!({"protocolVersion": "2025-06-18"}))).await;
    assert_eq!(received.refusal(), (400, -32022));
    let data = &received.json()["error"]["data"];
    assert_eq!(data, &json!({"supported": [MODERN], "requested": "2025-06-18"}));
    assert_eq!(send(&stand_in, Method::DELETE, "/mcp", &[("mcp-session-id", "x")], "").await.status, 405);
}

#[tokio::test]
async fn headers_must_mirror_the_body() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let body = modern_body("tools/call", json!({"name": "move_lead", "arguments": {}}));
    let version = ("mcp-protocol-version", MODERN);
    let method = ("mcp-method", "tools/call");
    let cases: [(&[Header], &[&str]); 7] = [
        (&[version, ("mcp-name", "move_lead")], &["Mcp-Method", "missing", "tools/call"]),
        (&[version, method], &["Mcp-Name", "missing", "move_lead"]),
        (&[version, method, ("mcp-name", "get_lead")], &["Mcp-Name", "get_lead", "move_lead"]),
        (&[version, ("mcp-method", "tools/list"), ("mcp-name", "move_lead")], &["tools/list", "tools/call"]),
        (&[version, method, ("mcp-name", "get_lead"), ("mcp-name", "move_lead")], &["Mcp-Name"]),
        (&[version, method, ("mcp-name", "=?base64?!?=")], &["Base64"]),
        (&[method, ("mcp-name", "move_lead")], &["MCP-Protocol-Version", "missing"]),
    ];
    for (headers, words) in cases {
        let received = post(&stand_in, headers, &body).await;
        assert_eq!(received.refusal(), (400, -32020), "{headers:?}");
        assert_eq!(received.json()["id"], 7);
        let message = received.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    let coded = [version, method, ("mcp-name", "=?base64?bW92ZV9sZWFk?=")];
    assert_eq!(post(&stand_in, &coded, &body).await.status, 200);
    assert_eq!(stand_in.counts().by_tool["move_lead"], 8, "the record holds the refused ones too");
}

#[tokio::test]
async fn versions_are_checked() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let body = modern_body("tools/list", json!({})).replace(MODERN, "2099-01-01");
    let unsupported = post(&stand_in, &[("mcp-protocol-version", "2099-01-01")], &body).await;
    assert_eq!(unsupported.refusal(), (400, -32022));
    assert_eq!(
        unsupported.json()["error"]["data"],
        json!({"supported": [MODERN], "requested": "2099-01-01"})
    );

    let headers = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")];
    let without_meta = post(&stand_in, &headers, &request("tools/list", &json!({}))).await;
    assert_eq!(without_meta.refusal(), (400, -32602));
    let only_version = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}});
    let without_capabilities = post(&stand_in, &headers, &request("tools/list", &only_version)).await;
    assert_eq!(without_capabilities.refusal(), (400, -32602));
}

#[tokio::test]
async fn what_is_not_one_json_request_is_refused() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let one = modern_body("tools/list", json!({}));
    assert_eq!(post(&stand_in, &[], &format!("[{one},{one}]")).await.refusal(), (400, -32600));
    assert_eq!(post(&stand_in, &[], "[]").await.refusal(), (400, -32600));
    assert_eq!(post(&stand_in, &[], "{").await.refusal(), (400, -32700));
    assert_eq!(send(&stand_in, Method::POST, "/mcp", &BASE[1..], &one).await.refusal(), (415, -32000));
    assert_eq!(send(&stand_in, Method::POST, "/mcp", &BASE[..1], &one).await.refusal(), (406, -32000));
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(send(&stand_in, method.clone(), "/mcp", &BASE, "").await.status, 405, "{method}");
    }
    let body = modern_body("tools/list", json!({}));
    let headers: Vec<(&str, &str)> =
        BASE.into_iter().chain([("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")]).collect();
    for (path, status) in [("/mcp", 200), ("/MCP/", 200), ("/%6dcp", 404), ("/mcp//", 404), ("/", 404)] {
        assert_eq!(send(&stand_in, Method::POST, path, &headers, &body).await.status, status, "{path}");
    }
    assert_eq!(modern(&stand_in, "ping", json!({})).await.refusal(), (404, -32601));
    assert_eq!(modern(&stand_in, "tools/destroy", json!({})).await.refusal(), (404, -32601));
}

#[tokio::test]
async fn unknown_tools_and_bad_arguments_are_answered_with_status_200() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let unknown = modern(&stand_in, "tools/call", json!({"name": "drop_leads", "arguments": {}})).await;
    assert_eq!(unknown.status, 200);
    let error = json!({"code": -32602, "message": "Tool drop_leads not found"});
    assert_eq!(unknown.json(), json!({"jsonrpc": "2.0", "id": 7, "error": error}));

    let text_of = |received: &Received| {
        assert_eq!(received.status, 200);
        assert_eq!(received.json()["result"]["isError"], true);
        received.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
    };
    let arguments = json!({"lead_id": "1001", "status_id": 142});
    let invalid = modern(&stand_in, "tools/call", json!({"name": "move_lead", "arguments": arguments})).await;
    let expected =
        "Input validation error: Invalid arguments for tool move_lead: data/lead_id must be number";
    assert_eq!(text_of(&invalid), expected);
    let missing = modern(&stand_in, "tools/call", json!({"name": "get_lead", "arguments": {"id": 1}})).await;
    assert_eq!(text_of(&missing), "O recurso solicitado não foi encontrado no Kommo.");
}

#[tokio::test]
async fn the_last_of_duplicate_keys_runs_and_other_cases_are_ignored() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"move_lead","name":"get_account","Name":"move_lead","arguments":{{}},{meta}}}}}"#
    );
    let headers =
        [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "get_account")];
    let received = post(&stand_in, &headers, &body).await;
    assert!(received.text.contains("Northwind Sales"), "{}", received.text);
    assert_eq!(stand_in.record()[0].tool.as_deref(), Some("get_account"));
}

#[tokio::test]
async fn results_are_pretty_json_in_one_text_block() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let received = modern(&stand_in, "tools/call", json!({"name": "get_users", "arguments": {}})).await;
    let result = &received.json()["result"];
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1));
    assert!(result.get("structuredContent").is_none() && result.get("isError").is_none());
    assert_eq!(result["resultType"], "complete");
    assert!(result.get("ttlMs").is_none(), "a tool's result is never cached");
    let text = result["content"][0]["text"].as_str().expect("a text");
    assert!(text.starts_with("{\n  \""), "{text}");
}

#[tokio::test]
async fn only_the_modern_era_says_how_long_lists_may_be_cached() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let (_, session) = initialized(&stand_in, "2025-11-25").await;
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    let read = json!({"uri": "kommo://account"});
    let cases = [
        ("tools/list", json!({}), "tools", 23),
        ("resources/list", json!({}), "resources", 5),
        ("resources/templates/list", json!({}), "resourceTemplates", 0),
        ("prompts/list", json!({}), "prompts", 4),
        ("resources/read", read, "contents", 1),
    ];
    for (method, params, key, length) in cases {
        let new = modern(&stand_in, method, params.clone()).await.json();
        assert_eq!(new["result"][key].as_array().map(Vec::len), Some(length), "{method}");
        assert_eq!((&new["result"]["ttlMs"], &new["result"]["cacheScope"]), (&json!(0), &json!("private")));
        assert_eq!(new["result"]["resultType"], "complete");
        let old = post(&stand_in, &headers, &request(method, &params)).await.json();
        assert_eq!(old["result"], json!({key: new["result"][key]}), "{method}");
    }
}

#[tokio::test]
async fn prompts_and_resources_are_answered() {
    let stand_in = started(Eras::Both, Answers::Json).await;
    let prompt = modern(&stand_in, "prompts/get", json!({"name": "motivos_perda"})).await.json();
    assert_eq!(prompt["result"]["messages"][0]["role"], "user");
    assert!(prompt["result"].get("ttlMs").is_none());
    let missing = modern(&stand_in, "prompts/get", json!({"name": "motivos"})).await;
    assert_eq!(missing.refusal(), (200, -32602));
    let missing = modern(&stand_in, "resources/read", json!({"uri": "kommo://leads"})).await;
    assert_eq!(missing.refusal(), (200, -32602));
}
