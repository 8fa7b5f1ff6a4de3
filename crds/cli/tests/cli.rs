//! The binary as people run it: its output, what it leaves behind, and its exit status.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests only")]

#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/check_faults.rs"]
mod check_faults;
#[path = "cli/check_sources.rs"]
mod check_sources;
#[path = "cli/check_warnings.rs"]
mod check_warnings;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/mint.rs"]
mod mint;
#[path = "cli/pin.rs"]
mod pin;
#[path = "cli/run.rs"]
mod run;
