//! Which bodies are one message of a client, and which ways round a lax gateway are refused.

use toolgate_gateway::wire::{
    call::{NoToolCall, TOOL_NAME_BYTES_MAX, ToolCall, is_plain_tool_name},
    message::{ID_BYTES_MAX, INVALID_REQUEST, Id, Malformed, Message, Outcome, PARSE_ERROR},
};

fn refused(body: &str) -> Malformed {
    Message::parse(body.as_bytes()).expect_err(body)
}

fn assert_invalid(bodies: &[&str]) {
    for body in bodies {
        assert_eq!(refused(body).code, INVALID_REQUEST, "{body}");
    }
}

fn request(body: &str) -> toolgate_gateway::wire::message::Request<'_> {
    match Message::parse(body.as_bytes()).expect(body) {
        Message::Request(request) => request,
        other => unreachable!("{body} is no request: {other:?}"),
    }
}

#[test]
fn a_batch_is_refused() {
    assert_invalid(&[
        "[]",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","id":2,"method":"tools/call"}]"#,
        "[[]]",
    ]);
}

#[test]
fn a_scalar_is_refused() {
    assert_invalid(&["null", "1", "true", r#""ping""#]);
}

#[test]
fn a_body_that_is_not_json_is_a_parse_error_without_an_id() {
    for body in [
        "",
        "{",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.replace("ping", "\\ud800").as_str(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}"#,
        "\u{FEFF}{}",
    ] {
        let malformed = refused(body);
        assert_eq!((malformed.code, malformed.id), (PARSE_ERROR, None), "{body}");
    }
}

#[test]
fn duplicate_name_key_is_refused() {
    assert_invalid(&[
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","na\u006de":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":{"y":1,"y":2}}}}"#,
    ]);
}

#[test]
fn another_spelling_of_an_envelope_key_is_refused() {
    assert_invalid(&[
        r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params\u0000":{}}"#,
        r#"{"jsonrpc":"2.0","ID":1,"method":"ping"}"#,
        r#"{"JSONRPC":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","extra":{}}"#,
    ]);
}

#[test]
fn another_spelling_of_a_params_key_is_refused_even_alone() {
    for key in [
        "Name",
        "NAME",
        "name\\u0000",
        "na\\u200bme",
        "Arguments",
        "argumentſ",
        "URI",
        "ur\\u0131",
        "_Meta",
        "Cursor",
        "Tas\\u212a",
        "taskid",
        "requeststate",
        "InputResponses",
        "Ref",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"{key}":"x"}}}}"#);
        let malformed = refused(&body);
        assert_eq!((malformed.code, malformed.id), (INVALID_REQUEST, Some(Id::Integer(7))), "{key}");
    }
}

#[test]
fn another_spelling_of_a_meta_key_is_refused() {
    for key in [
        "io.modelcontextprotocol/ProtocolVersion",
        "IO.modelcontextprotocol/protocolVersion",
        "io.modelcontextprotocol/clientCapabilitieſ",
        "progresstoken",
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"_meta":{{"{key}":"2026-07-28"}}}}}}"#
        );
        assert_eq!(refused(&body).code, INVALID_REQUEST, "{key}");
    }
}

#[test]
fn other_keys_of_params_and_meta_pass() {
    let body =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"names":1,"_meta":{"traceparent":"x"}}}"#;
    assert!(Message::parse(body.as_bytes()).is_ok());
}

#[test]
fn a_method_beside_a_result_or_an_error_is_refused() {
    assert_invalid(&[
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","error":{}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"params":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
        "{}",
    ]);
}

#[test]
fn a_null_or_odd_id_is_refused_not_taken_for_a_notification() {
    for id in ["null", "1.0", "1e3", "true", "[]", "{}", "-0", "9223372036854775808", "0.5"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#);
        assert_eq!(refused(&body).code, INVALID_REQUEST, "{id}");
    }
}

#[test]
fn another_jsonrpc_version_is_refused() {
    assert_invalid(&[
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":null,"id":1,"method":"ping"}"#,
    ]);
}

#[test]
fn params_that_are_no_object_are_refused() {
    for params in ["[]", "null", "\"x\"", "1", r#"["a"]"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        assert_eq!(refused(&body).code, INVALID_REQUEST, "{params}");
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{params}}}}}"#);
        assert_eq!(refused(&body).code, INVALID_REQUEST, "_meta {params}");
    }
}

#[test]
fn a_method_that_is_no_string_is_refused() {
    assert_invalid(&[
        r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":["tools/call"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":{}}"#,
    ]);
}

#[test]
fn escaped_values_are_read_before_they_are_judged() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"test_\u0073imple"}}"#;
    let request = request(body);
    assert_eq!(request.method, "tools/call");
    assert_eq!(ToolCall::from_params(request.params.as_ref()).unwrap().name, "test_simple");
}

