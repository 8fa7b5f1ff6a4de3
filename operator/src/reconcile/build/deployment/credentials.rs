//! Secrets of a server: mounted by name into its gateway pods, only the keys that are referenced.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{SecretVolumeSource, Volume, VolumeMount};
use toolgate_crds::SecretKeyRef;
use toolgate_policy::BundledServer;

use super::keys;
use crate::names;

/// Where Secrets are mounted, each in a folder of its name.
pub(super) const CREDENTIALS_PATH: &str = "/etc/toolgate/credentials";

/// A Secret, and the keys of it that are mounted.
#[derive(Debug)]
pub(super) struct Credential {
    secret: String,
    keys: BTreeSet<String>,
}

/// The Secrets that a server refers to, by name.
pub(super) fn of_server(server: &BundledServer) -> Vec<Credential> {
    let keys = keys::of(references(server).map(|from| (from.name.as_str(), from.key.as_str())));
    keys.into_iter().map(|(secret, keys)| Credential { secret, keys }).collect()
}

fn references(server: &BundledServer) -> impl Iterator<Item = &SecretKeyRef> {
    let headers = server.spec.upstream.headers.iter().filter_map(|header| header.secret_key_ref.as_ref());
    let redis = server.spec.counters.as_ref().and_then(|counters| counters.redis.as_ref());
    let authorities = server.spec.certificate_authorities();
    headers
        .chain(redis.and_then(|redis| redis.secret_key_ref.as_ref()))
        .chain(authorities.filter_map(|authority| authority.secret_key_ref.as_ref()))
}

impl Credential {
    pub(super) fn volume(&self) -> Volume {
        Volume {
            name: names::credential_volume(&self.secret),
            secret: Some(SecretVolumeSource {
                secret_name: Some(self.secret.clone()),
                items: Some(keys::items(&self.keys)),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        }
    }

    pub(super) fn mount(&self) -> VolumeMount {
        VolumeMount {
            name: names::credential_volume(&self.secret),
            mount_path: format!("{CREDENTIALS_PATH}/{}", self.secret),
            read_only: Some(true),
            ..VolumeMount::default()
        }
    }
}
