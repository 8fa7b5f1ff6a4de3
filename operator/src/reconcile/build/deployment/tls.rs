//! The Secret with the listener's certificate, and the authorities of clients: mounted by name, only the keys that are
//! needed. A mount follows its Secret; none of it is by path, which would not.

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount};
use toolgate_crds::CertificateAuthority;
use toolgate_policy::BundledServer;

/// Where the certificate is mounted.
const TLS_PATH: &str = "/etc/toolgate/tls";
/// Where the authorities of clients are mounted.
const CLIENT_CA_PATH: &str = "/etc/toolgate/client-ca";
/// The volumes.
const TLS_VOLUME: &str = "tls";
const CLIENT_CA_VOLUME: &str = "client-ca";
/// What of the Secret is mounted, as cert-manager and `kubectl create secret tls` call it.
const TLS_KEYS: [&str; 2] = ["tls.crt", "tls.key"];
/// What the authorities are called in their mount.
const CLIENT_CA_FILE: &str = "ca.crt";

pub(super) fn volumes(server: &BundledServer) -> Vec<Volume> {
    let Some(tls) = server.spec.tls() else { return Vec::new() };
    let keys = TLS_KEYS.map(|key| item(key, key));
    let certificate = Volume {
        name: TLS_VOLUME.to_owned(),
        secret: Some(secret(tls.secret_name.as_str(), keys.into())),
        ..Volume::default()
    };
    let authority = tls.client_certificate_authority.as_ref().map(client_ca);
    std::iter::once(certificate).chain(authority).collect()
}

pub(super) fn mounts(server: &BundledServer) -> Vec<VolumeMount> {
    let Some(tls) = server.spec.tls() else { return Vec::new() };
    let authority =
        tls.client_certificate_authority.as_ref().map(|_| mount(CLIENT_CA_VOLUME, CLIENT_CA_PATH));
    std::iter::once(mount(TLS_VOLUME, TLS_PATH)).chain(authority).collect()
}

pub(super) fn arguments(server: &BundledServer) -> Vec<String> {
    let Some(tls) = server.spec.tls() else { return Vec::new() };
    let mut arguments = vec!["--tls".to_owned(), TLS_PATH.to_owned()];
    if tls.client_certificate_authority.is_some() {
        arguments.extend(["--client-ca".to_owned(), format!("{CLIENT_CA_PATH}/{CLIENT_CA_FILE}")]);
    }
    arguments
}

fn client_ca(authority: &CertificateAuthority) -> Volume {
    let of_secret = authority.secret_key_ref.as_ref();
    let of_config_map = authority.config_map_key_ref.as_ref();
    Volume {
        name: CLIENT_CA_VOLUME.to_owned(),
        secret: of_secret.map(|from| secret(from.name.as_str(), vec![item(&from.key, CLIENT_CA_FILE)])),
        config_map: of_config_map.map(|from| ConfigMapVolumeSource {
            name: from.name.to_string(),
            items: Some(vec![item(&from.key, CLIENT_CA_FILE)]),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn secret(name: &str, items: Vec<KeyToPath>) -> SecretVolumeSource {
    SecretVolumeSource {
        secret_name: Some(name.to_owned()),
        items: Some(items),
        ..SecretVolumeSource::default()
    }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: path.to_owned(), ..KeyToPath::default() }
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}
