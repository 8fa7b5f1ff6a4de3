//! The command line of `toolgate audit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};

/// Reads the audit trail of gateways, filters and tabulates it.
///
/// Lines that are not of the trail are passed over, so a whole log can be piped in:
/// `kubectl logs deploy/kommo-toolgate | toolgate audit - --verdict denied,limited --since 1h`.
/// A filter that is given several values wants any of them; a line has to pass all filters.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 told, 2 wrong usage or something that cannot be read or written.")]
pub(crate) struct Audit {
    /// A file, or - for stdin, which is what is read when nothing is named.
    #[arg(value_name = "FILE|-", default_value = "-")]
    pub(crate) paths: Vec<PathBuf>,

    /// Only of this McpServer.
    #[arg(long, value_name = "SERVER", value_delimiter = ',')]
    pub(crate) server: Vec<String>,

    /// Only of this namespace.
    #[arg(long, short, value_name = "NAMESPACE", value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,

    /// Only of this grant.
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    pub(crate) grant: Vec<String>,

    /// Only of this tool, prompt or resource.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) tool: Vec<String>,

    /// Only with this verdict.
    #[arg(long, value_name = "VERDICT", value_delimiter = ',')]
    pub(crate) verdict: Vec<String>,

    /// Only what this policy refused, or would have said.
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    pub(crate) policy: Vec<String>,

    /// Only these events: decision, watched, rejected.
    #[arg(long, value_name = "EVENT", value_delimiter = ',')]
    pub(crate) event: Vec<String>,

    /// Only of the request with this id, as the header `toolgate-request-id` names it.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) request: Vec<String>,

    /// Only from this instant on, or from so long ago on, such as 2026-08-01T09:30:00Z or 1h.
    #[arg(long, value_name = "RFC3339|DURATION", value_parser = instant)]
    pub(crate) since: Option<Instant>,

    /// Only before this instant, or before so long ago.
    #[arg(long, value_name = "RFC3339|DURATION", value_parser = instant)]
    pub(crate) until: Option<Instant>,

    /// Count lines by these members instead of showing them, such as tool,verdict.
    #[arg(long, value_name = "MEMBERS", value_delimiter = ',', value_parser = member)]
    pub(crate) count_by: Vec<String>,

    /// How it is written: a table, or lines of JSON as they were recorded.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: AuditFormat,
}

/// How the audit trail is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum AuditFormat {
    #[default]
    Table,
    Json,
}

/// An instant, or how long ago it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instant {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Instant {
    /// The instant, as seen from now.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            // Before there was time everything is wanted.
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
        }
    }
}

fn instant(text: &str) -> Result<Instant, &'static str> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Instant::At(instant));
    }
    let duration = text.parse::<SignedDuration>().ok().filter(|duration| !duration.is_negative());
    duration
        .map(Instant::Ago)
        .ok_or("must be a time such as 2026-08-01T09:30:00Z, or how long ago, such as 90s or 1h 30m")
}

// A misspelt member would count everything as one.
fn member(text: &str) -> Result<String, String> {
    let known = [
        "server",
        "namespace",
        "revision",
        "grant",
        "subject",
        "protocol",
        "method",
        "target",
        "name",
        "tool",
        "verdict",
        "policy",
        "rule",
        "event",
        "reason",
        "detail",
    ];
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be one of {}", known.join(", ")))
    }
}
