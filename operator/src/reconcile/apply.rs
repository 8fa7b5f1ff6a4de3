//! Writes what differs, by server-side apply, and says what is applied. Client required.
//!
//! An object that another controller, or nobody, owns is never touched, whatever its name.

mod difference;
mod handover;
mod removal;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::Value;
use toolgate_policy::{Bundle, Packed, TooLarge};

use super::build::{Child, Prepared};
use super::memory::{AppliedBundle, Memory, Written};
use super::validate::Whole;
use crate::child::ChildKind;
use crate::labels::MANAGER;
use crate::metrics::Metrics;

pub use difference::{Decision, decide};

/// Where an apply writes.
pub struct Target<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Writes are counted here.
    pub metrics: &'a Metrics,
    /// The server's namespace.
    pub namespace: &'a str,
    /// The server's UID.
    pub owner: &'a str,
    /// Whether what is missing may be made.
    pub making: Making,
}

/// Whether what is missing may be made. What is there is kept up to date in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// It may.
    Allowed,
    /// The server is being deleted, and its children go with it.
    ServerLeaves,
    /// The namespace is being deleted, and everything goes with it. The API server would refuse.
    NamespaceCloses,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}: {}", self.kind, self.name, self.message)
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Target")
            .field("namespace", &self.namespace)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// What is in the cluster after an apply.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The bundle that is in the ConfigMap now; the one before where the new one could not be written.
    pub bundle: Option<AppliedBundle>,
    /// What was written to each child, for the next comparison.
    pub written: BTreeMap<ChildKind, Written>,
    /// What could not be written.
    pub failures: Vec<Failure>,
}

/// A child that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The child's kind.
    pub kind: ChildKind,
    /// The child's name.
    pub name: String,
    /// Why not.
    pub cause: Cause,
    /// Why not, for people.
    pub message: String,
}

/// Why a child could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An object of that name belongs to somebody else.
    Foreign,
    /// The bundle is larger than ConfigMaps take.
    TooLarge,
    /// The namespace is being deleted.
    Closing,
    /// Somebody wrote it since it was looked at.
    Outdated,
    /// The API server refused, or did not answer.
    Refused,
}

impl Applied {
    /// Nothing, because nothing can be in force.
    pub fn nothing() -> Self {
        Self { bundle: None, written: BTreeMap::new(), failures: Vec::new() }
    }

    /// Nothing new, because it is too large. What was applied stays.
    pub fn too_large(
        memory: &Memory,
        previous: Option<&Arc<Bundle>>,
        name: String,
        too_large: &TooLarge,
    ) -> Self {
        // After a restart it is what was read.
        let read = || {
            let previous = previous?;
            Some(in_place(&(previous.clone(), Arc::new(Packed::of(previous).ok()?))))
        };
        let message = format!("the policies and grants take {too_large}");
        let failure = Failure { kind: ChildKind::ConfigMap, name, cause: Cause::TooLarge, message };
        let bundle = memory.applied.clone().or_else(read);
        Self { bundle, written: memory.written.clone(), failures: vec![failure] }
    }
}

/// Applies the objects of a server. Every failure is told in the result.
///
/// The bundle goes first, its parts before what commits them: whatever is wrong with another object, a revocation is never held back by it. Without our own
/// bundle in its place nothing else is written, and no pod is run under an account that is not ours.
pub async fn apply(
    target: &Target<'_>,
    prepared: &Prepared,
    bundle: Whole,
    live: &BTreeMap<ChildKind, Value>,
    memory: &Memory,
) -> Applied {
    let mut applied =
        Applied { bundle: memory.applied.clone(), written: memory.written.clone(), failures: Vec::new() };
    // Parts that the head names no more, once it is written.
    let left = live.keys().filter_map(|kind| match kind {
        ChildKind::Shard(shard) => prepared.emptied(*shard),
        _ => None,
    });
    let children: Vec<Child> = prepared.children().into_iter().chain(left).collect();
    for child in &children {
        if held_back(child.kind, &applied.failures) {
            continue;
        }
        match apply_child(target, child, live.get(&child.kind), memory.written.get(&child.kind)).await {
            Ok(outcome) => {
                if child.kind == ChildKind::ConfigMap && !matches!(outcome, Outcome::NotMade) {
                    applied.bundle = Some(in_place(&bundle));
                }
                if let Outcome::Written(written) = outcome {
                    applied.written.insert(child.kind, written);
                }
            }
            Err((cause, message)) => {
                let name = child.name().to_owned();
                applied.failures.push(Failure { kind: child.kind, name, cause, message });
            }
        }
    }
    removal::remove_unwanted(target, &children, live, &mut applied).await;
    applied
}

