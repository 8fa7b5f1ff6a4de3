//! NetworkPolicies: who reaches a server's gateway pods and what they reach, and who reaches the guarded server.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use toolgate_crds::GatewayNetworkPolicy;
use toolgate_policy::BundledServer;

use super::deployment::{ADMIN_PORT, MCP_PORT};
use super::{GatewaySettings, metadata, metadata_named};
use crate::child::ChildKind;
use crate::labels;

/// The port of name servers.
const DNS_PORT: i32 = 53;

/// The policy for the gateway's own pods.
///
/// What they reach is restricted only where the server says so: nobody else knows the addresses behind its names, and a
/// gateway that is cut off from its server or its bundle serves nobody.
pub(super) fn of_gateway(server: &BundledServer, settings: &GatewaySettings) -> Option<NetworkPolicy> {
    let wanted = wanted(server);
    if !wanted.and_then(|wanted| wanted.enabled).unwrap_or(settings.network_policy) {
        return None;
    }
    let mcp = NetworkPolicyIngressRule {
        from: wanted.and_then(|wanted| wanted.from.clone()),
        ports: Some(vec![port("TCP", MCP_PORT)]),
    };
    let admin = NetworkPolicyIngressRule {
        from: Some(settings.admin_peers.clone()),
        ports: Some(vec![port("TCP", ADMIN_PORT)]),
    };
    // A rule for nobody is no rule; one with an empty list of peers would be for everybody.
    let ingress = if settings.admin_peers.is_empty() { vec![mcp] } else { vec![mcp, admin] };
    let egress = wanted.and_then(|wanted| wanted.egress.as_ref()).map(|rules| {
        let mut all = vec![name_resolution()];
        all.extend(rules.iter().cloned());
        all
    });
    let types = if egress.is_some() { vec!["Ingress", "Egress"] } else { vec!["Ingress"] };
    Some(NetworkPolicy {
        metadata: metadata(server),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(own_pods(server)),
            policy_types: Some(types.into_iter().map(str::to_owned).collect()),
            ingress: Some(ingress),
            egress,
        }),
    })
}

/// The policy for the guarded server's pods: only the gateway reaches them.
pub(super) fn of_server(server: &BundledServer) -> Option<NetworkPolicy> {
    let pods = &wanted(server)?.server_pods;
    if pods.is_empty() {
        return None;
    }
    let gateway = NetworkPolicyPeer { pod_selector: Some(own_pods(server)), ..NetworkPolicyPeer::default() };
    Some(NetworkPolicy {
        metadata: metadata_named(server, ChildKind::ServerNetworkPolicy),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(pods.clone()),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule { from: Some(vec![gateway]), ports: None }]),
            egress: None,
        }),
    })
}

fn wanted(server: &BundledServer) -> Option<&GatewayNetworkPolicy> {
    server.spec.gateway.as_ref()?.network_policy.as_ref()
}

fn own_pods(server: &BundledServer) -> LabelSelector {
    LabelSelector { match_labels: Some(labels::selector(server)), ..LabelSelector::default() }
}

fn name_resolution() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { ports: Some(vec![port("UDP", DNS_PORT), port("TCP", DNS_PORT)]), to: None }
}

fn port(protocol: &str, port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
