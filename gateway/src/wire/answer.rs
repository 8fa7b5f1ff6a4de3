//! What the gateway itself answers: status, headers and body, ready to be sent.
//!
//! Nothing here decides anything; each function words one outcome, so that equal outcomes are equal
//! bytes.

use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use toolgate_policy::json;

use super::{
    content::{ContentError, JSON},
    era::{Era, EraError},
    message::{INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, Id, METHOD_NOT_FOUND, Malformed, shown},
    method::ListKind,
};

/// The key of `_meta` (of a result) and of `data` (of an error) that holds a verdict for machines.
pub const VERDICT_KEY: &str = "toolgate.dev/verdict";

const TEXT: &str = "text/plain; charset=utf-8";

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, `Content-Type` among them if there is a body.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Vec<u8>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError<'t> {
    /// Its code.
    pub code: i64,
    /// Its text, for people.
    pub message: &'t str,
    /// Its data, for machines.
    pub data: Option<&'t serde_json::Value>,
}

impl Answer {
    fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, headers: HeaderMap::new(), body }.with(header::CONTENT_TYPE, JSON)
    }

    // What is refused before its id is known gets no JSON-RPC error: a client could not tell which request it answers,
    // and some wait on for one that says so.
    fn text(status: StatusCode, message: &str) -> Self {
        let body = format!("{message}\n").into_bytes();
        Self { status, headers: HeaderMap::new(), body }.with(header::CONTENT_TYPE, TEXT)
    }

    /// The same answer with one more header. A value that no header can have is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

/// The body of a JSON-RPC error; without an id it is null.
pub fn error_body(id: Option<&Id>, error: &RpcError<'_>) -> Vec<u8> {
    response(id, b"error", |out| {
        out.extend_from_slice(format!("{{\"code\":{},\"message\":", error.code).as_bytes());
        json::write_string(error.message, out);
        if let Some(data) = error.data {
            out.extend_from_slice(b",\"data\":");
            write_value(data, out);
        }
        out.push(b'}');
    })
}

/// Any JSON-RPC error.
pub fn error(status: StatusCode, id: Option<&Id>, error: &RpcError<'_>) -> Answer {
    Answer::json(status, error_body(id, error))
}

fn plain_error(status: StatusCode, id: Option<&Id>, code: i64, message: &str) -> Answer {
    error(status, id, &RpcError { code, message, data: None })
}

/// 400: the body is not one message.
pub fn malformed(malformed: &Malformed) -> Answer {
    plain_error(StatusCode::BAD_REQUEST, malformed.id.as_ref(), malformed.code, &malformed.text)
}

/// 400: headers and body are not one request.
pub fn disagreement(id: Option<&Id>, reason: &EraError) -> Answer {
    let data = reason.data();
    let rpc = RpcError { code: reason.code(), message: &reason.to_string(), data: data.as_ref() };
    error(StatusCode::BAD_REQUEST, id, &rpc)
}

/// The method is not in the table: 404 in 2026-07-28, 200 before it.
pub fn unknown_method(era: Era, id: &Id) -> Answer {
    let status = if era.is_modern() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    plain_error(status, Some(id), METHOD_NOT_FOUND, "Method not found")
}

/// 200: the tool does not exist for this caller, whether it is hidden, unlisted or nowhere.
pub fn unknown_tool(id: &Id, name: &str) -> Answer {
    invalid_params(id, &format!("Unknown tool: {}", shown(name)))
}

/// 200: the parameters are malformed, or what they name does not exist for this caller.
pub fn invalid_params(id: &Id, message: &str) -> Answer {
    plain_error(StatusCode::OK, Some(id), INVALID_PARAMS, message)
}

/// 200: a tool call that policy refuses, as a result that the model reads.
pub fn refusal(era: Era, id: &Id, text: &str, verdict: &serde_json::Value) -> Answer {
    result(id, |out| {
        if era.is_modern() {
            out.extend_from_slice(b"\"resultType\":\"complete\",");
        }
        out.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":");
        json::write_string(text, out);
        out.extend_from_slice(b"}],\"isError\":true,\"_meta\":{");
        write_verdict(verdict, out);
        out.push(b'}');
    })
}

/// 200: another method that policy refuses, as a JSON-RPC error with the verdict in `data`.
pub fn refused_method(id: &Id, code: i64, message: &str, verdict: &serde_json::Value) -> Answer {
    let body = response(Some(id), b"error", |out| {
        out.extend_from_slice(format!("{{\"code\":{code},\"message\":").as_bytes());
        json::write_string(message, out);
        out.extend_from_slice(b",\"data\":{");
        write_verdict(verdict, out);
        out.extend_from_slice(b"}}");
    });
    Answer::json(StatusCode::OK, body)
}

