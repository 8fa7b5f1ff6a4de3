//! The gateway: decides every MCP call before it reaches its server, and counts every decision.
//!
//! ```text
//! bytes --listener--> request --endpoint--> message, caller --law--> permit --upstream--> answer --relay--> bytes
//!                                              \--refusal--> answer
//! ```
//!
//! - [`wire`]: bytes to messages and back. Pure.
//! - [`in_force`]: the law that holds now, swapped whole; [`source`] brings new ones.
//! - [`endpoint`]: the way of one request. [`upstream`] sends nothing without a permit.
//! - [`identity`]: whose a token is that an issuer signed.
//! - [`admin`]: health, metrics and the revision that is enforced, on a port of its own.
//!
//! Invariants: what is decided on is what is sent; nothing is sent without a permit; every decision is counted once,
//! where it is made; a law that cannot be read leaves the last one in force.

pub mod admin;
pub mod arguments;
pub mod clock;
pub mod credentials;
pub mod endpoint;
pub mod gateway;
pub mod identity;
pub mod in_force;
pub mod listener;
pub mod metrics;
pub mod relay;
pub mod run;
pub mod session;
pub mod source;
pub mod upstream;
pub mod wire;
