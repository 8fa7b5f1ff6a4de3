//! One HTTP request: recorded, admitted or turned away, handed to the era it belongs to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer::{Answer, Body, SESSION_HEADER, json as json_response};
use super::config::Config;
use super::crm::Crm;
use super::record::{Entry, Record};
use super::rpc::{self, PARSE_ERROR, REFUSED, RpcError, UNAUTHORIZED};
use super::session::Sessions;
use super::{MAX_BODY_BYTES, modern};

/// Everything that requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) record: Mutex<Record>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    crm: Crm,
    sessions: Sessions,
}

impl Shared {
    pub(super) fn new(config: Config) -> Self {
        let state = State { crm: Crm::seeded(), sessions: Sessions::default() };
        Self { config, record: Mutex::default(), state: Mutex::new(state) }
    }
}

/// A lock whose holders leave nothing half done, so that a panic elsewhere does not matter.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request. Every path but those of the observer is recorded before anything is decided.
pub(super) async fn answer<B>(shared: &Shared, request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: HttpBody<Data = Bytes>,
{
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis());
    let (head, body) = request.into_parts();
    if let Some(response) = observe(shared, &head) {
        return Ok(response);
    }
    let (bytes, ending) = read(body).await;
    let text = String::from_utf8_lossy(&bytes);
    lock(&shared.record).push(entry(&head, &text, u64::try_from(at_ms).unwrap_or(u64::MAX)));
    let answer = match ending {
        Ending::Complete => decide(shared, &head, &text),
        Ending::TooLong => refusal(StatusCode::PAYLOAD_TOO_LARGE, REFUSED, "Payload too large"),
        Ending::Broken => refusal(StatusCode::BAD_REQUEST, PARSE_ERROR, "Parse error: the body was cut off"),
    };
    Ok(answer.into_response(shared.config.answers))
}

/// The observer's own paths.
fn observe(shared: &Shared, head: &Parts) -> Option<Response<Body>> {
    let record = || lock(&shared.record);
    let answered = match (&head.method, head.uri.path()) {
        (&Method::GET, "/health") => json_response(StatusCode::OK, &json!({"status": "ok"})),
        (&Method::GET, "/record") => {
            let record = record();
            json_response(StatusCode::OK, &record.entries().collect::<Vec<&Entry>>())
        }
        (&Method::DELETE, "/record") => {
            record().clear();
            json_response(StatusCode::OK, &json!({"cleared": true}))
        }
        (&Method::GET, "/record/counts") => json_response(StatusCode::OK, record().counts()),
        _ => return None,
    };
    Some(answered)
}

enum Ending {
    Complete,
    TooLong,
    Broken,
}

/// The body, or as much of it as came and is allowed.
async fn read<B: HttpBody<Data = Bytes>>(body: B) -> (Bytes, Ending) {
    let mut body = std::pin::pin!(body);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (read.freeze(), Ending::Broken) };
        let data = frame.into_data().unwrap_or_default();
        let room = MAX_BODY_BYTES - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return (read.freeze(), Ending::TooLong);
        }
    }
    (read.freeze(), Ending::Complete)
}

fn entry(head: &Parts, body: &str, at_ms: u64) -> Entry {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    let message: Value = serde_json::from_str(body.trim_start_matches('\u{feff}')).unwrap_or(Value::Null);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rpc_method = text(&message["method"]);
    let is_call = rpc_method.as_deref() == Some("tools/call");
    Entry {
        sequence: 0,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers,
        body: body.to_owned(),
        tool: if is_call { text(&message["params"]["name"]) } else { None },
        rpc_method,
        at_ms,
    }
}

fn decide(shared: &Shared, head: &Parts, body: &str) -> Answer {
    // The real server's framework matches paths without regard to case or to a last slash.
    let path = head.uri.path();
    if !path.strip_suffix('/').unwrap_or(path).eq_ignore_ascii_case("/mcp") {
        return Answer::Empty(StatusCode::NOT_FOUND);
    }
    if let Some(refusal) = turn_away(&shared.config, &head.headers) {
        return refusal;
    }
    let eras = shared.config.eras;
    match head.method {
        Method::POST => post(shared, &head.headers, body),
        Method::DELETE if eras.has_session() && head.headers.contains_key(SESSION_HEADER) => {
            lock(&shared.state).sessions.close(&head.headers)
        }
        _ => Answer::Empty(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn post(shared: &Shared, headers: &HeaderMap, body: &str) -> Answer {
    if let Some(refusal) = check_media_types(headers) {
        return refusal;
    }
    let message = match rpc::parse(body) {
        Ok(message) => message,
        Err(error) => return Answer::Refusal(StatusCode::BAD_REQUEST, error.answer(&Value::Null)),
    };
    let eras = shared.config.eras;
    let mut state = lock(&shared.state);
    let State { crm, sessions } = &mut *state;
    if !eras.has_session() || (eras.has_modern() && modern::is_spoken(headers, &message)) {
        modern::answer(crm, headers, &message)
    } else {
        sessions.answer(crm, headers, &message)
    }
}

/// Refuses who may not come in: a wrong credential, or a page of a foreign origin.
fn turn_away(config: &Config, headers: &HeaderMap) -> Option<Answer> {
    if let Some(token) = &config.auth_token
        && !holds_token(headers, token)
    {
        return Some(refusal(StatusCode::UNAUTHORIZED, UNAUTHORIZED, "Unauthorized"));
    }
    let origin = headers.get(ORIGIN)?.to_str().unwrap_or_default();
    if is_loopback(origin) {
        None
    } else {
        Some(refusal(StatusCode::FORBIDDEN, REFUSED, "Origin not allowed"))
    }
}

fn holds_token(headers: &HeaderMap, token: &str) -> bool {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let key = headers.get("x-api-key").map(hyper::header::HeaderValue::as_bytes);
    [bearer, key].into_iter().flatten().any(|given| is_same(given, token.as_bytes()))
}

/// Compares without telling by its duration where the difference is.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let difference = given.iter().zip(expected).fold(0, |seen, (left, right)| seen | (left ^ right));
    given.len() == expected.len() && difference == 0
}

fn is_loopback(origin: &str) -> bool {
    let uri: Option<Uri> = origin.parse().ok();
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

fn check_media_types(headers: &HeaderMap) -> Option<Answer> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !content.eq_ignore_ascii_case("application/json") {
        let text = "Unsupported Media Type: Content-Type must be application/json";
        return Some(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, REFUSED, text));
    }
    let accept = text(ACCEPT);
    if accept.contains("application/json") && accept.contains("text/event-stream") {
        return None;
    }
    let text = "Not Acceptable: Client must accept both application/json and text/event-stream";
    Some(refusal(StatusCode::NOT_ACCEPTABLE, REFUSED, text))
}

fn refusal(status: StatusCode, code: i64, text: &str) -> Answer {
    Answer::Refusal(status, RpcError::new(code, text).answer(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_host_may_come_in() {
        for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in ["https://example.com", "http://127.0.0.1.example.com", "null", ""] {
            assert!(!is_loopback(origin), "{origin}");
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        assert!(is_same(b"secret", b"secret"));
        for given in ["", "secre", "secret1", "Secret"] {
            assert!(!is_same(given.as_bytes(), b"secret"), "{given}");
        }
    }
}