/// What became of a child.
enum Outcome {
    Kept,
    Written(Written),
    NotMade,
}

fn held_back(kind: ChildKind, failures: &[Failure]) -> bool {
    let failed = |kind: ChildKind| failures.iter().any(|failure| failure.kind == kind);
    failures.iter().any(|failure| failure.kind.is_bundle())
        || (kind == ChildKind::Deployment && failed(ChildKind::ServiceAccount))
}

fn in_place((bundle, packed): &Whole) -> AppliedBundle {
    AppliedBundle { bundle: bundle.clone(), hash: packed.hash.clone(), packed: packed.clone() }
}

async fn apply_child(
    target: &Target<'_>,
    child: &Child,
    live: Option<&Value>,
    written: Option<&Written>,
) -> Result<Outcome, (Cause, String)> {
    let resource = child.kind.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(target.client.clone(), target.namespace, &resource);
    if live.is_none() && target.making == Making::NamespaceCloses {
        return Err((Cause::Closing, "the namespace is being deleted".to_owned()));
    }
    // The caches hold only what is labelled as ours, so what is not there may still exist.
    let found = match live {
        Some(_) => None,
        None => api.get_opt(child.name()).await.map_err(|error| refused(&error))?.map(to_value),
    };
    let seen = live.or(found.as_ref());
    let uid = match decide(child, seen, target.owner, written) {
        Decision::Keep => return Ok(Outcome::Kept),
        Decision::Foreign(owner) => {
            return Err((Cause::Foreign, format!("{owner}; it is left as it is")));
        }
        Decision::Write { uid: None } if target.making == Making::ServerLeaves => {
            return Ok(Outcome::NotMade);
        }
        Decision::Write { uid } => uid,
    };
    let mut object = child.object.clone();
    if let Some(uid) = uid {
        // What was looked at is what is written to, or nothing is.
        object["metadata"]["uid"] = Value::from(uid);
        if child.kind.is_bundle() {
            object["metadata"]["resourceVersion"] = newest_version(seen, written);
        }
    }
    if let Some(live) = live.or(found.as_ref()) {
        handover::hand_over_replicas(&api, child, live).await.map_err(|error| refused(&error))?;
    }
    let parameters = PatchParams::apply(MANAGER).force();
    let result = api
        .patch(child.name(), &parameters, &Patch::Apply(&object))
        .await
        .map_err(|error| not_written(child.kind, &error))?;
    target.metrics.written(child.kind.as_str());
    tracing::info!(child = %child.kind, name = child.name(), namespace = target.namespace, "applied");
    let result = to_value(result);
    Ok(Outcome::Written(Written {
        wanted: child.digest.clone(),
        result: difference::fingerprint(&result),
        version: difference::version(&result),
    }))
}

// The cache may be behind our own last write.
fn newest_version(seen: Option<&Value>, written: Option<&Written>) -> Value {
    let ours = written.and_then(|written| written.version);
    match (seen.and_then(difference::version), ours) {
        (Some(seen), Some(ours)) => Value::from(seen.max(ours).to_string()),
        _ => seen.map_or(Value::Null, |seen| seen["metadata"]["resourceVersion"].clone()),
    }
}

fn not_written(kind: ChildKind, error: &kube::Error) -> (Cause, String) {
    match error {
        kube::Error::Api(status) if status.code == 404 && kind == ChildKind::HttpRoute => {
            let message = "the cluster does not serve HTTPRoutes of gateway.networking.k8s.io/v1";
            (Cause::Refused, message.to_owned())
        }
        _ => refused(error),
    }
}

fn refused(error: &kube::Error) -> (Cause, String) {
    let cause = match error {
        kube::Error::Api(status) if is_closing(status) => Cause::Closing,
        kube::Error::Api(status) if status.code == 409 => Cause::Outdated,
        _ => Cause::Refused,
    };
    (cause, error.to_string())
}

fn is_closing(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}

fn to_value(object: DynamicObject) -> Value {
    serde_json::to_value(object).expect("an object that was read can be written")
}
