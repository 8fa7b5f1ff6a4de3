//! The reconcile of one server: observe, validate, build, apply, report.
//!
//! Only `apply` and the end of this function write. What is reported is what was applied and what gateways answered,
//! never what was meant.

pub mod apply;
pub mod build;
pub mod memory;
pub mod observe;
pub mod report;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use toolgate_crds::McpServer;
use toolgate_crds::status::McpServerStatus;

use crate::conditions;
use crate::ledger::{Entry, ServerKey};
use crate::names;
use crate::raw::Raw;
use crate::scope::Scope;
use apply::{Applied, Cause, Failure, Making};
use observe::Observed;
use report::{Reported, Reporting};
use validate::Validated;

/// How long nothing is looked at when nothing happens.
pub const RESYNC: Duration = Duration::from_mins(5);
/// The first wait before gateways are asked again.
const POLL_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before gateways are asked again.
const POLL_LAST: Duration = Duration::from_secs(1);

/// Why a reconcile has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Children could not be written; the status says so.
    #[error("not written: {0}")]
    Apply(Failure),
    /// The status could not be written.
    #[error("the status could not be written")]
    Status(#[source] kube::Error),
}

/// Reconciles one server. Client required.
///
/// # Errors
/// When something could not be written. It is tried again later, and what could be written is.
pub async fn reconcile(server: Arc<Raw<McpServer>>, scope: Arc<Scope>) -> Result<Action, ReconcileError> {
    let key = ServerKey { namespace: server.namespace().to_owned(), name: server.name().to_owned() };
    let memory = scope.ledger.memory(&key, server.uid());
    let observed = observe::observe(&scope.stores, server, memory);
    let floor = revision_floor(&scope, &observed).await;
    let validated = validate::validate(&observed, &scope.candidates, &scope.settings, floor);
    let applied = applied(&scope, &observed, &validated).await;
    if let Some(failure) = applied.failures.iter().find(|failure| failure.cause == Cause::Outdated) {
        // What was looked at is not what is there, so nothing can be said of it. The caches will know soon.
        return Err(ReconcileError::Apply(failure.clone()));
    }
    let answers = scope.gateways.ask(&observed.pods).await;
    let reporting = Reporting {
        observed: &observed,
        validated: &validated,
        applied: &applied,
        answers: &answers,
        now: Timestamp::now(),
    };
    let reported = report::report(&reporting);
    let wait = if reported.ask_again { poll_after(reported.memory.polls) } else { reported.rest };
    tell(&scope, &key, &observed, reported).await?;
    match applied.failures.into_iter().next() {
        Some(failure) if failure.cause == Cause::Closing => {
            scope.closing.note(&key.namespace);
            Err(ReconcileError::Apply(failure))
        }
        Some(failure) => Err(ReconcileError::Apply(failure)),
        None => Ok(Action::requeue(wait)),
    }
}

async fn applied(scope: &Scope, observed: &Observed, validated: &Validated) -> Applied {
    let server = &observed.server;
    if let Some(too_large) = &validated.too_large {
        let name = names::child(server.name(), server.uid());
        return Applied::too_large(&observed.memory, observed.previous.as_ref(), name, too_large);
    }
    let Some((bundle, packed)) = &validated.bundle else { return Applied::nothing() };
    let prepared = build::build(bundle, packed, &scope.settings);
    let target = apply::Target {
        client: &scope.client,
        metrics: &scope.metrics,
        namespace: server.namespace(),
        owner: server.uid(),
        making: making(scope, server),
    };
    apply::apply(&target, &prepared, (bundle.clone(), packed.clone()), &observed.children, &observed.memory)
        .await
}

fn making(scope: &Scope, server: &Raw<McpServer>) -> Making {
    if server.metadata.deletion_timestamp.is_some() {
        Making::ServerLeaves
    } else if scope.closing.contains(server.namespace()) {
        Making::NamespaceCloses
    } else {
        Making::Allowed
    }
}

// The gateways' own word counts only before this process has written anything: afterwards they have it from us.
async fn revision_floor(scope: &Scope, observed: &Observed) -> i64 {
    if observed.memory.applied.is_some() {
        return observed.revision_floor;
    }
    let answers = scope.gateways.ask(&observed.pods).await;
    let told = answers.into_iter().filter_map(|answer| answer.enforced.ok());
    let ours = told.filter(|enforced| enforced.server.uid == observed.server.uid());
    let revisions = ours.map(|enforced| enforced.revision).filter(observe::sane);
    revisions.fold(observed.revision_floor, i64::max)
}

async fn tell(
    scope: &Scope,
    key: &ServerKey,
    observed: &Observed,
    reported: Reported,
) -> Result<(), ReconcileError> {
    let Reported { status, views, memory, .. } = reported;
    let entry = Entry { uid: observed.server.uid().to_owned(), memory, views };
    let changed = scope.ledger.publish(key, entry);
    scope.pass_on(key, changed).await;
    if !differs(&observed.server, &status) {
        return Ok(());
    }
    scope.statuses.write(&observed.server, &status).await.map_err(ReconcileError::Status)
}

fn differs(server: &Raw<McpServer>, status: &McpServerStatus) -> bool {
    let mut stored: McpServerStatus = server.status();
    stored.conditions = conditions::ours(stored.conditions);
    stored != *status
}

/// How long to wait before gateways are asked for the n-th time.
fn poll_after(polls: u32) -> Duration {
    let doublings = polls.saturating_sub(1).min(16);
    (POLL_FIRST * (1 << doublings)).min(POLL_LAST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::poll_after;

    #[test]
    fn gateways_are_asked_again_soon_and_then_each_second() {
        let waits: Vec<u128> =
            [1, 2, 3, 5, 6, 7, 1000, u32::MAX].map(|polls| poll_after(polls).as_millis()).into();
        assert_eq!(waits, [50, 100, 200, 800, 1000, 1000, 1000, 1000]);
        assert_eq!(poll_after(0), Duration::from_millis(50));
    }
}
