//! Which of several operators leads: the one that holds a Lease.
//!
//! Whether somebody else's Lease has run out is judged by how long it has not been seen to change, on this process' own
//! clock, never by the times that are written in it: clocks of nodes differ.
//!
//! Invariant: a leader takes itself for one only until [`HELD`] after it asked for its last renewal, and others wait for
//! [`LEASE`] after they saw that renewal. So two never write at the same time, however long one of them stood still.

mod election;
mod tenure;

use std::time::Duration;

pub use election::{Campaign, Election};
pub use tenure::Tenure;

/// How long a Lease holds after its last renewal.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long after it asked for a renewal a leader takes itself for one.
pub const HELD: Duration = Duration::from_secs(10);
/// How often a leader renews.
const RENEWAL: Duration = Duration::from_secs(4);
/// How soon a failed renewal is tried again, and how often others look whether the Lease is free.
const LOOK: Duration = Duration::from_secs(1);
/// How long the API server has for an answer: shorter than for others, so that there is time for another attempt.
const ANSWER: Duration = Duration::from_secs(3);
