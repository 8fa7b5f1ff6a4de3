//! What a call costs: the gateway's own process beside a plain proxy, measured on this machine.
//!
//! Load and upstream share one core, the process that is measured has another to itself. Every figure is taken in
//! rounds in which all targets are measured one after the other in a new order, so that what else the machine does
//! falls on all of them alike; what is told is the median over rounds, and the lowest and highest beside it. An answer
//! that is not what it must be is an error, and a run with an error says nothing.
//!
//! Nothing here tests anything: figures are read by people. Only that it still runs is tested.

mod cores;
mod edit;
mod figure;
mod goals;
mod instructions;
mod load;
mod peers;
mod plan;
mod program;
mod question;
mod report;
mod rules;
mod scrape;
mod shared;
mod start;
mod upstream;

pub use cores::Cores;
pub use plan::{Plan, run};
pub use report::Report;
