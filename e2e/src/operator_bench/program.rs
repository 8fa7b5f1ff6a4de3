//! The operator's process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process::Folder;

/// How long the operator's own port may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A running operator; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Operator {
    child: Child,
    port: SocketAddr,
    folder: Folder,
}

impl Operator {
    /// Starts a program before an API server.
    pub(super) fn start(program: &Path, api: SocketAddr) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: here, cluster: {{server: \"http://{api}\"}}}}]\n\
             contexts: [{{name: here, context: {{cluster: here, user: me, namespace: tools}}}}]\n\
             users: [{{name: me, user: {{}}}}]\n"
        );
        fs::write(&kubeconfig, text).context("write a kubeconfig")?;
        let free = TcpListener::bind("127.0.0.1:0").context("listen on the loopback interface")?;
        let port = free.local_addr().context("tell the address of a listener")?;
        drop(free);
        let log = fs::File::create(folder.path().join("log")).context("write a log")?;
        let child = Command::new(program)
            .args(["--gateway-image=localhost/toolgate-gateway:0", "--log=warn", &format!("--listen={port}")])
            .env("KUBECONFIG", &kubeconfig)
            .env_remove("KUBERNETES_SERVICE_HOST")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { child, port, folder })
    }

    /// How many objects of a kind it has reconciled; 0 before it listens.
    pub(super) fn reconciled(&mut self, kind: &str) -> anyhow::Result<u64> {
        let start = format!("toolgate_operator_reconciles_total{{kind=\"{kind}\"");
        let text = self.metrics()?;
        let counts = text.lines().filter(|line| line.starts_with(&start)).filter_map(|line| {
            let count = line.rsplit(' ').next()?;
            count.parse::<u64>().ok()
        });
        Ok(counts.sum())
    }

    fn metrics(&mut self) -> anyhow::Result<String> {
        if let Some(status) = self.child.try_wait().context("look at a process")? {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            bail!("the operator ended with {status}; it wrote:\n{log}");
        }
        let Ok(mut stream) = TcpStream::connect(self.port) else { return Ok(String::new()) };
        stream.set_read_timeout(Some(ANSWER)).context("set a timeout")?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: operator\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("read the operator's metrics")?;
        Ok(text)
    }

    /// A line of what the system says of its memory, such as `VmRSS` or `VmHWM`, in megabytes.
    pub(super) fn megabytes(&self, line: &str) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u32>().ok());
        Ok(f64::from(kilobytes.with_context(|| format!("{path} has no {line}"))?) / 1024.0)
    }

    /// Processor time that it has used, in seconds.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/schedstat", self.child.id());
        let mut nanoseconds = 0_u64;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id())).context("read its threads")? {
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        if nanoseconds == 0 {
            bail!("{path} says nothing");
        }
        Ok(Duration::from_nanos(nanoseconds).as_secs_f64())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Of one that has ended already nothing is left to do.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
