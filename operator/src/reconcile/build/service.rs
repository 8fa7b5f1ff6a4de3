//! The Service in front of a server's gateway pods.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_crds::{ServiceExposure, ServiceType};
use toolgate_policy::BundledServer;

use super::deployment::{MCP_PORT_NAME, MCP_TLS_PORT_NAME};
use super::labelled;
use crate::labels;

/// The port that agents use.
pub const SERVICE_PORT: i32 = 80;
/// The port that agents use where the gateway has TLS.
pub const TLS_SERVICE_PORT: i32 = 443;

/// The port that agents of a server use.
pub fn service_port(server: &BundledServer) -> i32 {
    if server.spec.tls().is_some() { TLS_SERVICE_PORT } else { SERVICE_PORT }
}

pub(super) fn build(server: &BundledServer) -> Service {
    let mut metadata = labelled(server);
    metadata.annotations = exposure(server).map(|service| service.annotations.clone());
    metadata.annotations = metadata.annotations.filter(|annotations| !annotations.is_empty());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_name(service_type(server)).to_owned()),
            selector: Some(labels::selector(server)),
            ports: Some(ports(server)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

// Where TLS is turned on, pods without it go on until the last of them was replaced. After that the port leads nowhere.
fn ports(server: &BundledServer) -> Vec<ServicePort> {
    let plain = port(MCP_PORT_NAME, SERVICE_PORT);
    match server.spec.tls() {
        Some(_) => vec![port(MCP_TLS_PORT_NAME, TLS_SERVICE_PORT), plain],
        None => vec![plain],
    }
}

fn port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}

fn exposure(server: &BundledServer) -> Option<&ServiceExposure> {
    server.spec.exposure()?.service.as_ref()
}

fn service_type(server: &BundledServer) -> ServiceType {
    exposure(server).and_then(|service| service.type_).unwrap_or_default()
}

fn type_name(type_: ServiceType) -> &'static str {
    match type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}
