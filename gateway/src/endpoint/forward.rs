//! To the server and back: the request is made anew from what was read, never copied.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::StatusCode;
use hyper::{Method as HttpMethod, Request, Response};
use toolgate_policy::{Caller, Credential, Passage, Permit};

use super::{Body, Rejection, reject, respond};
use crate::gateway::Gateway;
use crate::in_force::InForce;
use crate::metrics::Rejected;
use crate::relay::{self, Relay, Subscription};
use crate::upstream::Failure;
use crate::wire::answer::{self, Answer};
use crate::wire::content::JSON;
use crate::wire::era::{Agreed, Era};
use crate::wire::message::{Id, Message};
use crate::wire::method::{Method, mirrored_member};
use crate::wire::mirror;

/// The header that names a session.
pub const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// One caller's request under one law.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub gateway: Arc<Gateway>,
    pub in_force: Arc<InForce>,
    pub caller: Caller,
    /// What the caller showed, so that it can be looked at again while a stream is open.
    pub credential: Credential,
}

/// What a client sent, read.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub headers: &'a HeaderMap,
    pub message: &'a Message<'a>,
    pub agreed: &'a Agreed,
}

/// What goes to the server.
#[derive(Clone, Copy)]
pub(super) enum Sent<'a> {
    /// A message.
    Message(Outgoing<'a>),
    /// An answer of the gateway's own to a request of the server.
    Answer(&'a [u8], Era),
    /// No body, in the words of an era.
    Nothing(Era),
}

/// The server's own id of the session that a request belongs to, if it belongs to one.
///
/// # Errors
/// 404: it is not this caller's. Clients then begin a new one.
pub(super) fn session(
    exchange: &Exchange,
    headers: &HeaderMap,
    era: Era,
    id: Option<&Id>,
) -> Result<Option<String>, Rejection> {
    let mut values = headers.get_all(&SESSION_HEADER).iter();
    let (false, Some(value)) = (era.is_modern(), values.next()) else { return Ok(None) };
    let sealed = value.to_str().ok().filter(|_| values.next().is_none());
    let uid = &exchange.in_force.bundle.server.uid;
    let opened =
        sealed.and_then(|sealed| exchange.gateway.seal.open(uid, exchange.caller.grant(), sealed).ok());
    opened.map(Some).ok_or_else(|| reject(Rejected::Session, answer::unknown_session(id)))
}

/// Sends a request and brings its answer back.
pub(super) async fn request(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    id: Id,
    method: Method,
    permit: Permit,
) -> Result<Response<Body>, Rejection> {
    // `initialize` opens a session, so it belongs to none.
    let session = match method {
        Method::Initialize => None,
        _ => session(&exchange, outgoing.headers, outgoing.agreed.era, Some(&id))?,
    };
    with_session(exchange, outgoing, id, method, permit, session).await
}

/// Sends a request of a session that was looked at already, and brings its answer back.
pub(super) async fn with_session(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    id: Id,
    method: Method,
    permit: Permit,
    session: Option<String>,
) -> Result<Response<Body>, Rejection> {
    let (started, gateway) = (Instant::now(), exchange.gateway.clone());
    let request = match build(&exchange, HttpMethod::POST, Sent::Message(outgoing), session.as_deref()) {
        Ok(request) => request,
        Err(answer) => {
            permit.give_back(&mut gateway.counters());
            return Ok(respond(*answer));
        }
    };
    let response = match gateway.client.send(permit, request).await {
        Ok(response) => response,
        Err(failure) => return Ok(respond(failed(&gateway, failure, Some(&id)))),
    };
    if method == Method::ToolsCall {
        gateway.metrics.upstream_answered(started.elapsed());
    }
    let era = outgoing.agreed.era;
    Ok(relay::answer(
        Relay {
            subscription: Subscription::of_request(outgoing.message),
            exchange,
            era,
            id: Some(id),
            method,
            session,
        },
        response,
    )
    .await)
}

/// Answers a request of the server in the client's place, so that the server does not wait for ever.
pub(crate) async fn answer_server(exchange: Exchange, era: Era, session: Option<String>, answer: Vec<u8>) {
    let sent = Sent::Answer(&answer, era);
    let Ok(request) = build(&exchange, HttpMethod::POST, sent, session.as_deref()) else { return };
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    if let Err(failure) = exchange.gateway.client.send(permit, request).await {
        failed(&exchange.gateway, failure, None);
    }
}

/// Sends a notification, or a client's answer to a request of the server.
pub(super) async fn notification(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    permit: Permit,
) -> Result<Response<Body>, Rejection> {
    let session = session(&exchange, outgoing.headers, outgoing.agreed.era, None)?;
    let request = match build(&exchange, HttpMethod::POST, Sent::Message(outgoing), session.as_deref()) {
        Ok(request) => request,
        Err(answer) => return Ok(respond(*answer)),
    };
    let gateway = &exchange.gateway;
    let answer = match gateway.client.send(permit, request).await {
        Ok(response) if response.status().is_success() => answer::accepted(),
        Ok(response) if response.status() == StatusCode::NOT_FOUND && session.is_some() => {
            answer::unknown_session(None)
        }
        Ok(response) => relay::refused_by_server(gateway, response.status(), None),
        Err(failure) => failed(gateway, failure, None),
    };
    Ok(respond(answer))
}

// Only headers that are named here ever go to the server.
pub(super) fn build(
    exchange: &Exchange,
    method: HttpMethod,
    sent: Sent<'_>,
    session: Option<&str>,
) -> Result<Request<Full<Bytes>>, Box<Answer>> {
    let in_force = &exchange.in_force;
    let credentials = exchange.gateway.credentials.headers(&in_force.bundle.server.spec.upstream.headers);
    let mut headers = match &*credentials {
        Ok(headers) => headers.clone(),
        Err(error) => {
            tracing::error!("{error}");
            exchange.gateway.metrics.upstream_failed("credentials");
            let id = match sent {
                Sent::Message(outgoing) => outgoing.message.id(),
                Sent::Answer(..) | Sent::Nothing(_) => None,
            };
            return Err(Box::new(answer::bad_gateway(id, "the gateway has no credential for the server")));
        }
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(session) = session.and_then(|session| HeaderValue::from_str(session).ok()) {
        headers.insert(SESSION_HEADER, session);
    }
    let body = match sent {
        Sent::Message(outgoing) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            mirror_version(outgoing.agreed.era, &mut headers);
            mirror_message(outgoing, &mut headers);
            outgoing.message.to_bytes()
        }
        Sent::Answer(body, era) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            mirror_version(era, &mut headers);
            body.to_vec()
        }
        Sent::Nothing(era) => {
            mirror_version(era, &mut headers);
            Vec::new()
        }
    };
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = in_force.upstream.clone();
    *request.headers_mut() = headers;
    Ok(request)
}

