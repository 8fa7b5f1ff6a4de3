//! The custom resources of `toolgate.dev/v1alpha1`: what a user writes, and nothing derived from it.
//!
//! - [`McpServer`]: an MCP server to guard. [`ToolPolicy`]: what may be called. [`ToolGrant`]: who may call.
//! - [`strict`]: the only way from a document to a spec. It refuses what it does not know, with every error.
//! - [`yaml`]: files as people write them, with the faults that no API server can see.
//! - [`manifest`]: the CRDs and the admission policies, generated from the same types.
//!
//! Invariant: this crate does no network I/O and decides nothing. It must stay free of tokio and hyper.

mod concurrency;
mod duration;
mod exposure;
mod gateway;
mod kubernetes;
pub mod manifest;
mod mcp_server;
mod name;
pub mod status;
pub mod strict;
mod tls;
mod tool_grant;
mod tool_policy;
pub mod yaml;

pub use concurrency::{Cap, Caps, Concurrency};
pub use duration::{InvalidDuration, WINDOW_MAX, WINDOW_MIN, Window};
pub use exposure::{
    Exposure, HttpRouteExposure, IngressExposure, IngressTls, ParentReference, ServiceExposure, ServiceType,
};
pub use gateway::{
    Autoscaling, AutoscalingType, DisruptionBudget, Gateway, GatewayNetworkPolicy, HorizontalAutoscaling,
    Resources,
};
pub use kubernetes::ENTRIES_MAX;
pub use mcp_server::{
    Busy, CertificateAuthority, ConfigMapKeyRef, Counters, Header, McpServer, McpServerSpec, MemoryCounters,
    RedisCounters, SecretKeyRef, Upstream, UpstreamService,
};
pub use name::ObjectName;
pub use strict::FieldError;
pub use tls::Tls;
pub use tool_grant::{
    CertificateSubject, OidcSubject, ServerReference, ServerSelector, ServiceAccountSubject, Subject,
    SubjectType, TokenSubject, ToolGrant, ToolGrantSpec,
};
pub use tool_policy::{
    Action, AllTools, Approval, Condition, Cost, DefaultAction, LengthOf, Limit, Mode, Operator, Rule, Scope,
    ServerRequest, SumOf, TargetKind, TargetReference, ToolEntry, ToolPolicy, ToolPolicySpec,
};

/// The API group of every kind.
pub const GROUP: &str = "toolgate.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every object.
pub const API_VERSION: &str = "toolgate.dev/v1alpha1";
/// The largest integer that every JSON reader keeps exactly (2^53 - 1). Beyond it an API server's clients round.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;
