//! What belongs to a session of the older revisions and is no message: its own stream, and its end.

use hyper::header::{ACCEPT, HeaderMap};
use hyper::http::StatusCode;
use hyper::{Method as HttpMethod, Response};
use toolgate_policy::Passage;

use super::forward::{self, Exchange, Sent};
use super::{Body, Rejection, reject, respond};
use crate::metrics::Rejected;
use crate::relay::{self, Subscription};
use crate::wire::answer::{self, Answer};
use crate::wire::content::Accepted;
use crate::wire::era::{self, Era};

/// Opens the stream on which a server tells a session what changes.
pub(super) async fn listen(exchange: Exchange, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
    let (era, session) = session(&exchange, headers)?;
    if !headers.contains_key(ACCEPT) || !Accepted::of(headers).event_stream {
        return Err(reject(Rejected::Malformed, answer::not_acceptable(None)));
    }
    let gateway = exchange.gateway.clone();
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    let request = match forward::build(&exchange, HttpMethod::GET, Sent::Nothing(era), Some(&session)) {
        Ok(request) => request,
        Err(answer) => return Ok(respond(*answer)),
    };
    match gateway.client.send(permit, request).await {
        Ok(response) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            Ok(respond(answer::method_not_allowed("POST, DELETE")))
        }
        Ok(response) => Ok(relay::listen(exchange, era, Subscription::of_session(), session, response)),
        Err(failure) => Ok(respond(forward::failed(&gateway, failure, None))),
    }
}

/// Ends a session.
pub(super) async fn end(exchange: Exchange, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
    let (era, session) = session(&exchange, headers)?;
    let request = match forward::build(&exchange, HttpMethod::DELETE, Sent::Nothing(era), Some(&session)) {
        Ok(request) => request,
        Err(answer) => return Ok(respond(*answer)),
    };
    let gateway = &exchange.gateway;
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    let answer = match gateway.client.send(permit, request).await {
        Ok(response) => match response.status() {
            status if status.is_success() => Answer { status: StatusCode::NO_CONTENT, ..answer::accepted() },
            StatusCode::METHOD_NOT_ALLOWED => answer::method_not_allowed("POST"),
            StatusCode::NOT_FOUND => answer::unknown_session(None),
            status => relay::refused_by_server(gateway, status, None),
        },
        Err(failure) => forward::failed(gateway, failure, None),
    };
    Ok(respond(answer))
}

// Without a session there is nothing to listen to and nothing to end: in 2026-07-28 never.
fn session(exchange: &Exchange, headers: &HeaderMap) -> Result<(Era, String), Rejection> {
    let era = era::of_headers(headers)
        .map_err(|reason| reject(Rejected::Malformed, answer::disagreement(None, &reason)))?;
    match forward::session(exchange, headers, era, None)? {
        Some(session) => Ok((era, session)),
        None => Err(reject(Rejected::Endpoint, answer::method_not_allowed("POST"))),
    }
}
