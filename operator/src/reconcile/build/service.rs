//! The Service in front of a server's gateway pods.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_crds::ServiceType;
use toolgate_policy::BundledServer;

use super::deployment::MCP_PORT_NAME;
use super::metadata;
use crate::labels;

/// The port that agents use.
pub const SERVICE_PORT: i32 = 80;

pub(super) fn build(server: &BundledServer) -> Service {
    Service {
        metadata: metadata(server),
        spec: Some(ServiceSpec {
            type_: Some(type_name(service_type(server)).to_owned()),
            selector: Some(labels::selector(server)),
            ports: Some(vec![ServicePort {
                name: Some(MCP_PORT_NAME.to_owned()),
                port: SERVICE_PORT,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_type(server: &BundledServer) -> ServiceType {
    let gateway = server.spec.gateway.as_ref();
    let exposure = gateway.and_then(|gateway| gateway.exposure.as_ref());
    let service = exposure.and_then(|exposure| exposure.service.as_ref());
    service.map(|service| service.type_).unwrap_or_default()
}

fn type_name(type_: ServiceType) -> &'static str {
    match type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}
