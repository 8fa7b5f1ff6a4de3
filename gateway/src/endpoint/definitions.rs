//! Asks the server how it defines its tools, where a policy agrees to some definitions only.
//!
//! It is asked in the session and the revision of the caller whose call waits for it, and with nothing else of his. Nothing
//! of the answer reaches him. A server that does not answer is a failure of the server's, and no verdict.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::http::StatusCode;
use hyper::{Method as HttpMethod, Response};
use toolgate_policy::json::{Json, Object};
use toolgate_policy::{Definition, Passage};

use super::forward::{self, Exchange, Outgoing, Sent};
use super::{Rejection, reject};
use crate::definitions::{Listed, Seen, read};
use crate::metrics::Rejected;
use crate::relay::{ANSWER_BYTES_MAX, refused_by_server};
use crate::upstream::Reply;
use crate::wire::answer::{self, Answer};
use crate::wire::content::Media;
use crate::wire::era::{Agreed, Era};
use crate::wire::message::{CLIENT_CAPABILITIES_KEY, Id, Message, PROTOCOL_VERSION_KEY, Request};
use crate::wire::method::ListKind;
use crate::wire::sse::{Decoder, Frame};
use crate::wire::upstream_message::UpstreamMessage;

/// How long a call waits for the server's list of tools, all pages together.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many pages the list may have; of a longer one nothing is known.
const PAGES_MAX: usize = 32;
/// What a caller hears of a server that does not list its tools.
const SILENT: &str = "the server does not say how it defines its tools";

/// How the server defines a tool, if a policy that binds the caller wants to know.
///
/// # Errors
/// The server could not be asked, and without it the call cannot be decided.
pub(super) async fn of(
    exchange: &Exchange,
    outgoing: Outgoing<'_>,
    session: Option<&str>,
    (id, tool): (&Id, &str),
) -> Result<Option<Definition>, Rejection> {
    let Exchange { gateway, in_force, caller, .. } = exchange;
    let law = &in_force.law;
    if !law.wants_definition(caller, tool) {
        return Ok(None);
    }
    let definitions = &gateway.definitions;
    definitions.about(&in_force.bundle.server.uid, &in_force.upstream);
    let version = outgoing.agreed.era.version();
    let known = || definitions.of(law, version, tool);
    if known().is_none() {
        let late = || Err(Box::new(answer::bad_gateway(Some(id), SILENT)));
        let asked = if let Some(wait) = gateway.counters.paused(&gateway.clock) {
            Err(Box::new(answer::unavailable(Some(id), SILENT, wait.as_secs() + 1)))
        } else {
            // Seldom, and large: every call would carry its room along.
            let asking = Box::pin(learn(exchange, outgoing, session, (id, tool)));
            tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| late())
        };
        match asked {
            // A policy that only watches is no reason to refuse.
            Err(answer) if law.decides_by_definition(caller, tool) => {
                tracing::warn!(tool, "{SILENT}");
                return Err(reject(Rejected::Unavailable, *answer));
            }
            _ => {}
        }
    }
    Ok(known().and_then(Seen::definition))
}

/// Asks the server, if nobody was faster.
async fn learn(
    exchange: &Exchange,
    outgoing: Outgoing<'_>,
    session: Option<&str>,
    (id, tool): (&Id, &str),
) -> Result<(), Box<Answer>> {
    let (definitions, law) = (&exchange.gateway.definitions, &exchange.in_force.law);
    let version = outgoing.agreed.era.version();
    let _alone = definitions.asking.lock().await;
    if definitions.of(law, version, tool).is_none() {
        let listed = pages(exchange, outgoing, session, id).await?;
        definitions.learn(law, version, listed);
    }
    Ok(())
}

async fn pages(
    exchange: &Exchange,
    outgoing: Outgoing<'_>,
    session: Option<&str>,
    of: &Id,
) -> Result<Listed, Box<Answer>> {
    let (mut listed, mut cursor, era) = (Listed::new(), None, outgoing.agreed.era);
    for number in 1..=PAGES_MAX {
        let id = Id::String(format!("toolgate-{}-{number}", exchange.correlation.request));
        let message = Message::Request(Request {
            id: id.clone(),
            method: Cow::Borrowed("tools/list"),
            params: params(era, cursor),
        });
        let agreed = Agreed { era, parameters: Vec::new() };
        let asked = Outgoing { message: &message, agreed: &agreed, ..outgoing };
        let text = Bytes::from(message.to_bytes());
        let request = forward::build(exchange, HttpMethod::POST, Sent::Message(asked, &text), session)?;
        let permit = exchange.in_force.law.pass(&exchange.caller, Passage::List);
        let answered = exchange.gateway.client.send(permit, request).await;
        let response = answered.map_err(|failure| Box::new(forward::failed(exchange, failure, Some(of))))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if session.is_some() => {
                return Err(Box::new(answer::unknown_session(Some(of))));
            }
            status => return Err(Box::new(refused_by_server(&exchange.gateway, status, Some(of)))),
        }
        let next = page(exchange, era, &id, response, &mut listed).await;
        match next.ok_or_else(|| Box::new(answer::bad_gateway(Some(of), SILENT)))? {
            Next::Page(next) => cursor = Some(next),
            Next::None => return Ok(listed),
        }
    }
    Err(Box::new(answer::bad_gateway(Some(of), SILENT)))
}

// As little as the revision wants.
fn params(era: Era, cursor: Option<String>) -> Option<Object<'static>> {
    let mut params = Object::new();
    if era.is_modern() {
        let mut meta = Object::new();
        meta.set(PROTOCOL_VERSION_KEY, Json::String(era.version().name().into()));
        meta.set(CLIENT_CAPABILITIES_KEY, Json::Object(Object::new()));
        params.set("_meta", Json::Object(meta));
    }
    if let Some(cursor) = cursor {
        params.set("cursor", Json::String(cursor.into()));
    }
    (!params.is_empty()).then_some(params)
}

// What comes after a page.
enum Next {
    Page(String),
    None,
}

// What comes after this page. None: it is no page.
async fn page(
    exchange: &Exchange,
    era: Era,
    id: &Id,
    response: Response<Reply>,
    listed: &mut Listed,
) -> Option<Next> {
    let (parts, body) = response.into_parts();
    let mut body = Limited::new(body, ANSWER_BYTES_MAX);
    match Media::of_answer(&parts.headers)? {
        Media::Json => {
            let whole = body.collect().await.ok()?.to_bytes();
            learned(exchange, era, id, &whole, listed)
        }
        Media::EventStream => {
            let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
            loop {
                let piece = body.frame().await?.ok()?.into_data().unwrap_or_default();
                decoder.push(&piece, &mut frames).ok()?;
                for frame in frames.drain(..) {
                    let Frame::Event(event) = frame else { continue };
                    let data = event.data.unwrap_or_default();
                    let answer = learned(exchange, era, id, data.as_bytes(), listed);
                    if answer.is_some() {
                        return answer;
                    }
                }
            }
        }
    }
}

fn learned(exchange: &Exchange, era: Era, id: &Id, bytes: &[u8], listed: &mut Listed) -> Option<Next> {
    let message = UpstreamMessage::parse(bytes, era).ok()?;
    let result = message.result().filter(|_| message.answers() == Some(id))?;
    read(&exchange.in_force.law, message.entries(ListKind::Tools), listed);
    let cursor = result.get("nextCursor").and_then(Json::as_str);
    Some(cursor.map_or(Next::None, |cursor| Next::Page(cursor.to_owned())))
}
