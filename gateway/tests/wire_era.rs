//! Headers and body must be one request of one era: every disagreement is refused.

use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use toolgate_gateway::wire::{
    era::{Era, EraError, HEADER_MISMATCH, UNSUPPORTED_VERSION, Version, agree, of_headers},
    message::{INVALID_PARAMS, INVALID_REQUEST, Message},
    mirror::PARAMETERS_MAX,
};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const MODERN: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");

fn headers(listed: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in listed {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    headers
}

fn decide(listed: &[(&str, &str)], body: &str) -> Result<Era, i64> {
    let message = Message::parse(body.as_bytes()).expect(body);
    agree(&headers(listed), &message).map(|agreed| agreed.era).map_err(|error| error.code())
}

fn call(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#)
}

fn modern_call() -> String {
    call(&format!(r#""name":"move_lead","arguments":{{}},{META}"#))
}

fn session(version: Version) -> Era {
    Era::Session { version: Some(version) }
}

#[test]
fn a_modern_request_whose_headers_repeat_its_body_is_modern() {
    let listed = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead")];
    assert_eq!(decide(&listed, &modern_call()), Ok(Era::Modern));
    let list = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}"#);
    assert_eq!(decide(&[MODERN, ("Mcp-Method", "tools/list")], &list), Ok(Era::Modern));
}

#[test]
fn a_session_request_needs_no_mirrors() {
    let body = call(r#""name":"move_lead""#);
    assert_eq!(decide(&[], &body), Ok(Era::Session { version: None }));
    for version in [Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25] {
        assert_eq!(decide(&[("Mcp-Protocol-Version", version.name())], &body), Ok(session(version)));
    }
    assert_eq!(Era::Session { version: None }.version(), Version::V2025_03_26);
}

#[test]
fn initialize_is_of_the_session_era_whatever_version_it_asks_for() {
    for version in ["2024-11-05", "2025-11-25", "2026-07-28", "2099-01-01"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}}}}}}"#
        );
        assert_eq!(decide(&[], &body), Ok(Era::Session { version: None }), "{version}");
    }
}

