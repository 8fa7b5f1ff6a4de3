//! The ConfigMap with the bundle.

use k8s_openapi::api::core::v1::ConfigMap;
use toolgate_policy::Bundle;

use super::metadata;
use crate::labels;

/// The key that holds the bundle.
pub const BUNDLE_KEY: &str = "bundle.json";

pub(super) fn build(bundle: &Bundle, hash: &str) -> ConfigMap {
    let mut metadata = metadata(&bundle.server);
    metadata.labels.get_or_insert_default().insert(labels::BUNDLE.to_owned(), "true".to_owned());
    metadata.annotations = Some(
        [(labels::REVISION, bundle.revision.to_string()), (labels::HASH, hash.to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
    );
    ConfigMap {
        metadata,
        data: Some([(BUNDLE_KEY.to_owned(), bundle.to_json())].into()),
        ..ConfigMap::default()
    }
}
