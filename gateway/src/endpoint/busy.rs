//! What is refused because too much goes on already: with 429 where it is the grant's own doing, else with 503.

use std::sync::Arc;

use hyper::Method;
use hyper::body::Incoming;
use hyper::header;
use hyper::http::StatusCode;
use hyper::http::request::Parts;
use serde_json::json;

use super::forward::Exchange;
use super::{Rejection, body, reject};
use crate::metrics::Rejected;
use crate::slots::{Full, Kind};
use crate::wire::answer;
use crate::wire::message::{Id, Message};

/// The largest body that is read only to say by its id which request is refused, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;
/// When it is worth trying again, in seconds. Nobody knows when something ends.
const RETRY_AFTER: u64 = 1;

/// The same exchange with a slot.
///
/// # Errors
/// There are as many already as there may be.
pub(super) fn working(exchange: Exchange) -> Result<Exchange, Full> {
    with_slot(exchange, Kind::Request)
}

/// The same exchange as a stream that tells of changes: such streams have a cap of their own, and hold no request's slot.
///
/// # Errors
/// There are as many already as there may be.
pub(super) fn streaming(exchange: Exchange, id: Option<&Id>) -> Result<Exchange, Rejection> {
    with_slot(exchange, Kind::Stream).map_err(|full| refused(full, id))
}

/// The refusal of a request whose body was not read yet. One that costs next to nothing is, so that its sender hears
/// which request it was.
pub(super) async fn refused_unread(full: Full, parts: &Parts, body: Incoming) -> Rejection {
    let length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let small = length.is_some_and(|length: usize| length <= READ_BYTES_MAX);
    if parts.method != Method::POST || !small || parts.headers.contains_key(header::EXPECT) {
        return refused(full, None);
    }
    match body::read(body, &parts.headers).await {
        Ok(bytes) => refused(full, Message::parse(&bytes).ok().as_ref().and_then(Message::id)),
        Err(rejection) => rejection,
    }
}

/// Nothing that is asked of the server, but calls that hear of it when they are judged.
///
/// # Errors
/// The server is left alone, because it said that it is called too often.
pub(super) fn left_alone(exchange: &Exchange, id: &Id) -> Result<(), Rejection> {
    let gateway = &exchange.gateway;
    let Some(left) = gateway.counters.paused(&gateway.clock) else { return Ok(()) };
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let text = "the server takes no more requests for now";
    Err(reject(Rejected::ServerBusy, answer::unavailable(Some(id), text, seconds)))
}

fn with_slot(exchange: Exchange, kind: Kind) -> Result<Exchange, Full> {
    let concurrency = exchange.in_force.bundle.server.spec.concurrency();
    let slot = exchange.gateway.slots.take(kind, exchange.caller.grant(), &concurrency)?;
    Ok(Exchange { slot: Some(Arc::new(slot)), ..exchange })
}

fn refused(full: Full, id: Option<&Id>) -> Rejection {
    let (status, reason, whose) = if full.of_grant {
        (StatusCode::TOO_MANY_REQUESTS, Rejected::GrantBusy, "grant")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Rejected::ServerBusy, "server")
    };
    let kind = full.kind.as_str();
    let text = format!("the {whose} has {} {kind} open, as many as it may", full.max);
    let verdict = json!({
        "outcome": "limited",
        "reason": text,
        "limit": {"concurrency": kind, "scope": whose, "max": full.max},
        "retryAfterSeconds": RETRY_AFTER,
    });
    reject(reason, answer::busy(status, id, &text, &verdict, RETRY_AFTER))
}
