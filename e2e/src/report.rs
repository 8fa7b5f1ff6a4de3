//! What a program that measures tells: its report on stdout, or why there is none.

use std::process::ExitCode;

use serde_json::Value;

use crate::cluster;

/// Prints a report as JSON, or the error with the program's name before it. Answers how the program ends.
pub fn print(program: &str, measured: anyhow::Result<Value>) -> ExitCode {
    match measured {
        Ok(report) => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{program}: {error:#}");
            cluster::exit_code(&error)
        }
    }
}
