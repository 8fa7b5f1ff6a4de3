//! Statuses: how they are written, and those of policies and grants, which are put together from all their servers.

pub mod grant;
pub mod policy;
mod standing;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::labels::MANAGER;
use crate::metrics::Metrics;
use crate::raw::Raw;
use crate::transitions::{Teller, Transition, transitions};
use crate::view::View;

/// How long the cache may take to have what was written; afterwards it is believed again.
const CATCH_UP: Duration = Duration::from_secs(5);

/// A server that an object is for, or that knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The server's name.
    pub server: String,
    /// Whether the object is for it: names it, or selects it by its labels.
    pub named: bool,
    /// Whether it exists.
    pub exists: bool,
    /// How it views the object.
    pub view: Option<View>,
}

/// Writes statuses by server-side apply.
pub struct Statuses {
    client: Client,
    metrics: Arc<Metrics>,
    teller: Teller,
    // By the object's UID. An entry goes as soon as the cache has caught up.
    written: Mutex<HashMap<String, Written>>,
}

/// A status that was written and may not have come back by the watch yet.
struct Written {
    version: u64,
    at: Instant,
}

impl Statuses {
    /// Writes to an API server.
    pub fn new(client: Client, metrics: Arc<Metrics>, teller: Teller) -> Self {
        Self { client, metrics, teller, written: Mutex::default() }
    }

    /// Writes a status that differs from the stored one. An object that is gone needs none.
    ///
    /// Nothing is written while the cache does not have our own last write, or the same would be written twice: that
    /// write's event asks for the object again.
    ///
    /// # Errors
    /// When the API server refuses or cannot be reached.
    pub async fn write<K>(&self, object: &Raw<K>, status: &impl Serialize) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + 'static,
    {
        if self.is_stale(object) {
            return Ok(());
        }
        let api: Api<Raw<K>> = Api::namespaced(self.client.clone(), object.namespace());
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // With the UID, or the status of an object would be written to another of the same name.
            "metadata": {"name": object.name(), "namespace": object.namespace(), "uid": object.uid()},
            "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        match api.patch_status(object.name(), &parameters, &Patch::Apply(&patch)).await {
            Ok(result) => {
                self.metrics.written(&format!("{}/status", K::kind(&())));
                self.teller.tell(turned(object, &patch["status"]), &object.object_ref(&()));
                if let Some(version) = version(&result) {
                    self.lock().insert(object.uid().to_owned(), Written { version, at: Instant::now() });
                }
                Ok(())
            }
            // One that was made anew under its name is no such object, but a conflict: then the cache will know it soon.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                tracing::debug!(kind = %K::kind(&()), name = object.name(), "gone before its status was written");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn is_stale<K>(&self, object: &Raw<K>) -> bool {
        let mut written = self.lock();
        written.retain(|_, written| written.at.elapsed() < CATCH_UP);
        let last = written.get(object.uid()).map(|written| written.version);
        last.is_some_and(|last| version(object).is_some_and(|seen| seen < last))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Written>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Statuses").finish_non_exhaustive()
    }
}

fn turned<K>(object: &Raw<K>, status: &Value) -> Vec<Transition> {
    transitions(&conditions(&object.stored_status()), &conditions(status))
}

fn conditions(status: &Value) -> Vec<Condition> {
    serde_json::from_value(status["conditions"].clone()).unwrap_or_default()
}

// Versions of one object grow; a version that is no number is not compared.
fn version<K>(object: &Raw<K>) -> Option<u64> {
    object.metadata.resource_version.as_ref()?.parse().ok()
}
