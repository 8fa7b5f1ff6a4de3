//! `agent`: an MCP client for scripts and scenarios, made with the official Rust SDK.
//!
//! Standard output carries JSON, one value a line. Exit status: 0 if all went as asked, 1 if an expectation was
//! not met or there was no answer, 2 for a wrong command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use toolgate_e2e::agent::{
    self, Connection, Era, Listing, Outcome, SessionVersion, Target, Token, Wait, converse, until,
};

/// The environment variable that holds a token.
const TOKEN_VARIABLE: &str = "TOOLGATE_TOKEN";

/// An MCP client that does what it is told and says what came back.
#[derive(Debug, Parser)]
#[command(name = "agent", version)]
struct Options {
    /// URL of the MCP endpoint, plain http
    #[arg(long, default_value = "http://127.0.0.1:8080/mcp")]
    url: String,

    /// Which lifecycle the connection has
    #[arg(long, value_enum, default_value = "modern")]
    era: Era,

    /// The revision to open a session with
    #[arg(long, value_enum, default_value_t)]
    session_version: SessionVersion,

    /// File that holds the bearer token; otherwise TOOLGATE_TOKEN, otherwise none is sent
    #[arg(long)]
    token_file: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the names of the listed tools, a JSON array
    Tools,
    /// Call a tool once and print the reply, one JSON line
    Call {
        /// Name of the tool
        name: String,
        /// Arguments, a JSON object
        #[arg(value_parser = parse_object)]
        arguments: Map<String, Value>,
    },
    /// Run a script over one connection and print one JSON line a step
    Converse {
        /// File that holds the script, a JSON array of steps
        script: PathBuf,
    },
    /// Call a tool until an outcome is seen and print how long that took, one JSON line
    Until {
        /// Name of the tool
        name: String,
        /// Arguments, a JSON object
        #[arg(value_parser = parse_object)]
        arguments: Map<String, Value>,
        /// The outcome that ends the wait
        #[arg(long, value_enum)]
        outcome: Outcome,
        /// How long to wait at most
        #[arg(long, default_value_t = 30)]
        timeout_seconds: u64,
    },
    /// Do nothing until SIGTERM: a pod in which the other commands can be run
    Idle,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { url, era, session_version, token_file, command } = options;
    let target = Target { url, era, session_version, token: token(token_file)? };
    match command {
        Command::Tools => {
            let connection = Connection::open(&target).await?;
            let listed = connection.list(Listing::Tools).await;
            connection.close().await;
            print(&listed.context("cannot list the tools")?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Call { name, arguments } => {
            let connection = Connection::open(&target).await?;
            let reply = connection.call(&name, &arguments).await;
            connection.close().await;
            print(&reply)?;
            let has_answer = reply.error.is_none_or(|error| error.code.is_some());
            Ok(if has_answer { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Converse { script } => run_script(&target, script).await,
        Command::Idle => {
            signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?.recv().await;
            Ok(ExitCode::SUCCESS)
        }
        Command::Until { name, arguments, outcome, timeout_seconds } => {
            let timeout = Duration::from_secs(timeout_seconds);
            let sighting = until(&target, &Wait { tool: name, arguments, outcome, timeout }).await;
            print(&sighting)?;
            if sighting.seen {
                return Ok(ExitCode::SUCCESS);
            }
            let (wanted, last) = (outcome.name(), sighting.last.outcome.name());
            bail!("outcome {wanted} was not seen within {timeout_seconds} s; the last one was {last}")
        }
    }
}

async fn run_script(target: &Target, path: PathBuf) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let steps = agent::parse(&text).with_context(|| path.display().to_string())?;
    let connection = Connection::open(target).await?;
    let mut printed = Ok(());
    let as_expected = converse(&connection, &steps, |report| {
        if printed.is_ok() {
            printed = print(report);
        }
        if let Some(problem) = &report.problem {
            eprintln!("agent: {problem}");
        }
    })
    .await;
    connection.close().await;
    printed?;
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn token(file: Option<PathBuf>) -> anyhow::Result<Option<Token>> {
    if let Some(path) = file {
        return Ok(Some(Token::read(&path)?));
    }
    match std::env::var(TOKEN_VARIABLE) {
        Ok(text) => Token::new(&text).map(Some).context(TOKEN_VARIABLE),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error @ std::env::VarError::NotUnicode(_)) => Err(error).context(TOKEN_VARIABLE),
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

fn print(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
