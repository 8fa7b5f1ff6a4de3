//! One edit of a policy under traffic: when do calls obey it, and when does the API say that they do?

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::agent::{Outcome, Sighting};

use super::agent::{Caller, sighting};
use super::books::CALLS;
use super::stage::{POLICY, Stage};
use super::{Error, eventually};

/// How many calls have to be under way before the edit is made.
const CALLS_BEFORE: u64 = 3;

/// How long the agent calls at most, in seconds.
const WAIT_SECONDS: u64 = 60;

/// An edit, and the call that shows it.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'e> {
    /// What is applied.
    pub manifest: &'e str,
    /// The tool that is called all the while.
    pub tool: &'e str,
    /// Its arguments.
    pub arguments: &'e Value,
    /// What the edit makes of the call.
    pub outcome: Outcome,
}

/// What was seen, in milliseconds since `kubectl apply` was started. All of it by one clock if agent and kubectl run on
/// one machine.
#[derive(Debug, Clone)]
pub struct Measured {
    /// When `kubectl apply` returned.
    pub applied: i64,
    /// When the first call that obeyed was sent.
    pub obeyed_sent: i64,
    /// When that call was answered.
    pub obeyed: i64,
    /// When `kubectl wait --for=condition=Programmed`, started after the apply, returned.
    pub programmed: i64,
    /// All calls that were made.
    pub sighting: Sighting,
}

impl Edit<'_> {
    /// Makes the edit while the agent calls, and waits until it is programmed and obeyed.
    ///
    /// # Errors
    ///
    /// If it is refused, never programmed or never obeyed.
    pub fn measure(&self, stage: &Stage<'_>, caller: &Caller<'_>) -> Result<Measured, Error> {
        let command = caller.until_command(self.tool, self.arguments, self.outcome, WAIT_SECONDS);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let count = || Ok::<_, Error>(stage.metrics()?.sum(CALLS, &[("tool", self.tool)]));
        let before = count()?;
        thread::scope(|scope| {
            let agent = scope.spawn(|| stage.kubectl.attempt(&command, ""));
            eventually("the agent calls", || Ok(count()? >= before + CALLS_BEFORE))?;
            let started = unix_ms();
            stage.kubectl.apply(self.manifest)?;
            let applied = unix_ms() - started;
            stage.kubectl.wait("condition=Programmed", &[POLICY])?;
            let programmed = unix_ms() - started;
            let ran = agent.join().map_err(|_| Error::Broken("the agent's thread broke".to_owned()))??;
            let sighting = sighting(&ran)?;
            super::promise(sighting.seen, || format!("the edit was never obeyed: {sighting:?}"))?;
            let since = |unix_ms: u64| i64::try_from(unix_ms).unwrap_or(i64::MAX) - started;
            let (obeyed_sent, obeyed) = (since(sighting.sent_unix_ms), since(sighting.unix_ms));
            Ok(Measured { applied, obeyed_sent, obeyed, programmed, sighting })
        })
    }
}

fn unix_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
