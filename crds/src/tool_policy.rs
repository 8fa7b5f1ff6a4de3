//! `ToolPolicy`: what may be called.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration::Window;
use crate::name::ObjectName;
use crate::status::ToolPolicyStatus;

/// What may be called on the servers it targets.
///
/// Every policy that is bound to a caller must admit a call, so one more policy only ever narrows.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "toolgate.dev",
    version = "v1alpha1",
    kind = "ToolPolicy",
    plural = "toolpolicies",
    singular = "toolpolicy",
    shortname = "tp",
    category = "toolgate",
    namespaced,
    status = "ToolPolicyStatus",
    derive = "PartialEq",
    label("gateway.networking.k8s.io/policy", "Direct"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Programmed')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "Targets", type_ = "string", json_path = ".spec.targetRefs[*].name"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolPolicySpec {
    /// The servers of this namespace that the policy governs.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<TargetReference>,
    /// What happens to tools, resources and prompts that are not listed: `deny` (also when absent) or `allow`.
    #[serde(default)]
    pub default: DefaultAction,
    /// `enforce` (also when absent), or `audit`: never refuses, only records what it would have said.
    #[serde(default)]
    pub mode: Mode,
    /// Names of grants of this namespace; the policy then binds only their callers. Absent: it binds every caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub grants: Option<Vec<ObjectName>>,
    /// The tools by name, or by a glob with `*` and `?`. A glob lists tools only with an explicit `action: allow` or
    /// `approve`; without one it only narrows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1000))]
    pub tools: BTreeMap<String, ToolEntry>,
    /// Names or globs of tools that callers never see and cannot call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128)))]
    pub hide: Vec<String>,
    /// Narrows every tool; lists none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_tools: Option<AllTools>,
    /// Resources by URI or glob (`*` stops at `/`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1000))]
    pub resources: BTreeMap<String, ToolEntry>,
    /// Prompts by name or glob.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 1000))]
    pub prompts: BTreeMap<String, ToolEntry>,
    /// Requests that the server may send to the client; none when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub server_requests: Vec<ServerRequest>,
}

/// A reference to what the policy governs.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetReference {
    /// The target's kind.
    pub kind: TargetKind,
    /// The target's name.
    pub name: ObjectName,
}

/// The kinds that a policy can govern.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetKind {
    /// An `McpServer`.
    McpServer,
}

/// What happens to what is not listed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DefaultAction {
    /// Refused.
    #[default]
    Deny,
    /// Admitted, as far as other rules do.
    Allow,
}

/// Whether the policy refuses calls or only records what it would have said.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Calls are decided by the policy.
    #[default]
    Enforce,
    /// The policy only records.
    Audit,
}

/// Requests of a server to its client, after the protocol's names.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerRequest {
    /// `sampling/createMessage`.
    Sampling,
    /// `elicitation/create`.
    Elicitation,
    /// `roots/list`.
    Roots,
}

/// The rules of one tool, or of all tools that a glob matches. An empty entry lists its tool without conditions.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolEntry {
    /// `allow` (the default of an exact name), `deny` (stays listed, so that the caller hears the reason), or
    /// `approve` (held until a person decides).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// What a refused caller is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub reason: Option<String>,
    /// The definitions of the tool that were agreed to: the SHA-256 of each, in 64 lower-case hexadecimal digits, as
    /// `toolgate pin` prints them. A tool that the server defines in any other way is not listed, and calls of it are
    /// refused. Only for a tool by its exact name. Absent: any definition will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(regex(pattern = "^[0-9a-f]{64}$")))]
    pub definitions: Option<Vec<String>>,
    /// Every one of these must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub require: Vec<Rule>,
    /// None of these may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub deny_if: Vec<Rule>,
    /// How often it may be called. All limits must have room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub limits: Vec<Limit>,
    /// How approval by a person works for this tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// Rules for every tool. They narrow; they list none.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllTools {
    /// Every one of these must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub require: Vec<Rule>,
    /// None of these may hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub deny_if: Vec<Rule>,
    /// How often tools may be called. All limits must have room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub limits: Vec<Limit>,
}

/// What happens to a call of a listed tool.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Admitted, as far as other rules do.
    Allow,
    /// Refused, with the reason.
    Deny,
    /// Held until a person decides.
    Approve,
}

/// One condition (`path`, `op`, `value`), or a group of `conditions` that all hold.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The argument, such as `args.amount` or `args.items[*].price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub path: Option<String>,
    /// How the argument is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Operator>,
    /// What the argument is compared with; every operator but `exists` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub value: Option<Value>,
    /// A group: the item holds when all of these do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
    /// What a caller is told whom this item refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub reason: Option<String>,
}

/// A comparison of one argument.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// The argument, such as `args.amount` or `args.items[*].price`.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    /// How the argument is compared.
    pub op: Operator,
    /// What the argument is compared with; every operator but `exists` needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub value: Option<Value>,
}

/// How an argument is compared.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Less than.
    Lt,
    /// At most.
    Lte,
    /// Greater than.
    Gt,
    /// At least.
    Gte,
    /// One of a list.
    In,
    /// None of a list.
    NotIn,
    /// Present and not null.
    Exists,
    /// Matches a regular expression.
    Regex,
    /// A string with this part, or an array with this item.
    Contains,
}

/// Never more than `max` in any window of that length.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// The counter's name. Entries of this policy that name the same counter share it.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    pub counter: String,
    /// The window's length: `second`, `minute`, `hour`, `day`, or a duration such as `90s`. The window slides: it is
    /// any stretch of that length, not a calendar minute.
    pub window: Window,
    /// The most that is admitted in any such window.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub max: i64,
    /// Whether each grant has this much to itself (`grant`), or all callers of the server share it (`server`).
    pub scope: Scope,
    /// What one call weighs: a number (1 when absent), `{sum: args.price}` or `{length: args.ids}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Who shares a counter.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Each grant counts for itself.
    Grant,
    /// All callers of the server count together.
    Server,
}

/// What one call weighs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cost {
    /// The same for every call.
    Fixed(i64),
    /// The sum of the numbers at an argument path.
    Sum(
        /// The path.
        SumOf,
    ),
    /// The length of the array at an argument path.
    Length(
        /// The path.
        LengthOf,
    ),
}

/// `{sum: PATH}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumOf {
    /// The path of the numbers.
    pub sum: String,
}

/// `{length: PATH}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthOf {
    /// The path of the array.
    pub length: String,
}

/// How approval by a person works.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// How long a held call waits for a decision, such as `30m`.
    pub timeout: Window,
}

// A structural schema may leave a value untyped only where it preserves whatever is there.
fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

impl JsonSchema for Cost {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cost".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        any_value(generator)
    }
}
