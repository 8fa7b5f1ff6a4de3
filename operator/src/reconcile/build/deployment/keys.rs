//! The keys of Secrets and ConfigMaps that are mounted: those that are referenced and no other.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::KeyToPath;

/// Keys, by the name of what holds them.
pub(super) type Keys = BTreeMap<String, BTreeSet<String>>;

/// The keys of references, each a name and a key.
pub(super) fn of<'a>(references: impl Iterator<Item = (&'a str, &'a str)>) -> Keys {
    let mut keys = Keys::new();
    for (name, key) in references {
        keys.entry(name.to_owned()).or_default().insert(key.to_owned());
    }
    keys
}

/// Each key as a file of its name.
pub(super) fn items(keys: &BTreeSet<String>) -> Vec<KeyToPath> {
    let item = |key: &String| KeyToPath { key: key.clone(), path: key.clone(), ..KeyToPath::default() };
    keys.iter().map(item).collect()
}
