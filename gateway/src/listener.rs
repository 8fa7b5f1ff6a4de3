//! Connections: accepted up to a number, served with deadlines, and let go gracefully.

mod framing;
mod patience;
mod places;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::metrics::Rejected;
use crate::tls::{Peer, Tls};

use framing::Checked;
use patience::Patient;
use places::{Place, Places};

pub use places::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, Caps};

/// The most headers of a request.
pub const HEADERS_MAX: usize = 100;
/// The largest head of a request, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long the head of a request may take to arrive.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long open connections have to finish after the signal to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// The most connections of the admin port at a time: probes, Prometheus, the operator.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// What a connection has to pass before it is served.
#[derive(Clone, Debug)]
pub struct Door {
    gateway: Arc<Gateway>,
    caps: Caps,
    /// A handshake of TLS, or nothing.
    tls: Option<Arc<Tls>>,
}

impl Door {
    /// The door of a gateway's MCP endpoint.
    pub fn of(gateway: &Arc<Gateway>, caps: Caps) -> Self {
        Self { gateway: gateway.clone(), caps, tls: gateway.tls.clone() }
    }

    /// The door of its admin port.
    pub fn of_admin(gateway: &Arc<Gateway>) -> Self {
        let caps = Caps { all: ADMIN_CONNECTIONS_MAX, per_address: ADMIN_CONNECTIONS_MAX };
        Self { gateway: gateway.clone(), caps, tls: None }
    }
}

/// Serves connections until `stop` says so, then lets those that are open finish.
pub async fn serve<Serve, Serving, B>(
    listener: TcpListener,
    door: Door,
    mut stop: watch::Receiver<bool>,
    serve: Serve,
) where
    Serve: Fn(Request<Incoming>) -> Serving + Clone + Send + 'static,
    Serving: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let places = Places::new(door.caps);
    loop {
        let stream = tokio::select! {
            stream = accept(&listener, &places, &door.gateway) => stream,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, place)) = stream else { continue };
        let (serve, door, watcher) = (serve.clone(), door.clone(), graceful.watcher());
        tokio::spawn(async move {
            match &door.tls {
                None => converse(stream, None, watcher, serve).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok((stream, peer)) => converse(stream, peer, watcher, serve).await,
                    Err(failure) => {
                        tracing::debug!(%failure, "handshake");
                        door.gateway.metrics.rejected(Rejected::Handshake);
                    }
                },
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_DEADLINE, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open after {DRAIN_DEADLINE:?} and are cut off");
    }
}

// Serves one connection. Who showed a certificate goes with each of its requests; nothing in a request can say so.
async fn converse<Stream, Serve, Serving, B>(
    stream: Stream,
    peer: Option<Peer>,
    watcher: Watcher,
    serve: Serve,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Serve: Fn(Request<Incoming>) -> Serving + Clone + Send + 'static,
    Serving: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        let serving = serve(request);
        async move { Ok::<_, Infallible>(serving.await) }
    });
    let stream = TokioIo::new(Checked::new(Patient::new(stream)));
    let connection = watcher.watch(builder().serve_connection(stream, service));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection");
    }
}

async fn accept(listener: &TcpListener, places: &Places, gateway: &Gateway) -> Option<(TcpStream, Place)> {
    let any = places.any().await;
    match listener.accept().await {
        Ok((stream, address)) => {
            let Some(place) = places.of(address.ip(), any) else {
                tracing::debug!(%address, "as many connections as one address may have");
                gateway.metrics.rejected(Rejected::Connections);
                return None;
            };
            // Answers are small and whole: waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            // Such as too many open files: waiting is better than spinning.
            tracing::warn!(%error, "accept");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false);
    builder
}

#[cfg(test)]
#[path = "listener/tests.rs"]
mod tests;
