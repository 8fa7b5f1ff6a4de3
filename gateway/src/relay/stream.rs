//! A stream of the server, passed on event by event.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame as BodyFrame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::renew::{Renewed, renew};
use super::{Relay, Subscription, inspect, resume, sealed_session};
use crate::endpoint::{self, Body, POLICY_DENIED, SESSION_HEADER, answer_server};
use crate::upstream::Reply;
use crate::wire::answer::{Answer, RpcError, error_body};
use crate::wire::content::EVENT_STREAM;
use crate::wire::message::INTERNAL_ERROR;
use crate::wire::sse::{Decoder, Event, Frame};

/// The longest that a stream which only tells of changes may be silent. Clients then open it anew.
const SILENCE_MAX: Duration = Duration::from_hours(1);
/// How often a caller is looked at again while a stream is open.
const LOOK: Duration = Duration::from_secs(30);
/// How long a client may leave a full queue of pieces lying before it counts as gone.
const CLIENT_DEADLINE: Duration = Duration::from_mins(1);
/// How many pieces wait for a slow client before the server has to wait too.
const PIECES_MAX: usize = 16;
const SIGN_OF_LIFE: &[u8] = b":\n\n";
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What an event says beside its message.
#[derive(Default)]
struct Point {
    /// Where a client may resume, sealed.
    id: Option<String>,
    /// How long it should wait before it does, in milliseconds.
    retry: Option<u64>,
}

/// Why a stream ended without an answer.
enum Ended {
    /// The answer was passed on.
    Answered,
    /// The client is gone, or a stream without an answer is over.
    Over,
    /// The caller may not listen any more.
    Revoked,
    /// The server broke off, or sent what cannot pass: kind and text.
    Failed(&'static str, &'static str),
}

/// Passes a stream on. `resumed`: the client has a part of it already.
pub(super) fn respond(mut relay: Relay, headers: &HeaderMap, body: Reply, resumed: bool) -> Response<Body> {
    let session = sealed_session(&relay, headers);
    if session.is_some() {
        relay.session = headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    }
    let (pieces_tx, mut pieces_rx) = mpsc::channel(PIECES_MAX);
    tokio::spawn(pump(relay, body, pieces_tx, resumed));
    let pieces = stream::poll_fn(move |context| pieces_rx.poll_recv(context));
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if let Some(session) = session.and_then(|session| HeaderValue::from_str(&session).ok()) {
        headers.insert(SESSION_HEADER, session);
    }
    response
}

/// A stream of nothing but an answer of the gateway's own, for a client that expects a stream.
pub(crate) fn answered(answer: Answer) -> Response<Body> {
    let mut response = endpoint::respond(Answer { body: as_event(answer.body, Point::default()), ..answer });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    response
}

type Piece = Result<BodyFrame<Bytes>, io::Error>;

async fn pump(mut relay: Relay, body: Reply, pieces_tx: mpsc::Sender<Piece>, resumed: bool) {
    let (code, message) = match pass_events(&mut relay, body, &pieces_tx, resumed).await {
        Ended::Answered | Ended::Over => return,
        Ended::Revoked => (POLICY_DENIED, "the grant was revoked"),
        Ended::Failed(kind, message) => {
            tracing::warn!(kind, "{message}");
            relay.exchange.gateway.metrics.upstream_failed(kind);
            (INTERNAL_ERROR, message)
        }
    };
    if relay.id.is_some() {
        let error = RpcError { code, message, data: None };
        let _gone = send(&pieces_tx, error_body(relay.id.as_ref(), &error)).await;
    }
}

async fn pass_events(
    relay: &mut Relay,
    mut body: Reply,
    pieces_tx: &mpsc::Sender<Piece>,
    mut resumable: bool,
) -> Ended {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    let mut changes = relay.exchange.gateway.holder.changes();
    let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
    let subscribed = relay.subscription.is_some();
    // In 2026-07-28 the client cancels by going away. Before it, going away is no cancellation: the server may finish,
    // and what it still says is read and dropped.
    let cancels = relay.era.is_modern() || subscribed;
    let deadline = if subscribed { SILENCE_MAX } else { relay.exchange.gateway.client.answer_deadline() };
    let (mut last, mut abandoned) = (Instant::now(), None);
    let mut draining = relay.exchange.gateway.draining();
    loop {
        // A server that always has something to say never lets a timer speak.
        if abandoned.is_some_and(|abandoned: Instant| abandoned.elapsed() >= deadline) {
            return Ended::Over;
        }
        let until = abandoned.map_or(last, |abandoned: Instant| abandoned.min(last)) + deadline;
        let next = tokio::select! {
            next = tokio::time::timeout_at(until, body.frame()) => next,
            () = pieces_tx.closed(), if abandoned.is_none() => {
                // One that may come back wants what it has missed from the server, which must not think it delivered.
                if cancels || resumable {
                    return Ended::Over;
                }
                // It may finish, but not go on for ever for nobody.
                abandoned = Some(Instant::now());
                continue;
            }
            // It could be open for ever; whoever listens opens another one elsewhere.
            () = begins(&mut draining), if subscribed => return Ended::Over,
            _ = changes.changed() => match renewed(relay, pieces_tx).await {
                Some(ended) => return ended,
                None => continue,
            },
            // Grants expire without a change of the law.
            _ = look.tick() => match renewed(relay, pieces_tx).await {
                Some(ended) => return ended,
                None => continue,
            },
        };
        last = Instant::now();
        let bytes = match next {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) | Err(_) if subscribed || abandoned.is_some() => return Ended::Over,
            // The client will ask for the rest.
            Ok(None | Some(Err(_))) if resumable => return Ended::Over,
            Ok(Some(Err(_))) => return Ended::Failed("broken", "the server's stream broke off"),
            Ok(None) => return Ended::Failed("unanswered", "the server ended its stream without an answer"),
            Err(_) => return Ended::Failed("timeout", "the server's stream fell silent"),
        };
        let read = decoder.push(&bytes, &mut frames);
        for frame in frames.drain(..) {
            if let Some(ended) = pass(relay, frame, pieces_tx, &mut resumable).await {
                return ended;
            }
        }
        if read.is_err() {
            return Ended::Failed("unfit", "the server's stream cannot be read");
        }
    }
}

