//! Asks the server how it defines a tool, where a policy agrees to some definitions only and nobody listed it yet.
//!
//! It is asked as the caller whose call waits for it: in his session, in his revision. Nothing of the answer reaches him.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::http::StatusCode;
use hyper::{Method as HttpMethod, Response};
use toolgate_policy::json::{Json, Object};
use toolgate_policy::{Definition, Passage};

use super::forward::{self, Exchange, Outgoing, Sent};
use crate::relay::ANSWER_BYTES_MAX;
use crate::upstream::Reply;
use crate::wire::content::Media;
use crate::wire::era::{Agreed, Era};
use crate::wire::message::{Id, Message, Request};
use crate::wire::method::ListKind;
use crate::wire::sse::{Decoder, Frame};
use crate::wire::upstream_message::UpstreamMessage;

/// How long the server may take to list its tools, all pages together.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many pages of its list are asked for.
const PAGES_MAX: usize = 32;

/// How the server defines a tool, if any policy wants to know.
pub(super) async fn of(
    exchange: &Exchange,
    outgoing: Outgoing<'_>,
    session: Option<&str>,
    tool: &str,
) -> Option<Definition> {
    let Exchange { gateway, in_force, caller, .. } = exchange;
    if !in_force.law.pins(tool) {
        return None;
    }
    let version = outgoing.agreed.era.version();
    let known = || gateway.definitions.of(version, tool);
    let is_needed = || in_force.law.misses_definition(caller, tool, known());
    if is_needed() {
        let pages = async {
            if tokio::time::timeout(DEADLINE, pages(exchange, outgoing, session, tool)).await.is_err() {
                tracing::warn!(tool, "the server did not list its tools in time");
            }
        };
        gateway.definitions.ask(version, tool, is_needed, pages).await;
    }
    known()
}

// Until the tool is found.
async fn pages(exchange: &Exchange, outgoing: Outgoing<'_>, session: Option<&str>, tool: &str) {
    let (mut cursor, era) = (None, outgoing.agreed.era);
    for _ in 0..PAGES_MAX {
        let id = Id::String(format!("toolgate-{}", exchange.correlation.request));
        let message = Message::Request(Request {
            id: id.clone(),
            method: Cow::Borrowed("tools/list"),
            params: params(outgoing.message, cursor),
        });
        let agreed = Agreed { era, parameters: Vec::new() };
        let asked = Outgoing { message: &message, agreed: &agreed, ..outgoing };
        let text = Bytes::from(message.to_bytes());
        let sent = Sent::Message(asked, &text);
        let Ok(request) = forward::build(exchange, HttpMethod::POST, sent, session) else { return };
        let permit = exchange.in_force.law.pass(&exchange.caller, Passage::List);
        let response = match exchange.gateway.client.send(permit, request).await {
            Ok(response) => response,
            Err(failure) => {
                forward::failed(exchange, failure, None);
                return;
            }
        };
        match page(exchange, era, &id, response, tool).await {
            Some(Page::After(next)) => cursor = Some(next),
            Some(Page::Last) => return,
            None => {
                tracing::warn!(tool, "the server's list of tools cannot be read");
                return;
            }
        }
    }
}

// What goes on after a page.
enum Page {
    After(String),
    Last,
}

// What a request of 2026-07-28 has to say of its client, as the caller said it.
fn params(of: &Message<'_>, cursor: Option<String>) -> Option<Object<'static>> {
    let mut params = Object::new();
    let meta = of.params().and_then(|params| params.get("_meta")?.as_object());
    if let Some(mut meta) = meta.cloned().map(Object::into_owned) {
        meta.remove("progressToken");
        params.set("_meta", Json::Object(meta));
    }
    if let Some(cursor) = cursor {
        params.set("cursor", Json::String(cursor.into()));
    }
    (!params.is_empty()).then_some(params)
}

async fn page(exchange: &Exchange, era: Era, id: &Id, response: Response<Reply>, tool: &str) -> Option<Page> {
    let (parts, body) = response.into_parts();
    let mut body = Limited::new(body, ANSWER_BYTES_MAX);
    match (parts.status, Media::of_answer(&parts.headers)) {
        (StatusCode::OK, Some(Media::Json)) => {
            let whole = body.collect().await.ok()?.to_bytes();
            learned(exchange, era, id, &whole, tool)
        }
        (StatusCode::OK, Some(Media::EventStream)) => {
            let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
            loop {
                let piece = body.frame().await?.ok()?.into_data().unwrap_or_default();
                decoder.push(&piece, &mut frames).ok()?;
                let events = frames.drain(..).filter_map(|frame| match frame {
                    Frame::Event(event) => event.data,
                    Frame::Comment(_) => None,
                });
                let answers = events.collect::<Vec<_>>();
                let answer =
                    answers.iter().find_map(|data| learned(exchange, era, id, data.as_bytes(), tool));
                if answer.is_some() {
                    return answer;
                }
            }
        }
        _ => None,
    }
}

fn learned(exchange: &Exchange, era: Era, id: &Id, bytes: &[u8], tool: &str) -> Option<Page> {
    let message = UpstreamMessage::parse(bytes, era).ok()?;
    let result = message.result().filter(|_| message.answers() == Some(id))?;
    let (law, tools) = (&exchange.in_force.law, message.entries(ListKind::Tools));
    let listed = exchange.gateway.definitions.learn(law, era.version(), tools);
    match result.get("nextCursor").and_then(Json::as_str) {
        Some(next) if !listed.contains_key(tool) => Some(Page::After(next.to_owned())),
        _ => Some(Page::Last),
    }
}
