//! Follows the one ConfigMap that the bundle is in, so that an edit is enforced without the kubelet's delay.
//!
//! Of a bundle that is too large for one, that ConfigMap is the head: it is written last, and commits the parts, which are read
//! when it comes. Parts that do not fit together are none.
//!
//! Losing the API server changes no rule: what is in force stays, and the watch goes on when it can.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use toolgate_policy::{BUNDLE_KEY, GZIP_KEY, HEAD_KEY, Head};

use super::bundle::{self, Held};
use crate::gateway::Gateway;

/// How long to wait before asking again for a client of the API server.
const RETRY: Duration = Duration::from_secs(5);
/// How long to wait before the parts of a bundle are read again.
const RETRY_SHARDS: Duration = Duration::from_secs(1);
/// How long the API server's first answer is waited for. One that hangs is as good as none.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// Which ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Followed {
    /// Reads `NAMESPACE/NAME`.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let valid = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        valid.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// Follows the ConfigMap for ever.
pub async fn follow(gateway: Arc<Gateway>, followed: Followed) {
    let client = loop {
        match Client::try_default().await {
            Ok(client) => break client,
            Err(error) => {
                tracing::warn!(%error, "no way to the API server");
                gateway.set_current();
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    follow_by(client, gateway, followed, ANSWER_WAIT).await;
}

async fn follow_by(client: Client, gateway: Arc<Gateway>, followed: Followed, answer_wait: Duration) {
    tokio::spawn(stop_waiting(gateway.clone(), answer_wait));
    let config_maps: Api<ConfigMap> = Api::namespaced(client, &followed.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", followed.name));
    let mut events = watcher::watcher(config_maps.clone(), config).default_backoff().boxed();
    // One whose parts could not be read yet.
    let mut open: Option<Head> = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = tokio::time::sleep(RETRY_SHARDS), if open.is_some() => {
                open = join(&gateway, &config_maps, &followed, open).await;
                continue;
            }
        };
        match event {
            Some(Ok(Event::Apply(config_map) | Event::InitApply(config_map))) => {
                open = join(&gateway, &config_maps, &followed, apply(&gateway, &config_map)).await;
                gateway.set_current();
            }
            Some(Ok(Event::InitDone)) => gateway.set_current(),
            // A deleted bundle takes nothing back: only a newer one can.
            Some(Ok(Event::Delete(_) | Event::Init)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "watching the bundle");
                // As current as can be known: the mount was read, and nobody answers.
                gateway.set_current();
            }
            None => return,
        }
    }
}

// The mount was read: it is as current as can be known.
async fn stop_waiting(gateway: Arc<Gateway>, answer_wait: Duration) {
    tokio::time::sleep(answer_wait).await;
    gateway.set_current();
}

// What is left to be read.
fn apply(gateway: &Gateway, config_map: &ConfigMap) -> Option<Head> {
    let text = |key: &str| config_map.data.as_ref()?.get(key).map(String::as_str);
    let compressed = config_map.binary_data.as_ref().and_then(|data| data.get(GZIP_KEY));
    match bundle::held(text(BUNDLE_KEY), compressed.map(|bytes| bytes.0.as_slice()), text(HEAD_KEY)) {
        Ok(Held::Head(head)) => return Some(head),
        Ok(Held::Whole(bundle)) => bundle::take(gateway, Ok(*bundle)),
        Err(error) => bundle::take(gateway, Err(error)),
    }
    None
}

// Puts in force what a head commits. What it returns is to be tried again: parts may be on their way, or the next head is.
async fn join(
    gateway: &Gateway,
    config_maps: &Api<ConfigMap>,
    followed: &Followed,
    head: Option<Head>,
) -> Option<Head> {
    let head = head?;
    if gateway.holder.current().is_some_and(|current| current.hash == head.hash) {
        return None;
    }
    let joined = match shards(config_maps, followed, &head).await {
        Ok(shards) => head.join(&shards).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let is_whole = joined.is_ok();
    bundle::take(gateway, joined);
    (!is_whole).then_some(head)
}

async fn shards(
    config_maps: &Api<ConfigMap>,
    followed: &Followed,
    head: &Head,
) -> Result<Vec<Vec<u8>>, String> {
    let mut shards = Vec::new();
    for place in head.places() {
        let name = place.config_map(&followed.name);
        let asked = tokio::time::timeout(ANSWER_WAIT, config_maps.get(&name)).await;
        let found =
            asked.map_err(|_| format!("the part {place} of the bundle: the API server does not answer"))?;
        let found = found.map_err(|error| format!("the part {place} of the bundle: {error}"))?;
        let bytes = found.binary_data.and_then(|mut data| data.remove(&place.to_string()));
        shards.push(bytes.ok_or_else(|| format!("the part {place} of the bundle is empty"))?.0);
    }
    Ok(shards)
}

#[cfg(test)]
mod tests;
