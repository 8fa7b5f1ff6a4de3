//! Asks gateway pods which bundle they enforce.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::reconcile::build::ADMIN_PORT;

/// How long a gateway has for its whole answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of an answer. A gateway lists what it enforces, so it may be long.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most gateways of one server that are asked at the same time.
const CONCURRENT_MAX: usize = 16;

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// A gateway pod that is Ready and not terminating.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadyPod {
    /// The pod's name.
    pub name: String,
    /// The pod's address.
    pub address: IpAddr,
}

/// What a gateway says that it enforces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Enforced {
    /// The server it is the gateway of.
    pub server: EnforcedServer,
    /// The bundle's revision.
    pub revision: i64,
    /// The bundle's digest.
    pub hash: String,
    /// The store that it counts in together with others; None where it counts by itself.
    #[serde(default)]
    pub counters: Option<SharedCounters>,
    /// How the server stands; None of a gateway that is too old to say.
    #[serde(default)]
    pub upstream: Option<Upstream>,
    /// The list of tools that passed last; None before there was one.
    #[serde(default)]
    pub tools: Option<Tools>,
    /// Why what came last is not what it enforces.
    #[serde(default)]
    pub refused: Vec<String>,
}

/// The guarded server in a gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Upstream {
    /// Whether it can be reached; None before that is known.
    pub reachable: Option<bool>,
    /// How it stands, as one word.
    #[serde(default)]
    pub reason: Standing,
    /// How it stands, for people.
    pub message: String,
}

/// How a server stands, as the condition's reason says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Standing {
    /// It is not known yet.
    Unknown,
    /// It is reached.
    Reachable,
    /// A credential or a certificate for it cannot be had.
    CredentialMissing,
    /// It refuses the gateway's credential.
    CredentialRefused,
    /// Its name has no address.
    NameNotFound,
    /// Its address is none that gateways connect to.
    AddressRefused,
    /// Nobody listens there.
    ConnectionRefused,
    /// It takes no connection in time.
    TimedOut,
    /// TLS with it fails.
    TlsFailed,
    /// Something else, also what only a newer gateway knows.
    #[default]
    #[serde(other)]
    Unreachable,
}

impl Standing {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Reachable => "Reachable",
            Self::CredentialMissing => "CredentialMissing",
            Self::CredentialRefused => "CredentialRefused",
            Self::NameNotFound => "NameNotFound",
            Self::AddressRefused => "AddressRefused",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::TimedOut => "TimedOut",
            Self::TlsFailed => "TlsFailed",
            Self::Unreachable => "Unreachable",
        }
    }
}

/// A list of tools in a gateway's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Tools {
    /// How many tools are in it.
    pub count: i32,
    /// When it passed.
    pub at: Timestamp,
}

/// The shared store in a gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SharedCounters {
    /// Whether the store is used; None before that is known.
    pub up: Option<bool>,
    /// How it stands, for people.
    pub message: String,
}

/// The server in a gateway's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EnforcedServer {
    /// The server's UID.
    pub uid: String,
}

/// A gateway pod and what it says, or why that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pod's name.
    pub pod: String,
    /// What it says.
    pub enforced: Result<Enforced, String>,
}

/// Asks gateways.
#[derive(Clone)]
pub struct Gateways(Arc<dyn Fn(ReadyPod) -> Asking + Send + Sync>);

/// The bytes that a gateway answers with, or why there are none.
pub type Asking = BoxFuture<'static, Result<Bytes, String>>;

impl Gateways {
    /// Asks at the gateways' admin port.
    pub fn new() -> Self {
        Self::at_port(u16::try_from(ADMIN_PORT).expect("a port fits"))
    }

    /// Asks at another port.
    pub fn at_port(port: u16) -> Self {
        let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
        Self::by(move |pod| ask_by_http(client.clone(), SocketAddr::new(pod.address, port)).boxed())
    }

    /// Asks in another way.
    pub fn by(ask: impl Fn(ReadyPod) -> Asking + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Asks all pods at the same time. Every pod has an answer, in the order of the pods.
    pub async fn ask(&self, pods: &[ReadyPod]) -> Vec<Answer> {
        let asked: Vec<_> = pods.iter().cloned().map(|pod| self.ask_in_time(pod)).collect();
        stream::iter(asked).buffered(CONCURRENT_MAX).collect().await
    }

    async fn ask_in_time(&self, pod: ReadyPod) -> Answer {
        let name = pod.name.clone();
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, (self.0)(pod)).await;
        let answer = answer.unwrap_or_else(|_| Err("does not answer".to_owned()));
        let read =
            |body: Bytes| serde_json::from_slice(&body).map_err(|_| "gives an unreadable answer".to_owned());
        Answer { pod: name, enforced: answer.and_then(read) }
    }
}

async fn ask_by_http(client: HttpClient, gateway: SocketAddr) -> Result<Bytes, String> {
    let uri =
        Uri::builder().scheme("http").authority(gateway.to_string()).path_and_query("/revision").build();
    let uri = uri.map_err(|error| error.to_string())?;
    let request = Request::get(uri).body(Empty::new()).map_err(|error| error.to_string())?;
    // An error of the network has the address and port in it, which change; what is told must not.
    let response = client.request(request).await.map_err(|_| "cannot be reached".to_owned())?;
    if response.status() != StatusCode::OK {
        return Err(format!("answers {}", response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(body.map_err(|_| "gives no whole answer".to_owned())?.to_bytes())
}

impl fmt::Debug for Gateways {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Gateways")
    }
}

impl Default for Gateways {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadyPod {
    /// The pod, if it is Ready and not terminating.
    pub fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let mut conditions = status.conditions.iter().flatten();
        let ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        if !ready || pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        Some(Self { name: pod.metadata.name.clone()?, address: status.pod_ip.as_ref()?.parse().ok()? })
    }
}
