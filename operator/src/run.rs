//! Puts the operator together and runs it until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use kube::{Client, Config};
use tokio::net::TcpListener;

use crate::http;
use crate::metrics::Metrics;
use crate::scope::{self, Parts};
use crate::settings::Settings;
use crate::watch::WATCH_SECONDS;

/// How long the API server has for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a watch may be silent: longer than the API server keeps one open.
const WATCH_SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to an API server.
    #[error("no cluster can be reached: neither a pod's service account nor a kubeconfig")]
    Config(#[source] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("the client for the cluster cannot be made")]
    Client(#[source] kube::Error),
    /// Probes and metrics cannot be served.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
}

/// Runs the operator until `stop`; then finishes what is under way.
///
/// # Errors
/// When it cannot start.
pub async fn run(
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let config = Config::infer().await.map_err(RunError::Config)?;
    let client = client(&config, REQUEST_TIMEOUT)?;
    let watching = self::client(&config, WATCH_SILENCE)?;
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind(settings.listen).await.map_err(RunError::Listen)?;
    tracing::info!(listen = %settings.listen, cluster = %config.cluster_url, "started");
    let stop = stop.boxed().shared();
    let parts =
        Parts { client, watching, namespace: None, settings: settings.gateways(), metrics: metrics.clone() };
    let scopes: Vec<Parts> = match settings.watch_namespace.as_slice() {
        [] => vec![parts],
        namespaces => namespaces
            .iter()
            .map(|namespace| Parts { namespace: Some(namespace.clone()), ..parts.clone() })
            .collect(),
    };
    let unfilled = AtomicUsize::new(scopes.len());
    let filled = || {
        if unfilled.fetch_sub(1, Ordering::SeqCst) == 1 {
            tracing::info!("all caches are filled");
            metrics.set_ready();
        }
    };
    let running = join_all(scopes.into_iter().map(|parts| scope::run(parts, filled, stop.clone())));
    tokio::select! {
        _ = running => tracing::info!("stopped"),
        () = http::serve(listener, metrics.clone()) => {}
    }
    Ok(())
}

fn client(config: &Config, silence: Duration) -> Result<Client, RunError> {
    let mut config = config.clone();
    config.read_timeout = Some(silence);
    Client::try_from(config).map_err(RunError::Client)
}
