//! The operator's program.

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use toolgate_operator::check::{self, Check};
use toolgate_operator::run::run;
use toolgate_operator::settings::{LogFormat, Settings};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // First of all: whoever makes a TLS connection later finds exactly one provider.
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    if std::env::args_os().nth(1).is_some_and(|word| word == check::COMMAND) {
        return Ok(check::run(&Check::parse_from(std::env::args_os().skip(1))).await?);
    }
    let settings = Settings::parse();
    log(&settings)?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be listened to")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
    };
    run(settings, stop).await?;
    Ok(())
}

fn log(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log).context("--log")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
        LogFormat::Text => lines.init(),
    }
    Ok(())
}
