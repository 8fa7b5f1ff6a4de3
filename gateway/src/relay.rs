//! The way back: what the server answers, looked at message by message.
//!
//! A JSON answer is one message. A stream is passed on event by event as it comes. Lists lose what the caller may not
//! know of, whatever they come as; what cannot be read does not pass.

mod inspect;
mod renew;
mod stream;
mod subscription;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header;
use hyper::http::StatusCode;
use hyper::{HeaderMap, Response};

use crate::endpoint::Exchange;
use crate::endpoint::{Body, SESSION_HEADER, respond};
use crate::gateway::Gateway;
use crate::wire::answer::{self, Answer};
use crate::wire::content::{JSON, Media};
use crate::wire::era::Era;
use crate::wire::message::Id;
use crate::wire::method::Method;

pub(crate) use subscription::Subscription;

/// The largest answer that is one JSON message, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest that a server may send callers away for, in seconds.
const RETRY_AFTER_MAX: u64 = 60;

/// What has to be known of a request to read its answer.
#[derive(Debug)]
pub(crate) struct Relay {
    pub exchange: Exchange,
    pub era: Era,
    /// The request's id; None for a session's own stream, which answers nothing.
    pub id: Option<Id>,
    pub method: Method,
    /// What the stream tells of besides an answer.
    pub subscription: Option<Subscription>,
    /// The server's id of the session that it belongs to.
    pub session: Option<String>,
}

/// Passes on the stream on which a server tells a session what changes.
pub(crate) fn listen(
    exchange: Exchange,
    era: Era,
    subscription: Subscription,
    session: String,
    response: Response<Incoming>,
) -> Response<Body> {
    let (parts, body) = response.into_parts();
    match (parts.status, Media::of_answer(&parts.headers)) {
        (StatusCode::OK, Some(Media::EventStream)) => {
            let (id, method, subscription) = (None, Method::Listen, Some(subscription));
            let relay = Relay { exchange, era, id, method, subscription, session: Some(session) };
            stream::respond(relay, &parts.headers, body)
        }
        (StatusCode::NOT_FOUND, _) => respond(answer::unknown_session(None)),
        (status, _) => respond(refused_by_server(&exchange.gateway, status, None)),
    }
}

/// Reads the answer to a request and passes on what may pass.
pub(crate) async fn answer(relay: Relay, response: Response<Incoming>) -> Response<Body> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    match (status, Media::of_answer(&parts.headers)) {
        (StatusCode::OK, Some(Media::EventStream)) => stream::respond(relay, &parts.headers, body),
        (StatusCode::OK, Some(Media::Json)) => json(&relay, status, &parts.headers, body).await,
        (StatusCode::NOT_FOUND, _) if relay.session.is_some() => {
            respond(answer::unknown_session(relay.id.as_ref()))
        }
        (StatusCode::TOO_MANY_REQUESTS, _) => respond(busy(&relay, &parts.headers)),
        // Such as a version that the server does not speak: the client has to hear it.
        (status, Some(Media::Json)) if is_for_the_client(status) => {
            json(&relay, status, &parts.headers, body).await
        }
        (status, _) => respond(refused_by_server(&relay.exchange.gateway, status, relay.id.as_ref())),
    }
}

fn is_for_the_client(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        )
}

async fn json(relay: &Relay, status: StatusCode, headers: &HeaderMap, body: Incoming) -> Response<Body> {
    let gateway = &relay.exchange.gateway;
    let failed = |kind: &'static str, message: &str| {
        gateway.metrics.upstream_failed(kind);
        respond(answer::bad_gateway(relay.id.as_ref(), message))
    };
    let whole = Limited::new(body, ANSWER_BYTES_MAX).collect();
    let collected = tokio::time::timeout(gateway.client.answer_deadline(), whole).await;
    let bytes: Bytes = match collected {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return failed("too_large", "the server's answer is too large");
        }
        Ok(Err(_)) => return failed("broken", "the server's answer broke off"),
        Err(_) => return failed("timeout", "the server did not finish its answer in time"),
    };
    match inspect::answer(relay, &bytes, status == StatusCode::OK) {
        Ok(body) => {
            let mut answer =
                Answer { status, headers: HeaderMap::new(), body }.with(header::CONTENT_TYPE, JSON);
            if let Some(session) = sealed_session(relay, headers) {
                answer = answer.with(SESSION_HEADER, &session);
            }
            respond(answer)
        }
        Err(unfit) => {
            tracing::warn!(%unfit, "the server's answer cannot pass");
            failed("unfit", unfit.for_the_caller())
        }
    }
}

// Only `initialize` opens a session.
fn sealed_session(relay: &Relay, headers: &HeaderMap) -> Option<String> {
    if relay.method != Method::Initialize {
        return None;
    }
    let session = headers.get(SESSION_HEADER)?.to_str().ok()?;
    let Exchange { gateway, in_force, caller, .. } = &relay.exchange;
    gateway.seal.seal(&in_force.bundle.server.uid, caller.grant(), session)
}

fn busy(relay: &Relay, headers: &HeaderMap) -> Answer {
    relay.exchange.gateway.metrics.upstream_failed("busy");
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let seconds = seconds.unwrap_or(1).clamp(1, RETRY_AFTER_MAX);
    answer::unavailable(relay.id.as_ref(), "the server takes no more requests for now", seconds)
}

/// The answer when the server refuses the gateway, or answers what no MCP server should.
pub(crate) fn refused_by_server(gateway: &Gateway, status: StatusCode, id: Option<&Id>) -> Answer {
    let (kind, message) = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ("credentials", "the server does not accept the gateway's credential")
        }
        status if status.is_redirection() => ("redirect", "the server redirects, which is not followed"),
        status if status.is_server_error() => ("server_error", "the server failed"),
        _ => ("unfit", "the server did not answer with a message"),
    };
    tracing::warn!(kind, %status, "{message}");
    gateway.metrics.upstream_failed(kind);
    answer::bad_gateway(id, message)
}