#[test]
fn the_three_kinds_are_told_apart() {
    let request = request(r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#);
    assert_eq!((request.id, request.params), (Id::String("x".to_owned()), None));
    let notification = br#"{"jsonrpc":"2.0","method":"notifications/initialized","params":{}}"#;
    assert!(matches!(Message::parse(notification), Ok(Message::Notification(_))));
    let response = br#"{"jsonrpc":"2.0","id":-3,"error":{"code":1,"message":"no"}}"#;
    let Ok(Message::Response(response)) = Message::parse(response) else { unreachable!("no response") };
    assert_eq!(response.id, Id::Integer(-3));
    assert!(matches!(response.outcome, Outcome::Error(_)));
}

#[test]
fn ids_keep_their_type_and_text() {
    for (text, id) in [
        ("1", Id::Integer(1)),
        ("\"1\"", Id::String("1".to_owned())),
        ("-9223372036854775808", Id::Integer(i64::MIN)),
        ("9223372036854775807", Id::Integer(i64::MAX)),
        ("\"\"", Id::String(String::new())),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"ping"}}"#);
        let request = request(&body);
        assert_eq!(request.id, id);
        assert_eq!(request.id.to_string(), text);
    }
    assert_ne!(Id::Integer(1), Id::String("1".to_owned()));
}

#[test]
fn string_ids_are_bounded() {
    let body =
        |length: usize| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(length));
    assert!(Message::parse(body(ID_BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(refused(&body(ID_BYTES_MAX + 1)).code, INVALID_REQUEST);
}

#[test]
fn what_goes_on_is_written_from_what_was_read() {
    for (body, expected) in [
        (
            r#" { "method" : "tools\/call", "params": {"name":"a","arguments":{"n":1.50,"big":9007199254740993}},
               "id" : 1, "jsonrpc":"2.0" } "#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.50,"big":9007199254740993}}}"#,
        ),
        (r#"{"jsonrpc":"2.0","method":"x"}"#, r#"{"jsonrpc":"2.0","method":"x"}"#),
        (
            r#"{"id":1,"result":{"b":1,"a":2},"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"b":1,"a":2}}"#,
        ),
        (r#"{"id":"\u0041","error":{},"jsonrpc":"2.0"}"#, r#"{"jsonrpc":"2.0","id":"A","error":{}}"#),
    ] {
        let message = Message::parse(body.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(message.to_bytes()).unwrap(), expected);
    }
}

#[test]
fn a_refusal_names_the_key_without_repeating_all_of_it() {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","\u001b{}":1}}"#, "k".repeat(100_000));
    let text = refused(&body).text;
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

fn call(params: &str) -> Result<(String, bool, bool), NoToolCall> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let request = request(&body);
    let call = ToolCall::from_params(request.params.as_ref())?;
    Ok((call.name.to_owned(), call.arguments.is_some(), call.task))
}

#[test]
fn odd_names_and_arguments_are_no_call() {
    for (params, reason) in [
        ("{}", NoToolCall::Name),
        (r#"{"name":1}"#, NoToolCall::Name),
        (r#"{"name":{"x":1}}"#, NoToolCall::Name),
        (r#"{"name":["a"]}"#, NoToolCall::Name),
        (r#"{"name":null}"#, NoToolCall::Name),
        (r#"{"name":"a","arguments":[]}"#, NoToolCall::Arguments),
        (r#"{"name":"a","arguments":"{}"}"#, NoToolCall::Arguments),
        (r#"{"name":"a","arguments":null}"#, NoToolCall::Arguments),
        (r#"{"name":"a","task":true}"#, NoToolCall::Task),
    ] {
        assert_eq!(call(params), Err(reason), "{params}");
    }
    assert_eq!(ToolCall::from_params(None), Err(NoToolCall::NoParams));
}

#[test]
fn a_call_is_its_name_its_arguments_and_its_task() {
    assert_eq!(call(r#"{"name":"a"}"#), Ok(("a".to_owned(), false, false)));
    assert_eq!(call(r#"{"name":"","arguments":{},"task":{}}"#), Ok((String::new(), true, true)));
}

#[test]
fn no_look_alike_is_a_plain_tool_name() {
    for name in ["a", "move_lead", "A.b-C_9", &"n".repeat(TOOL_NAME_BYTES_MAX)] {
        assert!(is_plain_tool_name(name), "{name}");
    }
    let too_long = "n".repeat(TOOL_NAME_BYTES_MAX + 1);
    for name in [
        "",
        " move_lead",
        "move_lead ",
        "move lead",
        "mоve_lead",
        "move_lead\u{200B}",
        "move_lead\0",
        "move_le\u{301}ad",
        "\u{202E}move",
        "tools/call",
        "a:b",
        "ｍove",
        &too_long,
    ] {
        assert!(!is_plain_tool_name(name), "{name:?}");
    }
}
