//! Custom resources as they are stored, before anybody has judged them.
//!
//! A typed watch breaks on the first object that does not fit its type, and drops keys that the type does not know.
//! Here everything beside `metadata` stays as it came, so that the strict parse sees the whole object.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An object of the kind `K`, with everything beside its metadata untouched.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Raw<K> {
    /// The object's metadata.
    pub metadata: ObjectMeta,
    /// Every other member of the object, known or not.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Raw<K> {
    /// The whole object, as the strict parse wants it.
    pub fn whole(&self) -> Value {
        let mut whole = self.rest.clone();
        // The items of a list may come without these two.
        whole.entry("apiVersion").or_insert_with(|| K::api_version(&()).into());
        whole.entry("kind").or_insert_with(|| K::kind(&()).into());
        let metadata = serde_json::to_value(&self.metadata).expect("metadata is made of plain values");
        whole.insert("metadata".to_owned(), metadata);
        Value::Object(whole)
    }
}

impl<K> Raw<K> {
    /// The object's name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The object's UID.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The object's generation.
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// A part of the spec; null when it is not there.
    pub fn spec(&self, field: &str) -> &Value {
        self.rest.get("spec").and_then(|spec| spec.get(field)).unwrap_or(&Value::Null)
    }

    /// The status, or the empty one where it is missing or cannot be read.
    pub fn status<S: DeserializeOwned + Default>(&self) -> S {
        let status = self.rest.get("status").cloned();
        status.and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default()
    }
}

impl<K> Clone for Raw<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), rest: self.rest.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Raw<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Raw")
            .field("metadata", &self.metadata)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Raw<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use toolgate_crds::ToolPolicy;

    use super::Raw;

    #[test]
    fn an_object_keeps_every_key_and_gets_back_what_a_list_leaves_out() {
        let stored = json!({
            "metadata": {"name": "narrow", "namespace": "sales", "uid": "u", "generation": 3},
            "spec": {"defualt": "deny", "tools": {"a": {"limits": [{"max": 9_007_199_254_740_993_i64}]}}},
            "hide": ["b"],
        });
        let raw: Raw<ToolPolicy> = serde_json::from_value(stored.clone()).unwrap();
        let mut whole = stored;
        whole["apiVersion"] = Value::from("toolgate.dev/v1alpha1");
        whole["kind"] = Value::from("ToolPolicy");
        assert_eq!(raw.whole(), whole);
    }
}
