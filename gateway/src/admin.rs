//! Health, metrics and the enforced revision, on a port of its own.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::gateway::Gateway;

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Answers one request of the admin port.
pub fn serve(gateway: &Gateway, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    match request.uri().path() {
        "/livez" => response(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => readiness(gateway),
        "/metrics" => metrics(gateway),
        "/revision" => revision(gateway),
        _ => response(StatusCode::NOT_FOUND, TEXT, "/livez /readyz /metrics /revision\n"),
    }
}

fn readiness(gateway: &Gateway) -> Response<Full<Bytes>> {
    let mut lines = Vec::new();
    let status = match gateway.readiness() {
        Ok(()) => {
            lines.push("ok".to_owned());
            StatusCode::OK
        }
        Err(reason) => {
            lines.push(format!("not ready: {reason}"));
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    lines.extend(gateway.holder.trouble().into_iter().map(|trouble| format!("refused: {trouble}")));
    response(status, TEXT, lines.join("\n") + "\n")
}

fn metrics(gateway: &Gateway) -> Response<Full<Bytes>> {
    match gateway.metrics.text() {
        Ok(text) => response(StatusCode::OK, PROMETHEUS, text),
        Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
    }
}

fn revision(gateway: &Gateway) -> Response<Full<Bytes>> {
    match gateway.holder.current() {
        Some(in_force) => response(StatusCode::OK, JSON, in_force.revision().to_string()),
        None => response(StatusCode::SERVICE_UNAVAILABLE, JSON, json!({"revision": null}).to_string()),
    }
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
