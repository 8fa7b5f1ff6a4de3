//! Health, metrics and the enforced revision, on a port of its own.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::counting;
use crate::gateway::Gateway;
use crate::log::Log;
use crate::reach::Standing;
use crate::slots::Kind;

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Answers one request of the admin port.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
    }
    match request.uri().path() {
        "/livez" => response(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => readiness(&gateway),
        "/metrics" => metrics(gateway).await,
        "/revision" => revision(&gateway),
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
    // It makes no gateway unready: calls without limits go on, and another gateway would have no other store.
    lines.extend(gateway.counters.standing().map(|standing| format!("counters: {standing}")));
    // The same is true of the server.
    if let standing @ Standing::Away(_) = gateway.client.reach().standing() {
        lines.push(format!("upstream: {standing}"));
    }
    response(status, TEXT, lines.join("\n") + "\n")
}

async fn metrics(gateway: Arc<Gateway>) -> Response<Full<Bytes>> {
    gateway.metrics.audit_dropped(gateway.audit.take_dropped());
    gateway.metrics.log_dropped(gateway.log.as_ref().map_or(0, Log::take_dropped));
    gateway.metrics.spans_dropped(gateway.traces.take_dropped());
    gateway.metrics.store_is(gateway.counters.standing().map(|standing| standing == counting::Standing::Up));
    for kind in Kind::ALL {
        gateway.metrics.in_flight(kind, gateway.slots.taken(kind));
    }
    let in_force = gateway.holder.current();
    let limits = match &in_force {
        Some(in_force) => gateway.counters.usage(in_force, &gateway.clock).await,
        None => Vec::new(),
    };
    if let Some(in_force) = &in_force {
        gateway.metrics.disputed(gateway.definitions.disputed(&in_force.law));
    }
    // With many series it takes milliseconds, in which no call is to wait for this thread.
    let text = tokio::task::spawn_blocking(move || {
        let text = gateway.metrics.text(limits);
        if let Some(in_force) = &in_force {
            gateway.metrics.retire(in_force);
        }
        text.map_err(|error| error.to_string())
    });
    match text.await.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(text) => response(StatusCode::OK, PROMETHEUS, text),
        Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, error),
    }
}

fn revision(gateway: &Gateway) -> Response<Full<Bytes>> {
    match gateway.holder.current() {
        Some(in_force) => {
            let mut revision = in_force.revision();
            revision["upstream"] = upstream(gateway);
            revision["refused"] = json!(gateway.holder.trouble());
            if let Some(seen) = gateway.tools_seen.last() {
                revision["tools"] = json!({"count": seen.count, "at": seen.at.to_string()});
            }
            if let Some(standing) = gateway.counters.standing() {
                // Null before it is known.
                let up = (standing != counting::Standing::Connecting)
                    .then_some(standing == counting::Standing::Up);
                revision["counters"] = json!({"up": up, "message": standing.to_string()});
            }
            response(StatusCode::OK, JSON, revision.to_string())
        }
        None => response(StatusCode::SERVICE_UNAVAILABLE, JSON, json!({"revision": null}).to_string()),
    }
}

// Null before it is known.
fn upstream(gateway: &Gateway) -> Value {
    let standing = gateway.client.reach().standing();
    json!({"reachable": standing.is_reached(), "reason": standing.word(), "message": standing.to_string()})
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
