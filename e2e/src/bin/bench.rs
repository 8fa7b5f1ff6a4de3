//! `bench`: measures what a call costs, tells it in tables, and writes it as JSON.
//!
//! Exit status: 0 if every answer was right, 1 otherwise. A goal that is missed is told and is no failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use toolgate_e2e::bench::{Cores, Plan, Report, run};

/// Measure what a call costs, beside other proxies.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Options {
    /// Only show that everything runs, in seconds; the figures are worth nothing
    #[arg(long)]
    quick: bool,

    /// Only count instructions, which is exact on a busy machine too
    #[arg(long, conflicts_with = "quick")]
    instructions: bool,

    /// How often everything is measured
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<usize>,

    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "target/bench/report.json")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(report) if report.errors() == 0 => match report.uncounted() {
            None => ExitCode::SUCCESS,
            Some(why) => {
                eprintln!("bench: not all instructions could be counted: {why}");
                ExitCode::FAILURE
            }
        },
        Ok(report) => {
            let first = report.first_error().unwrap_or_else(|| "calls failed during edits".to_owned());
            eprintln!(
                "bench: {} answers were wrong, so no figure counts; the first: {first}",
                report.errors()
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> anyhow::Result<Report> {
    let cores = Cores::of_this_machine()?;
    if let Some(cores) = cores {
        cores.place_this_program()?;
    }
    let plan = match options {
        Options { quick: true, .. } => Plan::quick(),
        Options { instructions: true, .. } => Plan::instructions(),
        _ => Plan::whole(),
    };
    let plan = Plan { rounds: options.rounds.unwrap_or(plan.rounds), ..plan };
    let report = run(plan, cores, |stage| eprintln!("bench: {stage}"))?;
    println!("{}", report.text());
    write(&options.output, &format!("{:#}\n", report.json()))?;
    eprintln!("bench: written to {}", options.output.display());
    Ok(report)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    fs::write(path, text).with_context(failed)
}
