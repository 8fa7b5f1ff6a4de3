//! The control plane: reconciles McpServers, ToolPolicies and ToolGrants into gateways.
//!
//! ```text
//! watches -> queue -> observe -> validate -> build -> apply -> report -> ledger -> statuses
//! ```
//!
//! - [`reconcile`]: one server, in five stages. Its only writes are the server's children and its status.
//! - [`status`]: policies and grants, whose statuses are put together from all servers that they concern.
//! - [`scope`]: caches, queues and watches of all namespaces, or of one.
//!
//! Invariants:
//! - It never reads, lists or watches a Secret.
//! - It decides nothing from a status, but that a revision never goes back.
//! - A status speaks only of what was applied and what gateways answered.
//! - One broken object stops nothing but itself.

pub mod backoff;
pub mod candidates;
pub mod check;
pub mod child;
pub mod closing;
pub mod conditions;
pub mod gateways;
pub mod http;
pub mod http_route;
pub mod labels;
pub mod lease;
pub mod ledger;
pub mod metrics;
pub mod names;
pub mod patience;
pub mod pulse;
pub mod queue;
pub mod raw;
pub mod reconcile;
pub mod run;
pub mod scope;
pub mod settings;
pub mod status;
pub mod stores;
pub mod transitions;
pub mod view;
pub mod watch;
