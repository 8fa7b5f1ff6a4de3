//! What the command line says.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Parser};

use crate::upstream::ANSWER_DEADLINE;

/// Decides every MCP call before it reaches its server.
#[derive(Parser, Clone, Debug)]
#[command(name = "toolgate-gateway", version)]
#[command(group = ArgGroup::new("source").required(true).args(["config", "bundle"]))]
pub struct Arguments {
    /// A file, or a folder of files, with one McpServer and its ToolPolicies and ToolGrants. Read again when it changes.
    #[arg(long, value_name = "FILE|DIR")]
    pub config: Option<PathBuf>,

    /// The McpServer to guard, if --config has several.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub server: Option<String>,

    /// A bundle that the operator wrote.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// The ConfigMap that the bundle is mounted from, to follow it without delay.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "bundle")]
    pub watch: Option<String>,

    /// The folder with credentials for the server: `DIR/SECRET/KEY`.
    #[arg(long, value_name = "DIR")]
    pub credentials: Option<PathBuf>,

    /// Where MCP clients are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where health, metrics and the revision are served. Never expose it to callers.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,

    /// An origin that browsers may call from, such as `https://inspector.example.com`. Without any, no browser may.
    #[arg(long, value_name = "ORIGIN")]
    pub allowed_origin: Vec<String>,

    /// Whom tokens of ServiceAccounts have to be for: the URL that callers know this gateway by. Without it no ServiceAccount is let in.
    #[arg(long, value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub audience: Option<String>,

    /// The issuer of the ServiceAccounts' tokens. By default that of the cluster, which --watch leads to.
    #[arg(long, value_name = "URL", requires = "audience", value_parser = issuer)]
    pub cluster_issuer: Option<String>,

    /// How long the server may take to begin its answer, and then to send each further piece of it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = ANSWER_DEADLINE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub answer_seconds: u64,

    /// How long calls are still taken after the signal to stop, in seconds, so that those who route to it can notice.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub drain_seconds: u64,
}

fn issuer(text: &str) -> Result<String, String> {
    let wanted = "an https URL without user, query and fragment, or http on 127.0.0.1 or [::1]";
    toolgate_policy::is_issuer(text).then(|| text.to_owned()).ok_or_else(|| format!("not {wanted}"))
}
