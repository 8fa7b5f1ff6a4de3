//! Leaves the number of pods to an autoscaler without changing it. Client required.
//!
//! A field that its only owner does not apply any more is reset to its default: a Deployment of five pods would shrink
//! to one in the moment in which an autoscaler is to take it over.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::child::ChildKind;
use crate::labels::AUTOSCALED;
use crate::reconcile::build::Child;

/// Who owns the number until the autoscaler sets it.
const MANAGER: &str = "toolgate-operator-replicas";

/// Keeps the number of pods of a Deployment that was not autoscaled until now.
pub(super) async fn hand_over_replicas(
    api: &Api<DynamicObject>,
    child: &Child,
    live: &Value,
) -> Result<(), kube::Error> {
    let is_autoscaled = |object: &Value| object["metadata"]["annotations"][AUTOSCALED] == "true";
    if child.kind != ChildKind::Deployment || !is_autoscaled(&child.object) || is_autoscaled(live) {
        return Ok(());
    }
    let metadata = json!({"name": child.name(), "uid": live["metadata"]["uid"]});
    let kept = json!({
        "apiVersion": child.object["apiVersion"],
        "kind": child.object["kind"],
        "metadata": metadata,
        "spec": {"replicas": live["spec"]["replicas"]},
    });
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(child.name(), &parameters, &Patch::Apply(&kept)).await.map(drop)
}
