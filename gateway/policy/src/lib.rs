//! The law: what is in force at a gateway, and what it says of a call.
//!
//! ```text
//! objects --Candidate::read--> candidates --render--> Bundle --compile--> Law --examine--> Pending --conclude--> Verdict
//!                                                                             a store of counters answers /
//! ```
//!
//! [`Law::explain`] says why a call is decided as it is, out of the same functions.
//!
//! [`Packed`] is how a bundle is kept in ConfigMaps, however large it is.
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
mod definition;
mod digest;
mod documents;
mod explain;
mod identity;
pub mod json;
mod law;
mod limit;
mod packed;
mod path;
mod pattern;
mod reference;
mod render;
mod store;
mod target;
mod verdict;
mod window;

pub use bundle::{Bundle, BundledGrant, BundledPolicy, BundledServer, FORMAT, InvalidBundle};
pub use candidate::Candidate;
pub use compile::{
    ANONYMOUS, CLAIM_BYTES_MAX, GRANTS_MAX, PAUSE_MAX, POLICIES_MAX, RedisAddress, check_grant, check_policy,
    check_server, compile, is_issuer,
};
pub use counters::{COUNTERS_MAX, Counters};
pub use decide::{Call, Examined, Pending};
pub use definition::Definition;
pub use documents::{Documents, Fault};
pub use explain::{
    BoundPolicy, ConditionLooked, EntryLooked, Explanation, LimitLooked, Looked, Narrowed, Row, Said,
    TestLooked, UNAUTHENTICATED, View, WindowLooked,
};
pub use identity::{ClientCertificate, Identity, ServiceAccount};
pub use law::{Caller, Credential, Law, Passage, Unauthenticated};
pub use limit::Limit;
pub use packed::{
    BUNDLE_BYTES_MAX, BUNDLE_KEY, CONFIG_MAP_BYTES_MAX, Form, GZIP_KEY, HEAD_KEY, Half, Head, Packed,
    SHARDS_MAX, Shard, TooLarge, inflate,
};
pub use pattern::{
    InvalidPattern, PATTERN_CHARACTERS_MAX, Pattern, URI_BYTES_MAX, is_resource_uri, is_tool_name,
};
pub use reference::{Labels, References, labels};
pub use render::{InForce, Inputs, Rendered, Report, render};
pub use store::{Admission, Bound, Charge, CounterKey, Demand, Full, Group, NoRoom, Reply, Taken, Usage};
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
