//! The kinds of objects that the operator makes for a server.

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::ApiResource;

use toolgate_policy::Shard;

use crate::http_route::HttpRoute;
use crate::names;

/// A kind of child. The order is the one in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChildKind {
    /// A part of a bundle that is too large for one ConfigMap. Before what commits it.
    Shard(Shard),
    /// The bundle, or what commits its parts.
    ConfigMap,
    /// Who the gateway pods are.
    ServiceAccount,
    /// What they may read.
    Role,
    /// That they may.
    RoleBinding,
    /// Where they are reached.
    Service,
    /// Who reaches the gateway pods, and what they reach.
    NetworkPolicy,
    /// Who reaches the guarded server's pods.
    ServerNetworkPolicy,
    /// How many gateway pods may be evicted at a time.
    PodDisruptionBudget,
    /// The gateway pods.
    Deployment,
    /// How many of them there are to be.
    HorizontalPodAutoscaler,
    /// Where they are reached from outside.
    Ingress,
    /// Where they are reached through the Gateway API.
    HttpRoute,
}

impl ChildKind {
    /// Every kind but the parts of a large bundle, in the order in which they are written.
    pub const ALL: [Self; 12] = [
        Self::ConfigMap,
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::Service,
        Self::NetworkPolicy,
        Self::ServerNetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Deployment,
        Self::HorizontalPodAutoscaler,
        Self::Ingress,
        Self::HttpRoute,
    ];

    /// Every place for a part of a large bundle.
    pub fn shards() -> impl Iterator<Item = Self> {
        Shard::all().map(Self::Shard)
    }

    /// Whether it holds a bundle, or a part of one. Nobody else writes those, but for another operator that leads since.
    pub fn is_bundle(self) -> bool {
        matches!(self, Self::Shard(_) | Self::ConfigMap)
    }

    /// The kind's name, as the API server has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shard(_) | Self::ConfigMap => "ConfigMap",
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::Service => "Service",
            Self::NetworkPolicy | Self::ServerNetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Ingress => "Ingress",
            Self::HttpRoute => "HTTPRoute",
        }
    }

    /// Whether it is never deleted: there is one for every server, or it is emptied instead, so that the operator needs no right
    /// to delete ConfigMaps. The others come and go with what the server says.
    pub fn is_always_there(self) -> bool {
        match self {
            Self::Shard(_)
            | Self::ConfigMap
            | Self::ServiceAccount
            | Self::Role
            | Self::RoleBinding
            | Self::Service
            | Self::Deployment => true,
            Self::NetworkPolicy
            | Self::ServerNetworkPolicy
            | Self::PodDisruptionBudget
            | Self::HorizontalPodAutoscaler
            | Self::Ingress
            | Self::HttpRoute => false,
        }
    }

    /// The name of a server's child of this kind.
    pub fn name(self, server: &str, uid: &str) -> String {
        match self {
            Self::Shard(shard) => shard.config_map(&names::child(server, uid)),
            Self::ServerNetworkPolicy => names::server_network_policy(server, uid),
            _ => names::child(server, uid),
        }
    }

    /// Where the API server serves the kind.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Shard(_) | Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::Role => ApiResource::erase::<Role>(&()),
            Self::RoleBinding => ApiResource::erase::<RoleBinding>(&()),
            Self::Service => ApiResource::erase::<Service>(&()),
            Self::NetworkPolicy | Self::ServerNetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::PodDisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::HorizontalPodAutoscaler => ApiResource::erase::<HorizontalPodAutoscaler>(&()),
            Self::Ingress => ApiResource::erase::<Ingress>(&()),
            Self::HttpRoute => ApiResource::erase::<HttpRoute>(&()),
        }
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
