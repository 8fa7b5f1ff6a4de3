//! Fetches what issuers publish: by https or from this very machine, bounded, and never where a redirect leads.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::key::Keys;
use crate::destinations::{Connector, Destinations};
use crate::upstream;

/// The largest document of an issuer, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

type HttpsClient = Client<HttpsConnector<Connector>, Empty<Bytes>>;

/// Where an issuer publishes its keys.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(default)]
    jwks_uri: String,
}

/// The keys of an issuer, by OpenID Connect discovery.
pub(super) async fn published(issuer: &str, destinations: Destinations) -> Result<Keys, String> {
    let metadata = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata = read(&document(&metadata, destinations).await?)?;
    if metadata.issuer != issuer {
        return Err(format!("it calls itself {:?}", metadata.issuer));
    }
    Keys::read(metadata.issuer, &document(&metadata.jwks_uri, destinations).await?)
}

/// The keys of the cluster: asked of the API server as this pod, which every ServiceAccount may.
pub(super) async fn of_api_server(client: &kube::Client) -> Result<Keys, String> {
    // Where it says that its keys are is for others, who reach it from elsewhere.
    let metadata = read(&of_cluster(client, "/.well-known/openid-configuration").await?)?;
    Keys::read(metadata.issuer, &of_cluster(client, "/openid/v1/jwks").await?)
}

fn read(document: &[u8]) -> Result<Metadata, String> {
    serde_json::from_slice(document).map_err(|error| error.to_string())
}

async fn of_cluster(client: &kube::Client, path: &str) -> Result<Bytes, String> {
    let request = Request::get(path).body(kube::client::Body::empty()).map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| format!("{path}: {error}"))?;
    let status = response.status();
    bounded(path, status, response.into_body()).await
}

async fn document(url: &str, destinations: Destinations) -> Result<Bytes, String> {
    // An issuer could name any place for its keys.
    if !toolgate_policy::is_issuer(url) {
        return Err(format!("{url:?} is neither by https nor on this machine"));
    }
    let request = Request::get(url).header(ACCEPT, "application/json").body(Empty::new());
    let request = request.map_err(|error| error.to_string())?;
    let client = client(destinations).map_err(|error| error.to_string())?;
    let response =
        client.request(request).await.map_err(|error| format!("{url}: {}", upstream::chain(&error)))?;
    let status = response.status();
    bounded(url, status, response.into_body()).await
}

async fn bounded<B>(from: &str, status: StatusCode, body: B) -> Result<Bytes, String>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if status != StatusCode::OK {
        return Err(format!("{from}: {status}"));
    }
    let collected = Limited::new(body, DOCUMENT_BYTES_MAX).collect().await;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| format!("{from}: {error}"))
}

// Made when it is first needed: most gateways never ask anybody.
fn client(destinations: Destinations) -> io::Result<HttpsClient> {
    static CLIENTS: Mutex<BTreeMap<Destinations, HttpsClient>> = Mutex::new(BTreeMap::new());
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&destinations) {
        return Ok(client.clone());
    }
    // Without idle connections: it is asked once in minutes.
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(upstream::connector(destinations)?);
    clients.insert(destinations, client.clone());
    Ok(client)
}
