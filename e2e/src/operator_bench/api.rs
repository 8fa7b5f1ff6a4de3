//! The API server's HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::store::{Path, Store, is_selected};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves on a free port of the loopback interface for as long as the runtime lives.
pub(super) async fn serve(store: Store) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listen on the loopback interface")?;
    let address = listener.local_addr().context("tell the address of a listener")?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(store.clone(), stream));
        }
    });
    Ok(address)
}

async fn connection(store: Store, stream: TcpStream) {
    let _nagle = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let store = store.clone();
        async move { Ok::<_, Infallible>(answer(&store, request).await) }
    });
    // Whoever is gone hears nothing any more.
    let _gone =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(store: &Store, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let Some(path) = Path::parse(head.uri.path()) else { return failure(404, "NotFound") };
    if head.method == Method::GET && parameter(&query, "watch").as_deref() == Some("true") {
        return watch(store, path, &query);
    }
    match (&head.method, &path.name) {
        (&Method::GET, None) => response(200, &list(store, &path, &query)),
        (&Method::GET, Some(_)) => match store.get(&path) {
            Some(object) => response(200, &object),
            None => failure(404, "NotFound"),
        },
        (&Method::PATCH | &Method::POST, _) => {
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            match serde_json::from_slice::<Value>(&body) {
                // Events are made and not kept.
                Ok(object) if head.method == Method::POST => response(201, &object),
                Ok(object) => response(200, &store.apply(&path, object)),
                Err(_) => failure(400, "BadRequest"),
            }
        }
        _ => failure(405, "MethodNotAllowed"),
    }
}

fn list(store: &Store, path: &Path, query: &str) -> Value {
    let number = |name: &str| parameter(query, name).and_then(|text| text.parse::<usize>().ok());
    let version = store.version().to_string();
    let (from, limit) = (number("continue").unwrap_or(0), number("limit").unwrap_or(usize::MAX));
    let (items, next) = store.page(path, selector(query).as_ref(), from, limit);
    let next = next.map(|next| next.to_string()).unwrap_or_default();
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version, "continue": next}, "items": items})
}

/// An open watch.
struct Watch {
    store: Store,
    path: Path,
    selector: Option<(String, String)>,
    seen: u64,
    until: Instant,
}

fn watch(store: &Store, path: Path, query: &str) -> Response<Body> {
    let number = |name: &str| parameter(query, name).and_then(|text| text.parse::<u64>().ok());
    let watch = Watch {
        store: store.clone(),
        path,
        selector: selector(query),
        seen: number("resourceVersion").unwrap_or(0),
        until: Instant::now() + Duration::from_secs(number("timeoutSeconds").unwrap_or(300)),
    };
    let frames = stream::unfold(watch, |watch| async move {
        let (lines, watch) = watch.next().await?;
        Some((Ok(Frame::data(Bytes::from(lines))), watch))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

impl Watch {
    async fn next(mut self) -> Option<(String, Self)> {
        let mut changed = self.store.changed();
        loop {
            changed.borrow_and_update();
            let mut lines = String::new();
            for change in self.store.after(self.seen) {
                self.seen = change.version;
                if change.collection == self.path.collection
                    && is_selected(&change.labels, self.selector.as_ref())
                {
                    lines.push_str(&change.line);
                }
            }
            if !lines.is_empty() {
                return Some((lines, self));
            }
            tokio::select! {
                heard = changed.changed() => heard.ok()?,
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }
}

fn selector(query: &str) -> Option<(String, String)> {
    let text = parameter(query, "labelSelector")?;
    let (key, value) = text.split_once('=')?;
    Some((key.to_owned(), value.to_owned()))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value.replace("%3D", "=").replace("%2F", "/"))
}

fn failure(code: u16, reason: &str) -> Response<Body> {
    response(
        code,
        &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
    )
}

fn response(code: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    *response.status_mut() =
        hyper::StatusCode::from_u16(code).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}
