//! ConfigMaps with certificates of a server: mounted by name, only the keys that are referenced.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, Volume, VolumeMount};
use toolgate_policy::BundledServer;

use super::keys;
use crate::names;

/// Where ConfigMaps with certificates are mounted, each in a folder of its name.
pub(super) const CERTIFICATES_PATH: &str = "/etc/toolgate/certificates";

/// A ConfigMap, and the keys of it that are mounted.
#[derive(Debug)]
pub(super) struct Certificates {
    config_map: String,
    keys: BTreeSet<String>,
}

/// The ConfigMaps with certificates that a server refers to, by name.
pub(super) fn of_server(server: &BundledServer) -> Vec<Certificates> {
    let authorities = server.spec.certificate_authorities();
    let references = authorities.filter_map(|authority| authority.config_map_key_ref.as_ref());
    let keys = keys::of(references.map(|reference| (reference.name.as_str(), reference.key.as_str())));
    keys.into_iter().map(|(config_map, keys)| Certificates { config_map, keys }).collect()
}

impl Certificates {
    pub(super) fn volume(&self) -> Volume {
        Volume {
            name: names::certificates_volume(&self.config_map),
            config_map: Some(ConfigMapVolumeSource {
                name: self.config_map.clone(),
                items: Some(keys::items(&self.keys)),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        }
    }

    pub(super) fn mount(&self) -> VolumeMount {
        VolumeMount {
            name: names::certificates_volume(&self.config_map),
            mount_path: format!("{CERTIFICATES_PATH}/{}", self.config_map),
            read_only: Some(true),
            ..VolumeMount::default()
        }
    }
}
