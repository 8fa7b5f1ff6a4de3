//! The way back: what the server answers, looked at message by message.
//!
//! A JSON answer is one message. A stream is passed on event by event as it comes. Lists lose what the caller may not
//! know of, whatever they come as; what cannot be read does not pass.

mod bind;
mod inspect;
mod renew;
mod resume;
mod stream;
mod subscription;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header;
use hyper::http::StatusCode;
use hyper::{HeaderMap, Response};
use toolgate_policy::PAUSE_MAX;

use crate::endpoint::Exchange;
use crate::endpoint::{Body, SESSION_HEADER, respond};
use crate::gateway::Gateway;
use crate::session::Kind;
use crate::tools_seen::Page;
use crate::upstream::Reply;
use crate::wire::answer::{self, Answer};
use crate::wire::content::{JSON, Media};
use crate::wire::era::Era;
use crate::wire::message::Id;
use crate::wire::method::Method;

pub(crate) use bind::{Binding, RELATED_TASK, Task, read_task_text};
pub(crate) use resume::Origin;
pub(crate) use stream::answered;
pub(crate) use subscription::Subscription;

/// The largest answer that is one JSON message, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// What ids of the server in the answer are bound to.
    pub binding: Binding,
    /// Which page of a list it asks for.
    pub page: Page,
}

/// Passes on the stream on which a server tells a session what changes.
pub(crate) async fn listen(
    exchange: Exchange,
    era: Era,
    subscription: Subscription,
    session: String,
    response: Response<Reply>,
) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let (id, method, subscription) = (None, Method::Listen, Some(subscription));
    let (session, binding) = (Some(session), Binding::None);
    let page = Page::Unknown;
    let relay = Relay { exchange, era, id, method, subscription, session, binding, page };
    match (parts.status, Media::of_answer(&parts.headers)) {
        (StatusCode::OK, Some(Media::EventStream)) => stream::respond(relay, &parts.headers, body, true),
        (StatusCode::NOT_FOUND, _) => respond(answer::unknown_session(None)),
        // Such as that there is a stream already.
        (status, Some(Media::Json)) if is_for_the_client(status) => {
            json(&relay, status, &parts.headers, body).await
        }
        (status, _) => respond(refused_by_server(&relay.exchange.gateway, status, None)),
    }
}

/// Passes on the rest of the stream that answers a request.
pub(crate) async fn resumed(relay: Relay, response: Response<Reply>) -> Response<Body> {
    let stream = Media::of_answer(response.headers()) == Some(Media::EventStream);
    if response.status() != StatusCode::OK || !stream {
        return answer(relay, response).await;
    }
    let (parts, body) = response.into_parts();
    stream::respond(relay, &parts.headers, body, true)
}

/// Reads the answer to a request and passes on what may pass.
pub(crate) async fn answer(relay: Relay, response: Response<Reply>) -> Response<Body> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    match (status, Media::of_answer(&parts.headers)) {
        (StatusCode::OK, Some(Media::EventStream)) => stream::respond(relay, &parts.headers, body, false),
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

async fn json(relay: &Relay, status: StatusCode, headers: &HeaderMap, body: Reply) -> Response<Body> {
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
    relay.exchange.gateway.seal.seal(relay.exchange.owner(Kind::Session), session)
}

// The server said that it is called too often: it is left alone.
fn pause(relay: &Relay, length: Duration) {
    let Exchange { gateway, in_force, .. } = &relay.exchange;
    tracing::warn!(seconds = length.as_secs(), "the server is called too often, and is left alone");
    gateway.counters.pause(in_force, &gateway.clock, length);
}

fn busy(relay: &Relay, headers: &HeaderMap) -> Answer {
    relay.exchange.gateway.metrics.upstream_failed("busy");
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let seconds = seconds.unwrap_or(1).clamp(1, PAUSE_MAX.as_secs());
    // What charges nothing can be asked for without end: it must not be what keeps everybody's calls out.
    if relay.method.is_judged() {
        pause(relay, Duration::from_secs(seconds));
    }
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
