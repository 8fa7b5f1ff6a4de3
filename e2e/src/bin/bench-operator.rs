//! `bench-operator`: measures the operator before an API server in memory, and prints what it found as JSON.
//!
//! Exit status: 0 if it came to rest and wrote nothing that it need not, 1 otherwise. No figure is a failure.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use toolgate_e2e::operator_bench::{Plan, run};
use toolgate_e2e::report;

/// Measure what the operator costs.
#[derive(Debug, Parser)]
#[command(name = "bench-operator", version)]
struct Options {
    /// How many policies there are
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    policies: usize,

    /// How often it is started where everything is as it should be
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    starts: usize,

    /// How long it rests
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    rest: u64,

    /// The operator; by default the one beside this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    report::print("bench-operator", measure(&Options::parse()))
}

fn measure(options: &Options) -> anyhow::Result<serde_json::Value> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => {
            std::env::current_exe().context("tell where this program is")?.with_file_name("toolgate-operator")
        }
    };
    let rest = Duration::from_secs(options.rest);
    let plan = Plan { policies: options.policies, starts: options.starts, rest };
    // One thread, so that the API server takes one core at most.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(&program, plan, |stage| eprintln!("bench-operator: {stage}")))
}
