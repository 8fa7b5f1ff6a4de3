//! Takes away children that a server wants no more. Client required.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use serde_json::Value;

use super::difference::controlled_by;
use super::{Applied, Failure, Target, refused};
use crate::child::ChildKind;
use crate::reconcile::build::Child;

/// Deletes what is there, is this server's, and is not among what is wanted. What was looked at is what is deleted, or
/// nothing is.
pub(super) async fn remove_unwanted(
    target: &Target<'_>,
    wanted: &[Child],
    live: &BTreeMap<ChildKind, Value>,
    applied: &mut Applied,
) {
    let is_wanted = |kind: ChildKind| wanted.iter().any(|child| child.kind == kind);
    let unwanted = live.iter().filter(|(kind, _)| !kind.is_always_there() && !is_wanted(**kind));
    for (kind, object) in unwanted.filter(|(_, object)| controlled_by(object, target.owner).is_ok()) {
        applied.written.remove(kind);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if let Err(error) = delete(target, *kind, name, object).await {
            let (cause, message) = refused(&error);
            applied.failures.push(Failure { kind: *kind, name: name.to_owned(), cause, message });
        }
    }
}

async fn delete(target: &Target<'_>, kind: ChildKind, name: &str, object: &Value) -> Result<(), kube::Error> {
    let metadata = &object["metadata"];
    if metadata["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let api: Api<DynamicObject> =
        Api::namespaced_with(target.client.clone(), target.namespace, &kind.resource());
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata["uid"].as_str().map(str::to_owned),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(name, &parameters).await {
        // It is gone already, or another one has its name: the cache is behind.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error),
        Ok(_) => {
            target.metrics.written(kind.as_str());
            tracing::info!(child = %kind, name, namespace = target.namespace, "deleted");
            Ok(())
        }
    }
}
