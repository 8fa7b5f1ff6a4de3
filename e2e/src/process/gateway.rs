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
    audit: Log,
    reading: JoinHandle<()>,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it listens. It may not be ready yet.
    ///
    /// # Errors
    /// It is not built, or ended before it listened.
    pub async fn start(start: Start<'_>) -> Result<Self, ProcessError> {
        Self::start_in(start, &[]).await
    }

    /// The same with further variables in its environment.
    ///
    /// # Errors
    /// As of [`Gateway::start`].
    pub async fn start_in(start: Start<'_>, variables: &[(&str, &Path)]) -> Result<Self, ProcessError> {
        Self::run(Command::new(gateway_binary()?), start, variables).await
    }

    /// Starts a gateway that may open only so many files, and waits until it is ready.
    ///
    /// # Errors
    /// As of [`Gateway::ready`].
    pub async fn ready_within(start: Start<'_>, descriptors: u32) -> Result<Self, ProcessError> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(gateway_binary()?);
        let gateway = Self::run(shell, start, &[]).await?;
        gateway.admin.until_ready().await?;
        Ok(gateway)
    }

    async fn run(
        mut command: Command,
        start: Start<'_>,
        variables: &[(&str, &Path)],
    ) -> Result<Self, ProcessError> {
        command.arg("--config").arg(start.config);
        if let Some(credentials) = start.credentials {
            command.arg("--credentials").arg(credentials);
        }
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).args(start.more);
        command.envs(variables.iter().copied());
        command.env("TOOLGATE_LOG", start.log).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(ProcessError::system("start the gateway"))?;
        let (log, audit) = (Log::default(), Log::default());
        let stderr = child.stderr.take().expect("stderr was just piped");
        let stdout = child.stdout.take().expect("stdout was just piped");
        let (filling_log, filling_audit) = (log.clone().fill(stderr), audit.clone().fill(stdout));
        let mut reading = tokio::spawn(async {
            tokio::join!(filling_log, filling_audit);
        });
        let (mcp, admin) = listening(&mut child, &log, &mut reading).await?;
        Ok(Self { child, mcp, admin: Admin::at(admin), log, audit, reading })
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

    /// What it wrote of its audit trail, if that goes to stdout.
    pub fn audit(&self) -> &Log {
        &self.audit
    }

    /// Asks it to stop, as Kubernetes does: SIGTERM.
    ///
    /// # Errors
    /// It has ended already, or the system refuses.
    pub async fn terminate(&self) -> Result<(), ProcessError> {
        signal(self.child.id(), "TERM").await
    }

    /// Stops it from running, though its connections stay open.
    ///
    /// # Errors
    /// It has ended already, or the system refuses.
    pub async fn freeze(&self) -> Result<(), ProcessError> {
        signal(self.child.id(), "STOP").await
    }

    /// Lets it run again.
    ///
    /// # Errors
    /// It has ended already, or the system refuses.
    pub async fn thaw(&self) -> Result<(), ProcessError> {
        signal(self.child.id(), "CONT").await
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

/// Sends a signal to a process of ours.
pub(super) async fn signal(id: Option<u32>, signal: &str) -> Result<(), ProcessError> {
    let what = "send a signal";
    let gone = || std::io::Error::other("the process has ended");
    let id = id.ok_or_else(gone).map_err(ProcessError::system(what))?;
    // Every POSIX shell has `kill`; the call itself would want unsafe code or one more library.
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {id}")).status().await;
    let failed = |status: ExitStatus| std::io::Error::other(format!("kill ended with {status}"));
    let sent = sent.and_then(|status| if status.success() { Ok(()) } else { Err(failed(status)) });
    sent.map_err(ProcessError::system(what))
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
