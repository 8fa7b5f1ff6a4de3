//! The operator in front of an API server in memory, in paused time: hours pass in a moment.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]
#![allow(clippy::panic, reason = "a test says what differs")]

mod fake;
mod faults;
mod leading;
mod outages;
mod stage;
mod telling;
#[path = "../support/world.rs"]
mod world;
