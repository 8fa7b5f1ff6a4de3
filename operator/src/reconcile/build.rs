//! From a bundle to the objects that enforce it. No client, no clock.

mod autoscaler;
mod config_map;
mod deployment;
mod http_route;
mod ingress;
mod network_policy;
mod pod_disruption_budget;
mod role;
mod role_binding;
mod service;
mod service_account;

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy, NetworkPolicyPeer};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use toolgate_crds::API_VERSION;
use toolgate_policy::{Bundle, BundledServer, Packed, Shard};

use crate::child::ChildKind;
use crate::http_route::HttpRoute;
use crate::{labels, names};

pub use deployment::{ADMIN_PORT, ADMIN_PORT_NAME, MCP_PORT, MCP_PORT_NAME, MCP_TLS_PORT_NAME};
pub use service::{SERVICE_PORT, TLS_SERVICE_PORT, service_port};

/// The paths that are led to gateways from outside: the MCP endpoint, and what tells clients where its tokens come from.
const PUBLIC_PATHS: [&str; 2] = ["/mcp", "/.well-known/oauth-protected-resource/mcp"];

/// How gateway pods are run, for all servers.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewaySettings {
    /// The image.
    pub image: String,
    /// When it is pulled: `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Names of Secrets, in the namespace of each server, that it is pulled with.
    pub image_pull_secrets: Vec<String>,
    /// Where their audit trail goes: `stdout`, `off`, or the URL of a collector.
    pub audit: String,
    /// The collector that their spans go to.
    pub traces: Option<String>,
    /// Images that a server may choose: whole names, and what names begin with where it ends with `/`, `:` or `@`.
    pub allowed_images: Vec<String>,
    /// Whether they refuse servers and issuers in private networks.
    pub refuse_private_addresses: bool,
    /// Whether gateways get a NetworkPolicy where their server does not say.
    pub network_policy: bool,
    /// Who reaches the gateways' admin port by that policy: the operator, and whoever collects metrics.
    pub admin_peers: Vec<NetworkPolicyPeer>,
}

impl GatewaySettings {
    /// Whether a server may choose an image.
    pub fn allows(&self, image: &str) -> bool {
        self.allowed_images.iter().any(|allowed| {
            image == allowed || (allowed.ends_with(['/', ':', '@']) && image.starts_with(allowed.as_str()))
        })
    }
}

/// The objects of one server, as they are to be. Nothing has been written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The parts of a bundle that is too large for one ConfigMap.
    pub shards: Vec<(Shard, ConfigMap)>,
    /// The bundle.
    pub config_map: ConfigMap,
    /// Who the gateway pods are.
    pub service_account: ServiceAccount,
    /// What they may read.
    pub role: Role,
    /// That they may.
    pub role_binding: RoleBinding,
    /// Where they are reached.
    pub service: Service,
    /// Who reaches them, and what they reach.
    pub network_policy: Option<NetworkPolicy>,
    /// Who reaches the guarded server.
    pub server_network_policy: Option<NetworkPolicy>,
    /// How many may be evicted at a time.
    pub pod_disruption_budget: Option<PodDisruptionBudget>,
    /// The gateway pods.
    pub deployment: Deployment,
    /// How many there are to be.
    pub autoscaler: Option<HorizontalPodAutoscaler>,
    /// Where they are reached from outside.
    pub ingress: Option<Ingress>,
    /// Where they are reached through a Gateway of the Gateway API.
    pub http_route: Option<HttpRoute>,
}

/// One object as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// The whole object, with the digest of itself among its annotations.
    pub object: Value,
    /// That digest.
    pub digest: String,
}

/// Builds the objects of a bundle's server.
pub fn build(bundle: &Bundle, packed: &Packed, settings: &GatewaySettings) -> Prepared {
    Prepared {
        shards: config_map::shards(bundle, packed),
        config_map: config_map::build(bundle, packed),
        service_account: service_account::build(&bundle.server),
        role: role::build(&bundle.server),
        role_binding: role_binding::build(&bundle.server),
        service: service::build(&bundle.server),
        network_policy: network_policy::of_gateway(&bundle.server, settings),
        server_network_policy: network_policy::of_server(&bundle.server),
        pod_disruption_budget: pod_disruption_budget::build(&bundle.server),
        deployment: deployment::build(&bundle.server, packed.is_sharded(), settings),
        autoscaler: autoscaler::build(&bundle.server),
        ingress: ingress::build(&bundle.server),
        http_route: http_route::build(&bundle.server),
    }
}

