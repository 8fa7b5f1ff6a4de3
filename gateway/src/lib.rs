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
//! - [`counting`]: where calls are counted.
//! - [`reach`]: whether the server can be reached, and [`tools_seen`], how many tools it lists; the operator asks for both.
//! - [`definitions`]: how the server defines the tools of which a policy agrees to some definitions only.
//! - [`identity`]: whose a token is that an issuer signed.
//! - [`audit`]: what was decided, a line each, and [`correlation`], what ties it together with what others know.
//! - [`log`](mod@log): what the process says about itself. [`outlet`]: why neither it nor the audit trail ever delays a call.
//!   [`otlp`]: the way to a collector.
//! - [`tls`]: the listener's certificate, and who shows one.
//! - [`slots`]: how much goes on at a time.
//! - [`traces`]: what was done for a request, as spans for a collector.
//! - [`admin`]: health, metrics and the revision that is enforced, on a port of its own.
//!
//! Invariants: what is decided on is what is sent; nothing is sent without a permit; every decision is counted once,
//! where it is made; a law that cannot be read leaves the last one in force.

pub mod admin;
pub mod arguments;
pub mod audit;
pub mod clock;
pub mod correlation;
pub mod counting;
pub mod credentials;
pub mod definitions;
pub mod destinations;
pub mod endpoint;
pub mod gateway;
pub mod identity;
pub mod in_force;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod otlp;
pub mod outlet;
pub mod reach;
pub mod relay;
pub mod run;
pub mod session;
pub mod slots;
pub mod source;
pub mod tls;
pub mod tools_seen;
pub mod traces;
pub mod trust;
pub mod upstream;
pub mod wire;
