//! A Kubernetes for the scenarios and the demo, used as its users do: by kubectl and helm.
//!
//! Nothing here sends a byte to a pod's or a Service's address from the host. The ways in are the API server (and its
//! proxy), commands run in pods, and [`Cluster::enter`].

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

mod agent;
mod audit;
mod books;
mod command;
mod dump;
mod edit;
mod forwarded;
mod freeze;
mod images;
mod install;
mod kubectl;
mod metrics;
mod neighbour;
mod outside;
mod place;
mod prometheus;
mod release;
mod runner;
mod second;
mod stage;
mod store;
mod story;
mod walk;

pub use agent::{AGENT, Caller, OTHER_TOKEN, SAMPLE_TOKEN, converse_at_once, token_digest};
pub use audit::{Audit, Record};
pub use books::Books;
pub use command::{CommandError, Deadline, Ran};
pub use dump::dump;
pub use edit::{Edit, Measured};
pub use forwarded::Forwarded;
pub use freeze::{Frozen, restart_container};
pub use images::{Image, Images};
pub use install::{Operator, RELEASE_NAMESPACE, REVIEWED};
pub use kubectl::Kubectl;
pub use metrics::{Metrics, Series};
pub use neighbour::Neighbour;
pub use outside::Outside;
pub use place::Cluster;
pub use prometheus::Prometheus;
pub use runner::{Scenario, World, run};
pub use stage::{GRANT, POLICY, SERVER, Stage, samples};
pub use store::Store;
pub use story::Story;
pub use walk::{TOOLS_LISTED, walk};

/// Why something on a cluster did not go as it has to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command failed or took too long.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// No cluster can run on this machine, and none was named.
    #[error("no cluster can be used here: {0}")]
    NotUsable(String),
    /// Something differs from what is promised.
    #[error("{0}")]
    Broken(String),
    /// An output that has to be JSON is not what it should be.
    #[error("cannot read {what}: {source}; it is: {text}")]
    Output {
        /// Whose output.
        what: String,
        /// What is wrong with it.
        source: serde_json::Error,
        /// Its beginning.
        text: String,
    },
    /// A file cannot be used.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// How `up`, and every program, ends where no cluster can run.
const EXIT_CANNOT_BE_USED_HERE: u8 = 77;

/// How a program ends that failed with this.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref() {
        Some(Error::NotUsable(_)) => ExitCode::from(EXIT_CANNOT_BE_USED_HERE),
        _ => ExitCode::FAILURE,
    }
}

/// What is promised holds, or the error says what differs.
///
/// # Errors
///
/// If it does not hold.
pub fn promise(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Broken(otherwise())) }
}

/// How long something may take to come true. It ends a test that would wait for ever, and measures nothing: a busy machine
/// takes many times as long as an idle one.
const PATIENCE: Duration = Duration::from_mins(3);

/// The pause between two looks: nothing tells when it comes true.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until something holds.
///
/// # Errors
///
/// If looking fails, or if it does not hold in time.
pub fn eventually(what: &str, holds: impl FnMut() -> Result<bool, Error>) -> Result<(), Error> {
    looking_each(LOOK, what, holds)
}

fn looking_each(
    pause: Duration,
    what: &str,
    mut holds: impl FnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    while !holds()? {
        promise(Instant::now() < end, || format!("not within {} s: {what}", PATIENCE.as_secs()))?;
        thread::sleep(pause);
    }
    Ok(())
}

/// How long nothing changes before it counts as rest: gateways look at their servers every ten seconds, and the operator at
/// gateways every half minute, so what has happened may be told by a status that much later.
const STILLNESS: Duration = Duration::from_secs(50);

/// The pause between two looks at what should stand still: the whole audit log is read for one.
const LOOK_AT_REST: Duration = Duration::from_secs(1);

/// Waits until something stands still, and answers what it is then.
///
/// # Errors
///
/// If it does not in time, or if it cannot be looked at.
pub fn still<T: PartialEq>(what: &str, look: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let (mut last, mut since) = (look()?, Instant::now());
    looking_each(LOOK_AT_REST, what, || {
        let now = look()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok(since.elapsed() >= STILLNESS)
    })?;
    Ok(last)
}

/// The most characters of an output that an error repeats.
const SHOWN_CHARACTERS: usize = 2_000;

/// Reads JSON out of a program's output.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    let failed = |source| Error::Output {
        what: what.to_owned(),
        source,
        text: text.chars().take(SHOWN_CHARACTERS).collect(),
    };
    serde_json::from_str(text).map_err(failed)
}