/// The name of every child of a server but the one that concerns the guarded server's own pods.
pub fn child_name(server: &BundledServer) -> String {
    names::child(&server.name, &server.uid)
}

/// Where callers reach a server's gateways, and whom the tokens of ServiceAccounts have to be for.
pub fn url(server: &BundledServer) -> String {
    let scheme = if server.spec.tls().is_some() { "https" } else { "http" };
    format!("{scheme}://{}.{}.svc/mcp", child_name(server), server.namespace)
}

impl Prepared {
    /// The objects, in the order in which they are written.
    pub fn children(&self) -> Vec<Child> {
        // Without `..`, so that no object can be forgotten.
        let Self {
            shards,
            config_map,
            service_account,
            role,
            role_binding,
            service,
            network_policy,
            server_network_policy,
            pod_disruption_budget,
            deployment,
            autoscaler,
            ingress,
            http_route,
        } = self;
        let shards =
            shards.iter().map(|(shard, config_map)| Child::new(ChildKind::Shard(*shard), config_map));
        let others = [
            Some(Child::new(ChildKind::ConfigMap, config_map)),
            Some(Child::new(ChildKind::ServiceAccount, service_account)),
            Some(Child::new(ChildKind::Role, role)),
            Some(Child::new(ChildKind::RoleBinding, role_binding)),
            Some(Child::new(ChildKind::Service, service)),
            Child::optional(ChildKind::NetworkPolicy, network_policy.as_ref()),
            Child::optional(ChildKind::ServerNetworkPolicy, server_network_policy.as_ref()),
            Child::optional(ChildKind::PodDisruptionBudget, pod_disruption_budget.as_ref()),
            Some(Child::new(ChildKind::Deployment, deployment)),
            Child::optional(ChildKind::HorizontalPodAutoscaler, autoscaler.as_ref()),
            Child::optional(ChildKind::Ingress, ingress.as_ref()),
            Child::optional(ChildKind::HttpRoute, http_route.as_ref()),
        ];
        shards.chain(others.into_iter().flatten()).collect()
    }
}

impl Prepared {
    /// A place for a part of a bundle, with nothing in it. None: parts are needed.
    pub fn emptied(&self, shard: Shard) -> Option<Child> {
        if !self.shards.is_empty() {
            return None;
        }
        let mut metadata = ObjectMeta { annotations: None, ..self.config_map.metadata.clone() };
        metadata.name = metadata.name.map(|head| shard.config_map(&head));
        let empty = ConfigMap { metadata, ..ConfigMap::default() };
        Some(Child::new(ChildKind::Shard(shard), &empty))
    }
}

impl Child {
    fn new(kind: ChildKind, object: &impl Serialize) -> Self {
        let mut object = serde_json::to_value(object).expect("built objects are made of plain values");
        let digest = digest(&object);
        object["metadata"]["annotations"][labels::APPLIED] = Value::from(digest.as_str());
        Self { kind, object, digest }
    }

    fn optional(kind: ChildKind, object: Option<&impl Serialize>) -> Option<Self> {
        object.map(|object| Self::new(kind, object))
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// SHA-256 of a value's text, in hexadecimal digits.
pub fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

fn metadata(server: &BundledServer) -> ObjectMeta {
    metadata_named(server, ChildKind::Deployment)
}

/// With the labels that the server wants for what it is seen by.
fn labelled(server: &BundledServer) -> ObjectMeta {
    let wanted = server.spec.gateway.as_ref().map(|gateway| gateway.labels.clone()).unwrap_or_default();
    let mut metadata = metadata(server);
    // Our own last: nothing is found by what somebody else wrote.
    metadata.labels = Some(wanted.into_iter().chain(metadata.labels.into_iter().flatten()).collect());
    metadata
}

fn metadata_named(server: &BundledServer, kind: ChildKind) -> ObjectMeta {
    ObjectMeta {
        name: Some(kind.name(&server.name, &server.uid)),
        namespace: Some(server.namespace.clone()),
        labels: Some(labels::of_server(server)),
        owner_references: Some(vec![owner(server)]),
        ..ObjectMeta::default()
    }
}

fn owner(server: &BundledServer) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "McpServer".to_owned(),
        name: server.name.clone(),
        uid: server.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
