//! JSON-RPC: reading one message, and the shapes of answers.

use serde_json::{Map, Value, json};

pub(super) const PARSE_ERROR: i64 = -32700;
pub(super) const INVALID_REQUEST: i64 = -32600;
pub(super) const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
pub(super) const HEADER_MISMATCH: i64 = -32020;
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;
/// The session based revisions' code for a resource that does not exist.
pub(super) const RESOURCE_NOT_FOUND: i64 = -32002;
/// The real server's own codes, from the range that the specification leaves to old ones.
pub(super) const REFUSED: i64 = -32000;
pub(super) const UNAUTHORIZED: i64 = -32001;

/// An error that a JSON-RPC answer carries.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The answer that carries this error to the request of this id.
    pub(super) fn answer(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }
}

/// The answer that carries a result to the request of this id.
pub(super) fn result_answer(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// One message of a client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    Request(Request),
    /// Something that gets no answer: a notification, or an answer to a request of ours (we make none).
    Unanswered {
        method: Option<String>,
        params: Map<String, Value>,
    },
}

/// One request of a client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

/// Reads one message the way the real server does: bytes that are not UTF-8 are replaced, and of duplicate keys
/// the last one counts. `Err` carries the error to answer with.
pub(super) fn parse(body: &str) -> Result<Message, RpcError> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let value: Value =
        serde_json::from_str(body).map_err(|_| RpcError::new(PARSE_ERROR, "Parse error: invalid JSON"))?;
    let Value::Object(mut object) = value else {
        let what = if value.is_array() { "batches are not supported" } else { "not an object" };
        return Err(RpcError::new(INVALID_REQUEST, format!("Invalid Request: {what}")));
    };
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(RpcError::new(INVALID_REQUEST, "Invalid Request: jsonrpc must be \"2.0\""));
    }
    let params = match object.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(RpcError::new(INVALID_REQUEST, "Invalid Request: params must be an object")),
    };
    let is_answer = object.contains_key("result") || object.contains_key("error");
    let id = object.remove("id");
    match (object.remove("method"), id) {
        (Some(Value::String(_)), _) if is_answer => {
            Err(RpcError::new(INVALID_REQUEST, "Invalid Request: both a request and an answer"))
        }
        (Some(Value::String(method)), Some(id)) if id.is_string() || id.is_i64() || id.is_u64() => {
            Ok(Message::Request(Request { id, method, params }))
        }
        (Some(Value::String(method)), None) => Ok(Message::Unanswered { method: Some(method), params }),
        (None, Some(_)) if is_answer => Ok(Message::Unanswered { method: None, params }),
        (Some(_) | None, _) => {
            Err(RpcError::new(INVALID_REQUEST, "Invalid Request: neither a request nor a notification"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Option<i64> {
        parse(body).err().map(|error| error.code)
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        let cases = [
            ("{", PARSE_ERROR),
            ("{} {}", PARSE_ERROR),
            ("[]", INVALID_REQUEST),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#, INVALID_REQUEST),
            ("7", INVALID_REQUEST),
            (r#"{"id":1,"method":"tools/list"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","result":{}}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST),
        ];
        for (body, expected) in cases {
            assert_eq!(code(body), Some(expected), "{body}");
        }
    }

    #[test]
    fn the_last_of_duplicate_keys_counts() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_lead","name":"move_lead"}}"#;
        let Ok(Message::Request(request)) = parse(body) else { panic!("a request") };
        assert_eq!(request.params["name"], "move_lead");
    }

    #[test]
    fn messages_without_an_answer_are_told_apart() {
        let notification = parse(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert!(matches!(notification, Ok(Message::Unanswered { method: Some(_), .. })));
        let answer = parse("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
        assert!(matches!(answer, Ok(Message::Unanswered { method: None, .. })));
    }
}
