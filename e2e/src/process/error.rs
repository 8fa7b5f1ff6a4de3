//! Why a part of a scenario did not come about.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::binary::BUILD_COMMAND;
use crate::kommo;

/// Why a part of a scenario did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no gateway to start.
    #[error("the gateway is not built: run `{BUILD_COMMAND}` first (looked for {})", looked_for.display())]
    NotBuilt {
        /// Where it should be.
        looked_for: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The gateway ended before it listened.
    #[error("the gateway ended with {status} before it listened; its log:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it logged.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {} s; {last}", super::PATIENCE.as_secs())]
    Patience {
        /// What was waited for.
        what: String,
        /// What was seen last.
        last: String,
    },
    /// The stand-in did not start.
    #[error(transparent)]
    StandIn(#[from] kommo::StartError),
    /// An answer is no HTTP.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
}

impl ProcessError {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
