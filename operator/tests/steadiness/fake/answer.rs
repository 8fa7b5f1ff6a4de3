//! Answers that are not watches.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Response};
use serde_json::{Value, json};

use super::Asked;
use super::path::Path;
use super::store::Store;

/// The body of an answer.
pub(crate) type Answer = UnsyncBoxBody<Bytes, Infallible>;

pub(super) fn answer(store: &mut Store, asked: &Asked) -> Response<Answer> {
    // Which kinds are served: none that not every cluster serves.
    if asked.path.matches('/').count() < 3
        || asked.path.starts_with("/apis") && asked.path.matches('/').count() < 4
    {
        return failure(404, "NotFound");
    }
    let path = Path::parse(&asked.path);
    let body = asked.body.clone();
    let done = match (&asked.method, path.part.as_deref()) {
        (&Method::GET, _) if path.name.is_none() => Ok(list(store, &path, &asked.query)),
        (&Method::GET, _) => store.get(&path).cloned().ok_or((404, "NotFound".to_owned())),
        (&Method::POST, _) => store.create(&path, body),
        (&Method::PUT, _) => store.replace(&path, body),
        (&Method::DELETE, _) => store.remove(&path, &body["preconditions"]),
        (&Method::PATCH, Some("status")) => store.apply_status(&path, &body),
        (&Method::PATCH, _) if asked.query.contains("force=true") => store.apply(&path, body),
        (&Method::PATCH, _) => store.merge(&path, &body),
        (method, _) => Err((405, format!("{method} is not served"))),
    };
    match done {
        Ok(object) => response(200, &object),
        Err((code, message)) => failure(code, &message),
    }
}

/// A parameter of a query.
pub(super) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Whether an object is selected by its labels.
pub(super) fn selected(object: &Value, query: &str) -> bool {
    let Some(selector) = parameter(query, "labelSelector") else { return true };
    let selector = selector.replace("%3D", "=").replace("%2F", "/");
    let (key, value) = selector.split_once('=').unwrap();
    object["metadata"]["labels"][key] == value
}

fn list(store: &Store, path: &Path, query: &str) -> Value {
    let number = |name| parameter(query, name).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (number("continue").unwrap_or(0), number("limit").unwrap_or(usize::MAX));
    let mut found =
        store.list(path).map(|(_, object)| object).filter(|object| selected(object, query)).skip(from);
    let items: Vec<&Value> = found.by_ref().take(limit).collect();
    let next = found.next().map(|_| (from + items.len()).to_string());
    let version = store.version().to_string();
    let metadata = json!({"resourceVersion": version, "continue": next.unwrap_or_default()});
    json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})
}

pub(super) fn failure(code: u16, message: &str) -> Response<Answer> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": message, "message": message,
    });
    response(code, &body)
}

fn response(code: u16, body: &Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}