fn mirror_version(era: Era, headers: &mut HeaderMap) {
    let version = match era {
        Era::Modern => Some(era.version()),
        Era::Session { version } => version,
    };
    if let Some(version) = version {
        headers.insert(mirror::PROTOCOL_VERSION, HeaderValue::from_static(version.name()));
    }
}

// What headers repeat of the body is written from the body.
fn mirror_message(outgoing: Outgoing<'_>, headers: &mut HeaderMap) {
    let (message, agreed) = (outgoing.message, outgoing.agreed);
    if !agreed.era.is_modern() {
        return;
    }
    if let Some(method) = message.method() {
        headers.insert(mirror::METHOD, encoded(method));
        let name = mirrored_member(method).and_then(|member| message.params()?.get(member)?.as_str());
        if let Some(name) = name {
            headers.insert(mirror::NAME, encoded(name));
        }
    }
    for parameter in &agreed.parameters {
        let name = format!("{}{}", mirror::PARAMETER_PREFIX, parameter.name);
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, encoded(&parameter.value));
        }
    }
}

// As it is where a header can hold it, else in base64 between the protocol's markers.
fn encoded(value: &str) -> HeaderValue {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !value.starts_with([' ', '='])
        && !value.ends_with(' ');
    let text = if plain { value.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(value)) };
    HeaderValue::from_str(&text).expect("visible ASCII and base64 are header values")
}

pub(super) fn failed(gateway: &Gateway, failure: Failure, id: Option<&Id>) -> Answer {
    let (kind, message, detail) = match failure {
        Failure::Unreachable(permit, detail) => {
            permit.give_back(&mut gateway.counters());
            ("unreachable", "the server cannot be reached", detail)
        }
        Failure::Broken(detail) => ("broken", "the connection to the server broke", detail),
        Failure::TimedOut => ("timeout", "the server did not answer in time", String::new()),
    };
    tracing::warn!(kind, detail, "{message}");
    gateway.metrics.upstream_failed(kind);
    answer::bad_gateway(id, message)
}
