//! What an API server keeps, and what changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::path::Path;

/// A change that watches see.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) kind: &'static str,
    pub(crate) collection: String,
    pub(crate) object: Value,
}

#[derive(Default)]
pub(super) struct Store {
    version: u64,
    requests: usize,
    objects: BTreeMap<String, Value>,
    changes: Vec<Change>,
    compacted: u64,
}

/// Why something is not done.
pub(super) type Refusal = (u16, String);

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn next_request(&mut self) -> usize {
        self.requests += 1;
        self.requests - 1
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Value> {
        self.objects.get(&path.object())
    }

    /// The objects of a collection, in order of their paths.
    pub(super) fn list<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.objects.iter().filter(move |(key, object)| {
            let found = Path::parse(key);
            let here = path.namespace.is_none()
                || object["metadata"]["namespace"].as_str() == path.namespace.as_deref();
            found.collection() == path.collection() && here
        })
    }

    /// Changes after a version; None when they are not known any more.
    pub(super) fn after(&self, version: u64) -> Option<&[Change]> {
        if version < self.compacted {
            return None;
        }
        let from = self.changes.partition_point(|change| change.version <= version);
        Some(&self.changes[from..])
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.changes.clear();
    }

    pub(super) fn put(&mut self, mut object: Value) -> Value {
        let key = Path::of(&object);
        let known = self.objects.get(&key);
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = known
                .map_or_else(|| json!(format!("uid-of-{key}")), |known| known["metadata"]["uid"].clone());
        }
        let generation = match known {
            Some(known) if known["metadata"]["uid"] == object["metadata"]["uid"] => {
                let last = known["metadata"]["generation"].as_i64().unwrap_or(0);
                if content(known) == content(&object) { last } else { last + 1 }
            }
            _ => 1,
        };
        // What has no spec has no generations.
        if object.get("spec").is_some() {
            object["metadata"]["generation"] = json!(generation);
        }
        if let Some(known) = known
            && without_version(known) == without_version(&object)
        {
            return known.clone();
        }
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        self.keep(key, kind, object)
    }

    fn keep(&mut self, key: String, kind: &'static str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let collection = Path::parse(&key).collection();
        self.changes.push(Change { version: self.version, kind, collection, object: object.clone() });
        if kind == "DELETED" {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, object.clone());
        }
        object
    }

    pub(super) fn delete(&mut self, path: &Path) -> Option<Value> {
        let object = self.objects.get(&path.object())?.clone();
        Some(self.keep(path.object(), "DELETED", object))
    }

    pub(super) fn remove(&mut self, path: &Path, preconditions: &Value) -> Result<Value, Refusal> {
        self.preconditions(path, &json!({"metadata": preconditions}))?;
        self.delete(path).ok_or((404, "NotFound".to_owned()))
    }

    pub(super) fn create(&mut self, path: &Path, mut object: Value) -> Result<Value, Refusal> {
        object["metadata"]["namespace"] = json!(path.namespace);
        if self.objects.contains_key(&Path::of(&object)) {
            return Err((409, "AlreadyExists".to_owned()));
        }
        Ok(self.put(object))
    }

    pub(super) fn replace(&mut self, path: &Path, object: Value) -> Result<Value, Refusal> {
        self.preconditions(path, &object)?;
        let known = self.get(path).ok_or((404, "NotFound".to_owned()))?;
        let mut object = object;
        object["metadata"]["uid"] = known["metadata"]["uid"].clone();
        Ok(self.put(object))
    }

    /// Server-side apply by the only manager there is: what it does not name is gone, but for what the server keeps.
    pub(super) fn apply(&mut self, path: &Path, mut object: Value) -> Result<Value, Refusal> {
        self.preconditions(path, &object)?;
        if let Some(known) = self.get(path) {
            object["metadata"]["uid"] = known["metadata"]["uid"].clone();
            if let Some(status) = known.get("status") {
                object["status"] = status.clone();
            }
        }
        Ok(self.put(object))
    }

    pub(super) fn apply_status(&mut self, path: &Path, object: &Value) -> Result<Value, Refusal> {
        let Some(known) = self.get(path) else { return Err((404, "NotFound".to_owned())) };
        let mut next = known.clone();
        next["status"] = object["status"].clone();
        self.preconditions(path, object)?;
        Ok(self.put(next))
    }

    pub(super) fn merge(&mut self, path: &Path, changes: &Value) -> Result<Value, Refusal> {
        let mut next = self.get(path).ok_or((404, "NotFound".to_owned()))?.clone();
        for (key, value) in changes.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata") {
            next[key] = value.clone();
        }
        Ok(self.put(next))
    }

    fn preconditions(&self, path: &Path, object: &Value) -> Result<(), Refusal> {
        let known = self.get(path);
        for field in ["uid", "resourceVersion"] {
            let wanted = &object["metadata"][field];
            let found = known.map_or(&Value::Null, |known| &known["metadata"][field]);
            if !wanted.is_null() && wanted != found {
                return Err((409, format!("Conflict: {field} is {found} and not {wanted}")));
            }
        }
        Ok(())
    }

    pub(super) fn end(&self) -> BTreeMap<String, Value> {
        let kept = self.objects.iter().filter(|(key, _)| !key.contains("/events/"));
        kept.map(|(key, object)| (key.clone(), without_times(object))).collect()
    }
}

fn content(object: &Value) -> Value {
    let mut content = object.clone();
    for part in ["metadata", "status"] {
        content[part] = Value::Null;
    }
    content
}

fn without_version(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = Value::Null;
    object
}

fn without_times(object: &Value) -> Value {
    let mut object = without_version(object);
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"] = Value::Null;
    }
    object
}
