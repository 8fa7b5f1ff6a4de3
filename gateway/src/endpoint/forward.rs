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

use super::presence::Presence;
use super::{Body, Rejection, reject, respond};
use crate::correlation::{Correlation, TRACEPARENT};
use crate::gateway::Gateway;
use crate::identity::Bearer;
use crate::in_force::InForce;
use crate::metrics::Rejected;
use crate::relay::{self, Binding, Relay, Subscription, Task};
use crate::session::{Kind, Owner};
use crate::slots::Slot;
use crate::tls::Peer;
use crate::tools_seen::Page;
use crate::traces::Note;
use crate::upstream::Failure;
use crate::wire::answer::{self, Answer};
use crate::wire::content::JSON;
use crate::wire::era::{Agreed, Era};
use crate::wire::message::{Id, Message};
use crate::wire::method::{Method, mirrored_member};
use crate::wire::mirror;

/// The header that names a session.
pub const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// The header that says from which event on a stream is resumed.
pub(super) const LAST_EVENT_HEADER: HeaderName = HeaderName::from_static("last-event-id");

/// One caller's request under one law.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub gateway: Arc<Gateway>,
    pub in_force: Arc<InForce>,
    pub caller: Caller,
    /// What the caller showed, so that it can be looked at again while a stream is open.
    pub credential: Credential,
    /// What ties everything together that is said of the request.
    pub correlation: Correlation,
    /// The token itself, if an issuer signed it: whether it still holds may have to be asked.
    pub bearer: Option<Bearer>,
    /// The certificate of the connection, if one was shown.
    pub peer: Option<Peer>,
    /// Its place among what goes on at a time, held for as long as anything is left of it.
    #[expect(dead_code, reason = "it is held, and freed with the last that is left of this")]
    pub slot: Option<Arc<Slot>>,
    /// What its trace will say.
    pub note: Note,
    /// Whether the client is still there, where its leaving cancels.
    pub presence: Presence,
}

impl Exchange {
    /// Whose an id of the server is that this caller gets.
    pub(crate) fn owner<'o>(&'o self, kind: Kind<'o>) -> Owner<'o> {
        Owner { server_uid: &self.in_force.bundle.server.uid, grant: self.caller.grant(), kind }
    }
}

/// What a client sent, read.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub headers: &'a HeaderMap,
    pub message: &'a Message<'a>,
    pub agreed: &'a Agreed,
    /// The task that it is about.
    pub task: Option<&'a Task>,
}

/// What goes to the server.
#[derive(Clone, Copy)]
pub(super) enum Sent<'a> {
    /// A message, and its text.
    Message(Outgoing<'a>, &'a Bytes),
    /// An answer of the gateway's own to a request of the server.
    Answer(&'a [u8], Era),
    /// No body, in the words of an era; and from which event of the server on a stream is resumed.
    Nothing(Era, Option<&'a HeaderValue>),
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
    let opened =
        sealed.and_then(|sealed| exchange.gateway.seal.open(exchange.owner(Kind::Session), sealed).ok());
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
    let nobody = || reject(Rejected::Unavailable, answer::broken());
    // Who left while it was decided hears nothing any more, so the server is not asked.
    if exchange.presence.has_left() {
        exchange.gateway.counters.give_back(&exchange.in_force, permit);
        return Err(nobody());
    }
    let left = exchange.presence.clone().left();
    tokio::select! {
        biased;
        () = left => Err(nobody()),
        answered = there_and_back(exchange, outgoing, id, method, permit, session) => answered,
    }
}

async fn there_and_back(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    id: Id,
    method: Method,
    permit: Permit,
    session: Option<String>,
) -> Result<Response<Body>, Rejection> {
    let (started, gateway) = (Instant::now(), exchange.gateway.clone());
    let sent = Bytes::from(outgoing.message.to_bytes());
    let message = Sent::Message(outgoing, &sent);
    let request = match build(&exchange, HttpMethod::POST, message, session.as_deref()) {
        Ok(request) => request,
        Err(answer) => {
            gateway.counters.give_back(&exchange.in_force, permit);
            return Ok(respond(*answer));
        }
    };
    let reached = gateway.client.send(permit, request).await;
    let error = reached.as_ref().err().map(Failure::kind);
    exchange.note.upstream(&exchange.in_force.upstream, started.elapsed(), error);
    let response = match reached {
        Ok(response) => response,
        Err(failure) => return Ok(respond(failed(&exchange, failure, Some(&id)))),
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
            binding: Binding::of(method, outgoing.task, outgoing.message, sent),
            page: page(outgoing.message),
        },
        response,
    )
    .await)
}

