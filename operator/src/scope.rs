//! One scope: all namespaces, or one. Its caches, its queues, and what runs in it.
//!
//! The watches run all the time, so that the caches are warm when this operator comes to lead. What is reconciled, and
//! what is remembered of it, belongs to a term: whoever led in between may have changed everything.

mod events;
mod requests;
mod statuses;
mod watches;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use crate::candidates::Candidates;
use crate::closing::Closing;
use crate::gateways::Gateways;
use crate::ledger::Ledger;
use crate::metrics::{Metrics, standing};
use crate::pulse::Pulse;
use crate::queue::{self, Queue, Requests};
use crate::reconcile::build::GatewaySettings;
use crate::reconcile::reconcile;
use crate::status::Statuses;
use crate::stores::Stores;
use crate::transitions::{Telling, teller};

/// What every reconcile has at hand, for one term.
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
    /// Asks gateways.
    pub gateways: Gateways,
    /// Everything that is measured.
    pub metrics: Arc<Metrics>,
    /// What has to go on.
    pub pulse: Pulse,
    /// Who this operator is among several, as Events say it.
    pub identity: String,
    /// Whether this operator leads.
    pub leading: watch::Receiver<bool>,
}

/// The scope of the present term; None while this operator does not lead.
#[derive(Debug, Default)]
struct Term(Mutex<Option<Arc<Scope>>>);

/// The other ends of a term's queues.
struct Ends {
    telling: Telling,
    servers: Requests<McpServer>,
    policies: Requests<ToolPolicy>,
    grants: Requests<ToolGrant>,
}

/// Runs a scope until `stop`. `filled` is called once, when all caches have been filled.
pub async fn run<Stop>(parts: Parts, filled: impl FnOnce(), stop: Stop)
where
    Stop: Future<Output = ()> + Clone + Send + 'static,
{
    let (stores, writers) = watches::caches();
    let counted = stores.clone();
    parts.metrics.count_by(move || standing::count(&counted));
    let term = Term::default();
    let watching = Box::pin(watches::run(&term, &parts, writers));
    let leading = async {
        if !stores.filled().await {
            return;
        }
        filled();
        Box::pin(lead(&parts, &stores, &term, stop.clone())).await;
    };
    // The watches have no end of their own: they end when what is under way has been finished.
    tokio::select! {
        () = leading => {}
        () = watching => {}
    }
}

// One term after the other, until `stop`.
async fn lead(
    parts: &Parts,
    stores: &Stores,
    term: &Term,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) {
    loop {
        let mut leading = parts.leading.clone();
        tokio::select! {
            () = stop.clone() => return,
            elected = leading.wait_for(|leads| *leads) => if elected.is_err() { return },
        }
        // Without a lead there is nothing to come to an end by itself: only `stop` ends it.
        let deposed = async move {
            if leading.wait_for(|leads| !*leads).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = futures::future::select(stop.clone().boxed(), deposed.boxed()).map(drop).boxed().shared();
        let (scope, ends) = Scope::begin(parts, stores);
        let scope = Arc::new(scope);
        term.set(Some(scope.clone()));
        serve(&scope, ends, ended).await;
        term.set(None);
    }
}

// Until the term has ended and what was under way is finished.
async fn serve<Ended>(scope: &Arc<Scope>, ends: Ends, ended: Ended)
where
    Ended: Future<Output = ()> + Clone + Send + 'static,
{
    let Stores { servers, policies, grants, .. } = &scope.stores;
    let mut reconciling = JoinSet::new();
    reconciling.spawn(queue::run("McpServer", reconcile, servers, ends.servers, scope, ended.clone()));
    reconciling.spawn(queue::run(
        "ToolPolicy",
        statuses::policy,
        policies,
        ends.policies,
        scope,
        ended.clone(),
    ));
    reconciling.spawn(queue::run("ToolGrant", statuses::grant, grants, ends.grants, scope, ended));
    let beginning = async {
        futures::join!(scope.request_everything(), ends.telling.run());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = reconciling.join_all() => {}
        () = beginning => {}
    }
}

impl Term {
    fn scope(&self) -> Option<Arc<Scope>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, scope: Option<Arc<Scope>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = scope;
    }
}

impl Scope {
    fn begin(parts: &Parts, stores: &Stores) -> (Self, Ends) {
        let (servers, server_requests) = Queue::new("queue of McpServers", &parts.pulse);
        let (policies, policy_requests) = Queue::new("queue of ToolPolicies", &parts.pulse);
        let (grants, grant_requests) = Queue::new("queue of ToolGrants", &parts.pulse);
        let (teller, telling) = teller(parts.client.clone(), &parts.identity);
        let scope = Self {
            statuses: Statuses::new(parts.client.clone(), parts.metrics.clone(), teller),
            client: parts.client.clone(),
            stores: stores.clone(),
            ledger: Ledger::default(),
            candidates: Candidates::default(),
            closing: Closing::default(),
            gateways: parts.gateways.clone(),
            settings: parts.settings.clone(),
            metrics: parts.metrics.clone(),
            servers,
            policies,
            grants,
        };
        let ends =
            Ends { telling, servers: server_requests, policies: policy_requests, grants: grant_requests };
        (scope, ends)
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
