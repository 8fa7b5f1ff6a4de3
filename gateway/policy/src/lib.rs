//! The law: what is in force at a gateway, and what it says of a call.
//!
//! ```text
//! objects --Candidate::read--> candidates --render--> Bundle --compile--> Law --decide--> Verdict
//! ```
//!
//! The operator renders and checks; a gateway compiles the same bundle with the same code and decides with it.
//!
//! Invariants:
//! - Pure: no I/O, no clock, no log, no task. Time is an argument.
//! - Only [`Law`] makes a [`Permit`], and it makes one only for what every bound policy admits.
//! - Absent, unknown or unreadable is refused.

mod bundle;
mod candidate;
mod compile;
mod condition;
mod cost;
mod counters;
mod decide;
mod decimal;
mod documents;
mod identity;
pub mod json;
mod law;
mod path;
mod pattern;
mod render;
mod target;
mod verdict;
mod window;

pub use bundle::{Bundle, BundledGrant, BundledPolicy, BundledServer, InvalidBundle};
pub use candidate::Candidate;
pub use compile::{
    ANONYMOUS, CLAIM_BYTES_MAX, GRANTS_MAX, POLICIES_MAX, check_grant, check_policy, check_server, compile,
    is_issuer,
};
pub use counters::{COUNTERS_MAX, Counters};
pub use decide::Call;
pub use documents::{Documents, Fault};
pub use identity::{Identity, ServiceAccount};
pub use law::{Caller, Credential, Law, Passage, Unauthenticated};
pub use pattern::{
    InvalidPattern, PATTERN_CHARACTERS_MAX, Pattern, URI_BYTES_MAX, is_resource_uri, is_tool_name,
};
pub use render::{InForce, Inputs, Rendered, Report, render};
pub use target::Target;
pub use verdict::{Audited, Decision, Exhausted, Outcome, Permit, Refusal, Rule, Verdict};
pub use window::LOG_ENTRIES_MAX;

/// An instant, as the caller of this crate reads it from its clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Time since an arbitrary start that never goes back. Limits are counted by it.
    pub monotonic: std::time::Duration,
    /// The time of day. Grants expire by it.
    pub wall: jiff::Timestamp,
}
