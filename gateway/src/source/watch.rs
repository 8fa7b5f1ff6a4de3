//! Follows the one ConfigMap that the bundle is in, so that an edit is enforced without the kubelet's delay.
//!
//! Losing the API server changes no rule: what is in force stays, and the watch goes on when it can.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};

use super::{bundle, refuse};
use crate::gateway::Gateway;

/// How long to wait before asking again for a client of the API server.
const RETRY: Duration = Duration::from_secs(5);

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
    let config_maps: Api<ConfigMap> = Api::namespaced(client, &followed.namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={}", followed.name));
    let mut events = watcher::watcher(config_maps, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(config_map) | Event::InitApply(config_map)) => {
                apply(&gateway, &config_map);
                gateway.set_current();
            }
            Ok(Event::InitDone) => gateway.set_current(),
            // A deleted bundle takes nothing back: only a newer one can.
            Ok(Event::Delete(_) | Event::Init) => {}
            Err(error) => {
                tracing::warn!(%error, "watching the bundle");
                // As current as can be known: the mount was read, and nobody answers.
                gateway.set_current();
            }
        }
    }
}

fn apply(gateway: &Gateway, config_map: &ConfigMap) {
    match config_map.data.as_ref().and_then(|data| data.get(bundle::BUNDLE_KEY)) {
        Some(text) => bundle::apply(gateway, text),
        None => refuse(gateway, vec![format!("the ConfigMap has no key {}", bundle::BUNDLE_KEY)]),
    }
}
