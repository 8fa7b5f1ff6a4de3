//! Custom resources as they are stored, before anybody has judged them.
//!
//! A typed watch breaks on the first object that does not fit its type, and drops keys that the type does not know.
//! Here everything beside `metadata` stays as it came, so that the strict parse sees the whole object. It is kept as text: a
//! tree of values takes ten times as much memory, and of most objects nothing is looked at for hours.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use toolgate_policy::Labels;

/// An object of the kind `K`, with everything beside its metadata untouched.
pub struct Raw<K> {
    /// The object's metadata, without what nobody here reads.
    pub metadata: ObjectMeta,
    /// Every other member of the object, known or not, as JSON.
    rest: Box<str>,
    kind: PhantomData<fn() -> K>,
}

/// Of the other members nothing is kept while this is read.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: Value,
}

impl<'de, K> Deserialize<'de> for Raw<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::<String, Value>::deserialize(deserializer)?;
        let metadata = members.remove("metadata").ok_or_else(|| D::Error::missing_field("metadata"))?;
        let mut metadata: ObjectMeta = serde_json::from_value(metadata).map_err(D::Error::custom)?;
        prune(&mut metadata);
        let rest = Value::Object(members).to_string().into();
        Ok(Self { metadata, rest, kind: PhantomData })
    }
}

/// Takes out of metadata what is large, repeats the object, and is read by nobody here.
pub fn prune(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.annotations = None;
        }
    }
}

/// What `kubectl apply` keeps of an object in the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl<K: Resource<DynamicType = ()>> Raw<K> {
    /// The whole object, as the strict parse wants it.
    pub fn whole(&self) -> Value {
        let mut whole = self.rest();
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

    /// The object's labels.
    pub fn labels(&self) -> &Labels {
        static NONE: Labels = Labels::new();
        self.metadata.labels.as_ref().unwrap_or(&NONE)
    }

    /// The object's generation.
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// A part of the spec; null when it is not there.
    pub fn spec(&self, field: &str) -> Value {
        let spec = self.rest().remove("spec");
        spec.and_then(|mut spec| Some(spec.get_mut(field)?.take())).unwrap_or_default()
    }

    /// The status, or the empty one where it is missing or cannot be read.
    pub fn status<S: DeserializeOwned + Default>(&self) -> S {
        serde_json::from_value(self.stored_status()).unwrap_or_default()
    }

    /// The status as it is stored; null when it is missing.
    pub fn stored_status(&self) -> Value {
        serde_json::from_str::<Status>(&self.rest).map_or(Value::Null, |members| members.status)
    }

    /// The same object with another status.
    #[must_use]
    pub fn with_status(self, status: Value) -> Self {
        let mut rest = self.rest();
        rest.insert("status".to_owned(), status);
        Self { rest: Value::Object(rest).to_string().into(), ..self }
    }

    fn rest(&self) -> Map<String, Value> {
        serde_json::from_str(&self.rest).expect("it was written as a map")
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
        assert_eq!((raw.spec("defualt"), raw.spec("tolls")), (json!("deny"), Value::Null));
        assert_eq!(raw.with_status(json!({"a": 1})).stored_status(), json!({"a": 1}));
    }

    #[test]
    fn what_nobody_reads_is_not_kept() {
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"});
        let stored = json!({
            "metadata": {"name": "narrow", "annotations": annotations, "managedFields": [{"manager": "kubectl"}]},
        });
        let raw: Raw<ToolPolicy> = serde_json::from_value(stored).unwrap();
        assert_eq!(raw.whole()["metadata"], json!({"name": "narrow", "annotations": {"note": "kept"}}));
    }
}
