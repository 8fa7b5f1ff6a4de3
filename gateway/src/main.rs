//! `toolgate-gateway`: see the library.

use std::process::ExitCode;

use clap::Parser;
use toolgate_gateway::{arguments::Arguments, log::Log, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = match Log::start() {
        Ok(log) => log,
        Err(error) => {
            eprintln!("toolgate-gateway: no log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ran = run::run(arguments, &log);
    if let Err(error) = &ran {
        tracing::error!("{error:#}");
    }
    log.finish();
    if ran.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
