//! `bench-cluster`: measures edits, new servers, rolling updates and rest on a disposable Kubernetes, as JSON on stdout.
//!
//! Exit status: 0 if everything happened, 1 otherwise, 77 where no cluster can be used. No figure is a failure.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use toolgate_e2e::cluster::{Cluster, Operator};
use toolgate_e2e::cluster_bench::{Plan, run};
use toolgate_e2e::report;

/// The name of the disposable cluster's folder.
const CLUSTER: &str = "run";

/// Measure what happens on a cluster.
#[derive(Debug, Parser)]
#[command(name = "bench-cluster", version)]
struct Options {
    /// How many edits of a policy
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    edits: usize,

    /// How many servers are made, one after the other
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    servers: usize,

    /// How many calls there are while gateways are replaced
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    calls: u32,

    /// How long it rests
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    rest: u64,
}

fn main() -> ExitCode {
    report::print("bench-cluster", measure(&Options::parse()))
}

fn measure(options: &Options) -> anyhow::Result<serde_json::Value> {
    let cluster = Cluster::ready(CLUSTER)?;
    Operator::refuse_another(&cluster)?;
    let Options { edits, servers, calls, rest } = *options;
    let plan = Plan { edits, servers, calls, rest: Duration::from_secs(rest) };
    let report = run(&cluster, plan, |stage| eprintln!("bench-cluster: {stage}"));
    let removed = if cluster.is_started_here() { cluster.leave() } else { Operator::remove(&cluster) };
    let report = report?;
    removed?;
    Ok(report)
}
