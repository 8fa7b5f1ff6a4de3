//! The way of one request: what is refused before a tool is known, who calls, and what it asks for.
//!
//! The order is by cost and by trust: path, method and origin, then the caller, and only then the body.

mod authenticate;
mod body;
mod bound;
mod busy;
mod decide;
mod definitions;
mod forward;
mod metadata;
mod presence;
mod record;
mod refusal;
mod session;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};

use authenticate::Known;
use presence::{Carried, Panicked, Presence};

use crate::audit::line::Who;
use crate::correlation::{Correlation, REQUEST_ID};
use crate::gateway::Gateway;
use crate::metrics::Rejected;
use crate::tls::Peer;
use crate::traces::Note;
use crate::wire::answer::{self, Answer};
use crate::wire::content::{self, Accepted};
use crate::wire::era::{self, Era};
use crate::wire::message::Message;

pub use body::BODY_BYTES_MAX;
pub use forward::SESSION_HEADER;
pub(crate) use forward::{Exchange, answer_server};
pub(crate) use refusal::POLICY_DENIED;

/// The one path that is served.
pub const PATH: &str = "/mcp";

/// What goes back to a client.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request that is refused before it is known what it asks for.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub reason: Rejected,
    pub answer: Box<Answer>,
    /// Why exactly, where the caller is not told.
    pub detail: Option<&'static str>,
    /// Who sent it, as soon as that is known.
    pub who: Option<Who>,
}

/// Serves one request. Whatever it is, there is one answer.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<Body> {
    let leaves_http = request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE);
    let correlation = gateway.ids.next(request.headers());
    let note = gateway.traces.begin(correlation);
    let mut response = match handle(&gateway, request, correlation, note.clone()).await {
        Ok(response) => response,
        Err(rejection) => {
            record::rejection(&gateway, correlation, &rejection);
            note.rejected(rejection.reason.as_str());
            respond(*rejection.answer)
        }
    };
    gateway.traces.end(&note);
    response.headers_mut().insert(REQUEST_ID, correlation.request_id());
    // HTTP is not left. But whoever stands in front may take what follows for no HTTP, and look at none of it.
    // A caller that stays on its connection would lose the request that it sends just as this gateway ends.
    if leaves_http || gateway.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn handle(
    gateway: &Arc<Gateway>,
    request: Request<Incoming>,
    correlation: Correlation,
    note: Note,
) -> Result<Response<Body>, Rejection> {
    let (parts, body) = request.into_parts();
    if metadata::is_asked(&parts) {
        check_origin(gateway, &parts)?;
        return Ok(respond(metadata::answer(gateway)));
    }
    check_host(&parts)?;
    check_target(&parts)?;
    check_origin(gateway, &parts)?;
    let in_force = gateway.holder.current().ok_or_else(nothing_in_force)?;
    let peer = parts.extensions.get::<Peer>().cloned();
    let Known { caller, credential, bearer } =
        authenticate::caller(gateway, &in_force.law, &parts.headers, peer.as_ref()).await?;
    let gateway = gateway.clone();
    let (slot, presence) = (None, Presence::default());
    let exchange =
        Exchange { gateway, in_force, caller, credential, correlation, bearer, peer, slot, note, presence };
    exchange.note.known(&exchange.in_force, exchange.caller.grant());
    let who = record::who(&exchange);
    let answered = answer(exchange, parts, body).await;
    answered.map_err(|rejection| Rejection { who: Some(who), ..rejection })
}

// What a known caller sends.
async fn answer(exchange: Exchange, parts: Parts, body: Incoming) -> Result<Response<Body>, Rejection> {
    let exchange = match busy::working(exchange) {
        Ok(exchange) => exchange,
        Err(full) => return Err(Box::pin(busy::refused_unread(full, &parts, body)).await),
    };
    match parts.method {
        // What is seldom asked for is not moved about with every request.
        Method::DELETE => return Box::pin(session::end(exchange, &parts.headers)).await,
        Method::GET => return Box::pin(session::listen(exchange, &parts.headers)).await,
        _ => {}
    }
    content::check_request(&parts.headers)
        .map_err(|reason| reject(Rejected::Body, answer::unsupported_media_type(reason)))?;
    let bytes = body::read(body, &parts.headers).await?;
    // This future is dropped with the client's connection, and what was charged must be recorded. In 2026-07-28 the client
    // cancels by going away, and the work hears of it. Before it, going away is no cancellation: what was asked for is
    // asked to the end.
    let cancels = era::of_headers(&parts.headers) == Ok(Era::Modern);
    let presence = if cancels { Presence::cancelling() } else { Presence::default() };
    let exchange = Exchange { presence: presence.clone(), ..exchange };
    let asked = Carried::new(presence, async move { post(exchange, &parts, &bytes).await });
    asked.await.unwrap_or_else(|Panicked| Err(reject(Rejected::Unavailable, answer::broken())))
}

async fn post(mut exchange: Exchange, parts: &Parts, bytes: &[u8]) -> Result<Response<Body>, Rejection> {
    let message = Message::parse(bytes)
        .map_err(|malformed| reject(Rejected::Malformed, answer::malformed(&malformed)))?;
    exchange.correlation = exchange.correlation.in_message(message.params());
    let agreed = era::agree(&parts.headers, &message)
        .map_err(|reason| reject(Rejected::Malformed, answer::disagreement(message.id(), &reason)))?;
    if agreed.era == Era::Modern && !Accepted::of(&parts.headers).both() {
        return Err(reject(Rejected::Malformed, answer::not_acceptable(message.id())));
    }
    decide::message(exchange, &parts.headers, &message, &agreed).await
}

// Two hosts are two requests to whoever routes by one of them. HTTP/1.0 knew none.
fn check_host(parts: &Parts) -> Result<(), Rejection> {
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    let one = hosts == 1 || (hosts == 0 && parts.version == Version::HTTP_10);
    if one { Ok(()) } else { Err(reject(Rejected::Endpoint, answer::bad_host())) }
}

// Compared as it came: a path that only looks the same after decoding is another one.
fn check_target(parts: &Parts) -> Result<(), Rejection> {
    let exact = parts.uri.path() == PATH && parts.uri.query().is_none() && parts.uri.authority().is_none();
    if !exact {
        return Err(reject(Rejected::Endpoint, answer::not_found()));
    }
    match parts.method {
        Method::POST | Method::GET | Method::DELETE => Ok(()),
        _ => Err(reject(Rejected::Endpoint, answer::method_not_allowed("POST, GET, DELETE"))),
    }
}

// A browser always says where its page is from. Who says nothing is no browser.
fn check_origin(gateway: &Gateway, parts: &Parts) -> Result<(), Rejection> {
    let allowed = |value: &HeaderValue| {
        gateway.allowed_origins.iter().any(|origin| origin.as_bytes() == value.as_bytes())
    };
    if parts.headers.get_all(header::ORIGIN).iter().all(allowed) {
        return Ok(());
    }
    Err(reject(Rejected::Origin, answer::foreign_origin()))
}

fn nothing_in_force() -> Rejection {
    reject(Rejected::Unavailable, answer::unavailable(None, "no policy is in force yet", 1))
}

pub(crate) fn reject(reason: Rejected, answer: Answer) -> Rejection {
    Rejection { reason, answer: Box::new(answer), detail: None, who: None }
}

/// An answer of the gateway's own as a response.
pub(crate) fn respond(answer: Answer) -> Response<Body> {
    let body = Full::new(Bytes::from(answer.body)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
