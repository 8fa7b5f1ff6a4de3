//! Headers that say something else than the body, and bodies that come in odd ways.

use serde_json::json;
use toolgate_e2e::process::{ALICE, Request, Socket};

use super::{Arena, Era, Told, denied};

const MISMATCH: Told = Told::Error(400, -32020);

#[tokio::test]
async fn media_types_and_codings() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let call = era.saying(&arena.session, "update_lead", era.call("update_lead"));
        let refused = Told::Status(415);
        for kind in [
            "text/plain",
            "text/plain; a=application/json",
            "application/json-rpc",
            "application/json-patch+json",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json, text/plain",
            "application/json; charset=utf-8; x=y",
            "",
        ] {
            arena.expect(&format!("12 {kind}"), &call.clone().instead("content-type", kind), refused).await;
        }
        arena.expect("12 no type", &call.clone().without("content-type"), refused).await;
        let twice = call.clone().with("content-type", "application/json");
        arena.expect("12 two types", &twice, refused).await;
        for coding in ["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip", "x-gzip", ""] {
            let coded = call.clone().with("content-encoding", coding);
            arena.expect(&format!("11 {coding}"), &coded, refused).await;
        }
        for kind in ["application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""] {
            arena.expect(kind, &call.clone().instead("content-type", kind), Told::Denied).await;
        }
    }
}

#[tokio::test]
async fn headers_that_lie() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let call = era.saying(&arena.session, "update_lead", era.call("update_lead"));
        let bare = call.clone().without("mcp-name").without("mcp-method");
        let with = |name: &str, method: &str| bare.clone().with("mcp-name", name).with("mcp-method", method);
        let twice = |name: &str, value: &str, other: &str| {
            let beside =
                if name == "mcp-name" { ("mcp-method", "tools/call") } else { ("mcp-name", "update_lead") };
            bare.clone().with(beside.0, beside.1).with(name, value).with(name, other)
        };
        for (what, request) in [
            ("30 another name", with("get_leads", "tools/call")),
            ("30 another method", with("update_lead", "tools/list")),
            ("30 both", with("get_leads", "prompts/get")),
            ("30 another case", with("Update_lead", "tools/call")),
            ("30 an empty name", with("", "tools/call")),
            ("31 two names", twice("mcp-name", "get_leads", "update_lead")),
            ("31 two names, the other way", twice("mcp-name", "update_lead", "get_leads")),
            ("31 the same name twice", twice("mcp-name", "update_lead", "update_lead")),
            ("31 two methods", twice("mcp-method", "tools/call", "tools/list")),
            ("31 two names in one value", with("update_lead, get_leads", "tools/call")),
            ("31 two versions", call.clone().with("mcp-protocol-version", "2025-06-18")),
            ("32 another name in base64", with("=?base64?Z2V0X2xlYWRz?=", "tools/call")),
            ("32 bad padding", with("=?base64?dXBkYXRlX2xlYWQ?=", "tools/call")),
            ("32 no base64", with("=?base64?***?=", "tools/call")),
            ("32 base64 of no text", with("=?base64?/w==?=", "tools/call")),
            ("32 another marker", with("=?BASE64?dXBkYXRlX2xlYWQ=?=", "tools/call")),
            ("32 base64 with line breaks", with("=?base64?dXBkYXRl X2xlYWQ=?=", "tools/call")),
        ] {
            arena.expect(what, &request, MISMATCH).await;
        }
        let proper = with("=?base64?dXBkYXRlX2xlYWQ=?=", "tools/call");
        arena.expect("32 the name in base64", &proper, Told::Denied).await;
        arena
            .expect("36 names to drop", &call.with("connection", "mcp-name, mcp-method"), Told::Denied)
            .await;
    }
    let missing = Era::Modern.saying("", "update_lead", Era::Modern.call("update_lead"));
    arena.expect("no name", &missing.clone().without("mcp-name"), MISMATCH).await;
    arena.expect("no method", &missing.without("mcp-method"), MISMATCH).await;
}

