//! The process: puts the parts together, serves, and stops in order.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::arguments::Arguments;
use crate::credentials::Credentials;
use crate::gateway::Gateway;
use crate::identity::{Cluster, Verifier};
use crate::metrics::Metrics;
use crate::session::Seal;
use crate::source::{bundle, files, watch as watching};
use crate::upstream::Client;
use crate::{admin, endpoint, listener};

/// The label of the server before anything says its name.
const UNKNOWN_SERVER: &str = "unknown";
/// How often counters that ran out are dropped.
const SWEEP: Duration = Duration::from_mins(1);

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    start_log();
    // More than one provider could be linked in one day; then rustls would want to be told.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    // Before anybody can know that there is a process to stop: without a handler the first process of a container
    // would not even hear of it.
    let stopped = Stopped::new()?;
    let mcp = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listen on {}", arguments.listen))?;
    let admin =
        TcpListener::bind(arguments.admin).await.with_context(|| format!("listen on {}", arguments.admin))?;
    tracing::info!(mcp = %mcp.local_addr()?, admin = %admin.local_addr()?, "listening");
    let files = arguments.config.clone().map(|path| files::Files::new(path, arguments.server.clone()));
    let gateway = Arc::new(build(&arguments, files.as_ref())?);
    follow(&arguments, files, &gateway)?;
    tokio::spawn(sweep(gateway.clone()));
    let (stop_tx, stop_rx) = watch::channel(false);
    let serving = {
        let gateway = gateway.clone();
        tokio::spawn(listener::serve(mcp, stop_rx, move |request| endpoint::serve(gateway.clone(), request)))
    };
    // The admin port answers to the very end: whoever asks has to see that it is not ready.
    let (_never_tx, never_rx) = watch::channel(false);
    let admin_gateway = gateway.clone();
    tokio::spawn(listener::serve(admin, never_rx, move |request| {
        ready(admin::serve(&admin_gateway, &request))
    }));
    stopped.wait().await;
    tracing::info!("draining");
    gateway.set_draining();
    tokio::time::sleep(Duration::from_secs(arguments.drain_seconds)).await;
    stop_tx.send_replace(true);
    serving.await.context("serve")
}

fn build(arguments: &Arguments, files: Option<&files::Files>) -> anyhow::Result<Gateway> {
    let server = match files {
        Some(files) => files.server_name().map_err(|error| anyhow!(error))?,
        None => bundled_name(arguments),
    };
    let server = server.unwrap_or_else(|| UNKNOWN_SERVER.to_owned());
    let metrics = Metrics::new(&server).context("register metrics")?;
    let seal = Seal::new().map_err(|_| anyhow!("the system has no randomness"))?;
    let client = Client::new().context("read certificate authorities")?;
    let client = client.waiting(Duration::from_secs(arguments.answer_seconds));
    let credentials = Credentials::new(arguments.credentials.clone());
    let gateway = Gateway::new(metrics, credentials, seal, client, arguments.allowed_origin.clone());
    Ok(gateway.verifying(Verifier::new(arguments.audience.clone(), cluster(arguments))))
}

fn cluster(arguments: &Arguments) -> Cluster {
    match (&arguments.cluster_issuer, &arguments.watch) {
        (Some(issuer), _) => Cluster::Issuer(issuer.clone()),
        (None, Some(_)) => Cluster::ApiServer,
        (None, None) => Cluster::None,
    }
}

fn bundled_name(arguments: &Arguments) -> Option<String> {
    let text = arguments.bundle.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let bundle = text.and_then(|text| toolgate_policy::Bundle::from_json(&text).ok());
    bundle.map(|bundle| bundle.server.name)
}

fn follow(arguments: &Arguments, files: Option<files::Files>, gateway: &Arc<Gateway>) -> anyhow::Result<()> {
    if let Some(mut files) = files {
        files.load(gateway);
        tokio::spawn(files::follow(gateway.clone(), files));
    }
    if let Some(path) = &arguments.bundle {
        bundle::load(gateway, path);
    }
    match &arguments.watch {
        Some(text) => {
            let followed =
                watching::Followed::parse(text).ok_or_else(|| anyhow!("--watch wants NAMESPACE/NAME"))?;
            tokio::spawn(watching::follow(gateway.clone(), followed));
        }
        None => gateway.set_current(),
    }
    Ok(())
}

async fn sweep(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        gateway.counters().sweep(gateway.clock.now().monotonic);
    }
}

struct Stopped {
    terminate: Signal,
    interrupt: Signal,
}

impl Stopped {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn start_log() {
    let filter = EnvFilter::try_from_env("TOOLGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        log.init();
    } else {
        log.json().flatten_event(true).init();
    }
}