#[test]
fn lying_mcp_name_header_is_refused() {
    let lie = ("Mcp-Name", "get_leads");
    assert_eq!(decide(&[MODERN, ("Mcp-Method", "tools/call"), lie], &modern_call()), Err(HEADER_MISMATCH));
    let legacy = call(r#""name":"move_lead""#);
    assert_eq!(decide(&[lie], &legacy), Err(HEADER_MISMATCH));
    assert_eq!(decide(&[("Mcp-Protocol-Version", "2025-11-25"), lie], &legacy), Err(HEADER_MISMATCH));
}

#[test]
fn lying_mcp_method_header_is_refused() {
    for lie in ["tools/list", "TOOLS/CALL", "tools/call/", "tools/call x", "", "=?base64?dG9vbHMvY2FsbA==?="]
    {
        let listed = [MODERN, ("Mcp-Method", lie), ("Mcp-Name", "move_lead")];
        assert_eq!(decide(&listed, &modern_call()), Err(HEADER_MISMATCH), "modern {lie}");
        let legacy = call(r#""name":"move_lead""#);
        assert_eq!(decide(&[("Mcp-Method", lie)], &legacy), Err(HEADER_MISMATCH), "session {lie}");
    }
}

#[test]
fn truthful_mirrors_pass_in_the_session_era() {
    let listed = [("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead")];
    assert_eq!(decide(&listed, &call(r#""name":"move_lead""#)), Ok(Era::Session { version: None }));
}

#[test]
fn a_missing_header_is_refused_in_the_modern_era() {
    let all = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead")];
    for missing in 0..all.len() {
        let rest: Vec<_> =
            all.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, h)| *h).collect();
        assert_eq!(decide(&rest, &modern_call()), Err(HEADER_MISMATCH), "without {:?}", all[missing]);
    }
}

#[test]
fn a_repeated_header_is_refused_even_with_equal_values() {
    let all = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead"), ("Mcp-Param-Region", "eu")];
    for repeated in all {
        for value in [repeated.1, "other"] {
            for first in [true, false] {
                let mut listed = all.to_vec();
                let at = if first { 0 } else { listed.len() };
                listed.insert(at, (repeated.0, value));
                assert_eq!(decide(&listed, &modern_call()), Err(HEADER_MISMATCH), "{} {value}", repeated.0);
            }
        }
    }
    let legacy = call(r#""name":"move_lead""#);
    for listed in [
        [("Mcp-Protocol-Version", "2025-11-25"), ("Mcp-Protocol-Version", "2025-11-25")],
        [("Mcp-Protocol-Version", "2025-11-25"), ("Mcp-Protocol-Version", "2026-07-28")],
        [("Mcp-Name", "move_lead"), ("Mcp-Name", "move_lead")],
        [("Mcp-Method", "tools/call"), ("Mcp-Method", "tools/list")],
    ] {
        assert_eq!(decide(&listed, &legacy), Err(HEADER_MISMATCH), "{listed:?}");
    }
}

#[test]
fn a_mirror_of_nothing_is_refused() {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(decide(&[("Mcp-Name", "move_lead")], list), Err(HEADER_MISMATCH));
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(decide(&[("Mcp-Method", "tools/call")], response), Err(HEADER_MISMATCH));
}

#[test]
fn names_are_decoded_before_they_are_compared() {
    let name_of = |header: &str, name: &str| {
        let name = serde_json::to_string(name).unwrap();
        let listed = [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", header)];
        decide(&listed, &call(&format!(r#""name":{name},{META}"#)))
    };
    for (header, name) in [
        ("=?base64?bW92ZV9sZWFk?=", "move_lead"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?IHBhZGRlZCA=?=", " padded "),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("  move_lead\t", "move_lead"),
        ("=?BASE64?bW92ZV9sZWFk?=", "=?BASE64?bW92ZV9sZWFk?="),
        ("=?base64?bW92ZV9sZWFk", "=?base64?bW92ZV9sZWFk"),
        ("=?base64??=", ""),
    ] {
        assert_eq!(name_of(header, name), Ok(Era::Modern), "{header}");
    }
    for (header, name) in [
        ("=?base64?bW92ZV9sZWFk?=", "=?base64?bW92ZV9sZWFk?="),
        ("=?BASE64?bW92ZV9sZWFk?=", "move_lead"),
        ("=?base64?SGVsbG8sIOS4lueVjA?=", "Hello, 世界"),
        ("=?base64?SGVsbG8sIOS4lueVjA=?=", "Hello, 世界"),
        ("=?base64?bW92ZV9sZWFk=?=", "move_lead"),
        ("=?base64?bW92 ZV9sZWFk?=", "move_lead"),
        ("=?base64?bW92ZV9sZWFl?=", "move_lead"),
        ("=?base64?_-__?=", "x"),
        ("=?base64?/w==?=", "\u{FF}"),
        ("move_le\u{E4}d", "move_le\u{E4}d"),
        ("MOVE_LEAD", "move_lead"),
        ("move_lead,move_lead", "move_lead"),
    ] {
        assert_eq!(name_of(header, name), Err(HEADER_MISMATCH), "{header}");
    }
}

#[test]
fn the_name_is_the_uri_of_a_read_and_the_task_of_a_poll() {
    for (method, member) in [("resources/read", "uri"), ("tasks/get", "taskId"), ("prompts/get", "name")] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{member}":"x",{META}}}}}"#);
        assert_eq!(decide(&[MODERN, ("Mcp-Method", method), ("Mcp-Name", "x")], &body), Ok(Era::Modern));
        assert_eq!(decide(&[MODERN, ("Mcp-Method", method), ("Mcp-Name", "y")], &body), Err(HEADER_MISMATCH));
        assert_eq!(decide(&[MODERN, ("Mcp-Method", method)], &body), Err(HEADER_MISMATCH));
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{member}":1,{META}}}}}"#);
        assert_eq!(decide(&[MODERN, ("Mcp-Method", method), ("Mcp-Name", "1")], &body), Err(INVALID_PARAMS));
    }
}

/// The table of version headers against versions in `_meta`.
#[test]
fn a_mixture_of_eras_is_refused() {
    let modern = Ok(Era::Modern);
    let mismatch = Err(HEADER_MISMATCH);
    let unsupported = Err(UNSUPPORTED_VERSION);
    let rows = [
        (None, Some("2026-07-28"), mismatch),
        (None, Some("2025-11-25"), mismatch),
        (None, Some("2099-01-01"), mismatch),
        (Some("2025-11-25"), Some("2026-07-28"), mismatch),
        (Some("2025-03-26"), Some("2026-07-28"), mismatch),
        (Some("2025-11-25"), Some("2025-11-25"), mismatch),
        (Some("2026-07-28"), Some("2026-07-28"), modern),
        (Some("2026-07-28"), Some("2025-11-25"), mismatch),
        (Some("2026-07-28"), Some("2099-01-01"), mismatch),
        (Some("2099-01-01"), Some("2026-07-28"), mismatch),
        (Some("2099-01-01"), Some("2099-01-01"), unsupported),
        (Some("2026-07-28"), None, Err(INVALID_PARAMS)),
        (Some("2099-01-01"), None, unsupported),
        (Some(""), None, unsupported),
        (Some("2024-11-05"), None, unsupported),
        (Some("2025-11-25, 2026-07-28"), None, unsupported),
        (Some("2025-11-25"), None, Ok(session(Version::V2025_11_25))),
        (None, None, Ok(Era::Session { version: None })),
    ];
    for (header, body, expected) in rows {
        let mut listed = vec![("Mcp-Method", "tools/list")];
        listed.extend(header.map(|header| ("MCP-Protocol-Version", header)));
        let meta = body.map_or(String::new(), |version| META.replace("2026-07-28", version));
        let body_text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{meta}}}}}"#);
        assert_eq!(decide(&listed, &body_text), expected, "header {header:?}, body {body:?}");
    }
}

#[test]
fn modern_meta_without_a_version_in_a_session_request_is_a_mixture() {
    for key in ["clientCapabilities", "clientInfo", "logLevel"] {
        let body = call(&format!(r#""name":"a","_meta":{{"io.modelcontextprotocol/{key}":{{}}}}"#));
        assert_eq!(decide(&[], &body), Err(HEADER_MISMATCH), "{key}");
        assert_eq!(decide(&[("Mcp-Protocol-Version", "2025-11-25")], &body), Err(HEADER_MISMATCH), "{key}");
    }
    let body = call(
        r#""name":"a","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"progressToken":1}"#,
    );
    assert_eq!(decide(&[("Mcp-Protocol-Version", "2025-11-25")], &body), Ok(session(Version::V2025_11_25)));
}

#[test]
fn modern_meta_must_have_the_version_and_the_capabilities() {
    for meta in [
        r#""_meta":{}"#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
        r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":20260728,"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{meta}}}}}"#);
        assert_eq!(decide(&[MODERN, ("Mcp-Method", "tools/list")], &body), Err(INVALID_PARAMS), "{meta}");
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(decide(&[MODERN, ("Mcp-Method", "tools/list")], body), Err(INVALID_PARAMS));
}

#[test]
fn a_modern_notification_needs_only_the_version() {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(decide(&[MODERN], body), Ok(Era::Modern));
    assert_eq!(decide(&[MODERN, ("Mcp-Method", "tools/call")], body), Err(HEADER_MISMATCH));
}

#[test]
fn a_modern_client_posts_no_responses() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(decide(&[MODERN], body), Err(INVALID_REQUEST));
    assert_eq!(decide(&[("Mcp-Protocol-Version", "2025-06-18")], body), Ok(session(Version::V2025_06_18)));
}

#[test]
fn an_unsupported_version_is_told_what_is_supported() {
    let long = "9".repeat(5000);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let message = Message::parse(body.as_bytes()).unwrap();
    let error = agree(&headers(&[("Mcp-Protocol-Version", "2099-01-01")]), &message).unwrap_err();
    let expected = serde_json::json!({
        "supported": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
        "requested": "2099-01-01",
    });
    assert_eq!(error.data(), Some(expected));
    let error = agree(&headers(&[("Mcp-Protocol-Version", &long)]), &message).unwrap_err();
    assert!(error.data().unwrap().to_string().len() < 400);
    assert_eq!(EraError::Response.data(), None);
}

#[test]
fn requests_without_a_body_go_by_their_header() {
    assert_eq!(of_headers(&headers(&[])), Ok(Era::Session { version: None }));
    assert_eq!(of_headers(&headers(&[MODERN])), Ok(Era::Modern));
    let twice = [("Mcp-Protocol-Version", "2025-11-25"), ("Mcp-Protocol-Version", "2025-11-25")];
    assert_eq!(of_headers(&headers(&twice)).map_err(|error| error.code()), Err(HEADER_MISMATCH));
    let unknown = of_headers(&headers(&[("Mcp-Protocol-Version", "1")]));
    assert_eq!(unknown.map_err(|error| error.code()), Err(UNSUPPORTED_VERSION));
}

#[test]
fn repeated_arguments_are_handed_on_decoded() {
    let listed = [
        MODERN,
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "move_lead"),
        ("Mcp-Param-Region", "eu-west"),
        ("MCP-PARAM-Text", "=?base64?IHBhZGRlZCA=?="),
    ];
    let body = modern_call();
    let message = Message::parse(body.as_bytes()).unwrap();
    let mut parameters = agree(&headers(&listed), &message).unwrap().parameters;
    parameters.sort_by(|one, other| one.name.cmp(&other.name));
    let parameters: Vec<_> = parameters.into_iter().map(|p| (p.name, p.value)).collect();
    let expected = [("region", "eu-west"), ("text", " padded ")];
    assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_malformed_argument_header_is_refused() {
    for value in ["=?base64?!?=", "=?base64?/w==?=", "gr\u{FC}n"] {
        let listed =
            [MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead"), ("Mcp-Param-A", value)];
        assert_eq!(decide(&listed, &modern_call()), Err(HEADER_MISMATCH), "{value}");
    }
}

#[test]
fn argument_headers_are_bounded() {
    let names: Vec<String> = (0..=PARAMETERS_MAX).map(|index| format!("mcp-param-{index}")).collect();
    let mut listed = vec![MODERN, ("Mcp-Method", "tools/call"), ("Mcp-Name", "move_lead")];
    listed.extend(names[1..].iter().map(|name| (name.as_str(), "x")));
    assert_eq!(decide(&listed, &modern_call()), Ok(Era::Modern));
    listed.push((names[0].as_str(), "x"));
    assert_eq!(decide(&listed, &modern_call()), Err(HEADER_MISMATCH));
}
