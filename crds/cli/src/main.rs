//! `toolgate`, also `kubectl toolgate`: for people who write the YAML.
//!
//! - `mint` makes a token and prints the grant that knows it by its digest.
//! - `check` finds every fault of files before they are applied, with the code that the operator and gateways use.
//! - `audit` reads what gateways recorded.
//! - `pin` prints the definitions of tools as they are listed, so that a policy agrees to these and no others.
//! - `explain` says what would be decided of a call and why, with the code that decides it.
//!
//! Invariants: it never talks to a cluster or any other machine, and a token leaves it once, never with the YAML.

mod arguments;
mod audit;
mod check;
mod explain;
mod listed;
mod mint;
mod pin;
mod sources;
mod yaml;

use std::io::Write as _;
use std::process::ExitCode;

use crate::arguments::Verb;

/// What was asked for was done, and the answer is no: files with faults, a grant that could not be handed over.
const EXIT_FAULTS: u8 = 1;
/// What was asked for makes no sense or cannot be read. The command line's parser uses the same status.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse().verb {
        Verb::Mint(arguments) => mint::run(&arguments)
            .map_or_else(|error| fail(error.exit_status(), &error.to_string()), |()| ExitCode::SUCCESS),
        Verb::Explain(arguments) => match explain::run(&arguments) {
            Ok(status) => ExitCode::from(status),
            Err(error) => fail(EXIT_USAGE, &error.to_string()),
        },
        Verb::Pin(arguments) => pin::run(&arguments)
            .map_or_else(|error| fail(EXIT_USAGE, &error.to_string()), |()| ExitCode::SUCCESS),
        Verb::Audit(arguments) => audit::run(&arguments)
            .map_or_else(|error| fail(EXIT_USAGE, &error.to_string()), |()| ExitCode::SUCCESS),
        Verb::Check(arguments) => match check::run(&arguments) {
            Ok(outcome) => ExitCode::from(outcome.exit_status()),
            Err(error) => fail(EXIT_USAGE, &error.to_string()),
        },
    }
}

// Nobody can be told when stderr itself is closed; the status still says it.
fn fail(status: u8, message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::from(status)
}
