//! The process: puts the parts together, serves, and stops in order.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::Arguments;
use crate::audit::Audit;
use crate::audit::digest::DigestKey;
use crate::counting::Counting;
use crate::credentials::Credentials;
use crate::gateway::Gateway;
use crate::identity::{Cluster, Verifier};
use crate::listener::Caps;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::session::Seal;
use crate::source::{bundle, files, watch as watching};
use crate::tls::{Paths, Tls};
use crate::traces::Traces;
use crate::upstream::Client;
use crate::{admin, counting, endpoint, listener, reach, tls};

/// The label of the server before anything says its name.
const UNKNOWN_SERVER: &str = "unknown";
/// How often counters that ran out are dropped.
const SWEEP: Duration = Duration::from_mins(1);

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(arguments: Arguments, log: &Log) -> anyhow::Result<()> {
    // More than one provider could be linked in one day; then rustls would want to be told.
    let _already = rustls::crypto::ring::default_provider().install_default();
    runtime()?.block_on(serve(arguments, log.clone()))
}

// On one CPU, by a pod's limit too, there is nobody to hand work to, and a runtime without that does with less.
fn runtime() -> io::Result<Runtime> {
    let alone = available_parallelism().is_ok_and(|cpus| cpus.get() == 1);
    let mut builder = if alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn serve(arguments: Arguments, log: Log) -> anyhow::Result<()> {
    // Before anybody can know that there is a process to stop: without a handler the first process of a container
    // would not even hear of it.
    let stopped = Stopped::new()?;
    let mcp = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("listen on {}", arguments.listen))?;
    let admin =
        TcpListener::bind(arguments.admin).await.with_context(|| format!("listen on {}", arguments.admin))?;
    tracing::info!(mcp = %mcp.local_addr()?, admin = %admin.local_addr()?, "listening");
    let mut files = arguments.config.clone().map(|path| files::Files::new(path, arguments.server.clone()));
    let gateway = Arc::new(build(&arguments, files.as_mut())?.logging(log));
    follow(&arguments, files, &gateway)?;
    tokio::spawn(sweep(gateway.clone()));
    tokio::spawn(counting::follow(gateway.clone()));
    if let Some(period) = arguments.reach_period() {
        tokio::spawn(reach::follow(gateway.clone(), period));
    }
    tls::load(&gateway);
    tokio::spawn(tls::follow(gateway.clone()));
    let (stop_tx, stop_rx) = watch::channel(false);
    let serving = {
        let (door, gateway) = (listener::Door::of(&gateway, caps(&arguments)), gateway.clone());
        tokio::spawn(listener::serve(mcp, door, stop_rx, move |request| {
            endpoint::serve(gateway.clone(), request)
        }))
    };
    // The admin port answers to the very end: whoever asks has to see that it is not ready.
    let (_never_tx, never_rx) = watch::channel(false);
    let admin_gateway = gateway.clone();
    tokio::spawn(listener::serve(admin, listener::Door::of_admin(&gateway), never_rx, move |request| {
        admin::serve(admin_gateway.clone(), request)
    }));
    stopped.wait().await;
    tracing::info!("draining");
    gateway.set_draining();
    tokio::time::sleep(Duration::from_secs(arguments.drain_seconds)).await;
    stop_tx.send_replace(true);
    let served = serving.await.context("serve");
    if !gateway.traces.finish().await {
        tracing::warn!("the last spans could not be sent in time");
    }
    tokio::task::spawn_blocking(move || {
        if !gateway.audit.finish(gateway.clock.now()) {
            tracing::warn!("the end of the audit trail could not be written in time");
        }
    })
    .await?;
    served
}

fn build(arguments: &Arguments, files: Option<&mut files::Files>) -> anyhow::Result<Gateway> {
    let server = match &files {
        Some(files) => files.server_name().map_err(|error| anyhow!(error))?,
        None => bundled_name(arguments),
    };
    let server = server.unwrap_or_else(|| UNKNOWN_SERVER.to_owned());
    let metrics = Metrics::new(&server).context("register metrics")?;
    let seal = Seal::new().map_err(|_| anyhow!("the system has no randomness"))?;
    let client = Client::new(arguments.destinations()).context("read certificate authorities")?;
    let client = client.waiting(Duration::from_secs(arguments.answer_seconds));
    let credentials =
        Credentials::new(arguments.credentials.clone()).with_certificates(arguments.certificates.clone());
    let gateway = Gateway::new(metrics, credentials, seal, client, arguments.allowed_origin.clone());
    let traces = arguments.traces.as_ref().map(Traces::to).transpose().context("start traces")?;
    let gateway = gateway.audited(audit(arguments)?).traced(traces.unwrap_or_default());
    let deadline = Duration::from_millis(arguments.counters_deadline_milliseconds);
    let gateway =
        gateway.encrypted(tls_of(arguments, files)?).counting(Counting::default().waiting(deadline));
    let verifier = Verifier::new(arguments.audience.clone(), cluster(arguments));
    Ok(gateway.verifying(verifier.within(arguments.destinations())))
}

// Takes as many descriptors as the process may have, which by default is more than it is given.
fn caps(arguments: &Arguments) -> Caps {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: allowed.maximum, ..allowed };
    let given = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { allowed };
    let wanted = arguments.caps();
    // Without a limit there is none to keep within.
    let caps = given.current.map_or(wanted, |descriptors| wanted.within(descriptors));
    if caps != wanted {
        tracing::warn!(
            connections = caps.all,
            "fewer connections than wanted: the process may not open more files"
        );
    }
    caps
}

// The command line's word, which the operator writes too; else, in file mode, the server's.
fn tls_of(arguments: &Arguments, files: Option<&mut files::Files>) -> anyhow::Result<Option<Tls>> {
    if let Some(folder) = arguments.tls.clone() {
        return Ok(Some(Tls::new(Paths { folder, client_ca: arguments.client_ca.clone() })));
    }
    let Some(files) = files else { return Ok(None) };
    let Some(wanted) = files.choose_listener().map_err(|error| anyhow!(error))? else { return Ok(None) };
    let (credentials, certificates) = (arguments.credentials.as_deref(), arguments.certificates.as_deref());
    let paths = Paths::of_server(&wanted, credentials, certificates).map_err(|error| anyhow!(error))?;
    Ok(Some(Tls::new(paths)))
}

fn audit(arguments: &Arguments) -> anyhow::Result<Audit> {
    let key = match &arguments.audit_key {
        None => DigestKey::random()?,
        Some(path) => {
            let key = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            DigestKey::given(&key).with_context(|| format!("the audit trail's key in {}", path.display()))?
        }
    };
    Audit::to(&arguments.audit, key, arguments.audit_file_bytes).context("open the audit trail")
}

fn cluster(arguments: &Arguments) -> Cluster {
    match (&arguments.cluster_issuer, &arguments.watch) {
        (Some(issuer), _) => Cluster::Issuer(issuer.clone()),
        (None, Some(_)) => Cluster::ApiServer,
        (None, None) => Cluster::None,
    }
}

fn bundled_name(arguments: &Arguments) -> Option<String> {
    let bundle = arguments.bundle.as_ref().and_then(|path| bundle::read(path).ok());
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
        gateway.counters.sweep(&gateway.clock);
        gateway.client.sweep();
        gateway.audit.settle(gateway.clock.now());
    }
}

struct Stopped {
    terminate: Signal,
    interrupt: Signal,
}

impl Stopped {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
