//! The operator's own HTTP: probes and metrics. Nothing else is served.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::metrics::Metrics;
use crate::pulse::Pulse;

/// How long a client has to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The most connections at the same time; whoever comes later waits.
pub const CONNECTIONS_MAX: usize = 64;
/// The wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `/livez`, `/readyz` and `/metrics`. It has no end.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, pulse: Pulse) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (metrics, pulse) = (metrics.clone(), pulse.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                std::future::ready(Ok::<_, Infallible>(answer(&request, &metrics, &pulse)))
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics, pulse: &Pulse) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET");
    }
    match request.uri().path() {
        "/livez" => liveness(&pulse.wedged()),
        "/readyz" if metrics.is_ready() => plain(StatusCode::OK, "ok"),
        "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled yet"),
        "/metrics" => {
            let mut response = Response::new(Full::new(Bytes::from(metrics.text())));
            let format = HeaderValue::from_static("text/plain; version=0.0.4");
            response.headers_mut().insert(CONTENT_TYPE, format);
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "not found"),
    }
}

fn liveness(wedged: &[String]) -> Response<Full<Bytes>> {
    if wedged.is_empty() {
        return plain(StatusCode::OK, "ok");
    }
    plain(StatusCode::INTERNAL_SERVER_ERROR, format!("these stand still: {}", wedged.join(", ")))
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}
