//! Namespaces that are being deleted, as far as a refused write has shown.
//!
//! The deletion of every child is an event that asks for its server again. Without this, each of them would lead to
//! writes that the API server refuses, thousands of them in a large namespace.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a refusal is remembered. Another namespace may take the name then.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Namespaces that are being deleted.
#[derive(Debug, Default)]
pub struct Closing(Mutex<HashMap<String, Instant>>);

impl Closing {
    /// Takes note that a write was refused because its namespace is being deleted.
    pub fn note(&self, namespace: &str) {
        self.lock().entry(namespace.to_owned()).or_insert_with(Instant::now);
    }

    /// Whether a namespace is known to be in deletion.
    pub fn contains(&self, namespace: &str) -> bool {
        let mut closing = self.lock();
        closing.retain(|_, noted| noted.elapsed() < REMEMBERED);
        closing.contains_key(namespace)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
