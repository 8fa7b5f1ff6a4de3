//! MCP on the wire: bytes to messages and messages to bytes.
//!
//! Everything here is pure: it is given bytes and headers and answers with values or bytes. It never
//! opens a connection, reads a clock or knows a policy. What a client sent is read once, strictly, and
//! what goes on is written from what was read.

pub mod answer;
pub mod call;
pub mod content;
pub mod era;
pub mod message;
pub mod method;
pub mod mirror;
pub mod parameters;
pub mod rounds;
pub mod sse;
pub mod upstream_message;
