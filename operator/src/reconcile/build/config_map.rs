//! The ConfigMap with the bundle, and those with the parts of a large one.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use toolgate_policy::{BUNDLE_KEY, Bundle, Form, GZIP_KEY, HEAD_KEY, Packed, Shard};

use super::metadata_named;
use crate::child::ChildKind;
use crate::labels;

pub(super) fn build(bundle: &Bundle, packed: &Packed) -> ConfigMap {
    let metadata = marked(bundle, &packed.hash, ChildKind::ConfigMap);
    let text = |key: &str, text: &str| Some([(key.to_owned(), text.to_owned())].into());
    let (data, binary_data) = match &packed.form {
        Form::Text(whole) => (text(BUNDLE_KEY, whole), None),
        Form::Gzip(bytes) => (None, Some([(GZIP_KEY.to_owned(), ByteString(bytes.clone()))].into())),
        Form::Shards(head, _) => (text(HEAD_KEY, &head.to_json()), None),
    };
    ConfigMap { metadata, data, binary_data, immutable: None }
}

/// The parts. Each is under the name of its place, for a mount puts all of them into one folder.
pub(super) fn shards(bundle: &Bundle, packed: &Packed) -> Vec<(Shard, ConfigMap)> {
    let Form::Shards(head, shards) = &packed.form else { return Vec::new() };
    let part = |(shard, bytes): (Shard, &Vec<u8>)| {
        let metadata = marked(bundle, &packed.hash, ChildKind::Shard(shard));
        let data = [(shard.to_string(), ByteString(bytes.clone()))];
        (shard, ConfigMap { metadata, data: None, binary_data: Some(data.into()), immutable: None })
    };
    head.places().zip(shards).map(part).collect()
}

fn marked(bundle: &Bundle, hash: &str, kind: ChildKind) -> ObjectMeta {
    let mut metadata = metadata_named(&bundle.server, kind);
    metadata.labels.get_or_insert_default().insert(labels::BUNDLE.to_owned(), "true".to_owned());
    metadata.annotations = Some(
        [(labels::REVISION, bundle.revision.to_string()), (labels::HASH, hash.to_owned())]
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
    );
    metadata
}
