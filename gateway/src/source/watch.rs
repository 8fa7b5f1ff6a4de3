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

// The mount was read: it is as current as can be known.
async fn stop_waiting(gateway: Arc<Gateway>, answer_wait: Duration) {
    tokio::time::sleep(answer_wait).await;
    gateway.set_current();
}

fn apply(gateway: &Gateway, config_map: &ConfigMap) {
    match config_map.data.as_ref().and_then(|data| data.get(bundle::BUNDLE_KEY)) {
        Some(text) => bundle::apply(gateway, text),
        None => refuse(gateway, vec![format!("the ConfigMap has no key {}", bundle::BUNDLE_KEY)]),
    }
}

#[cfg(test)]
mod tests {
    use kube::Config;
    use tokio::net::TcpListener;

    use super::*;
    use crate::credentials::Credentials;
    use crate::metrics::Metrics;
    use crate::session::Seal;
    use crate::upstream;

    fn gateway() -> Arc<Gateway> {
        let (metrics, credentials) = (Metrics::new("crm").unwrap(), Credentials::new(None));
        let (seal, client) = (Seal::new().unwrap(), upstream::Client::new().unwrap());
        Arc::new(Gateway::new(metrics, credentials, seal, client, Vec::new()))
    }

    #[tokio::test]
    async fn an_api_server_that_hangs_keeps_no_gateway_from_being_ready() {
        let _already = rustls::crypto::ring::default_provider().install_default();
        // Connections are accepted by the system, and nobody ever answers.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let client = Client::try_from(Config::new(url)).unwrap();
        let (gateway, followed) = (gateway(), Followed::parse("sales/crm-toolgate").unwrap());
        let waiting = gateway.readiness().unwrap_err();
        tokio::spawn(follow_by(client, gateway.clone(), followed, Duration::from_millis(1)));
        while gateway.readiness().unwrap_err() == waiting {
            tokio::task::yield_now().await;
        }
        assert_eq!(gateway.readiness(), Err("nothing was ever in force"));
    }
}
