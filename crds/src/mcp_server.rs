//! `McpServer`: an MCP server to guard, and the gateway in front of it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ObjectName;
use crate::status::McpServerStatus;

/// An MCP server to guard. Toolgate runs a gateway in front of it and lets through only what grants and policies allow.
///
/// Whoever may create one chooses where calls go and which Secret of the namespace goes with them:
/// a right of the platform, not of those who write policies.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "toolgate.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    singular = "mcpserver",
    shortname = "mcps",
    category = "toolgate",
    namespaced,
    status = "McpServerStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Policies", type_ = "integer", json_path = ".status.policyCount"),
    printcolumn(name = "Grants", type_ = "integer", json_path = ".status.grantCount"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpServerSpec {
    /// Where the guarded server is. Exactly one of `url` and `service`.
    pub upstream: Upstream,
    /// The gateway's own pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// Where calls are counted. In the memory of the one gateway pod when absent; more than one replica needs a shared store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// Names of policies of this namespace that bind every caller of this server. If one is missing, or was never
    /// good, every call is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub required_policies: Vec<ObjectName>,
}

/// Where the guarded server is.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// The server's MCP endpoint: `http://host:port/path` or `https://host/path`, without user, query or fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// A Service of this namespace that runs the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<UpstreamService>,
    /// Headers that go with every request to the server. Credentials come from Secrets by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
}

/// A Service of the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpstreamService {
    /// The Service's name.
    pub name: ObjectName,
    /// The Service's port number.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The path of the MCP endpoint, such as `/mcp`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[A-Za-z0-9._~/-]*$"))]
    pub path: String,
}

/// A header for the guarded server: a fixed `value`, or `secretKeyRef`. Exactly one of the two.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The header's name, such as `Authorization`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// A value that is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub value: Option<String>,
    /// A key of a Secret of this namespace that holds the value. It is mounted into the gateway's pods by name;
    /// the operator never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// A key of a Secret of the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// The Secret's name.
    pub name: ObjectName,
    /// The key in the Secret's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"))]
    pub key: String,
}

/// The gateway's own pods.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// How many gateway pods run; one when absent. More than one needs a shared store for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,
    /// What each gateway container asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Whether requests without credentials are let in as the reserved grant `anonymous`. Policies still decide.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// How the gateway is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

/// Compute resources of one container, as in a pod.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// The most the container may use, such as `{cpu: "1", memory: 128Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, String>,
    /// What the container is scheduled with, such as `{cpu: 50m, memory: 32Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, String>,
}

/// How the gateway is reached.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exposure {
    /// The gateway's Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceExposure>,
}

/// The gateway's Service.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceExposure {
    /// The Service's type.
    #[serde(rename = "type")]
    pub type_: ServiceType,
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

/// Where calls are counted. Exactly one of `memory` and `redis`.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counters {
    /// In the memory of the one gateway pod: exact, and a restart of the pod begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCounters>,
    /// In a Redis or Valkey that all gateway pods share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisCounters>,
}

/// Counters in the memory of the one gateway pod. It has no settings.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryCounters {}

/// Counters in a Redis or Valkey.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisCounters {
    /// `redis://host:port` or `rediss://host:port`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// A key of a Secret of this namespace that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

impl McpServerSpec {
    /// How many gateway pods are asked for.
    pub fn replicas(&self) -> i32 {
        self.gateway.as_ref().and_then(|gateway| gateway.replicas).unwrap_or(1)
    }

    /// Whether requests without credentials are the reserved grant `anonymous`.
    pub fn anonymous(&self) -> bool {
        self.gateway.as_ref().is_some_and(|gateway| gateway.anonymous)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !value
}
