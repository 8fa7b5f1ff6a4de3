//! The gateway as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::PATIENCE;
use super::admin::Admin;
use super::binary::gateway_binary;
use super::error::ProcessError;
use super::log::Log;

/// How a gateway is started.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The file or folder of its configuration.
    pub config: &'a Path,
    /// The folder of credentials.
    pub credentials: Option<&'a Path>,
    /// Which messages are logged, such as `info`.
    pub log: &'a str,
    /// Further arguments.
    pub more: &'a [&'a str],
}

/// A running gateway in file mode; it is killed when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    mcp: SocketAddr,
    admin: Admin,
    log: Log,
    reading: JoinHandle<()>,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it listens. It may not be ready yet.
    ///
    /// # Errors
    /// It is not built, or ended before it listened.
    pub async fn start(start: Start<'_>) -> Result<Self, ProcessError> {
        let mut command = Command::new(gateway_binary()?);
        command.arg("--config").arg(start.config);
        if let Some(credentials) = start.credentials {
            command.arg("--credentials").arg(credentials);
        }
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).args(start.more);
        command.env("TOOLGATE_LOG", start.log).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(ProcessError::system("start the gateway"))?;
        let log = Log::default();
        let stderr = child.stderr.take().expect("stderr was just piped");
        let mut reading = tokio::spawn(log.clone().fill(stderr));
        let (mcp, admin) = listening(&mut child, &log, &mut reading).await?;
        Ok(Self { child, mcp, admin: Admin::at(admin), log, reading })
    }

    /// Starts a gateway and waits until it is ready.
    ///
    /// # Errors
    /// As of [`Gateway::start`], and if it is not ready in time.
    pub async fn ready(start: Start<'_>) -> Result<Self, ProcessError> {
        let gateway = Self::start(start).await?;
        gateway.admin.until_ready().await?;
        Ok(gateway)
    }

    /// Where MCP clients are served.
    pub fn address(&self) -> SocketAddr {
        self.mcp
    }

    /// The URL of the MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.mcp)
    }

    /// The port of health, metrics and revision.
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// What it logged.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Asks it to stop, as Kubernetes does: SIGTERM.
    ///
    /// # Errors
    /// It has ended already, or the system refuses.
    pub async fn terminate(&self) -> Result<(), ProcessError> {
        let what = "send SIGTERM to the gateway";
        let gone = || std::io::Error::other("it has ended");
        let id = self.child.id().ok_or_else(gone).map_err(ProcessError::system(what))?;
        // Every POSIX shell has `kill`; the call itself would want unsafe code or one more library.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().await;
        let failed = |status: ExitStatus| std::io::Error::other(format!("kill ended with {status}"));
        let sent = sent.and_then(|status| if status.success() { Ok(()) } else { Err(failed(status)) });
        sent.map_err(ProcessError::system(what))
    }

    /// How it ended, as soon as it has and all of its log was read.
    ///
    /// # Errors
    /// It still runs when patience ends.
    pub async fn ended(&mut self) -> Result<ExitStatus, ProcessError> {
        let ending = async {
            let status = self.child.wait().await;
            until_read(&mut self.reading).await;
            status
        };
        let Ok(ended) = tokio::time::timeout(PATIENCE, ending).await else {
            let last = format!("its log:\n{}", self.log.text());
            return Err(ProcessError::Patience { what: "the gateway's end".to_owned(), last });
        };
        ended.map_err(ProcessError::system("wait for the gateway's end"))
    }
}

/// The log ends with the process; what was read of it is there even if reading it failed.
async fn until_read(reading: &mut JoinHandle<()>) {
    if !reading.is_finished() {
        let _read = reading.await;
    }
}

/// The two addresses that it logs when it listens.
async fn listening(
    child: &mut Child,
    log: &Log,
    reading: &mut JoinHandle<()>,
) -> Result<(SocketAddr, SocketAddr), ProcessError> {
    let line = tokio::select! {
        line = log.message(0, "listening") => line?,
        ended = child.wait() => {
            let status = ended.map_err(ProcessError::system("wait for the gateway"))?;
            until_read(reading).await;
            // It may have listened, and ended for another reason.
            log.find(0, "listening").ok_or_else(|| ProcessError::Ended { status, log: log.text() })?
        }
    };
    let address = |name: &str| line[name].as_str().and_then(|text| text.parse().ok());
    address("mcp").zip(address("admin")).ok_or_else(|| ProcessError::Patience {
        what: "a log line with both addresses".to_owned(),
        last: line.to_string(),
    })
}
