//! The gateway's own answers, byte for byte.

use hyper::http::header;
use serde_json::{Value, json};
use toolgate_gateway::wire::{
    answer::{self, Answer},
    content::ContentError,
    era::{Era, EraError},
    message::{Id, Message},
    method::ListKind,
};

const SESSION: Era = Era::Session { version: None };
const ONE: Id = Id::Integer(1);

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("the body is JSON")
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body).expect("the body is text")
}

#[test]
fn a_refused_call_is_a_result_that_the_model_reads() {
    let verdict = json!({"verdict": "denied", "rule": "kommo-sales/tools/move_lead"});
    let session = answer::refusal(SESSION, &ONE, "[POLICY DENIED] \"no\"", &verdict);
    assert_eq!(session.status, 200);
    assert_eq!(session.headers[header::CONTENT_TYPE], "application/json");
    let expected = json!({
        "content": [{"type": "text", "text": "[POLICY DENIED] \"no\""}],
        "isError": true,
        "_meta": {"toolgate.dev/verdict": verdict},
    });
    assert_eq!(body(&session), json!({"jsonrpc": "2.0", "id": 1, "result": expected}));

    let modern = answer::refusal(Era::Modern, &ONE, "[POLICY DENIED] \"no\"", &verdict);
    let mut expected = expected;
    expected["resultType"] = json!("complete");
    assert_eq!(body(&modern), json!({"jsonrpc": "2.0", "id": 1, "result": expected}));
}

#[test]
fn an_unknown_tool_is_a_protocol_error_that_gives_no_reason() {
    let unknown = answer::unknown_tool(&ONE, "move_lead");
    let expected = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: move_lead"}}"#;
    assert_eq!((unknown.status.as_u16(), text(&unknown)), (200, expected));
}

#[test]
fn an_unknown_tool_is_named_short_and_printable() {
    let name = format!("\u{1b}[31m\n\u{202E}{}", "x".repeat(100_000));
    let unknown = answer::unknown_tool(&ONE, &name);
    let message = body(&unknown)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.len() < 300, "{message}");
    assert!(!message.chars().any(|c| c.is_control() || c == '\u{202E}'), "{message:?}");
}

#[test]
fn an_unknown_method_is_404_only_in_the_modern_era() {
    for (era, status) in [(Era::Modern, 404), (SESSION, 200)] {
        let unknown = answer::unknown_method(era, &Id::String("a\"".to_owned()));
        assert_eq!(unknown.status, status);
        assert_eq!(body(&unknown)["error"]["code"], -32601);
        assert_eq!(body(&unknown)["id"], "a\"");
    }
}

#[test]
fn malformed_bodies_are_400_with_the_id_that_was_read() {
    let rows = [
        ("[]", -32600, Value::Null),
        ("{", -32700, Value::Null),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"x","method":"ping","params":[]}"#, -32600, json!("x")),
        (r#"{"jsonrpc":"1.0","id":5,"method":"ping"}"#, -32600, json!(5)),
    ];
    for (request, code, id) in rows {
        let malformed = Message::parse(request.as_bytes()).unwrap_err();
        let answer = answer::malformed(&malformed);
        let body = body(&answer);
        assert_eq!(
            (answer.status.as_u16(), &body["error"]["code"], &body["id"]),
            (400, &json!(code), &id),
            "{request}"
        );
    }
}

#[test]
fn disagreements_are_400_and_tell_the_supported_versions() {
    let answer = answer::disagreement(Some(&ONE), &EraError::Unsupported { requested: "1".to_owned() });
    let expected = json!({
        "code": -32022,
        "message": "Unsupported protocol version",
        "data": {"supported": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"], "requested": "1"},
    });
    assert_eq!((answer.status.as_u16(), &body(&answer)["error"]), (400, &expected));
    let answer = answer::disagreement(None, &EraError::Mismatch("x"));
    let expected =
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32020, "message": "Header mismatch: x"}});
    assert_eq!(body(&answer), expected);
}

