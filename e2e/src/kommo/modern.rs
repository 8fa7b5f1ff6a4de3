//! The stateless revision 2026-07-28: every request carries its version in its body and mirrors it in its headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::MODERN_VERSION;
use super::answer::Answer;
use super::crm::Crm;
use super::methods;
use super::rpc::{
    HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, Message, Request, RpcError, UNSUPPORTED_VERSION,
    result_answer,
};

/// The header that names the protocol version, in both eras.
pub(super) const VERSION_HEADER: &str = "mcp-protocol-version";

const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Methods whose results say how long they may be cached.
const CACHEABLE: [&str; 6] = [
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
];

/// Whether a message belongs to this revision: its body says a version, or its header says this one.
pub(super) fn is_spoken(headers: &HeaderMap, message: &Message) -> bool {
    let (Message::Request(Request { params, .. }) | Message::Unanswered { params, .. }) = message;
    let discovers = matches!(message, Message::Request(request) if request.method == "server/discover");
    body_version(params).is_some() || header(headers, VERSION_HEADER) == Some(MODERN_VERSION) || discovers
}

/// Answers one message.
pub(super) fn answer(crm: &mut Crm, headers: &HeaderMap, message: &Message) -> Answer {
    match message {
        Message::Unanswered { .. } => Answer::Empty(StatusCode::ACCEPTED),
        Message::Request(request) => {
            let checked = check_version(headers, request)
                .and_then(|()| check_mirrors(headers, request))
                .map_err(|error| Answer::Refusal(StatusCode::BAD_REQUEST, error.answer(&request.id)));
            match checked {
                Ok(()) => answer_request(crm, request),
                Err(refusal) => refusal,
            }
        }
    }
}

fn answer_request(crm: &mut Crm, request: &Request) -> Answer {
    let result = match request.method.as_str() {
        "server/discover" => Ok(discovered()),
        "subscriptions/listen" => return Answer::Open(acknowledgement(request)),
        _ => methods::answer(crm, request, INVALID_PARAMS),
    };
    match result {
        Ok(result) => Answer::Final {
            message: result_answer(&request.id, &dressed(result, &request.method)),
            progress: methods::progress(request),
            opened_session: None,
        },
        Err(error) if error.code == METHOD_NOT_FOUND => {
            Answer::Refusal(StatusCode::NOT_FOUND, error.answer(&request.id))
        }
        Err(error) => Answer::message(error.answer(&request.id)),
    }
}

fn discovered() -> Value {
    json!({"supportedVersions": [MODERN_VERSION], "capabilities": methods::capabilities()})
}

/// The lists never change, so nothing follows the first message of a subscription.
fn acknowledgement(request: &Request) -> Value {
    let wanted = request.params.get("notifications").cloned().unwrap_or_else(|| json!({}));
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": wanted, "_meta": {SUBSCRIPTION_KEY: request.id}},
    })
}

/// Adds what every result of this revision carries.
fn dressed(mut result: Value, method: &str) -> Value {
    result["resultType"] = json!("complete");
    result["_meta"] = json!({SERVER_INFO_KEY: methods::server_info()});
    if CACHEABLE.contains(&method) {
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("private");
    }
    result
}

fn check_version(headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    let said = header(headers, VERSION_HEADER);
    let meant = body_version(&request.params);
    if request.method == "initialize" && meant.is_none() {
        let requested = request.params.get("protocolVersion").cloned().unwrap_or(Value::Null);
        return Err(unsupported(&requested));
    }
    let Some(meant) = meant else {
        return Err(match said {
            None => RpcError::new(HEADER_MISMATCH, "Header mismatch: MCP-Protocol-Version is missing"),
            Some(_) => {
                RpcError::new(INVALID_PARAMS, format!("Invalid params: _meta must have {VERSION_KEY}"))
            }
        });
    };
    if said != Some(meant) {
        return Err(mismatch("MCP-Protocol-Version", said, meant));
    }
    if meant != MODERN_VERSION {
        return Err(unsupported(&json!(meant)));
    }
    let has_capabilities = request
        .params
        .get("_meta")
        .is_some_and(|meta| meta.get(CAPABILITIES_KEY).is_some_and(Value::is_object));
    if has_capabilities {
        Ok(())
    } else {
        Err(RpcError::new(INVALID_PARAMS, format!("Invalid params: _meta must have {CAPABILITIES_KEY}")))
    }
}

fn check_mirrors(headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    let method = header(headers, METHOD_HEADER);
    if method != Some(request.method.as_str()) {
        return Err(mismatch("Mcp-Method", method, &request.method));
    }
    let key = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let Some(meant) = request.params.get(key).and_then(Value::as_str) else { return Ok(()) };
    let said = header(headers, NAME_HEADER);
    let decoded = said.map(decode).transpose()?;
    if decoded.as_deref() == Some(meant) { Ok(()) } else { Err(mismatch("Mcp-Name", said, meant)) }
}

/// A header value, the Base64 form that stands for values no header can carry undone.
fn decode(value: &str) -> Result<String, RpcError> {
    let Some(coded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(value.to_owned());
    };
    let bytes = BASE64_STANDARD.decode(coded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| {
        RpcError::new(HEADER_MISMATCH, "Header mismatch: Mcp-Name is not valid Base64 of a text")
    })
}

fn mismatch(name: &str, said: Option<&str>, meant: &str) -> RpcError {
    let said = said.map_or_else(|| "is missing".to_owned(), |said| format!("says '{said}'"));
    RpcError::new(HEADER_MISMATCH, format!("Header mismatch: {name} {said} but the body says '{meant}'"))
}

fn unsupported(requested: &Value) -> RpcError {
    RpcError::new(UNSUPPORTED_VERSION, "Unsupported protocol version")
        .with_data(json!({"supported": [MODERN_VERSION], "requested": requested}))
}

fn body_version(params: &Map<String, Value>) -> Option<&str> {
    params.get("_meta")?.get(VERSION_KEY)?.as_str()
}

/// The one value of a header; a repeated header has none.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_decoded_before_they_are_compared() {
        assert_eq!(decode("move_lead"), Ok("move_lead".to_owned()));
        assert_eq!(decode("=?base64?bW92ZV9sZWFk?="), Ok("move_lead".to_owned()));
        assert_eq!(decode("=?BASE64?bW92ZV9sZWFk?="), Ok("=?BASE64?bW92ZV9sZWFk?=".to_owned()));
        assert!(decode("=?base64?!?=").is_err());
        assert!(decode("=?base64?/w==?=").is_err());
    }

    #[test]
    fn a_repeated_header_has_no_value() {
        let mut headers = HeaderMap::new();
        headers.append(NAME_HEADER, "get_lead".parse().expect("a value"));
        assert_eq!(header(&headers, NAME_HEADER), Some("get_lead"));
        headers.append(NAME_HEADER, "move_lead".parse().expect("a value"));
        assert_eq!(header(&headers, NAME_HEADER), None);
    }
}
