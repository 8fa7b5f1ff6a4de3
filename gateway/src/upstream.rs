//! The way to the guarded server. Nothing goes there without a permit.

mod pool;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::http::uri::Scheme;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use rustls::RootCertStore;
use toolgate_crds::Upstream;
use toolgate_policy::Permit;

use crate::credentials::Credentials;
use crate::destinations::{Connector, Destinations};
use crate::reach::Reach;
use crate::trust::{NoTrust, Trust};
use pool::{Late, Pool};

pub use pool::{Reply, Unanswered};

/// How long a connection may take to come about, with TLS. A lost packet is sent again after a second; who waits longer
/// waits for a server that is not there.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// How long the server may take to begin its answer, and then to send each further piece of it, unless the command line
/// says otherwise.
pub const ANSWER_DEADLINE: Duration = Duration::from_mins(5);

/// Connections to servers that one set of certificate authorities vouches for.
#[derive(Clone)]
pub struct Way {
    pool: Pool,
}

/// Sends what has a permit.
#[derive(Clone)]
pub struct Client {
    // To servers without TLS, of whom nobody vouches for.
    plain: Way,
    // To those that the system's authorities vouch for.
    verified: Arc<OnceLock<Way>>,
    destinations: Destinations,
    trust: Arc<Trust>,
    reach: Arc<Reach>,
    answer_deadline: Duration,
}

/// Why the server could not even be connected to.
#[derive(Debug)]
pub enum Untouched {
    /// Nobody can vouch for it.
    NoTrust(NoTrust),
    /// No connection came about.
    Failed(Box<dyn Error + Send + Sync>),
    /// None came about in time.
    TimedOut,
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

impl Failure {
    /// The kind, as metrics and traces name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(..) => "unreachable",
            Self::Broken(_) => "broken",
            Self::TimedOut => "timeout",
        }
    }
}

impl Client {
    /// A client that connects where it may, trusts the system's certificate authorities and waits [`ANSWER_DEADLINE`].
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn new(destinations: Destinations) -> io::Result<Self> {
        let (plain, verified) = (way_trusting(RootCertStore::empty(), destinations)?, Arc::default());
        let (trust, reach) = (Arc::new(Trust::new(destinations)), Arc::default());
        Ok(Self { plain, verified, destinations, trust, reach, answer_deadline: ANSWER_DEADLINE })
    }

    // The system's authorities are read when the first server wants them: to read them takes as long as the rest of the
    // start.
    fn way_to(&self, server: &Uri) -> &Way {
        if server.scheme() != Some(&Scheme::HTTPS) {
            return &self.plain;
        }
        self.verified.get_or_init(|| match connector(self.destinations) {
            Ok(connector) => way(connector),
            // It trusts nobody, so no https server can be reached.
            Err(error) => {
                tracing::error!(%error, "https servers cannot be reached");
                self.plain.clone()
            }
        })
    }

    /// What is known of the way to the server.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Opens a connection to a server and closes it, without a byte of a request.
    ///
    /// # Errors
    /// None came about.
    pub async fn touch(
        &self,
        endpoint: &Uri,
        server: &Upstream,
        credentials: &Credentials,
    ) -> Result<(), Untouched> {
        let way = match &server.certificate_authority {
            None => self.way_to(endpoint).clone(),
            Some(authority) => self.trust.way(authority, credentials).map_err(Untouched::NoTrust)?,
        };
        way.pool.touch(endpoint).await.map_err(|error| match error.downcast::<Late>() {
            Ok(_) => Untouched::TimedOut,
            Err(error) => Untouched::Failed(error),
        })
    }

    /// Says of a request to a server who has to vouch for it; the system's authorities when nobody is named.
    ///
    /// # Errors
    /// The certificates of whom the server names cannot be had.
    pub fn trusting(
        &self,
        mut request: Request<Full<Bytes>>,
        server: &Upstream,
        credentials: &Credentials,
    ) -> Result<Request<Full<Bytes>>, NoTrust> {
        if let Some(authority) = &server.certificate_authority {
            request.extensions_mut().insert(self.trust.way(authority, credentials)?);
        }
        Ok(request)
    }

    /// Closes connections that nobody has used for long. Call it now and then.
    pub fn sweep(&self) {
        for way in [Some(&self.plain), self.verified.get()].into_iter().flatten() {
            way.pool.sweep();
        }
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
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Reply>, Failure> {
        let way = request.extensions_mut().remove::<Way>();
        let way = way.as_ref().unwrap_or_else(|| self.way_to(request.uri()));
        match tokio::time::timeout(self.answer_deadline, way.request(request)).await {
            Ok(Ok(response)) => {
                self.reach.answered(response.status());
                Ok(response)
            }
            Ok(Err(Unanswered::Unconnected(error))) => {
                self.reach.doubted();
                Err(Failure::Unreachable(permit, chain(&*error)))
            }
            Ok(Err(Unanswered::Broken(error))) => Err(Failure::Broken(chain(&error))),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Way {
    /// Sends a request and waits for the head of its answer. Whether it may be sent is [`Client::send`]'s to ask.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Reply>, Unanswered> {
        self.pool.request(request).await
    }
}

fn way(connector: HttpsConnector<Connector>) -> Way {
    Way { pool: Pool::new(connector, CONNECT_DEADLINE) }
}

/// A way that trusts these certificates and nobody else.
///
/// # Errors
/// When the TLS library refuses its own defaults.
pub(crate) fn way_trusting(roots: RootCertStore, destinations: Destinations) -> io::Result<Way> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls(roots)?);
    Ok(way(builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector::new(destinations, CONNECT_DEADLINE))))
}

fn tls(roots: RootCertStore) -> io::Result<rustls::ClientConfig> {
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Connections that trust the system's certificate authorities.
///
/// # Errors
/// When the system's certificates cannot be read.
pub(crate) fn connector(destinations: Destinations) -> io::Result<HttpsConnector<Connector>> {
    let provider = rustls::crypto::ring::default_provider;
    let builder = match HttpsConnectorBuilder::new().with_provider_and_native_roots(provider()) {
        Ok(builder) => builder,
        // Without any authority only https servers cannot be reached, and each call to one says so.
        Err(error) => {
            tracing::warn!("no certificate authorities, https servers cannot be reached: {error}");
            HttpsConnectorBuilder::new().with_tls_config(tls(RootCertStore::empty())?)
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(Connector::new(destinations, CONNECT_DEADLINE)))
}

/// An error with its sources: one of the client says little without them.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl fmt::Debug for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Way")
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}
