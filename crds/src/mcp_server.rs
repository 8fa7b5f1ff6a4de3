//! `McpServer`: an MCP server to guard, and the gateway in front of it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::concurrency::Concurrency;
use crate::duration::Window;
use crate::exposure::Exposure;
use crate::gateway::{Gateway, is_false};
use crate::name::ObjectName;
use crate::status::McpServerStatus;
use crate::tls::Tls;

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
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Reachable')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.toolCount"),
    printcolumn(name = "Policies", type_ = "integer", json_path = ".status.policyCount"),
    printcolumn(name = "Grants", type_ = "integer", json_path = ".status.grantCount"),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.readyReplicas", priority = 1),
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
    /// Who vouches for the server's certificate; the system's authorities when absent. Only with `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<CertificateAuthority>,
    /// How the server says that it is called too often, besides HTTP 429, which is always understood. It is then left alone
    /// for a while: calls are refused, over all gateway pods, and hear how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
    /// Headers that go with every request to the server. Credentials come from Secrets by reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
}

/// A result by which a server says that it is called too often.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Busy {
    /// The whole text of such a result. It counts only as the one text of a tool's result that is an error: an agent can read
    /// back a note that contains it.
    #[schemars(length(min = 1, max = 4096))]
    pub text: String,
    /// For how long the server is then left alone: one second to a minute, such as `10s`.
    pub pause: Window,
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

/// Counters in a Redis or Valkey, version 7 or newer, that never evicts keys.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedisCounters {
    /// `redis://host:port`, or `rediss://host:port` over TLS, without user, password and path.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The user of the store's access control list; its default user when absent. It needs `secretKeyRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
    /// A key of a Secret of this namespace that holds the password. It is mounted into the gateway's pods by name;
    /// the operator never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Who vouches for the store's certificate; the system's authorities when absent. Only with `rediss://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<CertificateAuthority>,
    /// Whether the store is a cluster, of which the URL names one node.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cluster: bool,
}

/// Certificates in PEM that are trusted to vouch for others. Exactly one of `secretKeyRef` and `configMapKeyRef`.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateAuthority {
    /// A key of a Secret of this namespace, such as `ca.crt` of one that cert-manager keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A key of a ConfigMap of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
}

/// A key of a ConfigMap of the same namespace.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapKeyRef {
    /// The ConfigMap's name.
    pub name: ObjectName,
    /// The key in the ConfigMap's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"))]
    pub key: String,
}

impl McpServerSpec {
    /// Who vouches for the certificates of the server and of the store of counters, in place of the system's authorities.
    pub fn certificate_authorities(&self) -> impl Iterator<Item = &CertificateAuthority> {
        let redis = self.counters.as_ref().and_then(|counters| counters.redis.as_ref());
        let of_redis = redis.and_then(|redis| redis.certificate_authority.as_ref());
        self.upstream.certificate_authority.iter().chain(of_redis)
    }

    /// How many gateway pods are asked for. None: an autoscaler says.
    pub fn replicas(&self) -> Option<i32> {
        let gateway = self.gateway.as_ref();
        match gateway.and_then(|gateway| gateway.autoscaling.as_ref()) {
            Some(_) => None,
            None => Some(gateway.and_then(|gateway| gateway.replicas).unwrap_or(1)),
        }
    }

    /// Whether more than one gateway pod may run.
    pub fn may_have_several(&self) -> bool {
        self.replicas().is_none_or(|replicas| replicas > 1)
    }

    /// How the gateway is reached.
    pub fn exposure(&self) -> Option<&Exposure> {
        self.gateway.as_ref().and_then(|gateway| gateway.exposure.as_ref())
    }

    /// TLS of the gateway's own listener.
    pub fn tls(&self) -> Option<&Tls> {
        self.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref())
    }

    /// Whether the API server is asked whether tokens of ServiceAccounts still hold.
    pub fn token_review(&self) -> bool {
        self.gateway.as_ref().is_some_and(|gateway| gateway.token_review)
    }

    /// How much may go on at a time at each gateway pod.
    pub fn concurrency(&self) -> Concurrency {
        self.gateway.as_ref().and_then(|gateway| gateway.concurrency).unwrap_or_default()
    }

    /// Whether requests without credentials are the reserved grant `anonymous`.
    pub fn anonymous(&self) -> bool {
        self.gateway.as_ref().is_some_and(|gateway| gateway.anonymous)
    }
}
