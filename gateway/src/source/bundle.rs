//! A bundle that the operator wrote, from its mount.

use std::path::Path;

use toolgate_policy::Bundle;

use super::{refuse, swap};
use crate::gateway::Gateway;

/// The largest bundle, in bytes: what a ConfigMap can hold.
pub const BUNDLE_BYTES_MAX: usize = 1024 * 1024;

/// The key of the bundle in its ConfigMap, and its file's name in the mount.
pub const BUNDLE_KEY: &str = "bundle.json";

/// Puts in force what the mount holds. Without a readable bundle there, what is in force stays.
pub fn load(gateway: &Gateway, path: &Path) {
    match std::fs::read_to_string(path) {
        Ok(text) => apply(gateway, &text),
        Err(error) => refuse(gateway, vec![format!("{}: {error}", path.display())]),
    }
}

/// Puts a bundle's text in force.
pub fn apply(gateway: &Gateway, text: &str) {
    if text.len() > BUNDLE_BYTES_MAX {
        return refuse(
            gateway,
            vec![format!("a bundle of {} bytes; at most {BUNDLE_BYTES_MAX} are read", text.len())],
        );
    }
    match Bundle::from_json(text) {
        Ok(bundle) => {
            swap(gateway, bundle);
        }
        Err(error) => refuse(gateway, vec![error.to_string()]),
    }
}
