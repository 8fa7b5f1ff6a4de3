//! What the API server keeps, and what changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

/// What is asked about: a collection, an object of it, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Such as `toolgate.dev/toolpolicies`, or `/pods` of the core group.
    pub collection: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub part: Option<String>,
}

/// A change, as a watch tells it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub version: u64,
    pub collection: String,
    pub line: Arc<str>,
    pub labels: Value,
}

/// The objects of an API server.
#[derive(Debug, Clone)]
pub(super) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, BTreeMap<(String, String), Value>>,
    changes: Vec<Change>,
    writes: BTreeMap<String, u64>,
}

impl Path {
    /// Reads the path of a request. None: nothing that is served here.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            _ => return None,
        };
        let _version = parts.next()?;
        let (mut plural, mut namespace) = (parts.next()?, None);
        if plural == "namespaces" {
            namespace = parts.next().map(str::to_owned);
            plural = parts.next()?;
        }
        let (name, part) = (parts.next().map(str::to_owned), parts.next().map(str::to_owned));
        Some(Self { collection: format!("{group}/{plural}"), namespace, name, part })
    }

    fn key(&self) -> (String, String) {
        (self.namespace.clone().unwrap_or_default(), self.name.clone().unwrap_or_default())
    }
}

impl Default for Store {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(0) }))
    }
}

impl Store {
    /// Hears of every change from now on.
    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The number of the last change.
    pub(super) fn version(&self) -> u64 {
        self.state().version
    }

    /// So many writes of the operator, by collection and part.
    pub(super) fn writes(&self) -> BTreeMap<String, u64> {
        self.state().writes.clone()
    }

    pub(super) fn get(&self, path: &Path) -> Option<Value> {
        self.state().objects.get(&path.collection)?.get(&path.key()).cloned()
    }

    /// A page of a list: the objects from one on, and where the next page begins.
    pub(super) fn page(
        &self,
        path: &Path,
        selector: Option<&(String, String)>,
        from: usize,
        limit: usize,
    ) -> (Vec<Value>, Option<usize>) {
        let state = self.state();
        let found = state.objects.get(&path.collection).into_iter().flatten();
        let mut found = found
            .filter(|((namespace, _), _)| path.namespace.as_ref().is_none_or(|wanted| wanted == namespace))
            .filter(|(_, object)| is_selected(&object["metadata"]["labels"], selector))
            .skip(from);
        let items: Vec<Value> = found.by_ref().take(limit).map(|(_, object)| object.clone()).collect();
        let next = found.next().map(|_| from + items.len());
        (items, next)
    }

    /// What changed after a version.
    pub(super) fn after(&self, version: u64) -> Vec<Change> {
        let state = self.state();
        let first = state.changes.partition_point(|change| change.version <= version);
        state.changes[first..].to_vec()
    }

    /// An object that somebody else made.
    pub(super) fn put(&self, path: &Path, object: Value) {
        self.state().keep(path, object);
        self.stir();
    }

    /// Server-side apply by the only manager there is: what it does not name is gone, but for what the server keeps.
    pub(super) fn apply(&self, path: &Path, mut object: Value) -> Value {
        let mut state = self.state();
        let known = state.objects.get(&path.collection).and_then(|objects| objects.get(&path.key())).cloned();
        if path.part.as_deref() == Some("status") {
            let mut whole = known.unwrap_or_else(|| object.clone());
            whole["status"] = object["status"].take();
            object = whole;
        } else if let Some(known) = known {
            object["metadata"]["uid"] = known["metadata"]["uid"].clone();
            if known.get("status").is_some() {
                object["status"] = known["status"].clone();
            }
        } else {
            let key = path.key();
            object["metadata"]["uid"] = json!(format!("uid-of-{}-{}-{}", path.collection, key.0, key.1));
        }
        object["metadata"]["namespace"] = json!(path.namespace);
        let part = path.part.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
        *state.writes.entry(format!("{}{part}", path.collection)).or_default() += 1;
        let object = state.keep(path, object);
        drop(state);
        self.stir();
        object
    }

    fn stir(&self) {
        self.0.changed.send_modify(|count| *count += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is whole before anything else can fail.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, path: &Path, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let objects = self.objects.entry(path.collection.clone()).or_default();
        let kind = if objects.insert(path.key(), object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.changes.push(Change {
            version: self.version,
            collection: path.collection.clone(),
            line: line.into(),
            labels: object["metadata"]["labels"].clone(),
        });
        object
    }
}

/// Whether labels are selected by one of them.
pub(super) fn is_selected(labels: &Value, selector: Option<&(String, String)>) -> bool {
    selector.is_none_or(|(key, value)| labels[key] == *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_is_about() {
        let path =
            Path::parse("/apis/toolgate.dev/v1alpha1/namespaces/shop/toolpolicies/a/status").expect("a path");
        assert_eq!(path.collection, "toolgate.dev/toolpolicies");
        assert_eq!((path.key(), path.part.as_deref()), (("shop".to_owned(), "a".to_owned()), Some("status")));
        let all = Path::parse("/api/v1/pods").expect("a path");
        assert_eq!((all.collection.as_str(), all.namespace, all.name), ("/pods", None, None));
        assert_eq!(Path::parse("/apis/apps/v1"), None);
    }

    #[test]
    fn a_status_leaves_the_rest_and_the_rest_leaves_a_status() {
        let store = Store::default();
        let path = |text: &str| Path::parse(text).expect("a path");
        let (whole, part) = ("/api/v1/namespaces/a/pods/b", "/api/v1/namespaces/a/pods/b/status");
        store.apply(&path(whole), json!({"spec": 1}));
        store.apply(&path(part), json!({"status": 2}));
        let object = store.apply(&path(whole), json!({"spec": 3}));
        assert_eq!((&object["spec"], &object["status"]), (&json!(3), &json!(2)));
        assert_eq!(store.writes(), BTreeMap::from([("/pods".to_owned(), 2), ("/pods/status".to_owned(), 1)]));
        assert_eq!(store.after(1).len(), 2);
    }
}
