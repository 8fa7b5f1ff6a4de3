//! What the command line says.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser};

use crate::audit::Destination;
use crate::counting::DECISION_DEADLINE_MILLISECONDS;
use crate::destinations::Destinations;
use crate::listener::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, Caps};
use crate::otlp::Base;
use crate::reach::PERIOD;
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

    /// The folder with what Secrets hold, credentials for the server and for the store of counters: `DIR/SECRET/KEY`.
    #[arg(long, value_name = "DIR")]
    pub credentials: Option<PathBuf>,

    /// The folder with certificates that ConfigMaps hold: `DIR/CONFIGMAP/KEY`. Those that Secrets hold are in --credentials.
    #[arg(long, value_name = "DIR")]
    pub certificates: Option<PathBuf>,

    /// Where MCP clients are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where health, metrics and the revision are served. Never expose it to callers.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub admin: SocketAddr,

    /// A folder with `tls.crt` and `tls.key`, to serve MCP clients by TLS. Read again when they change. With --config alone it is
    /// the McpServer's `spec.gateway.tls` that names it, below --credentials.
    #[arg(long, value_name = "DIR")]
    pub tls: Option<PathBuf>,

    /// A file with the authorities, in PEM, whose certificates MCP clients may show.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub client_ca: Option<PathBuf>,

    /// An origin that browsers may call from, such as `https://inspector.example.com`. Without any, no browser may.
    #[arg(long, value_name = "ORIGIN")]
    pub allowed_origin: Vec<String>,

    /// Whom tokens of ServiceAccounts have to be for: the URL that callers know this gateway by. Without it no ServiceAccount is let in.
    #[arg(long, value_name = "URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub audience: Option<String>,

    /// The issuer of the ServiceAccounts' tokens. By default that of the cluster, which --watch leads to.
    #[arg(long, value_name = "URL", requires = "audience", value_parser = issuer)]
    pub cluster_issuer: Option<String>,

    /// Where the audit trail goes: stdout, off, the path of a file, or the collector that takes it by OTLP over HTTP, such as
    /// `http://collector:4318`; /v1/logs is added.
    #[arg(long, value_name = "stdout|off|FILE|URL", default_value = "stdout")]
    pub audit: Destination,

    /// How large the audit trail's file grows before it makes place for the next, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(4096..))]
    pub audit_file_bytes: u64,

    /// A file with the key of the digests of arguments, at least 32 bytes. Without one each process makes its own.
    #[arg(long, value_name = "FILE")]
    pub audit_key: Option<PathBuf>,

    /// The collector that spans go to by OTLP over HTTP, such as `http://collector:4318`; /v1/traces is added. Without one nothing is
    /// traced.
    #[arg(long, value_name = "URL", value_parser = Base::parse)]
    pub traces: Option<Base>,

    /// How long the server may take to begin its answer, and then to send each further piece of it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = ANSWER_DEADLINE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub answer_seconds: u64,

    /// How long a shared store of counters may take to answer, in milliseconds. A call whose limits it did not answer in time is
    /// refused, so this is also the most that counting ever adds to a call.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = DECISION_DEADLINE_MILLISECONDS, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub counters_deadline_milliseconds: u64,

    /// How often to look whether the server can be reached, in seconds, where no call says so: a connection is opened and closed. Every
    /// 10 seconds with --watch, else not at all.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub reach_seconds: Option<u64>,

    /// Refuse to connect to servers and issuers in private networks: only public addresses are left. Loopback is refused anyway
    /// unless the configuration is a file or folder, and link-local and metadata addresses always are.
    #[arg(long)]
    pub refuse_private_addresses: bool,

    /// The most connections at a time; more wait to be accepted. Fewer where the process may not open as many files.
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS_MAX as u64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections: u64,

    /// The most connections of one address at a time; one more is closed at once. Everybody behind one proxy has its address.
    #[arg(long, value_name = "COUNT", default_value_t = CONNECTIONS_PER_ADDRESS_MAX as u64, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections_per_address: u64,

    /// How long calls are still taken after the signal to stop, in seconds, so that those who route to it can notice.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub drain_seconds: u64,
}

impl Arguments {
    /// Where servers and issuers may be.
    pub fn destinations(&self) -> Destinations {
        Destinations { loopback: self.config.is_some(), private: !self.refuse_private_addresses }
    }

    /// How many connections there may be.
    pub fn caps(&self) -> Caps {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Caps { all: count(self.connections), per_address: count(self.connections_per_address) }
    }

    /// How often to look whether the server can be reached. None: not at all, for nobody asks.
    pub fn reach_period(&self) -> Option<Duration> {
        let chosen = self.reach_seconds.map(Duration::from_secs);
        chosen.or_else(|| self.watch.is_some().then_some(PERIOD))
    }
}

fn issuer(text: &str) -> Result<String, String> {
    let wanted = "an https URL without user, query and fragment, or http on 127.0.0.1 or [::1]";
    toolgate_policy::is_issuer(text).then(|| text.to_owned()).ok_or_else(|| format!("not {wanted}"))
}
