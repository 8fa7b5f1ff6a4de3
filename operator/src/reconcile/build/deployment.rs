//! The Deployment of a server's gateway pods.
//!
//! Nothing of the bundle's content is in the pod template: an edit of a policy must reach running pods, not replace them.

mod container;
mod credentials;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec,
    SeccompProfile, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_policy::BundledServer;

use super::{GatewaySettings, child_name, metadata};
use crate::labels;

/// The port of the gateway's MCP endpoint.
pub const MCP_PORT: i32 = 8080;
/// The name of that port.
pub const MCP_PORT_NAME: &str = "mcp";
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

pub(super) fn build(server: &BundledServer, settings: &GatewaySettings) -> Deployment {
    Deployment {
        metadata: metadata(server),
        spec: DeploymentSpec {
            replicas: Some(server.spec.replicas()),
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
                    labels: Some(labels::of_server(server)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(server, settings)),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn pod(server: &BundledServer, settings: &GatewaySettings) -> PodSpec {
    let name = child_name(server);
    let credentials = credentials::of_server(server);
    let bundle = Volume {
        name: BUNDLE_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: name.clone(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
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
            std::iter::once(bundle).chain(credentials.iter().map(credentials::Credential::volume)).collect(),
        ),
        containers: vec![container::build(server, settings, &credentials)],
        ..PodSpec::default()
    }
}
