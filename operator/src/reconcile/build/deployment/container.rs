//! The gateway's container.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, Probe, ResourceRequirements, SecurityContext,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_policy::{BUNDLE_KEY, BundledServer};

use super::certificates::{CERTIFICATES_PATH, Certificates};
use super::credentials::{CREDENTIALS_PATH, Credential};
use super::tls;
use super::{ADMIN_PORT, ADMIN_PORT_NAME, BUNDLE_VOLUME, MCP_PORT, MCP_PORT_NAME, MCP_TLS_PORT_NAME};
use crate::reconcile::build::{GatewaySettings, child_name, url};

/// Where the bundle is mounted.
const BUNDLE_PATH: &str = "/etc/toolgate/bundle";
/// How long a gateway still takes calls after it was told to stop, until nobody sends it any.
const DRAIN_SECONDS: u32 = 5;
/// How often a pod may say that it is not ready until it is taken for that. One that was deleted says so at once, and
/// gets no call any more where another one is ready; where none is, it is the only one, and is used until it is gone.
const READINESS_FAILURES: i32 = 6;
/// What a gateway asks for where the server does not say.
const DEFAULT_REQUESTS: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "64Mi")];

pub(super) fn build(
    server: &BundledServer,
    settings: &GatewaySettings,
    credentials: &[Credential],
    certificates: &[Certificates],
) -> Container {
    let bundle = VolumeMount {
        name: BUNDLE_VOLUME.to_owned(),
        mount_path: BUNDLE_PATH.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mcp_port_name = if server.spec.tls().is_some() { MCP_TLS_PORT_NAME } else { MCP_PORT_NAME };
    Container {
        name: "gateway".to_owned(),
        image: Some(image(server, settings)),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(arguments(server, settings)),
        ports: Some(vec![port(mcp_port_name, MCP_PORT), port(ADMIN_PORT_NAME, ADMIN_PORT)]),
        // Readiness is asked often, because an edit is acknowledged only by ready pods.
        readiness_probe: Some(probe("/readyz", 1, 2, READINESS_FAILURES)),
        // A gateway that is only slow, on a busy node, is not helped by being killed.
        liveness_probe: Some(probe("/livez", 10, 5, 3)),
        resources: Some(resources(server)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(
            std::iter::once(bundle)
                .chain(credentials.iter().map(Credential::mount))
                .chain(certificates.iter().map(Certificates::mount))
                .chain(tls::mounts(server))
                .collect(),
        ),
        ..Container::default()
    }
}

// A choice that was allowed once, in the last good version of a server, may not be any more.
fn image(server: &BundledServer, settings: &GatewaySettings) -> String {
    let chosen = server.spec.gateway.as_ref().and_then(|gateway| gateway.image.clone());
    chosen.filter(|image| settings.allows(image)).unwrap_or_else(|| settings.image.clone())
}

fn arguments(server: &BundledServer, settings: &GatewaySettings) -> Vec<String> {
    [
        ("--bundle", format!("{BUNDLE_PATH}/{BUNDLE_KEY}")),
        ("--watch", format!("{}/{}", server.namespace, child_name(server))),
        ("--credentials", CREDENTIALS_PATH.to_owned()),
        ("--certificates", CERTIFICATES_PATH.to_owned()),
        ("--listen", format!("0.0.0.0:{MCP_PORT}")),
        ("--admin", format!("0.0.0.0:{ADMIN_PORT}")),
        ("--drain-seconds", DRAIN_SECONDS.to_string()),
        ("--audience", url(server)),
        ("--audit", settings.audit.clone()),
    ]
    .into_iter()
    .chain(settings.traces.clone().map(|collector| ("--traces", collector)))
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .chain(settings.refuse_private_addresses.then(|| "--refuse-private-addresses".to_owned()))
    .chain(tls::arguments(server))
    .collect()
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period_seconds: i32, timeout_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failures),
        timeout_seconds: Some(timeout_seconds),
        ..Probe::default()
    }
}

fn resources(server: &BundledServer) -> ResourceRequirements {
    let wanted = server.spec.gateway.as_ref().and_then(|gateway| gateway.resources.clone());
    let wanted = wanted.unwrap_or_else(|| toolgate_crds::Resources {
        requests: DEFAULT_REQUESTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..toolgate_crds::Resources::default()
    });
    ResourceRequirements {
        limits: quantities(wanted.limits),
        requests: quantities(wanted.requests),
        ..ResourceRequirements::default()
    }
}

fn quantities(amounts: BTreeMap<String, String>) -> Option<BTreeMap<String, Quantity>> {
    (!amounts.is_empty())
        .then(|| amounts.into_iter().map(|(name, amount)| (name, Quantity(amount))).collect())
}
