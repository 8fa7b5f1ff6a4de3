//! What belongs to a session of the older revisions and is no message: its own stream, and its end.

use hyper::header::{ACCEPT, HeaderMap};
use hyper::http::StatusCode;
use hyper::{Method as HttpMethod, Response};
use toolgate_policy::Passage;

use super::forward::{self, Exchange, LAST_EVENT_HEADER, Sent};
use super::{Body, Rejection, busy, decide, refusal, reject, respond};
use crate::metrics::Rejected;
use crate::relay::{self, Origin, Relay, Subscription};
use crate::session::Kind;
use crate::tools_seen::Page;
use crate::wire::answer::{self, Answer};
use crate::wire::content::Accepted;
use crate::wire::era::{self, Era};
use crate::wire::method::Method;

/// Opens the stream on which a server tells a session what changes.
pub(super) async fn listen(exchange: Exchange, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
    let (era, session) = session(&exchange, headers)?;
    if !headers.contains_key(ACCEPT) || !Accepted::of(headers).event_stream {
        return Err(reject(Rejected::Malformed, answer::not_acceptable(None)));
    }
    let origin = origin(&exchange, headers, era, &session)?;
    // What was let through when it was asked for may be refused when its answer is fetched.
    if let Some((id, _, binding)) = origin.as_ref().and_then(|origin| origin.request.as_ref())
        && let Some(subject) = binding.subject()
        && let Err(refusal) = decide::speak(&exchange, era, Method::Listen, subject.target, &subject.name)
    {
        return Ok(relay::answered(refusal::of_request(id, &refusal, &exchange.correlation)));
    }
    let exchange = busy::streaming(exchange, None)?;
    let gateway = exchange.gateway.clone();
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    let nothing = Sent::Nothing(era, origin.as_ref().map(|origin| &origin.event));
    let request = match forward::build(&exchange, HttpMethod::GET, nothing, Some(&session)) {
        Ok(request) => request,
        Err(answer) => return Ok(respond(*answer)),
    };
    let answered = origin.and_then(|origin| origin.request);
    match gateway.client.send(permit, request).await {
        Ok(response) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            Ok(respond(answer::method_not_allowed("POST, DELETE")))
        }
        Ok(response) => match answered {
            Some((id, method, binding)) => {
                let (id, session, subscription) = (Some(id), Some(session), None);
                let page = Page::Unknown;
                let relay = Relay { exchange, era, id, method, subscription, session, binding, page };
                Ok(relay::resumed(relay, response).await)
            }
            None => Ok(relay::listen(exchange, era, Subscription::of_session(), session, response).await),
        },
        Err(failure) => Ok(respond(forward::failed(&exchange, failure, None))),
    }
}

/// Ends a session.
pub(super) async fn end(exchange: Exchange, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
    let (era, session) = session(&exchange, headers)?;
    let request =
        match forward::build(&exchange, HttpMethod::DELETE, Sent::Nothing(era, None), Some(&session)) {
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
        Err(failure) => forward::failed(&exchange, failure, None),
    };
    Ok(respond(answer))
}

// From where a stream is resumed. Only an event that this caller got in this session is known.
fn origin(
    exchange: &Exchange,
    headers: &HeaderMap,
    era: Era,
    session: &str,
) -> Result<Option<Origin>, Rejection> {
    let mut values = headers.get_all(&LAST_EVENT_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let shown = value.to_str().ok().filter(|_| values.next().is_none());
    let owner = exchange.owner(Kind::Event(session));
    let text = shown.and_then(|shown| exchange.gateway.seal.open(owner, shown).ok());
    let origin = text.and_then(|text| Origin::read(&text, era));
    origin.map(Some).ok_or_else(|| reject(Rejected::Session, answer::unknown_event()))
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
