//! Writes the statuses of policies and grants, put together from all servers that they concern.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use toolgate_crds::{ToolGrant, ToolPolicy};
use toolgate_policy::References;

use super::Scope;
use crate::raw::Raw;
use crate::reconcile::RESYNC;
use crate::reconcile::observe::concern;
use crate::status::{self, Target};
use crate::view::{View, Views};

/// Writes a policy's status where it says something else than before.
pub(super) async fn policy(policy: Arc<Raw<ToolPolicy>>, scope: Arc<Scope>) -> Result<Action, kube::Error> {
    if scope.knows_all_servers(policy.namespace()) {
        let candidate = scope.candidates.policy(&policy);
        let name = policy.name();
        let of = |views: &Views| views.policies.get(name).cloned();
        let targets = scope.targets(policy.namespace(), policy.uid(), &candidate.servers, of);
        let status = status::policy::status(&policy, &candidate, &targets, Timestamp::now());
        if let Some(status) = status.filter(|status| status::policy::differs(&policy, status)) {
            scope.statuses.write(&policy, &status).await?;
        }
    }
    Ok(Action::requeue(RESYNC))
}

/// Writes a grant's status where it says something else than before.
pub(super) async fn grant(grant: Arc<Raw<ToolGrant>>, scope: Arc<Scope>) -> Result<Action, kube::Error> {
    if !scope.knows_all_servers(grant.namespace()) {
        return Ok(Action::requeue(RESYNC));
    }
    let (candidate, now) = (scope.candidates.grant(&grant), Timestamp::now());
    let name = grant.name();
    let of = |views: &Views| views.grants.get(name).cloned();
    let targets = scope.targets(grant.namespace(), grant.uid(), &candidate.servers, of);
    let status = status::grant::status(&grant, &candidate, &targets, now);
    if let Some(status) = status.filter(|status| status::grant::differs(&grant, status)) {
        scope.statuses.write(&grant, &status).await?;
    }
    // Its status changes by itself once it expires.
    let expiry = status::grant::expires_at(&candidate).filter(|expiry| *expiry > now);
    let until_expiry = expiry.and_then(|expiry| Duration::try_from(expiry.duration_since(now)).ok());
    Ok(Action::requeue(until_expiry.map_or(RESYNC, |wait| wait.min(RESYNC))))
}

impl Scope {
    /// The servers that an object is for, and those that know it.
    fn targets(
        &self,
        namespace: &str,
        uid: &str,
        references: &References,
        of: impl Fn(&Views) -> Option<View>,
    ) -> Vec<Target> {
        let of_this = |views: &Views| of(views).filter(|view| view.uid() == uid);
        let mut views = self.ledger.views(namespace, of_this);
        let stored = self.stores.servers.state_filter(|server| server.namespace() == namespace);
        let existing: BTreeSet<&str> = stored.iter().map(|server| server.name()).collect();
        views.retain(|server, _| existing.contains(server.as_str()));
        let selected = stored.iter().filter(|server| concern(references, server));
        let meant: BTreeSet<&str> = selected
            .map(|server| server.name())
            .chain(references.names().iter().map(String::as_str))
            .collect();
        let servers: BTreeSet<&str> = meant.iter().copied().chain(views.keys().map(String::as_str)).collect();
        let target = |server: &str| Target {
            named: meant.contains(server),
            exists: existing.contains(server),
            view: views.get(server).cloned(),
            server: server.to_owned(),
        };
        servers.into_iter().map(target).collect()
    }
}
