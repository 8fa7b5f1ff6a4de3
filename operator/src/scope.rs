//! One scope: all namespaces, or one. Its caches, its queues, and what runs in it.

mod events;
mod requests;
mod statuses;
mod watches;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::Client;
use tokio::task::JoinSet;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use crate::candidates::Candidates;
use crate::closing::Closing;
use crate::gateways::Gateways;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::queue::{self, Queue};
use crate::reconcile::build::GatewaySettings;
use crate::reconcile::reconcile;
use crate::status::Statuses;
use crate::stores::Stores;

/// What every reconcile has at hand.
pub struct Scope {
    /// The API server.
    pub client: Client,
    /// The caches.
    pub stores: Stores,
    /// What came of each server's last reconcile.
    pub ledger: Ledger,
    /// Policies and grants as they were judged.
    pub candidates: Candidates,
    /// Namespaces that are being deleted.
    pub closing: Closing,
    /// Asks gateways.
    pub gateways: Gateways,
    /// How gateway pods are run.
    pub settings: GatewaySettings,
    /// Everything that is measured.
    pub metrics: Arc<Metrics>,
    /// Writes statuses.
    pub statuses: Statuses,
    servers: Queue<McpServer>,
    policies: Queue<ToolPolicy>,
    grants: Queue<ToolGrant>,
    filled: AtomicBool,
}

/// What a scope is made from.
#[derive(Clone)]
pub struct Parts {
    /// For requests. It gives up on an API server that does not answer.
    pub client: Client,
    /// For watches, which are silent for long.
    pub watching: Client,
    /// The one namespace; all when absent.
    pub namespace: Option<String>,
    /// How gateway pods are run.
    pub settings: GatewaySettings,
    /// Everything that is measured.
    pub metrics: Arc<Metrics>,
}

/// Runs a scope until `stop`. `filled` is called once, when all caches have been filled.
pub async fn run<Stop>(parts: Parts, filled: impl FnOnce(), stop: Stop)
where
    Stop: Future<Output = ()> + Clone + Send + 'static,
{
    let (stores, writers) = watches::caches();
    let (servers, server_requests) = Queue::new();
    let (policies, policy_requests) = Queue::new();
    let (grants, grant_requests) = Queue::new();
    let scope = Arc::new(Scope {
        statuses: Statuses::new(parts.client.clone(), parts.metrics.clone()),
        client: parts.client,
        stores,
        ledger: Ledger::default(),
        candidates: Candidates::default(),
        closing: Closing::default(),
        gateways: Gateways::new(),
        settings: parts.settings,
        metrics: parts.metrics,
        servers,
        policies,
        grants,
        filled: AtomicBool::new(false),
    });
    let stores = scope.stores.clone();
    let mut reconciling = JoinSet::new();
    let (servers, policies, grants) = (&stores.servers, &stores.policies, &stores.grants);
    reconciling.spawn(queue::run("McpServer", reconcile, servers, server_requests, &scope, stop.clone()));
    reconciling.spawn(queue::run(
        "ToolPolicy",
        statuses::policy,
        policies,
        policy_requests,
        &scope,
        stop.clone(),
    ));
    reconciling.spawn(queue::run("ToolGrant", statuses::grant, grants, grant_requests, &scope, stop));
    let watching = watches::run(&scope, &parts.watching, parts.namespace.as_deref(), writers);
    let beginning = async {
        if stores.filled().await {
            scope.filled.store(true, Ordering::SeqCst);
            scope.request_everything().await;
            filled();
        }
        std::future::pending::<()>().await;
    };
    // The watches have no end of their own: they end when what is under way has been finished.
    tokio::select! {
        _ = reconciling.join_all() => {}
        () = watching => {}
        () = beginning => {}
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scope")
            .field("settings", &self.settings)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Parts")
            .field("namespace", &self.namespace)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
