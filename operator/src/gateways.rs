//! Asks gateway pods which bundle they enforce.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;

use crate::reconcile::build::ADMIN_PORT;

/// How long a gateway has for its whole answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of an answer. A gateway lists what it enforces, so it may be long.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most gateways of one server that are asked at the same time.
const CONCURRENT_MAX: usize = 16;

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
#[derive(Clone, Debug)]
pub struct Gateways {
    client: Client<HttpConnector, Empty<Bytes>>,
    port: u16,
}

impl Gateways {
    /// Asks at the gateways' admin port.
    pub fn new() -> Self {
        Self::at_port(u16::try_from(ADMIN_PORT).expect("a port fits"))
    }

    /// Asks at another port.
    pub fn at_port(port: u16) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), port }
    }

    /// Asks all pods at the same time. Every pod has an answer, in the order of the pods.
    pub async fn ask(&self, pods: &[ReadyPod]) -> Vec<Answer> {
        let asked: Vec<_> = pods.iter().cloned().map(|pod| self.ask_in_time(pod)).collect();
        stream::iter(asked).buffered(CONCURRENT_MAX).collect().await
    }

    async fn ask_in_time(&self, pod: ReadyPod) -> Answer {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.ask_one(pod.address)).await;
        let enforced = answer.unwrap_or_else(|_| Err("does not answer".to_owned()));
        Answer { pod: pod.name, enforced }
    }

    async fn ask_one(&self, address: IpAddr) -> Result<Enforced, String> {
        let authority = SocketAddr::new(address, self.port).to_string();
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query("/revision").build();
        let uri = uri.map_err(|error| error.to_string())?;
        let request = Request::get(uri).body(Empty::new()).map_err(|error| error.to_string())?;
        // An error of the network has the address and port in it, which change; what is told must not.
        let response = self.client.request(request).await.map_err(|_| "cannot be reached".to_owned())?;
        if response.status() != StatusCode::OK {
            return Err(format!("answers {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| "gives no whole answer".to_owned())?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| "gives an unreadable answer".to_owned())
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
