//! Puts the operator together and runs it until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::gateways::Gateways;
use crate::http;
use crate::lease::Election;
use crate::metrics::Metrics;
use crate::patience::{ANSWER_TIMEOUT, fenced, patient};
use crate::pulse::Pulse;
use crate::scope::{self, Parts};
use crate::settings::Settings;
use crate::watch::WATCH_SECONDS;

/// How long the API server may be silent in the midst of an answer.
const PAUSE: Duration = ANSWER_TIMEOUT;
/// How long a watch may be silent: longer than the API server keeps one open.
const WATCH_PAUSE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 10);

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
    let client = patient(&client(&config, PAUSE)?, None);
    let watching = self::client(&config, WATCH_PAUSE)?;
    let (metrics, pulse) = (Arc::new(Metrics::new()), Pulse::default());
    let listener = TcpListener::bind(settings.listen).await.map_err(RunError::Listen)?;
    tracing::info!(listen = %settings.listen, cluster = %config.cluster_url, "started");
    let campaign = settings.campaign(&config.default_namespace);
    let mut election = campaign.map(|campaign| Election::new(client.clone(), campaign, metrics.clone()));
    // The sender of the one that leads without an election is kept to the end.
    let (_alone, alone) = watch::channel(true);
    metrics.leads(election.is_none());
    let parts = Parts {
        client: election.as_ref().map_or(client.clone(), |election| fenced(&client, &election.tenure())),
        watching,
        namespace: None,
        settings: settings.gateways(),
        gateways: Gateways::new(),
        metrics: metrics.clone(),
        pulse: pulse.clone(),
        identity: settings.identity(),
        leading: election.as_ref().map_or(alone, Election::leading),
    };
    let working = work(parts, &settings.watch_namespace, &mut election, stop);
    tokio::select! {
        () = working => tracing::info!("stopped"),
        () = http::serve(listener, metrics.clone(), pulse) => {}
    }
    Ok(())
}

// Until `stop`; then what is under way is finished, and only then may another operator lead.
async fn work(
    parts: Parts,
    namespaces: &[String],
    election: &mut Option<Election>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let (metrics, stop) = (parts.metrics.clone(), stop.boxed().shared());
    let scopes: Vec<Parts> = match namespaces {
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
    let Some(election) = election else {
        running.await;
        return;
    };
    tokio::select! {
        _ = running => {}
        () = election.run() => {}
    }
    election.release().await;
}

fn client(config: &Config, pause: Duration) -> Result<Client, RunError> {
    let mut config = config.clone();
    config.read_timeout = Some(pause);
    // Every object and every watch has waits of its own.
    config.default_retry = false;
    Client::try_from(config).map_err(RunError::Client)
}
