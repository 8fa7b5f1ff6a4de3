//! Answers: from what was decided to the bytes on the wire, as JSON or as a stream of server-sent events.

use std::convert::Infallible;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::config::Answers;

/// The body of every response.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// The header that names a session.
pub(super) const SESSION_HEADER: &str = "mcp-session-id";

/// What to answer to one request of the MCP path.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A status without a body.
    Empty(StatusCode),
    /// A refusal: always one JSON object, in whichever form answers travel.
    Refusal(StatusCode, Value),
    /// The answer to a request, status 200.
    Final {
        message: Value,
        /// A notification to send first; only a stream can carry it.
        progress: Option<Value>,
        /// The session that this answer opens.
        opened_session: Option<String>,
    },
    /// A stream that stays open after its first message.
    Open(Value),
}

impl Answer {
    /// An answer of nothing but this message.
    pub(super) fn message(message: Value) -> Self {
        Self::Final { message, progress: None, opened_session: None }
    }

    /// The HTTP response.
    pub(super) fn into_response(self, answers: Answers) -> Response<Body> {
        match self {
            Self::Empty(status) => bare(status, Bytes::new()),
            Self::Refusal(status, message) => json(status, &message),
            Self::Final { message, progress, opened_session } => {
                let mut response = match answers {
                    Answers::Json => json(StatusCode::OK, &message),
                    Answers::Sse => event_stream(final_frames(&message, progress.as_ref()), Ending::Closes),
                };
                if let Some(session) = opened_session {
                    let value = HeaderValue::from_str(&session).expect("session identifiers are hex digits");
                    response.headers_mut().insert(SESSION_HEADER, value);
                }
                response
            }
            Self::Open(message) => event_stream(vec![event(&message)], Ending::StaysOpen),
        }
    }
}

/// A response of one JSON value.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("values made here have string keys and finite numbers");
    let mut response = bare(status, Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn bare(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed());
    *response.status_mut() = status;
    response
}

/// Each frame is written apart, so that a reader sees chunks that end where events end.
fn final_frames(message: &Value, progress: Option<&Value>) -> Vec<Bytes> {
    let before = progress.map(|progress| [Bytes::from_static(b": working\n\n"), event(progress)]);
    before.into_iter().flatten().chain([event(message)]).collect()
}

fn event(message: &Value) -> Bytes {
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

#[derive(Clone, Copy)]
enum Ending {
    Closes,
    StaysOpen,
}

fn event_stream(frames: Vec<Bytes>, ending: Ending) -> Response<Body> {
    let frames = futures::stream::iter(frames).map(|bytes| Ok(Frame::data(bytes)));
    let body = match ending {
        Ending::Closes => BodyExt::boxed(StreamBody::new(frames)),
        Ending::StaysOpen => BodyExt::boxed(StreamBody::new(frames.chain(futures::stream::pending()))),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
