//! How a gateway is reached.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kubernetes;
use crate::name::ObjectName;

/// How the gateway is reached.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exposure {
    /// The gateway's Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceExposure>,
    /// An Ingress that leads to the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressExposure>,
    /// An HTTPRoute that leads to the Service. The cluster needs the Gateway API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRouteExposure>,
}

/// The gateway's Service.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceExposure {
    /// The Service's type; `ClusterIP` when absent.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,
    /// Annotations for the Service, such as those of load balancers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub annotations: BTreeMap<String, String>,
}

/// A Service's type, as Kubernetes names it.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceType {
    /// Reached from inside the cluster.
    #[default]
    ClusterIP,
    /// Reached on a port of every node too.
    NodePort,
    /// Reached through a load balancer too.
    LoadBalancer,
}

/// An Ingress that leads to the gateway's Service.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressExposure {
    /// The host that clients call, such as `kommo.example.com`.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub host: String,
    /// The class of the Ingress; the cluster's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,
    /// Annotations for the Ingress, such as those of its controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub annotations: BTreeMap<String, String>,
    /// The certificate for the host. Without it tokens cross the network in the clear, unless the controller knows better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressTls>,
}

/// The certificate for an Ingress' host.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngressTls {
    /// A Secret of this namespace, of the type `kubernetes.io/tls`. The controller of the Ingress reads it.
    pub secret_name: ObjectName,
}

/// An HTTPRoute that leads to the gateway's Service.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouteExposure {
    /// The Gateways that it is attached to.
    #[schemars(length(min = 1, max = 16))]
    pub parent_refs: Vec<ParentReference>,
    /// The hosts that clients call; those of the Gateways' listeners when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub hostnames: Vec<String>,
}

/// A Gateway of the Gateway API.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParentReference {
    /// The Gateway's name.
    pub name: ObjectName,
    /// The Gateway's namespace; this one when absent. The Gateway says who may attach to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectName>,
    /// The name of one of its listeners; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<ObjectName>,
    /// The port of its listeners; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
}