// Of a list.
fn page(message: &Message<'_>) -> Page {
    let cursor = message.params().and_then(|params| params.get("cursor")?.as_str());
    cursor.map_or(Page::First, |cursor| Page::After(cursor.to_owned()))
}

/// Answers a request of the server in the client's place, so that the server does not wait for ever.
pub(crate) async fn answer_server(exchange: Exchange, era: Era, session: Option<String>, answer: Vec<u8>) {
    let sent = Sent::Answer(&answer, era);
    let Ok(request) = build(&exchange, HttpMethod::POST, sent, session.as_deref()) else { return };
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    if let Err(failure) = exchange.gateway.client.send(permit, request).await {
        failed(&exchange, failure, None);
    }
}

/// Sends a notification, or a client's answer to a request of the server.
pub(super) async fn notification(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    permit: Permit,
) -> Result<Response<Body>, Rejection> {
    let session = session(&exchange, outgoing.headers, outgoing.agreed.era, None)?;
    let sent = Bytes::from(outgoing.message.to_bytes());
    let message = Sent::Message(outgoing, &sent);
    let request = match build(&exchange, HttpMethod::POST, message, session.as_deref()) {
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
        Err(failure) => failed(&exchange, failure, None),
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
            return Err(Box::new(unprepared(exchange, sent, error, "has no credential for the server")));
        }
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(TRACEPARENT, exchange.correlation.traceparent(exchange.gateway.traces.are_on()));
    if let Some(session) = session.and_then(|session| HeaderValue::from_str(session).ok()) {
        headers.insert(SESSION_HEADER, session);
    }
    let body = match sent {
        Sent::Message(outgoing, text) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            mirror_version(outgoing.agreed.era, &mut headers);
            mirror_message(outgoing, &mut headers);
            text.clone()
        }
        Sent::Answer(body, era) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            mirror_version(era, &mut headers);
            Bytes::copy_from_slice(body)
        }
        Sent::Nothing(era, event) => {
            mirror_version(era, &mut headers);
            if let Some(event) = event {
                headers.insert(LAST_EVENT_HEADER, event.clone());
            }
            Bytes::new()
        }
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = in_force.upstream.clone();
    *request.headers_mut() = headers;
    let (gateway, upstream) = (&exchange.gateway, &in_force.bundle.server.spec.upstream);
    gateway
        .client
        .trusting(request, upstream, &gateway.credentials)
        .map_err(|error| Box::new(unprepared(exchange, sent, &error, "cannot know the server")))
}

fn unprepared(exchange: &Exchange, sent: Sent<'_>, error: &dyn std::error::Error, words: &str) -> Answer {
    tracing::error!("{error}");
    exchange.gateway.metrics.upstream_failed("credentials");
    let id = match sent {
        Sent::Message(outgoing, _) => outgoing.message.id(),
        Sent::Answer(..) | Sent::Nothing(..) => None,
    };
    answer::bad_gateway(id, &format!("the gateway {words}"))
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

pub(super) fn failed(exchange: &Exchange, failure: Failure, id: Option<&Id>) -> Answer {
    let gateway = &exchange.gateway;
    let kind = failure.kind();
    let (message, detail) = match failure {
        Failure::Unreachable(permit, detail) => {
            gateway.counters.give_back(&exchange.in_force, permit);
            ("the server cannot be reached", detail)
        }
        Failure::Broken(detail) => ("the connection to the server broke", detail),
        Failure::TimedOut => ("the server did not answer in time", String::new()),
    };
    tracing::warn!(kind, detail, "{message}");
    gateway.metrics.upstream_failed(kind);
    answer::bad_gateway(id, message)
}