#[tokio::test]
async fn versions_that_contradict() {
    let arena = Arena::new().await;
    let modern = Era::Modern.saying("", "update_lead", Era::Modern.call("update_lead"));
    let legacy = Era::Session.saying(&arena.session, "update_lead", Era::Session.call("update_lead"));
    let unsupported = Told::Error(400, -32022);
    let version = "mcp-protocol-version";
    for (what, request, told) in [
        ("33 a session's header, a modern body", modern.clone().instead(version, "2025-11-25"), MISMATCH),
        (
            "33 with a session",
            modern.clone().instead(version, "2025-06-18").with("mcp-session-id", &arena.session),
            MISMATCH,
        ),
        (
            "33 a modern header, a session's body",
            legacy.clone().instead(version, "2026-07-28"),
            Told::Error(400, -32602),
        ),
        (
            "33 only capabilities in the body",
            legacy
                .clone()
                .replacing(r#""_meta":{}"#, r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#),
            MISMATCH,
        ),
        ("34 no header, a modern body", modern.clone().without(version), MISMATCH),
        ("34 no header, a session's body", legacy.clone().without(version), Told::Denied),
        ("35 an unknown version", legacy.clone().instead(version, "2099-01-01"), unsupported),
        (
            "35 an unknown version in both",
            modern.clone().instead(version, "2099-01-01").replacing("2026-07-28", "2099-01-01"),
            unsupported,
        ),
        ("35 an old version", legacy.clone().instead(version, "2024-11-05"), unsupported),
        ("35 an empty version", legacy.clone().instead(version, ""), unsupported),
        (
            "35 a session's version in the body",
            modern.clone().instead(version, "2025-11-25").replacing("2026-07-28", "2025-11-25"),
            MISMATCH,
        ),
        (
            "35 the version as a number",
            modern.clone().replacing("\"2026-07-28\"", "20260728"),
            Told::Error(400, -32602),
        ),
        (
            "no capabilities",
            modern.clone().replacing(",\"io.modelcontextprotocol/clientCapabilities\":{}", ""),
            Told::Error(400, -32602),
        ),
        ("only JSON is read", modern.clone().instead("accept", "application/json"), Told::Status(406)),
        (
            "another spelling of the version's key",
            modern.clone().replacing("protocolVersion", "ProtocolVersion"),
            Told::Error(400, -32600),
        ),
    ] {
        arena.expect(what, &request, told).await;
    }
}

#[tokio::test]
async fn a_tool_call_is_no_notification_and_as_a_task_it_is_a_call() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let call = era.call("get_leads");
        let silent = era.saying(&arena.session, "get_leads", call.replace("\"id\":7,", ""));
        arena.expect("48 a call without an id", &silent, Told::Error(400, -32600)).await;
        for (tool, code) in [("update_lead", 403), ("stop_salesbot", -32602)] {
            let task = "\"arguments\":{},\"task\":{\"ttl\":60000}";
            let task = era.call(tool).replace("\"arguments\":{}", task);
            let task = era.saying(&arena.session, tool, task);
            arena.expect("45 a call as a task", &task, Told::Error(200, code)).await;
        }
    }
    let response = Era::Session.saying(&arena.session, "x", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    arena.expect("an answer to nothing", &response, Told::Error(400, -32600)).await;
    assert_eq!(arena.world.stand_in.counts().total, 0);
}

#[tokio::test]
async fn bodies_in_pieces() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        for tool in ["update_lead", "get_leads"] {
            let call = era.saying(&arena.session, tool, era.call(tool));
            let chunked = call.clone().with("transfer-encoding", "chunked");
            let chunks: Vec<u8> =
                call.body.iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).collect();
            let trailers = b"0\r\nauthorization: Bearer nobody\r\nmcp-name: get_leads\r\n\r\n".to_vec();
            let tiny = chunked.saying([chunks, trailers].concat());
            let continued = call.with("expect", "100-continue");
            for (what, request) in [("13 tiny chunks", tiny), ("16 a body that waits", continued)] {
                if tool == "get_leads" {
                    arena.passes(what, &request, tool).await;
                } else {
                    arena.expect(what, &request, Told::Denied).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_of_its_body_asked_for_nothing() {
    let arena = Arena::new().await;
    let call = Request::modern_call(ALICE, "get_leads", &json!({"query": "x"}));
    for cut in [1, call.body.len() / 2, call.body.len() - 1] {
        let mut socket = Socket::open(arena.world.gateway.address()).await.expect("connects");
        socket.send(&call.head()).await.expect("is sent");
        socket.send(&call.body[..cut]).await.expect("is sent");
        drop(socket);
    }
    // What comes later on other connections is served, so those are over.
    let marker = Era::Modern.saying("", "get_leads", Era::Modern.call("get_leads"));
    arena.passes("a later call", &marker, "get_leads").await;
    assert_eq!(arena.world.stand_in.counts().total, 1);
    let answer =
        arena.world.ask(&Era::Modern.saying("", "update_lead", Era::Modern.call("update_lead"))).await;
    assert!(denied(&answer.expect("an answer")));
}
