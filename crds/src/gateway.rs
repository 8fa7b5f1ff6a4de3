//! The gateway's own pods: how many, where, with what, and who reaches them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::concurrency::Concurrency;
use crate::exposure::Exposure;
use crate::kubernetes;
use crate::name::ObjectName;
use crate::tls::Tls;

/// The gateway's own pods.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// How many gateway pods run; one when absent. More than one needs a shared store for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,
    /// Who decides how many gateway pods run, in place of `replicas`. Needs a shared store for counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What each gateway container asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Whether requests without credentials are let in as the reserved grant `anonymous`. Policies still decide.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anonymous: bool,
    /// How the gateway is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// TLS of the gateway's own listener. Whoever leads to it, such as an Ingress, then has to speak TLS to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Whether the API server is asked of every ServiceAccount's token whether it still holds, so that the token of a
    /// deleted pod ends within a minute and not only when it expires. If the API server cannot be asked, such tokens are
    /// refused. The gateway needs the right to create TokenReviews, which the chart gives it by name:
    /// `gateway.tokenReview.servers`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub token_review: bool,
    /// How much may go on at a time at each gateway pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Another image of the gateway, such as `registry.example/toolgate-gateway@sha256:...`. Refused unless the
    /// platform allows it: the chart's `gateway.allowedImages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[a-zA-Z0-9][a-zA-Z0-9._/:@+-]*$"))]
    pub image: Option<String>,
    /// Labels for the gateway's Deployment, pods and Services. Those that the operator sets itself are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the gateway's pods. Those of `toolgate.dev` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of nodes that the pods may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate, as in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::list::<Toleration>")]
    pub tolerations: Vec<Toleration>,
    /// Where the pods may or should run, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::value::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// How the pods are spread, as in a pod; one without a `labelSelector` is about the gateway's own pods. When absent,
    /// over zones and nodes, as far as that can be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::list::<TopologySpreadConstraint>")]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// The priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<ObjectName>,
    /// How many pods may be evicted at a time. There is a budget wherever more than one pod may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<DisruptionBudget>,
    /// Who reaches the gateway's pods and what they reach, where the cluster's network enforces policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<GatewayNetworkPolicy>,
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

/// Who decides how many gateway pods run.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscaling {
    /// Whose autoscaler it is.
    #[serde(rename = "type")]
    pub type_: AutoscalingType,
    /// The autoscaler, for the type `HorizontalPodAutoscaler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizontal_pod_autoscaler: Option<HorizontalAutoscaling>,
}

/// Whose autoscaler decides how many gateway pods run.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutoscalingType {
    /// The operator makes a HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// One that somebody else has made, or a person: the operator leaves the Deployment's `replicas` alone.
    External,
}

/// A HorizontalPodAutoscaler by the use of processors.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HorizontalAutoscaling {
    /// The fewest pods; one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: Option<i32>,
    /// The most pods.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,
    /// The use of processors that is aimed at, in percent of what the pods ask for; 80 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    #[serde(rename = "targetCPUUtilizationPercentage")]
    pub target_cpu_utilization_percentage: Option<i32>,
}

/// How many pods may be evicted at a time.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DisruptionBudget {
    /// Whether there is a budget; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How many; one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_unavailable: Option<i32>,
}

/// Who reaches the gateway's pods and what they reach, where the cluster's network enforces policies.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayNetworkPolicy {
    /// Whether there is a NetworkPolicy; what the chart says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Who reaches the MCP endpoint; anybody when absent, so an empty list is refused. The port of metrics is for the operator and those whom the
    /// chart names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::list::<NetworkPolicyPeer>")]
    pub from: Option<Vec<NetworkPolicyPeer>>,
    /// What the gateway reaches; anything when absent. A list has to name the guarded server, the API server, and Redis
    /// and issuers where there are some; names can be resolved in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::list::<NetworkPolicyEgressRule>")]
    pub egress: Option<Vec<NetworkPolicyEgressRule>>,
    /// Labels of the guarded server's own pods. When given, one more NetworkPolicy lets only the gateway reach them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "kubernetes::texts")]
    pub server_pods: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