#[test]
fn empty_lists_are_private_in_the_modern_era() {
    for (list, member) in [
        (ListKind::Tools, "tools"),
        (ListKind::Resources, "resources"),
        (ListKind::ResourceTemplates, "resourceTemplates"),
        (ListKind::Prompts, "prompts"),
    ] {
        assert_eq!(body(&answer::empty_list(SESSION, &ONE, list))["result"], json!({member: []}));
        let modern = json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private", member: []});
        assert_eq!(body(&answer::empty_list(Era::Modern, &ONE, list))["result"], modern);
    }
    assert_eq!(body(&answer::empty_result(SESSION, &ONE))["result"], json!({}));
    assert_eq!(body(&answer::empty_result(Era::Modern, &ONE))["result"], json!({"resultType": "complete"}));
}

#[test]
fn another_refused_method_is_an_error_with_the_verdict() {
    let answer = answer::refused_method(&ONE, 4030, "[POLICY DENIED] no", &json!({"rule": "r"}));
    let expected = json!({
        "code": 4030,
        "message": "[POLICY DENIED] no",
        "data": {"toolgate.dev/verdict": {"rule": "r"}},
    });
    assert_eq!((answer.status.as_u16(), &body(&answer)["error"]), (200, &expected));
}

#[test]
fn challenges_say_where_tokens_come_from() {
    let metadata = "https://gate.example/.well-known/oauth-protected-resource/mcp";
    let full = answer::unauthorized(Some(metadata), Some("mcp:tools"), Some("invalid_token"));
    assert_eq!((full.status.as_u16(), full.body.len()), (401, 0));
    assert_eq!(
        full.headers[header::WWW_AUTHENTICATE],
        format!("Bearer error=\"invalid_token\", resource_metadata=\"{metadata}\", scope=\"mcp:tools\"")
            .as_str()
    );
    assert_eq!(answer::unauthorized(None, None, None).headers[header::WWW_AUTHENTICATE], "Bearer");
    let scope = answer::insufficient_scope(None, "mcp:write");
    assert_eq!(scope.status, 403);
    let expected = "Bearer error=\"insufficient_scope\", scope=\"mcp:write\"";
    assert_eq!(scope.headers[header::WWW_AUTHENTICATE], expected);
}

#[test]
fn a_challenge_cannot_be_broken_out_of() {
    let answer = answer::unauthorized(Some("x\", Basic realm=\"\r\ny\\"), None, None);
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer resource_metadata=\"x, Basic realm=y\"");
}

/// A JSON-RPC error without an id answers nobody, and clients wait on for one that does.
#[test]
fn what_is_refused_before_its_id_is_known_is_told_in_plain_text() {
    for (answer, status, text) in [
        (answer::foreign_origin(), 403, "this origin is not allowed\n"),
        (answer::too_large(4_194_304), 413, "the body is larger than 4194304 bytes\n"),
        (answer::unsupported_media_type(ContentError::Encoding), 415, "Content-Encoding is not supported\n"),
        (answer::unavailable(None, "overloaded", 2), 503, "overloaded\n"),
    ] {
        assert_eq!((answer.status.as_u16(), str::from_utf8(&answer.body)), (status, Ok(text)));
        assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }
}

#[test]
fn the_other_statuses_are_those_of_the_protocol() {
    for (answer, status) in [
        (answer::unknown_session(Some(&ONE)), 404),
        (answer::not_acceptable(Some(&ONE)), 406),
        (answer::bad_gateway(Some(&ONE), "the server cannot be reached"), 502),
        (answer::unavailable(Some(&ONE), "overloaded", 2), 503),
    ] {
        assert_eq!((answer.status.as_u16(), body(&answer)["id"].clone()), (status, json!(1)));
    }
    for (answer, status) in
        [(answer::accepted(), 202), (answer::not_found(), 404), (answer::method_not_allowed("POST"), 405)]
    {
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0));
        assert!(!answer.headers.contains_key(header::CONTENT_TYPE));
    }
    assert_eq!(answer::method_not_allowed("POST").headers[header::ALLOW], "POST");
    assert_eq!(answer::unavailable(None, "overloaded", 2).headers[header::RETRY_AFTER], "2");
}
