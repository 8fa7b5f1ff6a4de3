//! What holds however a message is bent: whatever passes is read the same by an ordinary, lax parser.

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::Value;
use toolgate_gateway::wire::{
    call::ToolCall,
    era::Era,
    message::{Message, Request},
    method::ListKind,
    upstream_message::UpstreamMessage,
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open","arguments":{"name":"x","n":[1,2.50]}}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"open","inputSchema":{}},{"name":"hidden"},{"name":"open","tools":[{"name":"hidden"}]}],"nextCursor":"tools"}}"#;

/// Pieces that bend a message towards another reading of it.
fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "\"name\":\"hidden\",",
            "\"Name\":\"hidden\",",
            "\"tools\":[{\"name\":\"hidden\"}],",
            "\"result\":{\"tools\":[{\"name\":\"hidden\"}]},",
            "\"method\":\"tools/list\",",
            "\"error\":{},",
            "{\"name\":\"hidden\"},",
            "\\u0068",
            "\\u0000",
            "\\\"",
            "\"",
            ",",
            "{",
            "}",
            "[",
            "]",
            " ",
            "\n",
        ])
        .prop_map(str::to_owned),
    ]
}

/// `text` with pieces put in and bytes taken out at random places.
fn bent(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    vec((any::<Index>(), pieces(), any::<bool>()), 0..4).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, piece, replaces) in changes {
            let at = at.index(bytes.len());
            let end = if replaces { (at + piece.len()).min(bytes.len()) } else { at };
            bytes.splice(at..end, piece.bytes());
        }
        bytes
    })
}

fn lax(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("what goes on is JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_decided_is_what_a_server_reads(body in bent(CALL)) {
        let Ok(message) = Message::parse(&body) else { return Ok(()) };
        let forwarded = lax(&message.to_bytes());
        prop_assert_eq!(forwarded["method"].as_str(), message.method());
        let Message::Request(Request { params, .. }) = &message else { return Ok(()) };
        if let Ok(call) = ToolCall::from_params(params.as_ref()) {
            prop_assert_eq!(forwarded["params"]["name"].as_str(), Some(call.name));
        }
        // A second round changes nothing: there is one canonical text.
        let again = message.to_bytes();
        prop_assert_eq!(Message::parse(&again).map(|message| message.to_bytes()), Ok(message.to_bytes()));
    }

    #[test]
    fn no_hidden_tool_reaches_a_client(body in bent(LIST), modern in any::<bool>()) {
        let era = if modern { Era::Modern } else { Era::Session { version: None } };
        let Ok(mut message) = UpstreamMessage::parse(&body, era) else { return Ok(()) };
        message.filter(ListKind::Tools, |name| name == "open");
        message.limit_caching(None);
        let forwarded = lax(&message.to_bytes());
        for (key, tools) in forwarded["result"].as_object().into_iter().flatten() {
            if !key.eq_ignore_ascii_case("tools") {
                continue;
            }
            for tool in tools.as_array().expect("tools that are no array do not pass") {
                for (key, name) in tool.as_object().expect("a tool that is no object does not pass") {
                    prop_assert!(!key.eq_ignore_ascii_case("name") || name == "open", "{}", forwarded);
                }
            }
        }
    }

    #[test]
    fn an_unbent_message_goes_on_as_it_is(id in any::<i64>(), name in any::<String>()) {
        let name = serde_json::to_string(&name).unwrap();
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{name}}}}}"#);
        let message = Message::parse(body.as_bytes()).unwrap();
        prop_assert_eq!(lax(&message.to_bytes()), lax(body.as_bytes()));
    }
}
