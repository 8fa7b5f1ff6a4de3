//! The way to the guarded server. Nothing goes there without a permit.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use toolgate_policy::Permit;

/// How long a connection may take to come about.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the server may take to begin its answer, and then to send each further piece of it, unless the command line
/// says otherwise.
pub const ANSWER_DEADLINE: Duration = Duration::from_mins(5);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// Sends what has a permit.
#[derive(Clone)]
pub struct Client {
    inner: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_deadline: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// No connection came about: no byte was written, so what the permit charged can be given back.
    Unreachable(Permit, String),
    /// The connection broke. The server may have acted.
    Broken(String),
    /// The deadline passed. The server may have acted.
    TimedOut,
}

impl Client {
    /// A client that trusts the system's certificate authorities and waits [`ANSWER_DEADLINE`].
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new() -> io::Result<Self> {
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector()?);
        Ok(Self { inner, answer_deadline: ANSWER_DEADLINE })
    }

    /// The same client with another deadline.
    #[must_use]
    pub fn waiting(mut self, answer_deadline: Duration) -> Self {
        self.answer_deadline = answer_deadline;
        self
    }

    /// How long the server may take to begin its answer, and then to send each further piece of it.
    pub fn answer_deadline(&self) -> Duration {
        self.answer_deadline
    }

    /// Sends one request and waits for the head of its answer. Redirects are not followed, and nothing is sent twice.
    ///
    /// # Errors
    /// When there is no answer; the permit comes back if nothing was written.
    pub async fn send(
        &self,
        permit: Permit,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        match tokio::time::timeout(self.answer_deadline, self.inner.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(Failure::Unreachable(permit, chain(&error))),
            Ok(Err(error)) => Err(Failure::Broken(chain(&error))),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

/// Connections that trust the system's certificate authorities.
///
/// # Errors
/// When the system's certificates cannot be read.
pub(crate) fn connector() -> io::Result<HttpsConnector<HttpConnector>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider;
    let builder = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider()) {
        Ok(builder) => builder,
        // Without any authority only https servers cannot be reached, and each call to one says so.
        Err(error) => {
            tracing::warn!("no certificate authorities, https servers cannot be reached: {error}");
            let tls = rustls::ClientConfig::builder_with_provider(provider().into())
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(tls)
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

/// An error with its sources: one of the client says little without them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}
