//! Connections to a server: driven by whoever uses one, and kept while nobody does.
//!
//! A connection has no task of its own. The call that uses it also moves its bytes, so that none has to be woken to hand
//! anything to another. One that nobody uses is looked at when it is wanted again: the server may have closed it.
//!
//! Invariant: a request is sent at most once. Only one of which the HTTP library says that it never took it, because the
//! connection was closed already, goes to another connection.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::rt::{Read, Write};
use hyper::service::Service as _;
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::service::TowerToHyperService;

use crate::destinations::Connector;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_mins(1);
/// The most unused connections that are kept.
const IDLE_MAX: usize = 1024;
/// The most pieces of an answer's rest that are passed over, so that its connection can be kept.
const PASSED_OVER_MAX: usize = 4;

/// A stream to a server.
trait Wire: Read + Write + Send + Unpin {}
impl<Stream: Read + Write + Send + Unpin> Wire for Stream {}

/// Connections that one connector makes.
#[derive(Clone)]
pub(super) struct Pool {
    connector: HttpsConnector<Connector>,
    deadline: Duration,
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    link: Box<Link>,
    since: Instant,
}

/// One connection. It is large, so it is moved about in a box.
struct Link {
    /// Where it leads to.
    endpoint: Uri,
    sender: SendRequest<Full<Bytes>>,
    /// None: it has come to its end.
    driver: Option<Connection<Box<dyn Wire>, Full<Bytes>>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("no connection came about in time")]
pub(super) struct Late;

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// No connection came about: no byte of the request was written.
    Unconnected(Box<dyn Error + Send + Sync>),
    /// The connection broke. The server may have acted.
    Broken(hyper::Error),
}

/// The body of an answer, which also drives its connection and gives it back when all was read. Dropped before, it closes
/// it, and the server notices.
pub struct Reply {
    body: Incoming,
    // None: it was given back.
    link: Option<Box<Link>>,
    pool: Weak<Mutex<Vec<Idle>>>,
}

impl Pool {
    /// `deadline`: how long a connection may take to come about, with TLS.
    pub(super) fn new(connector: HttpsConnector<Connector>, deadline: Duration) -> Self {
        Self { connector, deadline, idle: Arc::default() }
    }

    /// Opens a connection, without a byte of a request.
    ///
    /// # Errors
    /// None came about.
    pub(super) async fn touch(&self, endpoint: &Uri) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.open(endpoint).await.map(drop)
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Reply>, Unanswered> {
        let endpoint = request.uri().clone();
        address(&mut request, &endpoint);
        loop {
            let (mut link, is_new) = match self.take(&endpoint) {
                Some(link) => (link, false),
                // Seldom, and large.
                None => (Box::pin(self.connect(&endpoint)).await.map_err(Unanswered::Unconnected)?, true),
            };
            match link.exchange(request).await {
                Ok(response) => {
                    let pool = Arc::downgrade(&self.idle);
                    return Ok(response.map(|body| Reply::new(body, link, pool)));
                }
                Err(mut failure) => match failure.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) => return Err(Unanswered::Unconnected(failure.into_error().into())),
                    None => return Err(Unanswered::Broken(failure.into_error())),
                },
            }
        }
    }

    /// Closes connections that nobody has used for long.
    pub(super) fn sweep(&self) {
        lock(&self.idle).retain(|idle| idle.since.elapsed() < IDLE);
    }

    // The one that was used last, if it is open still.
    fn take(&self, endpoint: &Uri) -> Option<Box<Link>> {
        loop {
            let Idle { mut link, since } = lock(&self.idle).pop()?;
            let same = link.endpoint.scheme() == endpoint.scheme()
                && link.endpoint.authority() == endpoint.authority();
            if same && since.elapsed() < IDLE && link.is_ready() {
                return Some(link);
            }
        }
    }

    async fn open(&self, endpoint: &Uri) -> Result<impl Wire + use<>, Box<dyn Error + Send + Sync>> {
        let connecting = TowerToHyperService::new(self.connector.clone()).call(endpoint.clone());
        tokio::time::timeout(self.deadline, connecting).await.map_err(|_| Late)?
    }

    async fn connect(&self, endpoint: &Uri) -> Result<Box<Link>, Box<dyn Error + Send + Sync>> {
        let stream: Box<dyn Wire> = Box::new(self.open(endpoint).await?);
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Box::new(Link { endpoint: endpoint.clone(), sender, driver: Some(driver) }))
    }
}

impl Link {
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>> {
        let Self { sender, driver, .. } = self;
        let mut answering = pin!(sender.try_send_request(request));
        poll_fn(|context| {
            drive(driver, context);
            // Only the driver brings an answer, and it was just asked for it: to be woken by it would be once too often.
            answering.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    // Whether another request can go out.
    fn is_ready(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<Connection<Box<dyn Wire>, Full<Bytes>>>, context: &mut Context<'_>) {
    if let Some(running) = driver
        && let Poll::Ready(ended) = Pin::new(running).poll(context)
    {
        // Whoever waits for an answer hears of it by himself.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the server ended");
        }
        *driver = None;
    }
}

// Of the whole URI only the path is for the server's request line.
fn address(request: &mut Request<Full<Bytes>>, endpoint: &Uri) {
    let plain_port = match endpoint.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        _ => 80,
    };
    let host = match (endpoint.host(), endpoint.port_u16().filter(|port| *port != plain_port)) {
        (Some(host), Some(port)) => HeaderValue::from_str(&format!("{host}:{port}")),
        (host, _) => HeaderValue::from_str(host.unwrap_or_default()),
    };
    if let Ok(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() =
        endpoint.path_and_query().map_or(Uri::from_static("/"), |path| Uri::from(path.clone()));
}

impl Reply {
    fn new(body: Incoming, link: Box<Link>, pool: Weak<Mutex<Vec<Idle>>>) -> Self {
        let mut reply = Self { body, link: Some(link), pool };
        if reply.body.is_end_stream() {
            reply.give_back();
        }
        reply
    }

    // The driver reads no further than somebody wants, and is asked once more when it is known that somebody does.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        for _ in 0..2 {
            let Some(link) = &mut self.link else { break };
            drive(&mut link.driver, context);
            let frame = Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop()));
            if frame.is_ready() {
                return frame;
            }
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn give_back(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        let Some(pool) = self.pool.upgrade() else { return };
        if link.is_ready() {
            let mut idle = lock(&pool);
            if idle.len() < IDLE_MAX {
                idle.push(Idle { link, since: Instant::now() });
            }
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(self.next(context));
        match &frame {
            None => self.give_back(),
            Some(Ok(_)) if self.body.is_end_stream() => self.give_back(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.link = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Of an answer that nobody wants to read what is there already is passed over. If it is all, the connection is kept.
        for _ in 0..PASSED_OVER_MAX {
            if self.link.is_none() {
                return;
            }
            let mut context = Context::from_waker(Waker::noop());
            if !matches!(Pin::new(&mut *self).poll_frame(&mut context), Poll::Ready(Some(Ok(_)))) {
                return;
            }
        }
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unconnected(_) => "no connection came about",
            Self::Broken(_) => "the exchange broke off",
        })
    }
}

impl Error for Unanswered {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unconnected(error) => Some(&**error),
            Self::Broken(error) => Some(error),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Reply")
    }
}

#[cfg(test)]
#[path = "pool/tests.rs"]
mod tests;
