//! `kommo-stand-in`: the stand-in for the Kommo CRM MCP server as a process.
//!
//! It prints one line when it accepts connections, and ends on SIGTERM or SIGINT.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use toolgate_e2e::kommo::{self, Answers, Config, Eras};

/// A stand-in for the Kommo CRM MCP server that records every request it receives.
#[derive(Debug, Parser)]
#[command(name = "kommo-stand-in", version)]
struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3001")]
    listen: SocketAddr,

    /// Bearer token that the MCP endpoint demands; needed to listen on anything but the loopback interface
    #[arg(long, env = "MCP_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,

    /// How JSON-RPC answers travel
    #[arg(long, value_enum, default_value_t)]
    answers: Answers,

    /// Which protocol revisions are spoken
    #[arg(long, value_enum, default_value_t)]
    eras: Eras,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options { listen, auth_token, answers, eras } = Options::parse();
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let stand_in = kommo::start(Config { listen, auth_token, answers, eras }).await?;
    println!("listening on {}", stand_in.url());
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
