//! What the operator reports. It speaks only of what was applied, and nobody decides anything from it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Condition types, as they are written.
pub mod condition {
    /// The object is valid and every reference in it is known.
    pub const ACCEPTED: &str = "Accepted";
    /// Every gateway that the object concerns enforces exactly this edit.
    pub const PROGRAMMED: &str = "Programmed";
    /// The summary that Helm and `kubectl wait` look at.
    pub const READY: &str = "Ready";
    /// Every gateway pod counts in the store that they share. Only there where the server has one.
    pub const COUNTERS_AVAILABLE: &str = "CountersAvailable";
    /// Every gateway pod reaches the guarded server, and is let in.
    pub const REACHABLE: &str = "Reachable";
    /// It cannot get better by itself: somebody has to edit it.
    pub const STALLED: &str = "Stalled";
}

/// State of an `McpServer` and its gateway.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Ready`, `Reachable`, and where they apply `CountersAvailable` and `Stalled`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The gateway's URL inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The revision of the bundle that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// The bundle's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Gateway pods that are there and not terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Gateway pods of these that are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// How many tools the guarded server has, by the last list of them that passed a gateway pod. Callers may see fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_count: Option<i32>,
    /// How many policies the bundle holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_count: Option<i32>,
    /// How many grants the bundle holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_count: Option<i32>,
    /// The policies that every gateway pod enforces. A deleted policy is gone from here once no gateway knows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<EnforcedObject>,
    /// The grants that every gateway pod knows. A deleted grant is gone from here once no gateway knows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<EnforcedObject>,
}

/// An object as the gateways enforce it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnforcedObject {
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The generation that is enforced; the last good one when a later edit was refused.
    pub generation: i64,
    /// The revision of the bundle that brought it.
    pub revision: i64,
}

/// State of a `ToolPolicy`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Programmed`, `Ready`, and `Stalled` where it applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// State of a `ToolGrant`.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolGrantStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `Programmed`, `Ready`, and `Stalled` where it applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Names of the servers that it opens now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
}