/// 200: a list without entries, not to be shared or kept.
pub fn empty_list(era: Era, id: &Id, list: ListKind) -> Answer {
    result(id, |out| {
        if era.is_modern() {
            out.extend_from_slice(b"\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",");
        }
        out.extend_from_slice(format!("\"{}\":[]", list.member()).as_bytes());
    })
}

/// 200: an empty result, as of `ping`.
pub fn empty_result(era: Era, id: &Id) -> Answer {
    result(id, |out| {
        if era.is_modern() {
            out.extend_from_slice(b"\"resultType\":\"complete\"");
        }
    })
}

/// 202: a notification or a response was taken.
pub fn accepted() -> Answer {
    Answer::empty(StatusCode::ACCEPTED)
}

/// 401: no credential, or one that is not valid here. `error` is told only if there was one.
pub fn unauthorized(resource_metadata: Option<&str>, scope: Option<&str>, error: Option<&str>) -> Answer {
    let challenge =
        challenge(&[("error", error), ("resource_metadata", resource_metadata), ("scope", scope)]);
    Answer::empty(StatusCode::UNAUTHORIZED).with(header::WWW_AUTHENTICATE, &challenge)
}

/// 403: a valid credential without a scope that could be had by asking.
pub fn insufficient_scope(resource_metadata: Option<&str>, scope: &str) -> Answer {
    let parameters = [
        ("error", Some("insufficient_scope")),
        ("scope", Some(scope)),
        ("resource_metadata", resource_metadata),
    ];
    Answer::empty(StatusCode::FORBIDDEN).with(header::WWW_AUTHENTICATE, &challenge(&parameters))
}

/// 400: the request has no `Host`, or several.
pub fn bad_host() -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, "there must be one Host header").with(header::CONNECTION, "close")
}

/// 403: the request's `Origin` is not allowed here.
pub fn foreign_origin() -> Answer {
    Answer::text(StatusCode::FORBIDDEN, "this origin is not allowed")
}

/// 404: the session is unknown here, or another caller's; clients begin a new one.
pub fn unknown_session(id: Option<&Id>) -> Answer {
    plain_error(StatusCode::NOT_FOUND, id, INVALID_REQUEST, "Session not found")
}

/// 400: a stream cannot be resumed from this event: it is not one of this session.
pub fn unknown_event() -> Answer {
    Answer::text(StatusCode::BAD_REQUEST, "the event is not one of this session")
}

/// 404 without a body: not the endpoint.
pub fn not_found() -> Answer {
    Answer::empty(StatusCode::NOT_FOUND)
}

/// 405: `allow` lists what the endpoint takes.
pub fn method_not_allowed(allow: &str) -> Answer {
    Answer::empty(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, allow)
}

/// 406: the client does not read both kinds of answer.
pub fn not_acceptable(id: Option<&Id>) -> Answer {
    let message = "Accept must list both application/json and text/event-stream";
    plain_error(StatusCode::NOT_ACCEPTABLE, id, INVALID_REQUEST, message)
}

/// 413: the body is larger than is read.
pub fn too_large(bytes_max: usize) -> Answer {
    Answer::text(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {bytes_max} bytes"))
}

/// 415: the body is not plain JSON.
pub fn unsupported_media_type(reason: ContentError) -> Answer {
    Answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &reason.to_string())
}

/// 503: not now; `retry_after` in seconds.
pub fn unavailable(id: Option<&Id>, message: &str, retry_after: u64) -> Answer {
    let answer = match id {
        Some(_) => plain_error(StatusCode::SERVICE_UNAVAILABLE, id, INTERNAL_ERROR, message),
        None => Answer::text(StatusCode::SERVICE_UNAVAILABLE, message),
    };
    answer.with(header::RETRY_AFTER, &retry_after.to_string())
}

/// 429 or 503: too much goes on already; `retry_after` in seconds.
pub fn busy(
    status: StatusCode,
    id: Option<&Id>,
    message: &str,
    verdict: &serde_json::Value,
    retry_after: u64,
) -> Answer {
    let answer = match id {
        Some(id) => Answer { status, ..refused_method(id, i64::from(status.as_u16()), message, verdict) },
        None => Answer::text(status, message),
    };
    answer.with(header::RETRY_AFTER, &retry_after.to_string())
}

/// 500: the gateway itself failed.
pub fn broken() -> Answer {
    Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed")
}

/// 502: the upstream could not be reached, or what it answered cannot be trusted.
pub fn bad_gateway(id: Option<&Id>, message: &str) -> Answer {
    plain_error(StatusCode::BAD_GATEWAY, id, INTERNAL_ERROR, message)
}

/// A `Bearer` challenge. Values are quoted; what cannot stand in quotes is left out.
fn challenge(parameters: &[(&str, Option<&str>)]) -> String {
    let quoted: Vec<String> = parameters
        .iter()
        .filter_map(|(name, value)| {
            let value: String = value
                .as_ref()?
                .chars()
                .filter(|c| matches!(c, ' '..='~' if *c != '"' && *c != '\\'))
                .collect();
            Some(format!("{name}=\"{value}\""))
        })
        .collect();
    format!("Bearer {}", quoted.join(", ")).trim_end().to_owned()
}

fn result(id: &Id, members: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let body = response(Some(id), b"result", |out| {
        out.push(b'{');
        members(out);
        out.push(b'}');
    });
    Answer::json(StatusCode::OK, body)
}

fn response(id: Option<&Id>, member: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"id\":".to_vec();
    match id {
        Some(id) => id.write(&mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member);
    out.extend_from_slice(b"\":");
    write(&mut out);
    out.push(b'}');
    out
}

fn write_verdict(verdict: &serde_json::Value, out: &mut Vec<u8>) {
    json::write_string(VERDICT_KEY, out);
    out.push(b':');
    write_value(verdict, out);
}

fn write_value(value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}
