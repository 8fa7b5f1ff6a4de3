//! `toolgate-gateway`: see the library.

use std::process::ExitCode;

use clap::Parser;
use toolgate_gateway::{arguments::Arguments, run};

fn main() -> ExitCode {
    match run::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
