//! The Deployment of a server's gateway pods.
//!
//! Nothing of the bundle's content is in the pod template: an edit of a policy must reach running pods, not replace them. Only
//! the one that makes a bundle too large for a ConfigMap, or small enough again, changes how it is mounted.

mod certificates;
mod container;
mod credentials;
mod keys;
mod placement;
mod tls;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, LocalObjectReference, PodSecurityContext, PodSpec,
    PodTemplateSpec, ProjectedVolumeSource, SeccompProfile, Volume, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_policy::{BundledServer, Shard};

use super::{GatewaySettings, child_name, labelled};
use crate::labels;

/// The port of the gateway's MCP endpoint.
pub const MCP_PORT: i32 = 8080;
/// The name of that port where it has no TLS.
pub const MCP_PORT_NAME: &str = "mcp";
/// The name of that port where it has. So a Service leads nobody with TLS to a pod without, nor the other way.
pub const MCP_TLS_PORT_NAME: &str = "mcp-tls";
/// The port of probes, metrics and the revision.
pub const ADMIN_PORT: i32 = 9090;
/// The name of that port.
pub const ADMIN_PORT_NAME: &str = "admin";

/// Seconds that a gateway has to end its streams.
const TERMINATION_GRACE_SECONDS: i64 = 30;
/// Old ReplicaSets that are kept.
const REVISION_HISTORY: i32 = 3;
/// The volume with the bundle.
const BUNDLE_VOLUME: &str = "bundle";

pub(super) fn build(server: &BundledServer, is_sharded: bool, settings: &GatewaySettings) -> Deployment {
    let mut metadata = labelled(server);
    let labels = metadata.labels.clone();
    if server.spec.replicas().is_none() {
        metadata.annotations.get_or_insert_default().insert(labels::AUTOSCALED.to_owned(), "true".to_owned());
    }
    Deployment {
        metadata,
        spec: DeploymentSpec {
            replicas: server.spec.replicas(),
            revision_history_limit: Some(REVISION_HISTORY),
            selector: LabelSelector {
                match_labels: Some(labels::selector(server)),
                ..LabelSelector::default()
            },
            // A new pod is ready before an old one goes, so that no call fails while pods are replaced.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels,
                    annotations: annotations(server),
                    ..ObjectMeta::default()
                }),
                spec: Some(placement::place(pod(server, is_sharded, settings), server)),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn annotations(server: &BundledServer) -> Option<BTreeMap<String, String>> {
    let wanted = &server.spec.gateway.as_ref()?.annotations;
    (!wanted.is_empty()).then(|| wanted.clone())
}

// The places of shards are mounted all at once, and only where there are any: their number may change from edit to edit, and
// no edit may replace pods.
fn bundle_volume(name: &str, is_sharded: bool) -> Volume {
    let volume = Volume { name: BUNDLE_VOLUME.to_owned(), ..Volume::default() };
    if !is_sharded {
        let config_map = ConfigMapVolumeSource { name: name.to_owned(), ..ConfigMapVolumeSource::default() };
        return Volume { config_map: Some(config_map), ..volume };
    }
    let source = |name: String, optional: Option<bool>| VolumeProjection {
        config_map: Some(ConfigMapProjection { name, optional, ..ConfigMapProjection::default() }),
        ..VolumeProjection::default()
    };
    let shards = Shard::all().map(|shard| source(shard.config_map(name), Some(true)));
    let sources = std::iter::once(source(name.to_owned(), None)).chain(shards).collect();
    let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
    Volume { projected: Some(projected), ..volume }
}

fn pod(server: &BundledServer, is_sharded: bool, settings: &GatewaySettings) -> PodSpec {
    let name = child_name(server);
    let (credentials, certificates) = (credentials::of_server(server), certificates::of_server(server));
    let bundle = bundle_volume(&name, is_sharded);
    let pull_secrets: Vec<LocalObjectReference> =
        settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect();
    PodSpec {
        service_account_name: Some(name),
        automount_service_account_token: Some(true),
        // Variables for every Service of the namespace are of no use to the gateway.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(TERMINATION_GRACE_SECONDS),
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(
            std::iter::once(bundle)
                .chain(credentials.iter().map(credentials::Credential::volume))
                .chain(certificates.iter().map(certificates::Certificates::volume))
                .chain(tls::volumes(server))
                .collect(),
        ),
        containers: vec![container::build(server, settings, &credentials, &certificates)],
        ..PodSpec::default()
    }
}
