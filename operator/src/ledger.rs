//! What the operator knows of each server from its last reconcile. It lives in memory only.
//!
//! Two things are kept. The memory is for the next reconcile of the same server: what was applied and confirmed. The
//! views are for the statuses of policies and grants, which are put together from all servers that they concern.
//!
//! Invariant: losing the ledger loses nothing but time. After a restart it is filled again from the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::reconcile::memory::Memory;
use crate::view::{View, Views};

/// A server, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    /// The server's namespace.
    pub namespace: String,
    /// The server's name.
    pub name: String,
}

/// Every server's last reconcile.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<ServerKey, Entry>>);

/// What came of a server's reconcile.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The server's UID.
    pub uid: String,
    /// For the next reconcile.
    pub memory: Memory,
    /// For the statuses of policies and grants.
    pub views: Views,
}

/// Whose view changed with a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Whether it was the first one of this server.
    pub first: bool,
    /// Names of the policies.
    pub policies: BTreeSet<String>,
    /// Names of the grants.
    pub grants: BTreeSet<String>,
}

impl Ledger {
    /// What the last reconcile of a server, of exactly this UID, left to remember.
    pub fn memory(&self, key: &ServerKey, uid: &str) -> Memory {
        let entries = self.lock();
        entries
            .get(key)
            .filter(|entry| entry.uid == uid)
            .map(|entry| entry.memory.clone())
            .unwrap_or_default()
    }

    /// Takes in what came of a reconcile, and says whose view it changed.
    pub fn publish(&self, key: &ServerKey, entry: Entry) -> Changed {
        let mut entries = self.lock();
        let last = entries.get(key).filter(|last| last.uid == entry.uid);
        let changed = Changed {
            first: last.is_none(),
            policies: differing(last.map(|last| &last.views.policies), &entry.views.policies),
            grants: differing(last.map(|last| &last.views.grants), &entry.views.grants),
        };
        entries.insert(key.clone(), entry);
        changed
    }

    /// Forgets servers, by key and UID.
    pub fn forget(&self, is_gone: impl Fn(&ServerKey, &str) -> bool) {
        self.lock().retain(|key, entry| !is_gone(key, &entry.uid));
    }

    /// Whether a server, of exactly this UID, has been reconciled since the start.
    pub fn knows(&self, key: &ServerKey, uid: &str) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.uid == uid)
    }

    /// Names of the servers of a namespace whose views have something in them.
    pub fn servers(&self, namespace: &str, have: impl Fn(&Views) -> bool) -> Vec<String> {
        let entries = self.lock();
        let found = entries.iter().filter(|(key, entry)| key.namespace == namespace && have(&entry.views));
        found.map(|(key, _)| key.name.clone()).collect()
    }

    /// How the servers of a namespace view an object, by the server's name. `of` chooses the object's view.
    pub fn views(&self, namespace: &str, of: impl Fn(&Views) -> Option<View>) -> BTreeMap<String, View> {
        let entries = self.lock();
        let of_namespace = entries.iter().filter(|(key, _)| key.namespace == namespace);
        of_namespace.filter_map(|(key, entry)| Some((key.name.clone(), of(&entry.views)?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerKey, Entry>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn differing(last: Option<&BTreeMap<String, View>>, now: &BTreeMap<String, View>) -> BTreeSet<String> {
    let none = BTreeMap::new();
    let last = last.unwrap_or(&none);
    let names = last.keys().chain(now.keys());
    names.filter(|name| last.get(*name) != now.get(*name)).cloned().collect()
}
