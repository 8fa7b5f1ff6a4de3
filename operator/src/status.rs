//! Statuses: how they are written, and those of policies and grants, which are put together from all their servers.

pub mod grant;
pub mod policy;
mod standing;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde_json::json;

use crate::labels::MANAGER;
use crate::metrics::Metrics;
use crate::raw::Raw;
use crate::view::View;

/// A server that an object names, or that knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The server's name.
    pub server: String,
    /// Whether the object names it.
    pub named: bool,
    /// Whether it exists.
    pub exists: bool,
    /// How it views the object.
    pub view: Option<View>,
}

/// Writes a status by server-side apply. An object that is gone needs none.
///
/// # Errors
/// When the API server refuses or cannot be reached.
pub async fn write<K>(
    client: &Client,
    metrics: &Metrics,
    object: &Raw<K>,
    status: &impl Serialize,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + 'static,
{
    let api: Api<Raw<K>> = Api::namespaced(client.clone(), object.namespace());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // With the UID, or the status of an object would be written to another of the same name.
        "metadata": {"name": object.name(), "namespace": object.namespace(), "uid": object.uid()},
        "status": status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    match api.patch_status(object.name(), &parameters, &Patch::Apply(&patch)).await {
        Ok(_) => {
            metrics.written(&format!("{}/status", K::kind(&())));
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
            tracing::debug!(kind = %K::kind(&()), name = object.name(), "gone before its status was written");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