async fn begins(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the process.
    let _never = draining.wait_for(|draining| *draining).await.is_err();
}

async fn renewed(relay: &mut Relay, pieces_tx: &mpsc::Sender<Piece>) -> Option<Ended> {
    match renew(relay).await {
        Renewed::Same => None,
        Renewed::Revoked => Some(Ended::Revoked),
        Renewed::ListChanged => {
            let notice = relay.subscription.as_ref().and_then(Subscription::tools_changed)?;
            piece(relay, pieces_tx, as_event(notice, Point::default())).await
        }
    }
}

async fn pass(
    relay: &Relay,
    frame: Frame,
    pieces_tx: &mpsc::Sender<Piece>,
    resumable: &mut bool,
) -> Option<Ended> {
    let event = match frame {
        // Only the sign of life goes on: a lax reader of lines could find more in a comment's text than a comment.
        Frame::Comment(_) => return piece(relay, pieces_tx, SIGN_OF_LIFE.to_vec()).await,
        Frame::Event(event) => event,
    };
    let id = event.id.as_deref().and_then(|id| resume::seal(relay, id));
    *resumable |= id.is_some();
    let point = Point { id, retry: event.retry.filter(|_| relay.session.is_some()) };
    // An event without data only says from where to resume, and when.
    let Some(data) = event.data.filter(|data| !data.is_empty()) else {
        return pass_point(relay, point, pieces_tx).await;
    };
    match inspect::event(relay, &data) {
        Ok(inspect::Passing::Answer(answer)) => {
            let _gone = hand_over(pieces_tx, as_event(answer, point)).await;
            Some(Ended::Answered)
        }
        Ok(inspect::Passing::Notice(notice)) => piece(relay, pieces_tx, as_event(notice, point)).await,
        Ok(inspect::Passing::AnsweredHere(answer)) => {
            let exchange = relay.exchange.clone();
            tokio::spawn(answer_server(exchange, relay.era, relay.session.clone(), answer));
            pass_point(relay, point, pieces_tx).await
        }
        Ok(inspect::Passing::Dropped) => pass_point(relay, point, pieces_tx).await,
        Err(unfit) => Some(Ended::Failed("unfit", unfit.for_the_caller())),
    }
}

async fn pass_point(relay: &Relay, point: Point, pieces_tx: &mpsc::Sender<Piece>) -> Option<Ended> {
    let Point { id, retry } = point;
    if id.is_none() && retry.is_none() {
        return None;
    }
    let mut bytes = Vec::new();
    Event { id, retry, data: Some(String::new()), ..Event::default() }.write(&mut bytes);
    piece(relay, pieces_tx, bytes).await
}

async fn piece(relay: &Relay, pieces_tx: &mpsc::Sender<Piece>, bytes: Vec<u8>) -> Option<Ended> {
    let gone = hand_over(pieces_tx, bytes).await.is_err();
    (gone && (relay.era.is_modern() || relay.subscription.is_some())).then_some(Ended::Over)
}

async fn send(pieces_tx: &mpsc::Sender<Piece>, message: Vec<u8>) -> Result<(), Gone> {
    hand_over(pieces_tx, as_event(message, Point::default())).await
}

/// The client left, or takes nothing any more.
struct Gone;

async fn hand_over(pieces_tx: &mpsc::Sender<Piece>, bytes: Vec<u8>) -> Result<(), Gone> {
    pieces_tx.send_timeout(Ok(BodyFrame::data(bytes.into())), CLIENT_DEADLINE).await.map_err(|_| Gone)
}

fn as_event(message: Vec<u8>, Point { id, retry }: Point) -> Vec<u8> {
    let data = String::from_utf8(message).expect("messages are written as UTF-8");
    let mut bytes = Vec::with_capacity(data.len() + 16);
    let event = Event { id, retry, event: Some("message".to_owned()), data: Some(data) };
    event.write(&mut bytes);
    bytes
}
